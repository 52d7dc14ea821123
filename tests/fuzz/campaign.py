"""A campaign: cases drawn from a seed, run in child processes beside each other, judged, and counted by reader."""

from __future__ import annotations

import multiprocessing
import pickle
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, Final

import numpy as np

from fuzz import world
from fuzz.damage import Inapplicable
from fuzz.judging import Claim, Verdict, judge
from fuzz.readers import Reader
from fuzz.running import PATIENCE, SECONDS, Ran, copy_in, run_case, snapshot

_TRIES: Final = 50
_BASE: Final = -1
_LONG: Final = 600
"""Seconds that the world may take."""
PRELOADED: Final = (
    "fretal_bench.cli.main",
    "fretal_bench.benchmark.runner.run",
    "fretal_bench.benchmark.prediction.predict",
    "fretal_bench.benchmark.tuning.search",
    "fretal_bench.reporting.report",
    "fretal_bench.papers.run",
    "fretal_bench.datasets.check.check",
    "fretal_bench.datasets.faces.prepare",
    "fretal_bench.datasets.streams.avalanche",
    "fretal_bench.strategies.penalties.ewc",
    "fretal_bench.testing.world",
    "timm",
)


@dataclass(frozen=True)
class Case:
    """One case.

    Attributes:
        reader: What reads the file.
        seed: The campaign's seed.
        turn: How many cases of this reader come before it; below 0 the undamaged file. Reader, seed and turn decide what
            is done to the file, so a case stays the same when other readers are added.
    """

    reader: Reader
    seed: int
    turn: int

    @property
    def name(self) -> str:
        """What to call its folder."""
        plain = "".join(sign if sign.isalnum() else "-" for sign in self.reader.name)
        return f"{plain}-{self.turn}" if self.turn >= 0 else f"{plain}-undamaged"


@dataclass(frozen=True)
class Result:
    """A case that was run."""

    case: Case
    damage: str
    verdict: Verdict
    seconds: float

    @property
    def line(self) -> str:
        """The case in one line, with how to run it alone."""
        reader = self.case.reader
        again = f"python -m fuzz --seed {self.case.seed} --case '{reader.name}:{self.case.turn}'"
        words = f"{reader.name} [{reader.owner}]: {self.damage}: {self.verdict.kind}: {self.verdict.words}"
        return f"{words}  ({again})" if self.case.turn >= 0 else f"{words}  (nothing is wrong with the file)"


def cases(readers: Sequence[Reader], seed: int, count: int) -> list[Case]:
    """Spread cases over readers by their weights."""
    turns = [
        reader for turn in range(max(r.weight for r in readers)) for reader in readers if reader.weight > turn
    ]
    so_far: Counter[str] = Counter()
    chosen = []
    for number in range(count):
        reader = turns[number % len(turns)]
        chosen.append(Case(reader, seed, so_far[reader.name]))
        so_far[reader.name] += 1
    return chosen


def share(readers: Sequence[Reader], seed: int, each: int) -> list[Case]:
    """The first cases of every reader that the ordinary test suite exercises."""
    return [Case(reader, seed, turn) for turn in range(each) for reader in readers if reader.quick]


