"""Running the steps of many cells: one after the other, or in several processes."""

from __future__ import annotations

import errno
import functools
import os
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fretal_bench.benchmark.runner.plan import Cell, Plan, SourceModel
from fretal_bench.benchmark.runner.progress import Listener, Progress
from fretal_bench.benchmark.runner.results import ResultFolder, writing
from fretal_bench.errors import BenchError, RunError
from fretal_bench.plugins import PluginWarning, plugin_files, use_files
from fretal_bench.strategies.registry import find_strategy
from fretal_bench.workers import run_tasks

Work = SourceModel | Cell


@dataclass(frozen=True)
class Outcome:
    """What became of one step: steps left of its work, or why it failed."""

    left: int = 0
    reason: str = ""
    trace: str = ""


class Agenda:
    """Which step may run next: source models first, then the cell with the most steps left.

    Args:
        plan: The run's plan.
        folder: Its result folder; what is done there is not on the agenda.
        steps: Number of domains.
    """

    def __init__(self, plan: Plan, folder: ResultFolder, steps: int) -> None:
        self.folder, self.steps = folder, steps
        cells = [cell for cell in plan.cells if not folder.cell(cell.id).is_dir()]
        self.left: dict[str, int] = {cell.id: steps - finished_steps(cell, steps, folder) for cell in cells}
        # A cell's last step joins the source model's scores to its own, so the source must be there to the end.
        wanted = {cell.source.id: cell.source for cell in cells if cell.source}
        self.sources = {id: source for id, source in wanted.items() if not folder.source(id).is_dir()}
        self.work: dict[str, Work] = {**self.sources, **{cell.id: cell for cell in cells}}
        self.total = len(self.sources) + sum(self.left.values())

    def take(self) -> Work | None:
        """Return a step's work and mark it as running, or None if nothing can run now."""
        ready = [work for work in self.work.values() if self._ready(work)]
        if not ready:
            return None
        # max keeps the first of equals, so ties go in the plan's order.
        best = max(ready, key=lambda work: (isinstance(work, SourceModel), self.left.get(work.id, 1)))
        del self.work[best.id]
        return best

    def _ready(self, work: Work) -> bool:
        return isinstance(work, SourceModel) or work.source is None or work.source.id not in self.sources

    def done(self, work: Work, outcome: Outcome) -> None:
        """Take in what became of a step."""
        if outcome.reason:
            self._fail(work, outcome)
        elif isinstance(work, SourceModel):
            del self.sources[work.id]
        elif outcome.left:
            self.left[work.id] = outcome.left
            self.work[work.id] = work

    def _fail(self, work: Work, outcome: Outcome) -> None:
        hit: list[Cell] = []
        if isinstance(work, Cell):
            hit = [work]
        else:
            hit = [
                w for w in self.work.values() if isinstance(w, Cell) and w.source and w.source.id == work.id
            ]
        for cell in hit:
            self.work.pop(cell.id, None)
            reason = outcome.reason if cell is work else f"its source model failed: {outcome.reason}"
            self.folder.fail(cell, reason, outcome.trace)


def finished_steps(cell: Cell, steps: int, folder: ResultFolder) -> int:
    """Return how many of a cell's ``steps`` need not be trained again: all or none if its strategy cannot go on."""
    done = folder.steps_done(cell.id)
    return done if done == steps or find_strategy(cell.strategy).resumable else 0


def run_step(path: Path, work: Work, listener: Listener) -> Outcome:
    """Do one step; whatever goes wrong inside it is returned, except what would stop every other step too."""
    from fretal_bench.benchmark.runner.step import advance

    try:
        with writing(path):
            return Outcome(left=advance(work, ResultFolder(path), listener))
    except (RunError, KeyboardInterrupt):
        raise
    except BenchError as error:
        return Outcome(reason=str(error), trace=traceback.format_exc())
    except Exception as error:
        if isinstance(error, RuntimeError) and _is_full_disk(error, path):
            raise RunError(
                f"{path}: no space left to write results; free some and run the same command again, "
                "what is finished is kept"
            ) from error
        first = (str(error).splitlines() or [""])[0]
        return Outcome(reason=f"{type(error).__name__}: {first}", trace=traceback.format_exc())


def _is_full_disk(error: RuntimeError, path: Path) -> bool:
    # torch.save reports a full disk as a RuntimeError of its own ("PytorchStreamWriter failed ...").
    if "PytorchStreamWriter" not in str(error) and "unexpected pos" not in str(error):
        return False
    try:
        with (path / ".space").open("wb") as probe:
            probe.write(b"\0" * 2**20)
            os.fsync(probe.fileno())
    except OSError as full:
        return full.errno in (errno.ENOSPC, errno.EDQUOT)
    finally:
        (path / ".space").unlink(missing_ok=True)
    return False


def run_serial(agenda: Agenda, path: Path, listener: Listener) -> None:
    """Run all steps in this process."""
    while (work := agenda.take()) is not None:
        agenda.done(work, run_step(path, work, listener))
        listener(_finished(work))


def run_processes(agenda: Agenda, path: Path, listener: Listener, jobs: int) -> None:
    """Run steps in ``jobs`` processes, each of which stays for many steps.

    Raises:
        RunError: A process was killed from outside, e.g. for want of memory.
    """

    def done(work: Work, outcome: Outcome) -> None:
        agenda.done(work, outcome)
        listener(_finished(work))

    do: Callable[[Work, Listener], Outcome] = functools.partial(run_step, path)
    begin = functools.partial(_begin, plugin_files())
    run_tasks(jobs, agenda.take, do, done, listener=listener, begin=begin)


def _finished(work: Work) -> Progress:
    return Progress(work.id, work.label, "done")


def _begin(files: tuple[Path, ...]) -> None:
    """Set up a worker process."""
    # The parent has said already which plugins are left out.
    warnings.simplefilter("ignore", PluginWarning)
    use_files(files)
