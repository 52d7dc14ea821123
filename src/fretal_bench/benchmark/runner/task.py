"""Tasks: what is computed of one step in one go, in whatever process or machine, and what became of it."""

from __future__ import annotations

import traceback
from dataclasses import dataclass

from fretal_bench import guard
from fretal_bench.benchmark.runner.graph import Step, TestSet
from fretal_bench.errors import BenchError, first_line


@dataclass(frozen=True)
class Task:
    """What is to be computed of a step.

    Attributes:
        step: The step.
        sets: Test sets that it is to be judged on.
        trains: Whether its state is to be made; if not, it is in the pool.
        within: Of a strategy that is trained in one piece, the earlier steps that are made on the way.
        wait: Seconds to wait for another process that is at it.
        watch: Updates after which validation samples are judged while it is trained; 0 for never. A step that is in the
            pool without such a course is trained again for it.
    """

    step: Step
    sets: tuple[TestSet, ...] = ()
    trains: bool = True
    within: tuple[Step, ...] = ()
    wait: float = 0.0
    watch: int = 0

    @property
    def needs(self) -> str | None:
        """Id of the step whose state it begins with; None if it needs none."""
        step = self.step
        if not self.trains:
            return step.id if step.before is not None or step.source is not None else None
        before = step.before
        if before is None or not step.resumable:
            return None
        return before.id if before.before is not None or before.source is not None else None


@dataclass(frozen=True)
class Outcome:
    """What became of a task.

    Attributes:
        trained: Whether a domain was trained for it here; if not, others had done so.
        busy: Another process is at it: nothing was done.
        reason: Why it failed; empty if it didn't.
        trace: The traceback of that.
    """

    trained: bool = False
    busy: bool = False
    reason: str = ""
    trace: str = ""


def is_trained(task: Task) -> bool:
    """Whether a task trains a domain: not what only adopts, or only judges."""
    return task.trains and task.step.kind == "trained"


def failed(error: Exception) -> Outcome:
    """Return the outcome of a task that raised an error; call it where the error is handled."""
    of_suite = isinstance(error, BenchError | guard.Ended)
    reason = str(error) if of_suite else f"{type(error).__name__}: {first_line(error)}"
    return Outcome(reason=reason, trace=traceback.format_exc())
