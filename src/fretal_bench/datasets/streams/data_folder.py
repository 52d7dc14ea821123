"""Crop stores at hand: in folders that are named, or in the user's data folder; and what each holds, read fast."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fretal_bench import files, parsing, records
from fretal_bench.datasets.store.cache import cache_folder
from fretal_bench.datasets.store.files import check_sizes
from fretal_bench.datasets.store.index import Contents, count_rows
from fretal_bench.datasets.store.info import INDEX, INFO, StoreInfo, read_info
from fretal_bench.errors import BenchError, BenchWarning
from fretal_bench.records import Record, limited

DATA_FOLDER: Final = "FRETAL_BENCH_DATA"


@dataclass(frozen=True)
class _Row(Record):
    """Number of crops of one kind."""

    dataset: str
    method: str
    compression: str
    crops: int = limited(at_least=1)


@dataclass(frozen=True)
class _Kept(Record):
    """What the cache folder keeps of a store."""

    contents: tuple[_Row, ...]


@dataclass(frozen=True)
class StoreAtHand:
    """A crop store that was found.

    Attributes:
        path: Its folder, absolute.
        checksum: As in its ``store.json``; nothing was compared.
        size: Height and width of its crops, pixels.
        frames: Frames of each video that were asked for when it was prepared; 0 if that is not known.
        contents: What is in it.
    """

    path: Path
    checksum: str
    size: int
    frames: int
    contents: Contents


def named_stores(path: str | os.PathLike[str], notes: list[str] | None = None) -> list[StoreAtHand]:
    """The store that a folder is, or the stores right in it; of several, damaged ones are passed over.

    Args:
        path: The folder.
        notes: Where to add a line about those that are passed over; None warns.

    Raises:
        BenchError: There is none that can be used, or the folder cannot be read.
    """
    folder = files.expanded(path)
    stores, faults = _stores_in(folder)
    if not stores and faults:
        raise faults[0]
    if not stores:
        what = "holds no crop store" if folder.is_dir() else "is no folder"
        raise BenchError(
            f"{folder} {what}: expected {INFO} in it or in a folder in it; "
            "make a store with `bench data prepare`, or correct the path"
        )
    _note_faults(folder, stores, faults, notes)
    return stores


def found_stores(notes: list[str] | None = None) -> list[StoreAtHand]:
    """The stores in ``$FRETAL_BENCH_DATA``; none if it isn't set. What cannot be used is passed over.

    Args:
        notes: Where to add a line about it; None warns.
    """
    folder = data_folder()
    if folder is None:
        return []
    try:
        if not folder.is_dir():
            raise BenchError(f"{folder} is no folder; correct the path")
        stores, faults = _stores_in(folder)
    except BenchError as error:
        _note(f"${DATA_FOLDER}: {error}", notes)
        return []
    _note_faults(folder, stores, faults, notes)
    return stores


def data_folder() -> Path | None:
    """The user's data folder, ``$FRETAL_BENCH_DATA``."""
    name = os.environ.get(DATA_FOLDER)
    return files.expanded(name).absolute() if name else None


def _stores_in(folder: Path) -> tuple[list[StoreAtHand], list[BenchError]]:
    """The stores of a folder that can be used, and what is wrong with each of the others."""
    outcomes = [_store_or_fault(path) for path in _store_folders(folder)]
    stores = [outcome for outcome in outcomes if isinstance(outcome, StoreAtHand)]
    return stores, [outcome for outcome in outcomes if isinstance(outcome, BenchError)]


def _store_or_fault(folder: Path) -> StoreAtHand | BenchError:
    # One damaged store must not stop the others.
    try:
        return _read(folder)
    except BenchError as error:
        return error


def _note_faults(
    folder: Path, stores: Sequence[StoreAtHand], faults: Sequence[BenchError], notes: list[str] | None
) -> None:
    if faults:
        _note(
            f"{folder}: {len(faults)} of {len(stores) + len(faults)} crop stores cannot be used and "
            f"{'is' if len(faults) == 1 else 'are'} passed over, e.g. {faults[0]}",
            notes,
        )


def _note(line: str, notes: list[str] | None) -> None:
    if notes is None:
        warnings.warn(line, BenchWarning, stacklevel=4)
    else:
        notes.append(line)


def _store_folders(folder: Path) -> list[Path]:
    with files.refusals(folder, remedy="correct the path", doing="read"):
        if os.path.lexists(folder / INFO):
            return [folder]
        if not folder.is_dir():
            return []
        # Hidden folders are what `bench data prepare` works in.
        below = [path for path in folder.iterdir() if not path.name.startswith(".")]
        return sorted(path for path in below if os.path.lexists(path / INFO))


def _read(folder: Path) -> StoreAtHand:
    folder = folder.resolve()
    info = read_info(folder)
    check_sizes(folder, info)
    options = info.details.get("options")
    frames = options.get("frames") if isinstance(options, dict) else None
    # Not made by `bench data prepare`: whoever made it notes what they like.
    frames = frames if type(frames) is int and frames > 0 else 0
    return StoreAtHand(folder, info.checksum, info.size, frames, _contents(folder, info))


def _contents(folder: Path, info: StoreInfo) -> Contents:
    """What a store holds; counted once, then kept in the cache folder (a store may be read-only)."""
    entry = info.files[INDEX]
    kept = cache_folder() / "contents" / f"{entry.sha256}.json"
    with contextlib.suppress(BenchError):
        # What is damaged, or of another number of rows, is made again.
        table = records.read(_Kept, parsing.read_json(kept, "contents of a store"), str(kept))
        if sum(row.crops for row in table.contents) == info.count:
            return {(row.dataset, row.method, row.compression): row.crops for row in table.contents}
    contents = count_rows(folder / INDEX, info.count)
    # Kept by the hash of the rows, so it must be theirs. A cache that cannot be written costs time, nothing else.
    if files.sha256(folder / INDEX) == entry.sha256:
        rows = tuple(_Row(*key, crops) for key, crops in contents.items())
        with contextlib.suppress(BenchError):
            files.write(kept, parsing.to_json(parsing.plain(_Kept(rows))))
    return contents
