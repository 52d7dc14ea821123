"""What a pool holds, which result folders refer to it, and what nothing refers to; removed on request."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from fretal_bench import files, names
from fretal_bench.benchmark.runner import documents
from fretal_bench.benchmark.runner.documents import PLAN
from fretal_bench.benchmark.runner.locks import Busy
from fretal_bench.benchmark.runner.pool import REMEDY, Pool
from fretal_bench.benchmark.runner.seals import Sealed, read_about
from fretal_bench.errors import BenchError

_DEEP: Final = 3
"""Folders below the pool's parent that are looked through for result folders: those of a paper's table are one deeper."""
Place = Literal["steps", "scores", "courses"]
_KINDS: Final[tuple[Place, ...]] = ("steps", "scores", "courses")


@dataclass
class Held:
    """What a pool holds of one step.

    Attributes:
        step: Bytes of the step without its checkpoint.
        state: Bytes of its checkpoint; 0 if it was removed, or the step is an untrained model.
        scores: Bytes of its scores, and of its courses.
    """

    step: int = 0
    state: int = 0
    scores: int = 0

    @property
    def bytes(self) -> int:
        """All of it."""
        return self.step + self.state + self.scores


@dataclass(frozen=True)
class Stock:
    """A pool looked through.

    Attributes:
        path: The pool.
        held: What it holds, by step.
        folders: Steps that each result folder refers to, by the folder.
        lasts: Those of them that some cell ends with.
        unreadable: Result folders whose plan cannot be read, with the reason.
        leftovers: What killed processes left, with its bytes.
    """

    path: Path
    held: Mapping[str, Held]
    folders: Mapping[Path, frozenset[str]]
    lasts: frozenset[str]
    unreadable: Mapping[Path, str]
    leftovers: Mapping[Path, int] = field(default_factory=dict)

    @property
    def referred(self) -> frozenset[str]:
        """Steps that some result folder refers to."""
        return frozenset().union(*self.folders.values())

    @property
    def unreferred(self) -> dict[str, Held]:
        """What no result folder refers to, by step."""
        referred = self.referred
        return {id: held for id, held in self.held.items() if id not in referred}

    @property
    def intermediate(self) -> dict[str, Held]:
        """Steps with a checkpoint that no cell ends with: needed to go on from, and to judge on further test sets."""
        return {id: held for id, held in self.held.items() if held.state and id not in self.lasts}


def take_stock(path: str | os.PathLike[str]) -> Stock:
    """Look through a pool, and through the result folders that used it; nothing is changed.

    Result folders are those that noted themselves in the pool, and all beside it.

    Raises:
        BenchError: It is no pool, or cannot be read.
    """
    pool = Pool(path)
    if not (pool.path / "locks").is_dir():
        raise BenchError(
            f"{pool.path} is no pool of steps (it has no locks/); `bench run` makes one; {REMEDY}"
        )
    held: dict[str, Held] = {}
    leftovers: dict[Path, int] = {}
    with files.refusals(pool.path, remedy=REMEDY, doing="read"):
        for kind, name, place in _places(pool.path):
            if names.ID.fault(name):
                if _step_of(name):
                    leftovers[place] = _size(place)
                continue
            of = held.setdefault(name, Held())
            if kind != "steps":
                of.scores += _size(place)
            else:
                of.state = _size(place / "checkpoint.pt")
                of.step = _size(place) - of.state
    folders, lasts, unreadable = _users(pool)
    return Stock(pool.path, held, folders, lasts, unreadable, leftovers)


def remove_unreferred(stock: Stock) -> int:
    """Remove what no result folder refers to, and what killed processes left; return the bytes.

    A step that another process is at is left.

    Raises:
        BenchError: The plan of some result folder cannot be read, so what it refers to is not known.
    """
    if stock.unreadable:
        place, reason = next(iter(stock.unreadable.items()))
        raise BenchError(f"nothing is removed, since it is not known what {place} refers to: {reason}")
    pool, removed = Pool(stock.path), 0
    for id, held in stock.unreferred.items():
        with contextlib.suppress(Busy), pool.hold(id, wait=0), files.refusals(pool.path, remedy=REMEDY):
            for kind in _KINDS:
                _remove(pool.path / kind / id)
            removed += held.bytes
    for place, size in stock.leftovers.items():
        # Whoever is writing there now holds the step's lock.
        with contextlib.suppress(Busy), pool.hold(_step_of(place.name), wait=0):
            _remove(place)
            removed += size
    return removed


def remove_states(stock: Stock) -> int:
    """Remove the checkpoints that no cell ends with, as ``bench run --keep last`` does; return the bytes."""
    pool, removed = Pool(stock.path), 0
    for id, held in stock.intermediate.items():
        pool.drop_state(id)
        removed += 0 if pool.has_state(id) else held.state
    return removed


class Ends:
    """The steps that the cells of all result folders end with, planned ones too; a plan is read when it has changed."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self._read: dict[Path, tuple[tuple[int, int], frozenset[str]]] = {}

    def now(self) -> frozenset[str] | None:
        """Return them; None where a plan cannot be read, so that it is not known."""
        ends: set[str] = set()
        try:
            for folder in {*self.pool.folders(), *_beside(self.pool.path)}:
                status = (folder / PLAN).stat()
                version = status.st_mtime_ns, status.st_size
                if self._read.get(folder, (None,))[0] != version:
                    self._read[folder] = version, frozenset(path[-1] for path in _paths(folder) if path)
                ends |= self._read[folder][1]
        except (BenchError, OSError):
            return None
        return frozenset(ends)


