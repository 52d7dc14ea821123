"""The memory of verified stores: files whose hashes were compared, and the rules that their rows keep."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fretal_bench import files, parsing, records
from fretal_bench.datasets.store.cache import cache_folder
from fretal_bench.datasets.store.info import DATA
from fretal_bench.errors import BenchError
from fretal_bench.names import SHA256
from fretal_bench.records import Record, ruled

MEMORY: Final = ".verified.json"
RULES: Final = 1
"""Version of the manifest's rules, to be counted up when they change: rows are then looked at again."""


@dataclass(frozen=True)
class Memory(Record):
    """What was found out about a store's files as they are; kept in ``.verified.json``.

    Attributes:
        files: Size, time of change of the content (ns), inode, and time of change of the file (ns) of each file. The
            last cannot be set by anybody: a file that was written to and given its old time is not the same.
        checksum: The store's, as in ``store.json``.
        rules: Version of the manifest's rules that the rows keep; 0 if that was not looked at.
    """

    files: Mapping[str, tuple[int, ...]]
    checksum: str = ruled(SHA256)
    rules: int = 0


def current(folder: Path, checksum: str) -> Memory:
    """Describe a store's files as they are now, as a memory in which they were hashed and their rows looked at."""
    stats = {name: (folder / name).stat() for name in DATA}
    states = {
        name: (stat.st_size, stat.st_mtime_ns, stat.st_ino, stat.st_ctime_ns) for name, stat in stats.items()
    }
    return Memory(states, checksum, RULES)


def is_verified(folder: Path, state: Memory) -> bool:
    """Whether a store's files were hashed, and their rows looked at, in the state that they are in."""
    return any(memory == state for memory in _memories(folder))


def remember(folder: Path, state: Memory) -> None:
    """Keep that a store's files were found to be whole in a state, unless they were written to meanwhile.

    It is kept in the store's folder, or in the user's cache where that cannot be written; where neither can be, the next
    opening reads the files again.
    """
    if current(folder, state.checksum) != state:
        return
    text = parsing.to_json(parsing.plain(state))
    for place in _places(folder):
        with contextlib.suppress(BenchError):
            files.write(place, text)
            return


def _places(folder: Path) -> tuple[Path, Path]:
    name = hashlib.sha256(str(folder.resolve()).encode("utf-8", "surrogateescape")).hexdigest()
    return folder / MEMORY, cache_folder() / "verified" / f"{name}.json"


def _memories(folder: Path) -> Iterator[Memory]:
    """Give what each place remembers: a store that was copied brings the memory of other files along."""
    for place in _places(folder):
        # What is damaged is made again.
        with contextlib.suppress(BenchError):
            yield records.read(Memory, parsing.read_json(place, "memory of a verified store"), str(place))
