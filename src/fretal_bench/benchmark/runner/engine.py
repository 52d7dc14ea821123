"""The engines that compute the tasks of an agenda: this process, or several on this machine."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from fretal_bench import guard
from fretal_bench.benchmark.runner.locks import Busy
from fretal_bench.benchmark.runner.pool import Computed, NewStep, Pool
from fretal_bench.benchmark.runner.progress import Listener, Progress
from fretal_bench.benchmark.runner.task import Outcome, Task, failed, is_trained
from fretal_bench.errors import RunError
from fretal_bench.plugins import PluginWarning, plugin_files, use_files
from fretal_bench.workers import run_tasks

TRAINS: Final = (
    "timm",
    "fretal_bench.benchmark.runner.step",
    "fretal_bench.benchmark.runner.opened",
    "fretal_bench.strategies.distillation.teacher",
)
"""What workers that train import (``workers.import_ahead``)."""


class Work(Protocol):
    """What an engine computes: an agenda, with the pool where results go and how many tasks it began with."""

    pool: Pool
    tasks: int

    def take(self) -> Task | None:
        """Return what is to be done next, which is then out; None if nothing can begin now."""

    def done(self, task: Task, outcome: Outcome) -> bool:
        """Take in what became of a task; return whether others had trained its step meanwhile."""

    def is_needed(self, id: str) -> bool:
        """Whether a task that is left begins with the state of a step."""

    def settle(self) -> None:
        """Do what follows from the tasks that are done."""


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
    watch = 0 if task.watch and pool.has_course(step.id, task.watch) else task.watch
    trains = task.trains and step.before is not None and (bool(watch) or not pool.has_state(step.id))
    judged = pool.judged(step.id)
    sets = tuple(of for of in task.sets if of.id not in judged)
    if not trains and sets and pool.judge_on(step.id, [of.id for of in sets]) != step.id:
        sets = ()
    return dataclasses.replace(task, sets=sets, trains=trains, watch=watch) if trains or sets else None


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


def run_serial(agenda: Work, listener: Listener) -> None:
    """Run all tasks in this process."""
    take_in = TakeIn(agenda, listener)
    agenda.settle()
    while (task := agenda.take()) is not None:
        take_in(task, run_step(agenda.pool.path, task, listener))


def run_processes(agenda: Work, listener: Listener, jobs: int) -> None:
    """Run tasks in ``jobs`` processes, each of which stays for many tasks; this one puts finished cells together.

    Raises:
        RunError: A process was killed from outside, e.g. for want of memory.
    """
    do: Callable[[Task, Listener], Outcome] = functools.partial(run_step, agenda.pool.path)
    take_in = TakeIn(agenda, listener)
    agenda.settle()
    begin = functools.partial(_begin, plugin_files())
    run_tasks(jobs, agenda.take, do, take_in, listener=listener, begin=begin, imports=TRAINS)


class TakeIn:
    """What is done with the outcome of a task, by whatever engine: agenda and listener are told, what follows is done."""

    def __init__(self, agenda: Work, listener: Listener) -> None:
        self.agenda, self.listener = agenda, listener

    def __call__(self, task: Task, outcome: Outcome) -> None:
        """Take in the outcome of a task."""
        by_others = self.agenda.done(task, outcome)
        if is_trained(task) and (outcome.trained or by_others or outcome.reason):
            self.listener(done(task))
        self.agenda.settle()


def done(task: Task) -> Progress:
    """Return the report that a domain is trained."""
    step = task.step
    return Progress(step.id, step.label, "done", step.domain, step.number, len(step.order))


def keep_step(pool: Pool, task: Task, new: NewStep) -> None:
    """Keep a step that was made, and its course; the caller holds the lock of the task's.

    Raises:
        BenchError: It was trained again for its course, and became another step.
    """
    with _held(pool, task, new.step.id):
        if new.course is not None and pool.has_step(new.step.id):
            pool.check_same(new)
        # On the way to a step that is trained in one piece, another stream may have made it already.
        if not pool.has_state(new.step.id):
            pool.keep_step(new)
        # After the step: killed in between, it is trained again and compared.
        if new.course is not None and not pool.has_course(new.step.id, new.course.every):
            pool.keep_course(new)


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