def _step_of(name: str) -> str:
    """Return the step that a killed process was writing under a name; nothing if it is no such name."""
    id = name[1:].partition(".part-")[0]
    return id if name.startswith(f".{id}.part-") and not names.ID.fault(id) else ""


def _places(path: Path) -> Iterator[tuple[Place, str, Path]]:
    for kind in _KINDS:
        if (path / kind).is_dir():
            for name in sorted(os.listdir(path / kind)):
                yield kind, name, path / kind / name


def _users(pool: Pool) -> tuple[dict[Path, frozenset[str]], frozenset[str], dict[Path, str]]:
    """Return the steps by result folder, those that cells end with, and why a plan cannot be read."""
    folders: dict[Path, frozenset[str]] = {}
    lasts: set[str] = set()
    unreadable: dict[Path, str] = {}
    for folder in sorted({*pool.folders(), *_beside(pool.path)}):
        try:
            paths = _paths(folder)
        except BenchError as error:
            unreadable[folder] = str(error)
            continue
        folders[folder] = frozenset(id for path in paths for id in path)
        lasts.update(path[-1] for path in paths if path)
    return folders, frozenset(lasts), unreadable


def _paths(folder: Path) -> list[tuple[str, ...]]:
    """Return the steps of every cell that a result folder has or asks for; ``BenchError`` if it cannot be read."""
    _, plan = documents.read_plan(folder)
    paths = [entry.steps for entry in plan.cells if entry.steps]
    # A cell whose place another took is brought back when it is asked for again.
    return paths + [read_about(Sealed(place)).steps for place in _cells(folder / "replaced")]


def _cells(parent: Path) -> list[Path]:
    return [parent / name for name in sorted(os.listdir(parent))] if parent.is_dir() else []


def _beside(pool: Path) -> Iterator[Path]:
    """Find the result folders beside a pool, and those in folders beside it."""
    pool = Path(os.path.realpath(pool))
    level = [pool.parent]
    for _ in range(_DEEP):
        below: list[Path] = []
        for parent in level:
            with contextlib.suppress(PermissionError), os.scandir(parent) as entries:
                inside = [Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)]
                found = [path for path in inside if (path / PLAN).exists()]
                yield from found
                below += [path for path in inside if path not in found and path != pool]
        level = below


def _size(place: Path) -> int:
    """Return the bytes of a file, or of all files of a folder; of what a run has renamed or removed meanwhile none."""
    inside = [Path(parent, name) for parent, _, files_in in os.walk(place) for name in files_in]
    size = 0
    for path in inside if place.is_dir() else [place]:
        with contextlib.suppress(FileNotFoundError):
            size += path.stat().st_size
    return size


def _remove(place: Path) -> None:
    if place.is_dir():
        shutil.rmtree(place, ignore_errors=True)
    else:
        place.unlink(missing_ok=True)
