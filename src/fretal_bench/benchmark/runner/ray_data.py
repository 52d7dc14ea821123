"""What machines of a Ray cluster need besides tasks: plugins, streams, and stores that are sent where they are missing.

A machine opens a store by its path where it has it there, or in its cache; otherwise it is sent, in pieces, once a
machine. Stores are compared by checksum, and packages and plugins by version: what trains there is what would have
trained here.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import hashlib
import os
import shutil
import warnings
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from filelock import FileLock

from fretal_bench import files, plugins
from fretal_bench.benchmark.runner.content import content_id
from fretal_bench.benchmark.runner.environment import packages
from fretal_bench.benchmark.runner.opened import Place, is_open, the_sets, the_stream, use_sets, use_stream
from fretal_bench.benchmark.runner.task import Task
from fretal_bench.datasets.store.cache import cache_folder
from fretal_bench.datasets.store.info import DATA, INFO, read_info
from fretal_bench.datasets.store.store import CropStore
from fretal_bench.datasets.streams.domain import Domain
from fretal_bench.datasets.streams.file import Protocol
from fretal_bench.datasets.streams.stream import Stream
from fretal_bench.errors import BenchError

PIECE: Final = 16 * 2**20
"""Bytes of a store that are sent at once."""
_AHEAD: Final = 2
"""Pieces that are on their way while one is written."""
_NEWS: Final = 10_000
"""Reports that wait to be fetched, at most; the oldest are dropped."""
_REMEDY: Final = "give FRETAL_BENCH_CACHE a folder with room for it on that machine"


@dataclass(frozen=True)
class StorePlace:
    """A store of the head's.

    Attributes:
        path: Its folder there.
        cached: The same inside the cache folder; None if it is somewhere else.
        checksum: What it holds.
        info: The bytes of its ``store.json``.
    """

    path: Path
    cached: Path | None
    checksum: str
    info: bytes = dataclasses.field(repr=False)


@dataclass(frozen=True)
class SentDomain:
    """A domain: as ``Domain``, besides where its store is."""

    name: str
    store: StorePlace
    rows: Mapping[str, npt.NDArray[np.int64]] = dataclasses.field(repr=False)
    withheld: tuple[str, ...]
    fakes_only: bool


SentFold = tuple[tuple[SentDomain, SentDomain], ...]


@dataclass(frozen=True)
class SentStream:
    """A stream that is open on the head, for machines that may have none of its files.

    Attributes:
        reference: What tasks call it.
        name: Its name.
        protocol: Its protocol.
        folds: In each of its folds, the domains in their own order, as they are where they come first, and where they
            come later.
        content: What identifies all that.
    """

    reference: str
    name: str
    protocol: Protocol
    folds: tuple[SentFold, ...]
    content: str


@dataclass(frozen=True)
class SentSets:
    """Further test sets that are open on the head: the place that tasks name, and the sets."""

    place: Place
    sets: tuple[SentDomain, ...]
    content: str


Sent = SentStream | SentSets


@dataclass(frozen=True)
class Setting:
    """What every process that computes must have in common with the head.

    Attributes:
        packages: Versions of what results depend on.
        plugins: Versions of installed plugins.
        plugin_files: Name and text of the files given with ``--plugin``.
    """

    packages: Mapping[str, str]
    plugins: Mapping[str, str]
    plugin_files: tuple[tuple[str, bytes], ...]


def setting() -> Setting:
    """Describe this process, the head's."""
    texts = tuple(
        (path.name, files.read_bytes(path, "--plugin", "give a Python file"))
        for path in plugins.plugin_files()
    )
    given = {name for name, _ in texts}
    installed = {name: version for name, version in plugins.plugin_versions().items() if name not in given}
    return Setting(packages(), installed, texts)


def needs(task: Task) -> tuple[str | Place, ...]:
    """Return what names the streams and further test sets that a task needs."""
    trains = (task.step.stream,) if task.trains else ()
    judges = ((of.stream, of.data, of.fold) if of.further else of.stream for of in task.sets)
    return tuple(dict.fromkeys((*trains, *judges)))


