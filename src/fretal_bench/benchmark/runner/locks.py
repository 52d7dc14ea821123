"""Locks: files that one process at a time holds, and that a killed process lets go of."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from fretal_bench import files

FOREVER: Final = -1.0


class Busy(Exception):
    """Another process works on it."""


def is_held(path: Path) -> bool:
    """Whether a process holds a lock now; False where that cannot be found out. Nothing is made or waited for."""
    if not path.exists():
        return False
    lock = FileLock(str(path))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    except OSError:
        return False
    lock.release()
    return False


@contextlib.contextmanager
def held(path: Path, wait: float, remedy: str) -> Iterator[None]:
    """Hold a lock during the block.

    Args:
        path: The lock's file, whose folder is there.
        wait: Seconds to wait for another process; for ever if negative.
        remedy: What to do where the file cannot be written.

    Raises:
        Busy: Another process still holds it.
    """
    lock = FileLock(str(path))
    with files.refusals(path.parent.parent, remedy=remedy):
        try:
            lock.acquire(timeout=wait)
        except Timeout as error:
            raise Busy(path.stem) from error
    try:
        yield
    finally:
        lock.release()
