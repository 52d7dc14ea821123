"""The crop stores of results, where they are on this machine: looked for by content, never made and never changed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from fretal_bench.benchmark.runner.call import STREAM_FILE
from fretal_bench.benchmark.runner.results import Results
from fretal_bench.datasets.store.cache import cache_folder
from fretal_bench.datasets.store.info import INFO, read_info
from fretal_bench.datasets.streams.data_folder import data_folder
from fretal_bench.datasets.streams.file import BUILTIN_STORE, read_stream_file
from fretal_bench.errors import BenchError

if TYPE_CHECKING:
    from fretal_bench.datasets.store.store import CropStore


def stores_of(results: Results) -> dict[str, CropStore]:
    """Open the stores that the domains of results are in, by checksum; one that is not at hand, or damaged, is left out.

    They are looked for where built-in stores are made, in the user's data folder, and where the result folder's own
    stream file says.
    """
    from fretal_bench.datasets.store.store import CropStore

    wanted = {domain.get("store", "") for domain in results.plan["stream"]["domains"]}
    stores: dict[str, CropStore] = {}
    for folder in _folders(results.path):
        if len(stores) == len(wanted):
            break
        # What cannot be read here was read when it was trained on: a report goes on without pictures.
        with contextlib.suppress(BenchError, OSError):
            checksum = read_info(folder).checksum
            if checksum in wanted and checksum not in stores:
                stores[checksum] = CropStore.open(folder, verify=False)
    return stores


def _folders(path: Path) -> Iterator[Path]:
    """Give the folders in which a store may be."""
    with contextlib.suppress(BenchError, OSError):
        file = read_stream_file(path / STREAM_FILE) if (path / STREAM_FILE).is_file() else None
        names = dict.fromkeys(domain.store for domain in file.domains) if file is not None else ()
        yield from (file.folder_of(name) for name in names if file and not name.startswith(BUILTIN_STORE))
    for place in (data_folder(), cache_folder() / "stores"):
        if place is None:
            continue
        with contextlib.suppress(OSError):
            yield from (folder for folder in (place, *sorted(place.iterdir())) if (folder / INFO).is_file())