def sent(name: str | Place) -> Sent:
    """Describe a stream or further test sets, opened here by name."""
    if isinstance(name, str):
        stream = the_stream(name)
        prints, folds = [], []
        for fold in range(stream.folds):
            folded = stream.in_fold(fold)
            pairs = tuple((folded.at(domain.name, 0), folded.at(domain.name, 1)) for domain in folded)
            prints.append([[of.fingerprint() for of in pair] for pair in pairs])
            # Where both are one domain, they are one there too, and its pictures are held once.
            each = {id(domain): _sent(domain) for pair in pairs for domain in pair}
            folds.append(tuple((each[id(first)], each[id(later)]) for first, later in pairs))
        content = content_id({"folds": prints, **stream.fingerprint()})
        return SentStream(name, stream.name, stream.protocol, tuple(folds), content)
    sets = the_sets(name)
    content = content_id({"sets": [of.fingerprint() for of in sets]})
    return SentSets(name, tuple(map(_sent, sets)), content)


def _sent(domain: Domain) -> SentDomain:
    return SentDomain(domain.name, _place(domain.store), domain.rows, domain.withheld, domain.fakes_only)


def _place(store: CropStore) -> StorePlace:
    path = store.path.absolute()
    with contextlib.suppress(ValueError):
        return StorePlace(path, path.relative_to(cache_folder()), store.checksum, _info(path))
    return StorePlace(path, None, store.checksum, _info(path))


def _info(path: Path) -> bytes:
    return files.read_bytes(path / INFO, "store")


@dataclass(frozen=True)
class Begun:
    """The report that a process has begun a task: its step, the machine, and which attempt it is, from 1."""

    step: str
    machine: str
    attempt: int


class Desk:
    """An actor next to the head: what tasks report is left there for it, and pieces of stores are handed out.

    Its methods are coroutines, so that what one process reports stays in order.
    """

    def __init__(self, seconds: float) -> None:
        """Open the desk; ``news`` waits so long for something to tell."""
        self._seconds = seconds
        self._news: deque[Any] = deque(maxlen=_NEWS)
        self._come = asyncio.Event()
        self._attempts: Counter[str] = Counter()

    async def begin(self, step: str, machine: str) -> int:
        """Note that a task is begun; return which attempt it is: its worker was lost before, if not the first."""
        self._attempts[step] += 1
        await self.tell(Begun(step, machine, self._attempts[step]))
        return self._attempts[step]

    async def tell(self, report: Any) -> None:
        """Leave a report for the head."""
        self._news.append(report)
        self._come.set()

    async def news(self) -> list[Any]:
        """Return what was reported since, in order; waits a while for the first."""
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._come.wait(), self._seconds)
        self._come.clear()
        news = list(self._news)
        self._news.clear()
        return news

    async def piece(self, store: Path, checksum: str, name: str, offset: int) -> Any:
        """Read a piece of a file of a store: uint8 [n].

        Raises:
            BenchError: The store is not the one that was promised, or cannot be read.
        """
        return await asyncio.to_thread(_piece, store, checksum, name, offset)


@functools.lru_cache(maxsize=64)
def _checksum(store: Path, changed: int) -> str:
    """Read the checksum of a store, again only if ``store.json`` has changed: it may list a hundred thousand failures."""
    return read_info(store).checksum


def _piece(store: Path, checksum: str, name: str, offset: int) -> npt.NDArray[np.uint8]:
    with files.refusals(store, remedy="check the path", doing="read"):
        changed = (store / INFO).stat().st_mtime_ns
    if name not in DATA or _checksum(store, changed) != checksum:
        raise BenchError(f"{store}: its content has changed since the run began; run the same command again")
    with files.opened(store / name, "store") as file:
        file.seek(offset)
        return np.frombuffer(file.read(PIECE), np.uint8)


Fetch = Callable[[StorePlace, str, int], Iterator[Any]]
"""Gives the pieces of a file of a store: (store, name of the file, its bytes) -> buffers."""


def fetch_from(ray: Any, desk: Any) -> Fetch:
    """Return what fetches files of stores from the head's desk; few pieces are in memory at once."""

    def fetch(place: StorePlace, name: str, size: int) -> Iterator[Any]:
        ahead: deque[Any] = deque()
        for offset in range(0, size, PIECE):
            ahead.append(desk.piece.remote(place.path, place.checksum, name, offset))
            if len(ahead) > _AHEAD:
                yield ray.get(ahead.popleft())
        while ahead:
            yield ray.get(ahead.popleft())

    return fetch


_setting: list[Setting] = []
"""The setting that this process has taken over."""
_contents: dict[str | Place, str] = {}
"""What the streams and test sets hold that are open in this process."""