class _Pulse:
    """Whether a process is still at work: busy machines are slow, but what waits for a FIFO does nothing at all."""

    def __init__(self, process: int | None, patience: float) -> None:
        self.process, self.patience, self.begun = process, patience, time.monotonic()
        self.moved, self.used = self.begun, 0

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.begun

    def stopped(self) -> bool:
        """Whether it has slept without any work for so long, or has had all of ``PATIENCE``."""
        try:
            fields = Path(f"/proc/{self.process}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return False
        state, used = fields[0], int(fields[11]) + int(fields[12])
        if used != self.used or state not in "SD":
            self.moved, self.used = time.monotonic(), used
        return time.monotonic() - self.moved > self.patience or self.seconds > PATIENCE


class Campaign:
    """Runs cases in a folder of its own.

    Args:
        folder: An empty folder.
        readers: Every reader that cases are of.
        jobs: Child processes beside each other.
        preloaded: Modules to import once, here, so that no child has to.
        seconds: How long a reading may take of the processor, or sleep.
    """

    def __init__(
        self,
        folder: Path,
        readers: Sequence[Reader],
        jobs: int = 2,
        preloaded: Sequence[str] = PRELOADED,
        seconds: int = SECONDS,
    ) -> None:
        self.folder = folder.resolve()
        self.readers, self.jobs, self.seconds = tuple(readers), jobs, seconds
        self._fork = multiprocessing.get_context("fork")
        self._bases: dict[str, Any] = {}
        for module in preloaded:
            __import__(module)

    def prepare(self, base: Path | None = None) -> list[Result]:
        """Make the world, and read every undamaged file.

        Args:
            base: Where the world is, or goes; what is there already is not made again.

        Returns:
            Undamaged files that are not accepted; the cases of these readers are not run.

        Raises:
            RuntimeError: The world cannot be made.
        """
        self.world = (base or self.folder / "world").resolve()
        self.world.mkdir(parents=True, exist_ok=True)
        self.folder.mkdir(parents=True, exist_ok=True)
        parts = world.closure(frozenset().union(*(reader.parts for reader in self.readers)))
        parts = frozenset(part for part in parts if not world.is_there(self.world, part))
        process = self._fork.Process(target=world.build, args=(self.world, parts))
        process.start()
        process.join(_LONG)
        if process.exitcode != 0:
            process.kill()
            raise RuntimeError("the base world could not be made")
        failing = []
        for case, damage, ran in self._run([Case(reader, 0, _BASE) for reader in self.readers]):
            verdict = judge(ran, ran.claim.reference if isinstance(ran.claim, Claim) else None)
            if verdict.kind == "fair":
                self._bases[case.reader.name] = ran.claim.reference
            else:
                failing.append(Result(case, damage, verdict, ran.seconds))
            shutil.rmtree(self.folder / case.name)
        return failing

    def run(self, chosen: Sequence[Case], keep: Path | None = None) -> Iterator[Result]:
        """Run cases, and give each result as it comes; ``keep`` is where the folders of cases that are not good go."""
        for case, damage, ran in self._run([case for case in chosen if case.reader.name in self._bases]):
            reader = case.reader
            verdict = judge(ran, self._bases[reader.name], is_code=reader.is_code, warns=reader.warns)
            folder = self.folder / case.name
            if keep is not None and (not verdict.good or len(chosen) == 1):
                shutil.copytree(folder, keep / case.name, symlinks=True, dirs_exist_ok=True, ignore=_no_fifos)
            shutil.rmtree(folder)
            yield Result(case, damage, verdict, ran.seconds)

    def _run(self, chosen: Sequence[Case]) -> Iterator[tuple[Case, str, Ran]]:
        waiting = list(reversed(chosen))
        running: dict[Any, tuple[Any, Case, str, _Pulse]] = {}
        while waiting or running:
            while waiting and len(running) < self.jobs:
                case = waiting.pop()
                damage = self._set_up(case)
                child = run_case(
                    self.folder / case.name, case.reader.function, case.reader.writes, self.seconds
                )
                process = self._fork.Process(target=child)
                process.start()
                running[process.sentinel] = (process, case, damage, _Pulse(process.pid, self.seconds))
            wait(list(running), timeout=0.5)
            for sentinel, (process, case, damage, pulse) in list(running.items()):
                late = pulse.stopped()
                if process.is_alive() and not late:
                    continue
                if late:
                    process.kill()
                process.join()
                del running[sentinel]
                yield case, damage, self._told(case, process.exitcode, late, pulse.seconds)

    def _told(self, case: Case, code: int | None, late: bool, seconds: float) -> Ran:
        path = self.folder / case.name / "ran.pickle"
        if path.exists():
            ran: Ran = pickle.loads(path.read_bytes())
            return ran
        if late or code == -24 or code == -9:
            return Ran(died=f"ended after {seconds:.0f} seconds (exit code {code})", seconds=seconds)
        words = (path.parent / "err").read_text("utf-8", "replace")[-600:]
        return Ran(died=f"ended by itself with {code}: {words!r}", seconds=seconds)

    def _set_up(self, case: Case) -> str:
        """Copy the world and damage the file; returns what was done."""
        folder = self.folder / case.name
        names = world.files_of(case.reader.parts)
        copy_in(self.world, names, folder)
        if case.turn == _BASE:
            return "nothing"
        own = [case.seed, *case.reader.name.encode()]
        random = np.random.default_rng([*own, case.turn])
        kinds = case.reader.damages
        # Every kind in turn, so that none is missed; which place and value is drawn.
        order = np.random.default_rng(own).permutation(len(kinds))
        first = order[case.turn % len(kinds)]
        for attempt in range(_TRIES):
            kind = kinds[first] if attempt < 5 else kinds[int(random.integers(len(kinds)))]
            candidates = case.reader.files(folder / "in")
            file = candidates[int(random.integers(len(candidates)))]
            before = snapshot(folder / "in")
            try:
                words = kind.apply(file, random)
            except Inapplicable:
                words = ""
            if words and snapshot(folder / "in") != before:
                return f"{file.relative_to(folder / 'in')}, {kind.name} ({words})"
            shutil.rmtree(folder)
            copy_in(self.world, names, folder)
        raise RuntimeError(f"{case.reader.name}: no damage fits")


def _no_fifos(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if Path(folder, name).is_fifo()]


def counted(results: Sequence[Result]) -> Mapping[str, Counter[str]]:
    """Count verdicts by reader."""
    counts: dict[str, Counter[str]] = {}
    for result in results:
        counts.setdefault(result.case.reader.name, Counter())[result.verdict.kind] += 1
    return counts
