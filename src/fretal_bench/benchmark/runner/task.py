"""Tasks: what is computed of one step in one go, in whatever process or machine."""

from __future__ import annotations

from dataclasses import dataclass

from fretal_bench.benchmark.runner.graph import Step, TestSet


@dataclass(frozen=True)
class Task:
    """What is to be computed of a step.

    Attributes:
        step: The step.
        sets: Test sets that it is to be judged on.
        trains: Whether its state is to be made; if not, it is in the pool.
        within: Of a strategy that is trained in one piece, the earlier steps that are made on the way.
        wait: Seconds to wait for another process that is at it.
    """

    step: Step
    sets: tuple[TestSet, ...] = ()
    trains: bool = True
    within: tuple[Step, ...] = ()
    wait: float = 0.0

    @property
    def needs(self) -> str | None:
        """Id of the step whose state it begins with; None if it needs none."""
        step = self.step
        if not self.trains:
            return step.id if step.before is not None else None
        before = step.before
        return None if before is None or before.before is None or not step.resumable else before.id