def settle(wanted: Setting) -> None:
    """Make this process, on another machine, one that computes what the head's would.

    Raises:
        BenchError: It has other versions, or cannot be given a plugin.
    """
    if wanted in _setting:
        return
    _setting.clear()
    _compare(wanted)
    plugins.forget()
    warnings.simplefilter("ignore", plugins.PluginWarning)
    plugins.use_files([_kept_plugin(name, text) for name, text in wanted.plugin_files])
    _setting.append(wanted)


def _compare(wanted: Setting) -> None:
    here = {**packages(), **plugins.plugin_versions()}
    for name, version in {**wanted.packages, **wanted.plugins}.items():
        if here.get(name) != version:
            raise BenchError(
                f"expected {name} {version}, as where the run was started, found {here.get(name, 'none')}; install the "
                "same on all machines"
            )


def _kept_plugin(name: str, text: bytes) -> Path:
    path = cache_folder() / "plugins" / hashlib.sha256(text).hexdigest()[:16] / name
    with contextlib.suppress(BenchError):
        if files.read_bytes(path, "plugin") == text:
            return path
    files.write(path, text, remedy=_REMEDY)
    return path


def open_here(data: Iterable[Sent], fetch: Fetch) -> None:
    """Open the head's streams and test sets in this process, those of the task before kept where they are the same.

    Raises:
        BenchError: A store cannot be fetched or kept.
    """
    for of in data:
        name = of.reference if isinstance(of, SentStream) else of.place
        if is_open(name) and _contents.get(name) == of.content:
            continue
        if isinstance(of, SentStream):
            use_stream(of.reference, _stream(of, fetch))
        else:
            use_sets(of.place, _domains(of.sets, fetch))
        _contents[name] = of.content


def _stream(of: SentStream, fetch: Fetch, fold: int = 0) -> Stream:
    domains = of.folds[fold]
    each = {id(domain): domain for pair in domains for domain in pair}
    opened = dict(zip(each, _domains([*each.values()], fetch), strict=True))
    by_name = {pair[0].name: tuple(opened[id(domain)] for domain in pair) for pair in domains}

    def at(name: str, place: int) -> Domain:
        return by_name[name][place > 0]

    own = [at(pair[0].name, place) for place, pair in enumerate(domains)]
    return Stream(
        of.name,
        own,
        of.protocol,
        people_checked=True,
        at=at,
        fold=fold,
        folds=len(of.folds),
        of_fold=lambda other: _stream(of, fetch, other),
    )


def _domains(domains: Sequence[SentDomain], fetch: Fetch) -> tuple[Domain, ...]:
    places = {domain.store.checksum: domain.store for domain in domains}
    stores = {checksum: local_store(place, fetch) for checksum, place in places.items()}
    return tuple(
        Domain(
            domain.name,
            stores[domain.store.checksum],
            dict(domain.rows),
            domain.withheld,
            domain.fakes_only,
        )
        for domain in domains
    )


def local_store(place: StorePlace, fetch: Fetch) -> CropStore:
    """Open a store on this machine; one of its processes fetches it where there is none.

    Raises:
        BenchError: It cannot be fetched, or there is no room for it.
    """
    final = cache_folder() / "stores" / f"sent-{place.checksum[:16]}"
    candidates = [place.path, *([cache_folder() / place.cached] if place.cached else []), final]
    with files.refusals(final, remedy=_REMEDY):
        final.parent.mkdir(parents=True, exist_ok=True)
        # Looking reads it whole, the first time: one process of a machine looks.
        with FileLock(str(final.with_name(f".{final.name}.lock"))):
            for candidate in candidates:
                with contextlib.suppress(BenchError):
                    if read_info(candidate).checksum == place.checksum:
                        return CropStore.open(candidate)
            if os.path.lexists(final):
                # Damaged since.
                shutil.rmtree(final)
            _receive(place, final, fetch)
            return CropStore.open(final)


def _receive(place: StorePlace, final: Path, fetch: Fetch) -> None:
    with files.folder(final, remedy=_REMEDY) as part:
        (part / INFO).write_bytes(place.info)
        info = read_info(part)
        for name in DATA:
            with (part / name).open("wb") as file:
                for piece in fetch(place, name, info.files[name].bytes):
                    file.write(piece)
        # Reads it again and compares the hashes.
        CropStore.open(part)
