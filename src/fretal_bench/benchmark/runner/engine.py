"""The engines that compute the tasks of an agenda: this process, or several on this machine."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path

from fretal_bench import guard
from fretal_bench.benchmark.runner.agenda import Agenda, Outcome, is_trained
from fretal_bench.benchmark.runner.joining import finish_cell
from fretal_bench.benchmark.runner.locks import Busy
from fretal_bench.benchmark.runner.opened import the_stream
from fretal_bench.benchmark.runner.plan import Cell
from fretal_bench.benchmark.runner.pool import Computed, NewStep, Pool
from fretal_bench.benchmark.runner.progress import Listener, Progress
from fretal_bench.benchmark.runner.task import Task
from fretal_bench.errors import BenchError, RunError, first_line
from fretal_bench.plugins import PluginWarning, plugin_files, use_files
from fretal_bench.workers import run_tasks


def perform(pool: Pool, task: Task, listener: Listener) -> bool:
    """Compute what is left of a task and keep it; return whether a domain was trained.

    Whoever computes a step holds its lock, and takes over what others left.

    Raises:
        Busy: Another process is at it.
        BenchError: A file of the pool is damaged, or the strategy failed in a way that it says itself.
    """
    from fretal_bench.benchmark.runner.step import compute
    from fretal_bench.strategies import life

    with pool.hold(task.step.id, task.wait):
        left = what_is_left(pool, task)
        if left is None:
            return False
        begun = pool.state(left.needs) if left.needs else None
        place = pool.step(left.needs or left.step.id)
        with life.naming(place / "checkpoint.pt", f"delete {place} and run again"):
            computed = compute(left, begun, listener, functools.partial(keep_step, pool, task))
        keep_scores(pool, task, computed)
        return is_trained(left)


def what_is_left(pool: Pool, task: Task) -> Task | None:
    """Return what of a task the pool does not have; None if it has all of it."""
    step = task.step
    trains = task.trains and step.before is not None and not pool.has_state(step.id)
    judged = pool.judged(step.id)
    sets = tuple(of for of in task.sets if of.id not in judged)
    if not trains and sets and pool.judge_of(step.id) != step.id:
        sets = ()
    return dataclasses.replace(task, sets=sets, trains=trains) if trains or sets else None


def run_step(path: Path, task: Task, listener: Listener) -> Outcome:
    """Do one task; whatever goes wrong inside it is returned, except what would stop every other too."""
    try:
        # A strategy may end in any way, and must not end the others.
        with guard.guarded():
            return Outcome(trained=perform(Pool(path), task, listener))
    except Busy:
        return Outcome(busy=True)
    except (RunError, KeyboardInterrupt):
        raise
    except Exception as error:
        return failed(error)


def failed(error: Exception) -> Outcome:
    """Return the outcome of a task that raised an error; call it where the error is handled."""
    of_suite = isinstance(error, BenchError | guard.Ended)
    reason = str(error) if of_suite else f"{type(error).__name__}: {first_line(error)}"
    return Outcome(reason=reason, trace=traceback.format_exc())


def run_serial(agenda: Agenda, listener: Listener) -> None:
    """Run all tasks in this process."""
    take_in = TakeIn(agenda, listener)
    take_in.finish()
    while (task := agenda.take()) is not None:
        take_in(task, run_step(agenda.pool.path, task, listener))


def run_processes(agenda: Agenda, listener: Listener, jobs: int) -> None:
    """Run tasks in ``jobs`` processes, each of which stays for many tasks; this one puts finished cells together.

    Raises:
        RunError: A process was killed from outside, e.g. for want of memory.
    """
    do: Callable[[Task, Listener], Outcome] = functools.partial(run_step, agenda.pool.path)
    take_in = TakeIn(agenda, listener)
    take_in.finish()
    begin = functools.partial(_begin, plugin_files())
    run_tasks(jobs, agenda.take, do, take_in, listener=listener, begin=begin)


class TakeIn:
    """What is done with the outcome of a task, by whatever engine: agenda and listener are told, cells put together."""

    def __init__(self, agenda: Agenda, listener: Listener) -> None:
        self.agenda, self.listener = agenda, listener

    def __call__(self, task: Task, outcome: Outcome) -> None:
        """Take in the outcome of a task."""
        by_others = self.agenda.done(task, outcome)
        step = task.step
        if is_trained(task) and (outcome.trained or by_others or outcome.reason):
            self.listener(Progress(step.id, step.label, "done", step.domain, step.number, len(step.order)))
        self.finish()

    def finish(self) -> None:
        """Put together the cells of which every step is computed."""
        for cell in self.agenda.finished():
            self._finish(cell)

    def _finish(self, cell: Cell) -> None:
        agenda = self.agenda
        try:
            finish_cell(cell, the_stream(cell.stream, cell.path[-1].order), agenda.folder, agenda.pool)
        except RunError:
            raise
        except BenchError as error:
            outcome = failed(error)
            agenda.folder.fail(cell, outcome.reason, outcome.trace)
        else:
            agenda.drop(cell)


def keep_step(pool: Pool, task: Task, new: NewStep) -> None:
    """Keep a step that was made; the caller holds the lock of the task's."""
    with _held(pool, task, new.step.id):
        # On the way to a step that is trained in one piece, another stream may have made it already.
        if not pool.has_state(new.step.id):
            pool.keep_step(new)


def keep_scores(pool: Pool, task: Task, computed: Computed) -> None:
    """Keep the scores that were computed; the caller holds the lock of the task's step."""
    for new in computed.scores:
        with _held(pool, task, new.step):
            new = new.without(pool.judged(new.step))
            if new.scores:
                pool.keep_scores(new)


def _held(pool: Pool, task: Task, id: str) -> contextlib.AbstractContextManager[None]:
    return contextlib.nullcontext() if id == task.step.id else pool.hold(id)


def _begin(plugins: tuple[Path, ...]) -> None:
    """Set up a worker process."""
    # The parent has said already which plugins are left out.
    warnings.simplefilter("ignore", PluginWarning)
    use_files(plugins)
