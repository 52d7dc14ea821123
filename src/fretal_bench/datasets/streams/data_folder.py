"""Crop stores at hand: in folders that are named, or in the user's data folder; and what each holds, read fast."""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fretal_bench import files
from fretal_bench.datasets.store.cache import cache_folder
from fretal_bench.datasets.store.files import INDEX, INFO, damaged, read_info
from fretal_bench.errors import BenchError, first_line

DATA_FOLDER: Final = "FRETAL_BENCH_DATA"
_COUNTED: Final = ("dataset", "method", "compression")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")

Contents = Mapping[tuple[str, str, str], int]
"""Number of crops by data set, method and compression."""


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


def named_stores(path: str | os.PathLike[str]) -> list[StoreAtHand]:
    """The store that a folder is, or the stores right in it.

    Raises:
        BenchError: There is none, or one is damaged.
    """
    folder = Path(path).expanduser()
    stores = [_read(store) for store in _store_folders(folder)]
    if not stores:
        what = "holds no crop store" if folder.is_dir() else "is no folder"
        raise BenchError(
            f"{folder} {what}: expected {INFO} in it or in a folder in it; "
            "make a store with `bench data prepare`, or correct the path"
        )
    return stores


def found_stores() -> list[StoreAtHand]:
    """The stores in ``$FRETAL_BENCH_DATA``; none if it isn't set. Damaged ones and what is no store are passed over."""
    folder = data_folder()
    stores = []
    for path in _store_folders(folder) if folder is not None else ():
        # One damaged store must not stop the others; whoever names it (--data) is told what is wrong with it.
        with contextlib.suppress(BenchError):
            stores.append(_read(path))
    return stores


def data_folder() -> Path | None:
    """The user's data folder, ``$FRETAL_BENCH_DATA``."""
    name = os.environ.get(DATA_FOLDER)
    return Path(name).expanduser().absolute() if name else None


def _store_folders(folder: Path) -> list[Path]:
    try:
        if (folder / INFO).is_file():
            return [folder]
        # Hidden folders are what `bench data prepare` works in.
        below = [path for path in folder.iterdir() if not path.name.startswith(".")]
        return sorted(path for path in below if (path / INFO).is_file())
    except OSError:
        return []


def _read(folder: Path) -> StoreAtHand:
    folder = folder.resolve()
    info = read_info(folder)
    checksum, size = str(info["checksum"]), int(info["size"])
    try:
        frames = int(info["details"]["options"]["frames"])
    except (ValueError, TypeError, LookupError):  # not made by `bench data prepare`
        frames = 0
    return StoreAtHand(folder, checksum, size, frames, _contents(folder, checksum))


def _contents(folder: Path, checksum: str) -> Contents:
    """What a store holds; counted once, then kept by checksum in the cache folder (a store may be read-only)."""
    kept = cache_folder() / "contents" / f"{checksum}.json" if _SHA256.fullmatch(checksum) else None
    if kept is not None:
        with contextlib.suppress(OSError, ValueError, TypeError):
            rows = json.loads(kept.read_text(encoding="utf-8"))
            return {(str(d), str(m), str(c)): int(count) for d, m, c, count in rows}
    contents = _count(folder / INDEX)
    if kept is not None:
        # A cache that cannot be written costs time, nothing else.
        with contextlib.suppress(BenchError):
            files.write(kept, json.dumps([[*key, count] for key, count in contents.items()]))
    return contents


def _count(path: Path) -> dict[tuple[str, str, str], int]:
    # Three columns, their texts as numbers, and nothing that imports pandas: that would take longer than all the rest.
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path, read_dictionary=list(_COUNTED))
        table = file.read(columns=list(_COUNTED), use_threads=False).combine_chunks().unify_dictionaries()
        columns = [table.column(name).chunk(0) for name in _COUNTED]
    except (OSError, pa.ArrowException, LookupError) as error:
        raise damaged(path, "a readable index", first_line(error)) from error
    # Through the buffer, since pyarrow's own conversion imports pandas.
    codes = [np.frombuffer(c.indices.buffers()[1], np.int32, len(c), 4 * c.offset) for c in columns]
    names = [column.dictionary.to_pylist() for column in columns]
    shape = tuple(map(len, names))
    counts = np.bincount(np.ravel_multi_index(codes, shape), minlength=int(np.prod(shape)))
    contents = {
        (names[0][d], names[1][m], names[2][c]): count
        for (d, m, c), count in zip(np.ndindex(*shape), counts.tolist(), strict=True)
        if count
    }
    return dict(sorted(contents.items()))
