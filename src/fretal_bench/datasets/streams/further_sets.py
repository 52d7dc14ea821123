"""Further test sets: the test rows of a stream or of a crop store, on which finished models can be judged."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from fretal_bench import files
from fretal_bench.datasets.manifest import FAKE, REAL, SPLITS
from fretal_bench.datasets.progress import ProgressCallback
from fretal_bench.datasets.store.info import INFO
from fretal_bench.datasets.streams.builtin import builtin_stream_files
from fretal_bench.datasets.streams.choice import named_rows
from fretal_bench.datasets.streams.data import PathLike, locate
from fretal_bench.datasets.streams.data_folder import named_stores
from fretal_bench.datasets.streams.domain import Domain
from fretal_bench.datasets.streams.file import StreamFile
from fretal_bench.datasets.streams.folds import folds_of, split_column
from fretal_bench.datasets.streams.stores import open_stores
from fretal_bench.datasets.streams.stream import find_stream
from fretal_bench.errors import BenchError, unknown_name
from fretal_bench.names import check_name, shown

if TYPE_CHECKING:
    from fretal_bench.datasets.store.store import CropStore

_LISTED: Final = 4


def open_test_sets(
    place: str,
    data: Sequence[PathLike] = (),
    progress: ProgressCallback | None = None,
    *,
    verify: bool = True,
    fold: int = 0,
) -> tuple[Domain, ...]:
    """Open what finished models are to be judged on: test rows alone, whether or not there are others.

    A stream gives a test set for each of its domains. A crop store gives one for each kind of fake (data set, method
    and compression), with the real videos of its data set and compression: so do the domains of streams, and the
    numbers can stand next to theirs, while an average over kinds would hide the one that is missed.

    A test set is named after its domain or its method, and after its data set where that has one method. The
    compression follows, where there is one, so that it is not taken for a domain that was learned at another:
    ``Deepfakes (c40)``, ``celeb-df-v2``.

    Args:
        place: The name of a stream, the path of its TOML file, or the folder of a crop store.
        data: Stores for the domains of a stream that name none, as for ``open_stream``.
        progress: As for ``open_stream``.
        verify: As for ``open_stream``.
        fold: Whose test people they are to be, of a stream that has several folds.

    Returns:
        At least one domain, each with both classes in ``test``; ``train`` and ``val`` are withheld.

    Raises:
        BenchError: There is no such place, it cannot be opened, it has no test rows, or those of a test set lack a
            class.
    """
    if _is_stream(place):
        sets = tuple(_of_stream(locate(find_stream(place), data), progress, verify, fold))
    elif fold:
        raise BenchError(f"{place} is a crop store, which has no fold {fold}")
    elif data:
        raise BenchError(f"{place} is a crop store, not a stream that needs some; leave --data out")
    else:
        sets = tuple(_of_store(_open_store(place, verify)))
    names = [domain.name for domain in sets]
    for name in names:
        check_name(name, f"{place}: name of a test set")
        if names.count(name) > 1:
            raise BenchError(
                f"{place}: two test sets would be named {shown(name)}; name them in a stream file"
            )
    return sets


def folds_at(place: str) -> int:
    """Return how many folds a place has that ``open_test_sets`` opens; 1 for what has its stores' own split alone."""
    return max(1, find_stream(place).folds) if _is_stream(place) else 1


def _is_stream(place: str) -> bool:
    """Whether a place is a stream; else it is a folder. A bare word that is neither is refused."""
    if place.endswith(".toml"):
        return True
    known = builtin_stream_files()
    folder = files.expanded(place)
    with files.refusals(folder, remedy="correct the path", doing="read"):
        is_folder, is_store = folder.is_dir(), (folder / INFO).exists()
    if place in known:
        if is_store:
            raise BenchError(f"{place!r} is a stream and a crop store here; write ./{place} for the store")
        return True
    if not is_folder and "/" not in place and "\\" not in place:
        streams = [name for name, file in known.items() if not file.hidden]
        raise unknown_name("stream or folder of a crop store", place, streams)
    return False


