"""Streams: ordered domains and a protocol, built in or a TOML file of the user."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import numpy.typing as npt

from fretal_bench.datasets.manifest import SPLITS, check_splits
from fretal_bench.datasets.progress import ProgressCallback
from fretal_bench.datasets.streams.builtin import builtin_stream_files
from fretal_bench.datasets.streams.choice import fakes_of, named_rows, training_rows
from fretal_bench.datasets.streams.chronology import in_order_of_dates
from fretal_bench.datasets.streams.data import PathLike, list_streams, locate
from fretal_bench.datasets.streams.domain import Domain, row_hash
from fretal_bench.datasets.streams.file import DomainFile, Protocol, StreamFile, read_stream_file
from fretal_bench.datasets.streams.folds import Splits, folds_of, split_column
from fretal_bench.datasets.streams.orders import check_order
from fretal_bench.datasets.streams.stores import contents, open_stores
from fretal_bench.errors import BenchError, unknown_name

if TYPE_CHECKING:
    from fretal_bench.datasets.store.store import CropStore

__all__ = [
    "Protocol",
    "Stream",
    "find_stream",
    "list_streams",
    "open_located",
    "open_orders",
    "open_stream",
]


class Stream:
    """Domains in the order in which they are learned; behaves like a sequence of them.

    ``stream[1]`` is a domain, ``stream[:2]`` a stream of the first two.

    Attributes:
        name: The stream's name.
        domains: The domains, in order.
        protocol: What a learner is given at each.
        fold: Which of its folds it is: who is tested, who validates and who is trained on (``folds``), or which videos
            are drawn (``Protocol.draws``); 0 is the stores' own split, and the first choice of videos.
        folds: How many folds there are; 1 for a stream that has its stores' own split alone.
    """

    def __init__(
        self,
        name: str,
        domains: Sequence[Domain],
        protocol: Protocol | None = None,
        *,
        people_checked: bool = False,
        at: Callable[[str, int], Domain] | None = None,
        fold: int = 0,
        folds: int = 1,
        of_fold: Callable[[int], Stream] | None = None,
    ) -> None:
        """Put domains in order and check that no person is in two splits.

        Args:
            name: The stream's name.
            domains: At least one, all of one crop size.
            protocol: How the rows of the domains were chosen; recorded, not applied again.
            people_checked: The caller has looked for people and videos in two splits, of many streams at once.
            at: Gives a domain, by its name, as it is at a place of an order; by default the same at every place.
            fold: Which fold it is.
            folds: How many there are.
            of_fold: Opens another fold, its domains in the stream's own order.

        Raises:
            BenchError: If there is no domain, two have one name or differ in crop size, or a person (as source or
                target) or a video is in two splits, also of different domains.
        """
        self.name = name
        self.domains = tuple(domains)
        self.protocol = protocol or Protocol()
        self.fold, self.folds, self._of_fold = fold, folds, of_fold
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
        by_name = dict(zip(names, self.domains, strict=True))
        self._at = at if at is not None else lambda name, _: by_name[name]
        if not people_checked:
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
            return Stream(self.name, self.domains[index], self.protocol, fold=self.fold, folds=self.folds)
        return self.domains[index]

    def __repr__(self) -> str:
        return f"Stream({self.name!r}, {' -> '.join(domain.name for domain in self.domains)})"

    def at(self, name: str, place: int) -> Domain:
        """Return a domain as it is at a place of an order, from 0: where the protocol thins later ones, the first is not.

        Args:
            name: The name of one of the domains.
            place: Its place.
        """
        return self._at(name, place)

    def in_order(self, order: Sequence[str]) -> Stream:
        """Return the stream with its domains in another order; domains of the same rows are the same objects.

        Whether people are apart in that order is not looked at: ``open_orders`` does that.

        Args:
            order: The name of every domain, once.

        Raises:
            BenchError: The order is none of these domains.
        """
        names = [domain.name for domain in self.domains]
        if list(order) == names:
            return self
        domains = [
            self._at(name, place)
            for place, name in enumerate(check_order(order, names, f"stream {self.name!r}"))
        ]
        return Stream(
            self.name,
            domains,
            self.protocol,
            people_checked=True,
            at=self._at,
            fold=self.fold,
            folds=self.folds,
            of_fold=self._of_fold,
        )

    def in_fold(self, fold: int) -> Stream:
        """Return the stream as it is in another fold, its domains in the same order; stores are not opened again.

        Every call makes the fold anew, so that what is held of its crops goes when it is let go of.

        Args:
            fold: From 0 to ``folds - 1``.

        Raises:
            BenchError: There is no such fold, or somebody is in two splits of it.
        """
        if fold == self.fold:
            return self
        if self._of_fold is None or not 0 <= fold < self.folds:
            count = "1 fold" if self.folds == 1 else f"{self.folds} folds"
            raise BenchError(f"stream {self.name!r} has {count}, numbered from 0, found fold {fold}")
        return self._of_fold(fold).in_order([domain.name for domain in self.domains])

    def fingerprint(self) -> dict[str, Any]:
        """Say exactly what the stream holds, for content ids: the same data give the same plain dict.

        Returns:
            ``name``, ``protocol`` (a dict) and ``domains``: for each its ``name``, ``store`` (checksum) and ``rows``
            (a sha256 over the row numbers of each split).
        """
        return {
            "name": self.name,
            "protocol": self.protocol.content(),
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
        which is always 0: one head for all domains. Every experience also has ``source`` (the
        ``CropSource`` of its split, for whole-batch loading) and ``domain_name``. A domain without training rows has no
        experience in ``train``; a stream of which some domain has no validation rows, or no test rows, has no stream of
        these.

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
    fold: int = 0,
) -> Stream:
    """Open a built-in stream by name, or a user's stream by the path of its TOML file.

    Args:
        name_or_path: E.g. ``"ffpp-mini"`` or ``"streams/mine.toml"``; text with a ``/`` or ending in ``.toml`` is a
            path.
        progress: Called with (done, in all) while a built-in store is built on first use.
        verify: Compare the checksums of the user's stores, which reads them whole.
        data: Stores, or folders that hold stores, for the domains that don't name theirs; after them those in
            ``$FRETAL_BENCH_DATA`` are looked at.
        fold: Which fold of a stream that has several; 0 is the stores' own split.

    Raises:
        BenchError: If there is no such stream, its file is wrong, or its stores are missing, ambiguous or damaged.
    """
    return open_located(locate(find_stream(name_or_path), data), progress, verify=verify, fold=fold)


def find_stream(name_or_path: str | Path | StreamFile) -> StreamFile:
    """Read a built-in stream by name, or a user's by path, without opening its data; see ``open_stream``.

    One that is read already is returned as it is.
    """
    if isinstance(name_or_path, StreamFile):
        return name_or_path
    text = str(name_or_path)
    if isinstance(name_or_path, Path) or text.endswith(".toml") or "/" in text or "\\" in text:
        return read_stream_file(Path(name_or_path))
    files = builtin_stream_files()
    if text not in files:
        raise unknown_name("stream", text, [name for name, file in files.items() if not file.hidden])
    return files[text]


def open_located(
    file: StreamFile, progress: ProgressCallback | None = None, *, verify: bool = True, fold: int = 0
) -> Stream:
    """Open a stream all of whose stores are known (``data.locate``); arguments and errors as ``open_stream``."""
    file = in_order_of_dates(file)
    (stream,) = open_orders(file, [[domain.name for domain in file.learned]], progress, verify=verify)
    return stream.in_fold(fold)


def open_orders(
    file: StreamFile,
    orders: Sequence[Sequence[str]],
    progress: ProgressCallback | None = None,
    *,
    verify: bool = True,
) -> tuple[Stream, ...]:
    """Open a stream with its domains in several orders.

    The protocol holds for each of them: where it thins the videos of later domains, or leaves their reals out, it does so
    to a domain unless it is the first. All else is the same in every order, also which reals a domain has where they are
    not shared. So streams that begin alike have the same domains there, row for row and as the same objects.

    Args:
        file: A stream all of whose stores are known (``data.locate``).
        orders: At least one; each names every learned domain once.
        progress: As for ``open_stream``.
        verify: As for ``open_stream``.

    Returns:
        One stream an order, all of the file's name and in fold 0; ``Stream.in_fold`` gives the others.

    Raises:
        BenchError: An order is no permutation of the learned domains, or as ``open_stream``.
    """
    names = [domain.name for domain in file.learned]
    checked = [
        check_order(order, names, f"stream {file.name!r}: order {number}")
        for number, order in enumerate(orders, start=1)
    ]
    return _Folds(file, open_stores(file, progress, verify)).open(0, checked)


class _Folds:
    """The folds of a stream file whose stores are open; one of a stream that has none.

    Where its protocol draws videos by seed, a fold is one of these choices, and all test the same people.
    """

    def __init__(self, file: StreamFile, stores: Mapping[str, CropStore]) -> None:
        self._file, self._stores = file, stores
        self._splits: tuple[Splits, ...] = ()
        if file.folds > 1:
            indexes = {name: store.index for name, store in stores.items()}
            self._splits = folds_of(indexes, file.folds, f"{file.path}: key 'folds'")

    def open(self, fold: int, orders: Sequence[Sequence[str]]) -> tuple[Stream, ...]:
        """Open a fold in several orders of the domains."""
        file = self._file
        draw = fold if file.protocol.draws > 1 else 0
        domains = _Domains(file, self._stores, self._splits[fold] if fold and not draw else None, draw)
        streams = tuple(
            Stream(
                file.name,
                [domains.at(name, place) for place, name in enumerate(order)],
                file.protocol,
                people_checked=True,
                at=domains.at,
                fold=fold,
                folds=max(len(self._splits), file.protocol.draws),
                of_fold=self._opened,
            )
            for order in orders
        )
        # Together: whoever is in two splits of one of the streams is so here, and the other way round, since the domain
        # that trains on them is the same in an order that begins with it.
        _check_people([*domains])
        return streams

    def _opened(self, fold: int) -> Stream:
        (stream,) = self.open(fold, [[domain.name for domain in self._file.learned]])
        return stream


class _Domains:
    """The learned domains of a stream file at any place of an order; one object where the rows are the same.

    Args:
        file: The stream file.
        stores: Its stores, by the name that it gives them.
        splits: Of the people, in a fold after the first; by default the stores' own.
        draw: Which choice of videos, where the protocol draws some.
    """

    def __init__(
        self, file: StreamFile, stores: Mapping[str, CropStore], splits: Splits | None = None, draw: int = 0
    ) -> None:
        self._file, self._draw = file, draw
        self._columns = {
            name: split_column(store.index, splits) if splits is not None else None
            for name, store in stores.items()
        }
        self._files = {domain.name: domain for domain in file.learned}
        self._stores = stores
        self._contents = contents(file, stores)
        self._by_place: dict[tuple[str, bool], Domain] = {}
        self._by_rows: dict[tuple[str, str, str], Domain] = {}

    def __iter__(self) -> Iterator[Domain]:
        return iter(self._by_rows.values())

    def at(self, name: str, position: int) -> Domain:
        """Make a domain, or return the one of the same rows."""
        # A source model that is brought has learned before the first domain, which then is one of the later ones.
        place = name, position == 0 and self._file.brought is None
        if place not in self._by_place:
            domain = self._made(self._files[name], first=place[1])
            rows = name, row_hash(domain.rows["train"]), row_hash(domain.rows["val"])
            self._by_place[place] = self._by_rows.setdefault(rows, domain)
        return self._by_place[place]

    def _made(self, domain: DomainFile, *, first: bool) -> Domain:
        file, store = self._file, self._stores[domain.store]
        rows = named_rows(file.path, domain, store.index, self._columns[domain.store])
        content = self._contents[domain.store]
        sharing = [
            other.name
            for other in file.domains
            if self._contents[other.store] == content and "train" not in other.withheld
        ]
        rows.update({split: rows[split][:0] for split in domain.withheld})
        if "train" not in domain.withheld:
            rows["train"] = training_rows(
                file.protocol, store.index, rows["train"], domain.name, sharing, first=first, draw=self._draw
            )
        fakes_only = not (first or file.protocol.later_reals)
        if fakes_only:
            for split in ("train", "val"):
                rows[split] = fakes_of(store.index, rows[split])
        withheld = tuple(dict.fromkeys((*domain.withheld, *(("test",) if file.withhold_test else ()))))
        rows.update({split: rows[split][:0] for split in withheld})
        return Domain(domain.name, store, rows, withheld, fakes_only)


def _check_people(domains: Sequence[Domain]) -> None:
    """Refuse people and videos that are in two splits, as the domains have them: a fold has others than its store."""
    import pandas as pd

    rows: dict[int, dict[str, list[npt.NDArray[np.int64]]]] = {}
    stores = {id(domain.store): domain.store for domain in domains}
    for domain in domains:
        by_split = rows.setdefault(id(domain.store), {split: [] for split in SPLITS})
        for split in SPLITS:
            by_split[split].append(domain.rows[split])
    parts = [
        stores[key].index.iloc[np.unique(np.concatenate(of_split))].assign(split=split)
        for key, by_split in rows.items()
        for split, of_split in by_split.items()
    ]
    check_splits(pd.concat(parts, ignore_index=True))
