"""The agenda of a run: which steps are left to compute, and which is next."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Final, Literal

from fretal_bench.benchmark.runner.folder import ResultFolder
from fretal_bench.benchmark.runner.graph import SOURCE, Step, TestSet
from fretal_bench.benchmark.runner.joining import finish_cell
from fretal_bench.benchmark.runner.opened import the_stream
from fretal_bench.benchmark.runner.plan import Cell, Plan
from fretal_bench.benchmark.runner.pool import Pool
from fretal_bench.benchmark.runner.task import Outcome, Task, failed, is_trained
from fretal_bench.errors import BenchError, RunError

Keep = Literal["all", "last"]
_PAUSE: Final = 0.5
"""Seconds to wait for another run's step where there is nothing else to do, before all are looked at again."""


@dataclass
class _Node:
    """A task with its place in the graph.

    Attributes:
        after: Ids of the steps whose state it waits for.
        cells: Places of the cells that need it.
    """

    task: Task
    after: set[str] = field(default_factory=set)
    cells: list[int] = field(default_factory=list)


class Agenda:
    """Which task is next: all strategies of one seed before the next seed, one cell to its end before another is begun.

    So a comparison of all strategies exists as early as possible. What another run works on is put off as long as there
    is something else; what it finished counts as done.

    Args:
        plan: The run's plan.
        folder: Its result folder; cells that are done there are not on the agenda.
        pool: Where steps are kept; what is done there is not on the agenda.
        keep: ``all`` states, or only the ``last`` of every cell.
    """

    def __init__(self, plan: Plan, folder: ResultFolder, pool: Pool, keep: Keep = "all") -> None:
        self.folder, self.pool, self.keep = folder, pool, keep
        self.cells = [cell for cell in plan.cells if not folder.is_done(cell.id)]
        self._look = _Look(pool)
        self._nodes: dict[str, _Node] = {}
        for place, cell in enumerate(self.cells):
            self._add(place, cell)
        seeds = list(dict.fromkeys(cell.seed for cell in self.cells))
        self._groups = [(cell.order, seeds.index(cell.seed)) for cell in self.cells]
        self._left = [0] * len(self.cells)
        for node in self._nodes.values():
            for place in node.cells:
                self._left[place] += 1
        self._begun = [0 < self._left[place] < len(cell.path) for place, cell in enumerate(self.cells)]
        self._busy: dict[str, None] = {}
        self._out: set[str] = set()
        self._over = {place for place, left in enumerate(self._left) if not left}
        self.tasks = len(self._nodes)
        self.total = sum(is_trained(node.task) for node in self._nodes.values())
        """Steps to be trained."""

    def _add(self, place: int, cell: Cell) -> None:
        """Put on the agenda what a cell lacks."""
        tasks: dict[str, Task] = {}
        for step in reversed(cell.path):
            # A state is made where the step, or one after it, is not there.
            state_needed = any(task.needs == step.id for task in tasks.values())
            sets = self._look.missing(step, cell.sets)
            there = step.before is None or self._look.has_step(step.id)
            state = step.before is None or self._look.has_state(step.id)
            trains = not there or (not state and (state_needed or bool(sets)))
            if trains or sets:
                tasks[step.id] = Task(step, sets, trains=trains, within=_within(step) if trains else ())
        whole = next((task for task in tasks.values() if task.trains and not task.step.resumable), None)
        if whole is not None:
            # One task makes all of its steps, and the last is asked for first.
            earlier = {step.id for step in whole.within}
            tasks = {id: task for id, task in tasks.items() if id not in earlier}
        for id, task in tasks.items():
            node = self._nodes.get(id)
            if node is None:
                node = self._nodes[id] = _Node(task)
            elif task.trains and not node.task.trains:
                node.task = task
            if task.needs in tasks and tasks[task.needs].trains:
                node.after.add(task.needs)
            node.cells.append(place)

    def taken_over(self) -> list[str]:
        """Return the steps of the cells that are left which the pool has already."""
        steps = {step.id: step for cell in self.cells for step in cell.path[1:]}
        return [id for id in steps if self._look.has_step(id)]

    def take(self) -> Task | None:
        """Return what is to be done next, which is then out; None if nothing can begin now."""
        while (task := self._next()) is not None:
            node = self._nodes[task.step.id]
            if all(self.folder.is_done(self.cells[place].id) for place in node.cells):
                # Another run has finished all that it is for, and may have removed states since.
                self._finish(node)
                continue
            self._out.add(task.step.id)
            return task
        return None

    def _next(self) -> Task | None:
        ready = [node for id, node in self._nodes.items() if id not in self._out and not node.after]
        if not ready:
            return None
        free = [node for node in ready if node.task.step.id not in self._busy]
        if free:
            return min(free, key=self._rank).task
        ids = {node.task.step.id for node in ready}
        first = next(id for id in self._busy if id in ids)
        return dataclasses.replace(self._nodes[first].task, wait=_PAUSE)

    def _rank(self, node: _Node) -> tuple[tuple[int, int], bool, bool, int, int]:
        return min(
            (
                self._groups[place],
                node.task.step.strategy != SOURCE,
                not self._begun[place],
                self._left[place],
                place,
            )
            for place in node.cells
        )

    def done(self, task: Task, outcome: Outcome) -> bool:
        """Take in what became of a task; return whether others had trained its step meanwhile."""
        id = task.step.id
        self._out.discard(id)
        self._busy.pop(id, None)
        if outcome.busy:
            self._busy[id] = None
            return False
        # Time has passed: what others were at may be free.
        self._busy.clear()
        node = self._nodes[id]
        if outcome.reason:
            self._fail(node, outcome)
            return False
        self._finish(node)
        return is_trained(task) and not outcome.trained

    def _finish(self, node: _Node) -> None:
        id = node.task.step.id
        del self._nodes[id]
        for place in node.cells:
            self._begun[place] = True
            self._left[place] -= 1
            if not self._left[place]:
                self._over.add(place)
        for other in self._nodes.values():
            other.after.discard(id)

    def _fail(self, node: _Node, outcome: Outcome) -> None:
        """Fail the cells that need a task, and forget the tasks that no other cell needs."""
        reason = outcome.reason
        if node.task.step.strategy == SOURCE:
            reason = f"its source model failed: {reason}"
        failed = set(node.cells)
        for place in failed:
            self.folder.fail(self.cells[place], reason, outcome.trace)
        for id, other in list(self._nodes.items()):
            other.cells = [place for place in other.cells if place not in failed]
            if not other.cells:
                del self._nodes[id]
        self._over -= failed

    def settle(self) -> None:
        """Put together the cells of which every step is computed.

        Raises:
            RunError: The disk is full.
        """
        while self._over:
            cell = self.cells[self._over.pop()]
            try:
                finish_cell(cell, the_stream(cell.stream, cell.path[-1].order), self.folder, self.pool)
            except RunError:
                raise
            except BenchError as error:
                outcome = failed(error)
                self.folder.fail(cell, outcome.reason, outcome.trace)
                continue
            if self.keep == "last":
                self._drop(cell)

    def _drop(self, cell: Cell) -> None:
        """Remove the states of a finished cell, but its last, that no task that is left begins with."""
        needed = {node.task.needs for node in self._nodes.values()}
        lasts = {cell.path[-1].id for cell in self.cells}
        for step in cell.path[1:-1]:
            if step.id not in needed and step.id not in self._nodes and step.id not in lasts:
                self.pool.drop_state(step.id)


