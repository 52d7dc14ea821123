"""Streams: ordered domains and a protocol, built in or a TOML file of the user."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import numpy.typing as npt

from fretal_bench.datasets.manifest import SPLITS, check_splits, video_key
from fretal_bench.datasets.progress import ProgressCallback
from fretal_bench.datasets.streams.builtin import builtin_stream_files
from fretal_bench.datasets.streams.data import PathLike, folder_of, list_streams, locate
from fretal_bench.datasets.streams.domain import Domain
from fretal_bench.datasets.streams.file import (
    BUILTIN_STORE,
    DomainFile,
    Protocol,
    StreamFile,
    read_stream_file,
)
from fretal_bench.errors import BenchError, nearest, unknown_name

if TYPE_CHECKING:
    import pandas as pd

    from fretal_bench.datasets.store.store import CropStore

__all__ = ["Protocol", "Stream", "find_stream", "list_streams", "open_located", "open_stream"]


class Stream:
    """Domains in the order in which they are learned; behaves like a sequence of them.

    ``stream[1]`` is a domain, ``stream[:2]`` a stream of the first two.

    Attributes:
        name: The stream's name.
        domains: The domains, in order.
        protocol: What a learner is given at each.
    """

    def __init__(self, name: str, domains: Sequence[Domain], protocol: Protocol | None = None) -> None:
        """Put domains in order and check that no person is in two splits.

        Args:
            name: The stream's name.
            domains: At least one, all of one crop size.
            protocol: How the rows of the domains were chosen; recorded, not applied again.

        Raises:
            BenchError: If there is no domain, two have one name or differ in crop size, or a person (as source or
                target) or a video is in two splits, also of different domains.
        """
        self.name = name
        self.domains = tuple(domains)
        self.protocol = protocol or Protocol()
        if not self.domains:
            raise BenchError(f"stream {name!r} has no domain; give it one at least")
        sizes = {domain.store.size for domain in self.domains}
        if len(sizes) > 1:
            raise BenchError(
                f"stream {name!r} mixes crops of {' and '.join(map(str, sorted(sizes)))} px; "
                "prepare its stores with one size"
            )
        names = [domain.name for domain in self.domains]
        if len(set(names)) < len(names):
            raise BenchError(f"stream {name!r} has two domains of one name ({', '.join(names)}); rename one")
        _check_people(self.domains)

    def __len__(self) -> int:
        return len(self.domains)

    def __iter__(self) -> Iterator[Domain]:
        return iter(self.domains)

    @overload
    def __getitem__(self, index: int) -> Domain: ...

    @overload
    def __getitem__(self, index: slice) -> Stream: ...

    def __getitem__(self, index: int | slice) -> Domain | Stream:
        if isinstance(index, slice):
            return Stream(self.name, self.domains[index], self.protocol)
        return self.domains[index]

    def __repr__(self) -> str:
        return f"Stream({self.name!r}, {' -> '.join(domain.name for domain in self.domains)})"

    def fingerprint(self) -> dict[str, Any]:
        """Say exactly what the stream holds, for content ids: the same data give the same plain dict.

        Returns:
            ``name``, ``protocol`` (a dict) and ``domains``: for each its ``name``, ``store`` (checksum) and ``rows``
            (a sha256 over the row numbers of each split).
        """
        return {
            "name": self.name,
            "protocol": asdict(self.protocol),
            "domains": [domain.fingerprint() for domain in self.domains],
        }

    def left_out(self) -> dict[str, int]:
        """Count what the domains' stores left out when they were made, by reason."""
        stores = {domain.store.checksum: domain.store for domain in self.domains}
        reasons = [str(entry["reason"]) for store in stores.values() for entry in store.info.failures]
        return {reason: reasons.count(reason) for reason in sorted(set(reasons))}

    def shortcuts(self) -> dict[str, str]:
        """Say, for each domain that has one, which fact of its files tells real from fake: see ``Domain.shortcuts``."""
        sentences = {domain.name: domain.shortcuts() for domain in self.domains}
        return {name: words for name, words in sentences.items() if words}

    def as_avalanche(self) -> Any:
        """Make the Avalanche benchmark: one experience a domain in the streams ``train``, ``val`` and ``test``.

        A sample is (float32 [3, H, W], label, 0): the crop as (x / 255 - 0.5) / 0.5, its int label, its task label,
        which is always 0: one head, both classes in every domain. Every experience also has ``source`` (the
        ``CropSource`` of its split, for whole-batch loading) and ``domain_name``. A stream of which some domain has
        no validation rows has no ``val`` stream.

        Returns:
            An ``avalanche.benchmarks.CLScenario``.
        """
        from fretal_bench.datasets.streams import avalanche

        return avalanche.benchmark(self.domains)


def open_stream(
    name_or_path: str | Path,
    progress: ProgressCallback | None = None,
    *,
    verify: bool = True,
    data: Sequence[PathLike] = (),
) -> Stream:
    """Open a built-in stream by name, or a user's stream by the path of its TOML file.

    Args:
        name_or_path: E.g. ``"ffpp-mini"`` or ``"streams/mine.toml"``; text with a ``/`` or ending in ``.toml`` is a
            path.
        progress: Called with (done, in all) while a built-in store is built on first use.
        verify: Compare the checksums of the user's stores, which reads them whole.
        data: Stores, or folders that hold stores, for the domains that don't name theirs; after them those in
            ``$FRETAL_BENCH_DATA`` are looked at.

    Raises:
        BenchError: If there is no such stream, its file is wrong, or its stores are missing, ambiguous or damaged.
    """
    return open_located(locate(find_stream(name_or_path), data), progress, verify=verify)


