"""The stores that a stream file names: opened, and told apart by their content."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from fretal_bench.datasets.progress import ProgressCallback
from fretal_bench.datasets.streams.file import BUILTIN_STORE, StreamFile
from fretal_bench.errors import BenchError, unknown_name

if TYPE_CHECKING:
    from fretal_bench.datasets.store.store import CropStore


def open_stores(file: StreamFile, progress: ProgressCallback | None, verify: bool) -> dict[str, CropStore]:
    """Open the store of every learned domain, by the name that the file gives it; copies of one store once."""
    stores: dict[str, CropStore] = {}
    by_content: dict[str, CropStore] = {}
    for domain in file.learned:
        if domain.store not in stores:
            store = _open_store(file, domain.store, progress, verify)
            stores[domain.store] = by_content.setdefault(store.checksum, store)
    return stores


def _open_store(file: StreamFile, store: str, progress: ProgressCallback | None, verify: bool) -> CropStore:
    from fretal_bench.datasets.store.store import CropStore

    if not store.startswith(BUILTIN_STORE):
        return CropStore.open(file.folder_of(store), verify)
    from fretal_bench.datasets.ffpp_mini.build import ffpp_mini_store
    from fretal_bench.datasets.ffpp_mini.codec import RATE_FACTORS

    known = {f"{BUILTIN_STORE}ffpp-mini-{compression}": compression for compression in RATE_FACTORS}
    if store not in known:
        raise unknown_name("store", store, known)
    return ffpp_mini_store(known[store], progress=progress)


def contents(file: StreamFile, stores: Mapping[str, CropStore]) -> dict[str, str]:
    """Identify the content of every store that the file names, by its checksum: several paths may lead to one store.

    Stores that are not opened, since only later domains are in them, may not be there: then it is their place.
    """
    from fretal_bench.datasets.store.info import read_info

    contents = {name: store.checksum for name, store in stores.items()}
    for name in {domain.store for domain in file.domains} - contents.keys():
        contents[name] = name
        if not name.startswith(BUILTIN_STORE):
            folder = file.folder_of(name)
            contents[name] = str(folder.resolve())
            with contextlib.suppress(BenchError):
                contents[name] = read_info(folder).checksum
    return contents
