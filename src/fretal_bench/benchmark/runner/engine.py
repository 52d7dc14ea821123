"""The agenda of a run, and its steps done one after the other or in several processes."""

from __future__ import annotations

import functools
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fretal_bench import guard
from fretal_bench.benchmark.runner.folder import Busy, ResultFolder
from fretal_bench.benchmark.runner.plan import Cell, Plan, SourceModel
from fretal_bench.benchmark.runner.progress import Listener, Progress
from fretal_bench.errors import BenchError, RunError, first_line
from fretal_bench.plugins import PluginWarning, plugin_files, use_files
from fretal_bench.strategies.registry import find_strategy
from fretal_bench.workers import run_tasks

Work = SourceModel | Cell
Turn = tuple[Work, float]
"""A work whose next step is to be done, and the seconds to wait if another process is at it."""
_PAUSE: Final = 0.5
"""Seconds to wait for another run's step where there is nothing else to do, before all are looked at again."""


@dataclass(frozen=True)
class Outcome:
    """What became of a turn.

    Attributes:
        left: Steps of the work that are left.
        trained: Steps that were done in this turn.
        busy: Another process is at it: nothing was done.
        reason: Why the step failed; empty if it didn't.
        trace: The traceback of that.
    """

    left: int = 0
    trained: int = 0
    busy: bool = False
    reason: str = ""
    trace: str = ""


class Agenda:
    """Which step is next: source models first, then the cell with the fewest steps left, so that cells get finished.

    What another run works on is put off as long as there is something else; what it finished counts as done.

    Args:
        plan: The run's plan.
        folder: Its result folder; what is done there is not on the agenda.
        steps: Number of domains.
    """

    def __init__(self, plan: Plan, folder: ResultFolder, steps: int) -> None:
        self.folder, self.steps = folder, steps
        cells = [cell for cell in plan.cells if not folder.is_done(cell.id)]
        self.left: dict[str, int] = {cell.id: steps - finished_steps(cell, steps, folder) for cell in cells}
        # A cell's last step joins the source model's scores to its own, so the source must be there to the end.
        needed = {cell.source.id: cell.source for cell in cells if cell.source}
        self.sources = {id: source for id, source in needed.items() if not folder.source(id).is_dir()}
        self.left.update(dict.fromkeys(self.sources, 1))
        self.work: dict[str, Work] = {**self.sources, **{cell.id: cell for cell in cells}}
        self.total = sum(self.left.values())
        self._place = {id: place for place, id in enumerate(self.work)}
        # In the order in which they were found so.
        self._busy: dict[str, None] = {}

    def take(self) -> Turn | None:
        """Return a work whose next step is to be done, which is then running; None if nothing can run now."""
        ready = [work for work in self.work.values() if self._ready(work)]
        if not ready:
            return None
        free = [work for work in ready if work.id not in self._busy]
        if free:
            best, wait = min(free, key=self._rank), 0.0
        else:
            first = next(id for id in self._busy if id in self.work and self._ready(self.work[id]))
            best, wait = self.work[first], _PAUSE
        del self.work[best.id]
        return best, wait

    def _rank(self, work: Work) -> tuple[bool, int, int]:
        return isinstance(work, Cell), self.left[work.id], self._place[work.id]

    def _ready(self, work: Work) -> bool:
        return isinstance(work, SourceModel) or work.source is None or work.source.id not in self.sources

    def done(self, work: Work, outcome: Outcome) -> int:
        """Take in what became of a turn; return how many steps of the work others have done meanwhile."""
        self._busy.pop(work.id, None)
        if outcome.busy:
            self._busy[work.id] = None
            self.work[work.id] = work
            return 0
        # Time has passed: what others were at may be free.
        self._busy.clear()
        if outcome.reason:
            self._fail(work, outcome)
            return 0
        others = max(0, self.left[work.id] - outcome.left - outcome.trained)
        self.left[work.id] = outcome.left
        if isinstance(work, SourceModel):
            del self.sources[work.id]
        elif outcome.left:
            self.work[work.id] = work
        return others

    def _fail(self, work: Work, outcome: Outcome) -> None:
        failed = [work] if isinstance(work, Cell) else self._cells_from(work)
        for cell in failed:
            self.work.pop(cell.id, None)
            reason = outcome.reason if cell is work else f"its source model failed: {outcome.reason}"
            self.folder.fail(cell, reason, outcome.trace)

    def _cells_from(self, source: SourceModel) -> list[Cell]:
        cells = [work for work in self.work.values() if isinstance(work, Cell)]
        return [cell for cell in cells if cell.source and cell.source.id == source.id]


def finished_steps(cell: Cell, steps: int, folder: ResultFolder) -> int:
    """Return how many of a cell's ``steps`` need not be trained again: all or none if its strategy cannot go on."""
    done = folder.steps_done(cell.id)
    return done if done == steps or find_strategy(cell.strategy).resumable else 0


def run_step(path: Path, turn: Turn, listener: Listener) -> Outcome:
    """Do one step; whatever goes wrong inside it is returned, except what would stop every other step too."""
    from fretal_bench.benchmark.runner.step import advance

    work, wait = turn
    trained = 0

    def count(progress: Progress) -> None:
        nonlocal trained
        trained += progress.phase == "done"
        listener(progress)

    try:
        # A strategy may end in any way, and must not end the others.
        with guard.guarded():
            return Outcome(left=advance(work, ResultFolder(path), count, wait), trained=trained)
    except Busy:
        return Outcome(busy=True)
    except (RunError, KeyboardInterrupt):
        raise
    except (BenchError, guard.Ended) as error:
        return Outcome(reason=str(error), trace=traceback.format_exc())
    except Exception as error:
        return Outcome(reason=f"{type(error).__name__}: {first_line(error)}", trace=traceback.format_exc())


def run_serial(agenda: Agenda, path: Path, listener: Listener) -> None:
    """Run all steps in this process."""
    while (turn := agenda.take()) is not None:
        _take_in(agenda, listener, turn, run_step(path, turn, listener))


def run_processes(agenda: Agenda, path: Path, listener: Listener, jobs: int) -> None:
    """Run steps in ``jobs`` processes, each of which stays for many steps.

    Raises:
        RunError: A process was killed from outside, e.g. for want of memory.
    """
    do: Callable[[Turn, Listener], Outcome] = functools.partial(run_step, path)
    done = functools.partial(_take_in, agenda, listener)
    begin = functools.partial(_begin, plugin_files())
    run_tasks(jobs, agenda.take, do, done, listener=listener, begin=begin)


def _take_in(agenda: Agenda, listener: Listener, turn: Turn, outcome: Outcome) -> None:
    """Tell the agenda what became of a turn, and the listener of steps that nobody has told it of."""
    work, _ = turn
    others = agenda.done(work, outcome)
    for _ in range(others + bool(outcome.reason)):
        listener(Progress(work.id, work.label, "done"))


def _begin(plugins: tuple[Path, ...]) -> None:
    """Set up a worker process."""
    # The parent has said already which plugins are left out.
    warnings.simplefilter("ignore", PluginWarning)
    use_files(plugins)