def find_stream(name_or_path: str | Path) -> StreamFile:
    """Read a built-in stream by name, or a user's by path, without opening its data; see ``open_stream``."""
    text = str(name_or_path)
    if isinstance(name_or_path, Path) or text.endswith(".toml") or "/" in text or "\\" in text:
        return read_stream_file(Path(name_or_path))
    files = builtin_stream_files()
    if text not in files:
        raise unknown_name("stream", text, [name for name, file in files.items() if not file.hidden])
    return files[text]


def open_located(
    file: StreamFile, progress: ProgressCallback | None = None, *, verify: bool = True
) -> Stream:
    """Open a stream all of whose stores are known (``data.locate``); arguments and errors as ``open_stream``."""
    stores = _open_stores(file, progress, verify)
    contents = _contents(file, stores)
    domains = []
    for position, domain in enumerate(file.learned):
        store = stores[domain.store]
        rows = _select(file.path, domain, store.index)
        sharing = [other.name for other in file.domains if contents[other.store] == contents[domain.store]]
        rows["train"] = _apply(file.protocol, store.index, rows["train"], position, domain.name, sharing)
        withheld = ("test",) if file.withhold_test else ()
        rows.update({split: rows[split][:0] for split in withheld})
        domains.append(Domain(domain.name, store, rows, withheld))
    return Stream(file.name, domains, file.protocol)


def _open_stores(file: StreamFile, progress: ProgressCallback | None, verify: bool) -> dict[str, CropStore]:
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
        return CropStore.open(folder_of(file, store), verify)
    from fretal_bench.datasets.ffpp_mini.build import ffpp_mini_store
    from fretal_bench.datasets.ffpp_mini.codec import RATE_FACTORS

    known = {f"{BUILTIN_STORE}ffpp-mini-{compression}": compression for compression in RATE_FACTORS}
    if store not in known:
        raise unknown_name("store", store, known)
    return ffpp_mini_store(known[store], progress=progress)


def _contents(file: StreamFile, stores: Mapping[str, CropStore]) -> dict[str, str]:
    """Identify the content of every store that the file names, by its checksum: several paths may lead to one store.

    Stores that are not opened, since only later domains are in them, may not be there: then it is their place.
    """
    from fretal_bench.datasets.store.info import read_info

    contents = {name: store.checksum for name, store in stores.items()}
    for name in {domain.store for domain in file.domains} - contents.keys():
        contents[name] = name
        if not name.startswith(BUILTIN_STORE):
            folder = folder_of(file, name)
            contents[name] = str(folder.resolve())
            with contextlib.suppress(BenchError):
                contents[name] = read_info(folder).checksum
    return contents


def _select(path: Path, domain: DomainFile, index: pd.DataFrame) -> dict[str, npt.NDArray[np.int64]]:
    chosen = np.ones(len(index), dtype=bool)
    for key, values, column in (
        ("methods", ("real", *domain.methods) if domain.methods else (), "method"),
        ("datasets", domain.datasets, "dataset"),
        ("compressions", domain.compressions, "compression"),
    ):
        present = set(index[column].unique())
        for value in values:
            if value not in present:
                raise BenchError(
                    f"{path}: domain {domain.name!r}: key {key!r}: "
                    f"no {column} {value!r} in the store {domain.store}{nearest(value, present)}"
                )
        if values:
            chosen &= index[column].isin(values).to_numpy()
    split = index["split"].to_numpy()
    return {name: np.flatnonzero(chosen & (split == name)).astype(np.int64) for name in SPLITS}


def _apply(
    protocol: Protocol,
    index: pd.DataFrame,
    rows: npt.NDArray[np.int64],
    position: int,
    name: str,
    sharing: list[str],
) -> npt.NDArray[np.int64]:
    """Choose a domain's training rows by the protocol, in whole videos."""
    if protocol.shared_reals and (protocol.videos_per_class is None or position == 0):
        return rows
    label = index["label"].to_numpy()[rows]
    key = video_key(index.iloc[rows]).to_numpy()
    real, fake = (np.unique(key[label == value]).tolist() for value in (0, 1))
    if not protocol.shared_reals:
        dealt = sorted(real, key=lambda video: _draw(protocol.seed, "reals", video))
        real = dealt[sharing.index(name) :: len(sharing)]
    if protocol.videos_per_class is not None and position > 0:
        real, fake = (
            sorted(videos, key=lambda video: _draw(protocol.seed, name, video))[: protocol.videos_per_class]
            for videos in (real, fake)
        )
    return rows[np.isin(key, [*real, *fake])]


def _draw(seed: int, purpose: str, video: str) -> bytes:
    # Ranking by a hash, not by a generator: the choice is the same with every version of numpy.
    return hashlib.sha256(f"{seed}/{purpose}/{video}".encode()).digest()


def _check_people(domains: tuple[Domain, ...]) -> None:
    import pandas as pd

    used = {
        id(domain.store): np.unique(
            np.concatenate([d.rows[s] for d in domains if d.store is domain.store for s in SPLITS])
        )
        for domain in domains
    }
    stores = {id(domain.store): domain.store for domain in domains}
    check_splits(pd.concat([store.index.iloc[used[key]] for key, store in stores.items()], ignore_index=True))
