"""The memory of verified stores: size, time of change and inode of files whose hashes were compared."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from fretal_bench import files
from fretal_bench.datasets.store.cache import cache_folder
from fretal_bench.datasets.store.files import DATA, check_hashes
from fretal_bench.errors import BenchError

MEMORY: Final = ".verified.json"


def verify(folder: Path, info: Mapping[str, Any]) -> None:
    """Compare the hashes of a store's files with ``store.json``, unless that was done and no file changed since.

    A file counts as unchanged while its size, its time of change (ns) and its inode are those of when it was hashed.
    They are kept in ``.verified.json`` in the store's folder, or in the user's cache where that cannot be written;
    delete that file to have the store hashed again.

    Args:
        folder: The store's folder; both files are there.
        info: The content of ``store.json``.

    Raises:
        BenchError: A file is not what was written.
    """
    states = _states(folder)
    if states in _remembered(folder, info["checksum"]):
        return
    check_hashes(folder, info)
    # Written to meanwhile: what was hashed may not be what is there.
    if _states(folder) == states:
        _remember(folder, info["checksum"], states)


def _states(folder: Path) -> dict[str, list[int]]:
    stats = {name: (folder / name).stat() for name in DATA}
    return {name: [stat.st_size, stat.st_mtime_ns, stat.st_ino] for name, stat in stats.items()}


def _places(folder: Path) -> tuple[Path, Path]:
    name = hashlib.sha256(str(folder.resolve()).encode("utf-8", "surrogateescape")).hexdigest()
    return folder / MEMORY, cache_folder() / "verified" / f"{name}.json"


def _remembered(folder: Path, checksum: str) -> Iterator[Any]:
    """Give what each place remembers: a store that was copied brings the memory of other files along."""
    for place in _places(folder):
        with contextlib.suppress(OSError, ValueError, TypeError, LookupError):
            memory = json.loads(place.read_bytes())
            if memory["checksum"] == checksum:
                yield memory["files"]


def _remember(folder: Path, checksum: str, states: Mapping[str, list[int]]) -> None:
    text = json.dumps({"checksum": checksum, "files": states}) + "\n"
    for place in _places(folder):
        # Where neither can be written, the next opening hashes again.
        with contextlib.suppress(BenchError):
            files.write(place, text)
            return