class _Look:
    """What is in the pool, each place looked at once."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self._steps: dict[str, tuple[bool, bool]] = {}
        self._judged: dict[str, frozenset[str]] = {}
        self._judges: dict[str, str] = {}

    def has_step(self, id: str) -> bool:
        return self._of(id)[0]

    def has_state(self, id: str) -> bool:
        return self._of(id)[1]

    def _of(self, id: str) -> tuple[bool, bool]:
        if id not in self._steps:
            self._steps[id] = self.pool.has_step(id), self.pool.has_state(id)
        return self._steps[id]

    def missing(self, step: Step, sets: tuple[TestSet, ...]) -> tuple[TestSet, ...]:
        """Return the sets that a step is not judged on yet; none for one that judges as the source model."""
        if step.id not in self._judged:
            self._judged[step.id] = frozenset(self.pool.judged(step.id))
        judged = self._judged[step.id]
        left = {of.id: of for of in sets if of.id not in judged}
        if left and step.kind == "adopted" and self.has_step(step.id):
            judge = self._judges.setdefault(step.id, self.pool.judge_of(step.id))
            if judge != step.id:
                return ()
        return tuple(left.values())


def _within(step: Step) -> tuple[Step, ...]:
    """Return the earlier steps that are made on the way to one that is trained in one piece."""
    return () if step.resumable else step.path[1:-1]
