"""Lines that C libraries write to standard error by themselves: kept off it, and read back to judge a decoded picture."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Final, TextIO

_STDERR: Final = 2
_CHUNK: Final = 1 << 16

_ear: int | None = None
"""Where the lines come out; None outside ``kept_off``."""
_life: Final = contextlib.ExitStack()


@contextlib.contextmanager
def kept_off() -> Iterator[None]:
    """Keep C libraries' lines off standard error inside the block; what Python writes there still arrives.

    libpng, libjpeg, libtiff and OpenCV write to file descriptor 2, past ``sys.stderr``. It leads into a pipe meanwhile,
    which takes what fits and drops the rest, and ``sys.stderr`` leads past it. Blocks may be nested.
    """
    global _ear
    if _ear is not None:
        yield
        return
    try:
        terminal = os.dup(_STDERR)
    except OSError:  # closed, so nothing can reach it
        yield
        return
    _ear, mouth = os.pipe()
    for end in (_ear, mouth):
        os.set_blocking(end, False)
    plain = sys.stderr
    with contextlib.suppress(OSError, ValueError, AttributeError):
        plain.flush()
    past = _past(plain, terminal)
    if past is not None:
        sys.stderr = past
    os.dup2(mouth, _STDERR)
    os.close(mouth)
    try:
        yield
    finally:
        os.dup2(terminal, _STDERR)
        if past is not None:
            if sys.stderr is past:
                sys.stderr = plain
            past.close()
        os.close(terminal)
        os.close(_ear)
        _ear = None


def keep_off() -> None:
    """The same as ``kept_off`` for as long as this process lives."""
    _life.enter_context(kept_off())


def heard() -> str:
    """What C libraries have written since the last call, 64 KiB at most; nothing outside ``kept_off``."""
    if _ear is None:
        return ""
    text = b""
    with contextlib.suppress(BlockingIOError):
        while part := os.read(_ear, _CHUNK):
            text = (text + part)[:_CHUNK]
    return text.decode("utf-8", "replace")


def _past(plain: TextIO | None, terminal: int) -> TextIO | None:
    """A stream for Python's own lines, if those go to the descriptor that is turned away."""
    try:
        if plain is None or plain.fileno() != _STDERR:
            return None
        encoding = plain.encoding or "utf-8"
    except (OSError, ValueError, AttributeError):
        return None
    return open(os.dup(terminal), "w", buffering=1, encoding=encoding, errors="backslashreplace")