def _of_stream(
    file: StreamFile, progress: ProgressCallback | None, verify: bool, fold: int
) -> Iterator[Domain]:
    if file.withhold_test:
        raise BenchError(
            f"{file.path}: key 'withhold_test': expected a stream with test rows, found True; leave it out"
        )
    stores = open_stores(file, progress, verify)
    splits = None
    if fold:
        indexes = {name: store.index for name, store in stores.items()}
        splits = folds_of(indexes, file.folds, f"{file.path}: key 'folds'")[fold]
    for domain in file.learned:
        store = stores[domain.store]
        column = split_column(store.index, splits) if splits is not None else None
        rows = named_rows(file.path, domain, store.index, column)["test"]
        yield test_set(
            _coded(domain.name, store.index["compression"].iloc[rows].unique().tolist()), store, rows
        )


def _open_store(place: str, verify: bool) -> CropStore:
    from fretal_bench.datasets.store.store import CropStore

    stores = named_stores(place)
    if len(stores) > 1:
        names = [store.path.name for store in stores]
        more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
        raise BenchError(
            f"{place} holds several crop stores: {', '.join(names[:_LISTED])}{more}; give one of them"
        )
    return CropStore.open(stores[0].path, verify)


def _of_store(store: CropStore) -> Iterator[Domain]:
    index = store.index
    is_test = (index["split"] == "test").to_numpy()
    if not is_test.any():
        raise BenchError(
            f"{store.path}: expected rows of the test split, found {' and '.join(index['split'].unique())} alone; "
            "prepare a store that has them"
        )
    label, method = index["label"].to_numpy(), index["method"].to_numpy()
    names = _names(index[is_test & (label == FAKE)])
    groups = index[is_test].drop_duplicates(["dataset", "compression"])
    for dataset, compression in zip(groups["dataset"], groups["compression"], strict=True):
        is_group = (
            is_test & ((index["dataset"] == dataset) & (index["compression"] == compression)).to_numpy()
        )
        is_real = is_group & (label == REAL)
        fakes = pd.unique(method[is_group & (label == FAKE)])
        if not (len(fakes) and is_real.any()):
            raise BenchError(
                f"{store.path}: the test rows of {_coded(dataset, [compression])!r} hold no "
                f"{'real' if len(fakes) else 'fake'} ones, and a test set needs both; prepare a store that has them, "
                "or name data sets that belong together in a stream file"
            )
        for fake in fakes:
            rows = np.flatnonzero(is_real | (is_group & (method == fake))).astype(np.int64)
            yield test_set(_coded(names[dataset, fake], [compression]), store, rows)


def _names(fakes: pd.DataFrame) -> dict[tuple[str, str], str]:
    """What test sets are called by data set and method, without their compression."""
    kinds = list(fakes[["dataset", "method"]].drop_duplicates().itertuples(index=False, name=None))
    datasets, methods = Counter(dataset for dataset, _ in kinds), Counter(method for _, method in kinds)
    names = {}
    for dataset, method in kinds:
        if datasets[dataset] == 1:
            names[dataset, method] = dataset
        else:
            names[dataset, method] = method if methods[method] == 1 else f"{dataset} {method}"
    return names


def _coded(name: str, compressions: Sequence[str]) -> str:
    """A name with the compression of its rows, where they have one and the name doesn't say it."""
    if len(compressions) != 1 or compressions[0] in ("none", *re.split(r"[^a-z0-9]+", name.casefold())):
        return name
    return f"{name} ({compressions[0]})"


def test_set(name: str, store: CropStore, rows: npt.NDArray[np.int64]) -> Domain:
    """Return a domain of which test rows alone are known."""
    withheld = tuple(split for split in SPLITS if split != "test")
    return Domain(name, store, {"test": rows, **dict.fromkeys(withheld, rows[:0])}, withheld)
