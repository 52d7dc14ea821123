"""The agenda of a run: which steps are left to compute, and which is next."""

from __future__ import annotations

import dataclasses
import heapq
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Literal

from fretal_bench.benchmark.runner.cleaning import Ends
from fretal_bench.benchmark.runner.course_joining import finish_course, is_watchable
from fretal_bench.benchmark.runner.folder import ResultFolder
from fretal_bench.benchmark.runner.graph import SOURCE, Step, TestSet
from fretal_bench.benchmark.runner.joining import finish_cell
from fretal_bench.benchmark.runner.opened import the_stream
from fretal_bench.benchmark.runner.plan import Cell, Plan
from fretal_bench.benchmark.runner.pool import Pool
from fretal_bench.benchmark.runner.task import Outcome, Task, failed, is_trained
from fretal_bench.errors import BenchError, RunError

Keep = Literal["all", "last"]
_Rank = tuple[tuple[int, int], bool, bool, int, int]
"""What a task is to one of its cells: seed, source model or not, cell begun or not, tasks it lacks, its place."""
_PAUSE: Final = 0.5
"""Seconds to wait for another run's step where there is nothing else to do, before all are looked at again."""


@dataclass
class _Node:
    """A task with its place in the graph.

    Attributes:
        number: When it was put on the agenda.
        after: Ids of the steps whose state it waits for.
        before: Ids of the tasks that wait for its state.
        cells: Places of the cells that need it.
    """

    task: Task
    number: int
    after: set[str] = field(default_factory=set)
    before: list[str] = field(default_factory=list)
    cells: list[int] = field(default_factory=list)


class Agenda:
    """Which task is next: all strategies of one seed before the next seed, one cell to its end before another is begun.

    So a comparison of all strategies exists as early as possible. Once fewer cells are left than twice the workers, the
    one that lacks most comes first: else a last cell would be computed from its first step to its last by one worker,
    while the others have nothing to do. What another run works on is put off as long as there is something else; what it
    finished counts as done.

    Args:
        plan: The run's plan.
        folder: Its result folder; cells that are done there are not on the agenda.
        pool: Where steps are kept; what is done there is not on the agenda.
        keep: ``all`` states, or only the ``last`` of every cell.
        watch: Updates after which validation samples are judged during training; 0 for never. Cells that are done without
            such a course are on the agenda for it.
        workers: Tasks that are computed at once; not known if it is 1.
    """

    def __init__(
        self,
        plan: Plan,
        folder: ResultFolder,
        pool: Pool,
        keep: Keep = "all",
        watch: int = 0,
        workers: int = 1,
    ) -> None:
        self.folder, self.pool, self.keep, self.watch = folder, pool, keep, watch
        self._workers, self._ending = workers, False
        self.cells = [cell for cell in plan.cells if not self._is_done(cell)]
        self._look = _Look(pool)
        self._nodes: dict[str, _Node] = {}
        self._tasks_of: list[list[str]] = [[] for _ in self.cells]
        for place, cell in enumerate(self.cells):
            self._add(place, cell)
        seeds = {seed: place for place, seed in enumerate(dict.fromkeys(cell.seed for cell in self.cells))}
        self._groups = [(cell.order, seeds[cell.seed]) for cell in self.cells]
        self._left = [0] * len(self.cells)
        for node in self._nodes.values():
            for place in node.cells:
                self._left[place] += 1
        self._begun = [0 < self._left[place] < len(cell.path) for place, cell in enumerate(self.cells)]
        self._needed = Counter(node.task.needs for node in self._nodes.values())
        self._others = Ends(pool)
        self._made: set[str] = set()
        self._lasts = {cell.path[-1].id for cell in self.cells}
        self._busy: dict[str, None] = {}
        self._out: set[str] = set()
        self._failed: set[int] = set()
        self._offers: list[tuple[_Rank, int, str]] = []
        for id, node in self._nodes.items():
            for other in node.after:
                self._nodes[other].before.append(id)
            self._offer(node, node.cells)
        self._over = {place for place, left in enumerate(self._left) if not left}
        self._unfinished = set(range(len(self.cells))) - self._over
        self.tasks = len(self._nodes)
        self.total = sum(is_trained(node.task) for node in self._nodes.values())
        """Steps to be trained."""
        self.trained = frozenset(id for id, node in self._nodes.items() if is_trained(node.task))
        """Their ids."""
        self.again = sum(bool(node.task.watch) and pool.has_step(id) for id, node in self._nodes.items())
        """Those of them that are in the pool, without a course."""
        self.without_course: dict[str, str] = {}
        """Done cells of which no course could be made, with the reason."""
        self.passed_over: list[Task] = []
        """Those of them that need not be any more: other runs have finished the cells that they are for."""

    def _is_done(self, cell: Cell) -> bool:
        return self.folder.is_done(cell.id) and (
            not self.watch or self.folder.course(cell.id, self.watch).is_dir()
        )

    def _watch_of(self, step: Step) -> int:
        """Return how often a step is to be judged while it is trained: 0 where it is not trained, or has been."""
        if not self.watch or step.kind != "trained" or not is_watchable(step.strategy):
            return 0
        return 0 if self._look.has_course(step.id, self.watch) else self.watch

    def _add(self, place: int, cell: Cell) -> None:
        """Put on the agenda what a cell lacks."""
        tasks: dict[str, Task] = {}
        for step in reversed(cell.path):
            # A state is made where the step, or one after it, is not there.
            state_needed = any(task.needs == step.id for task in tasks.values())
            sets = self._look.missing(step, cell.sets)
            there = step.before is None or self._look.has_step(step.id)
            state = step.before is None or self._look.has_state(step.id)
            watch = self._watch_of(step)
            trains = not there or (not state and (state_needed or bool(sets))) or bool(watch)
            if trains or sets:
                within = _within(step) if trains else ()
                tasks[step.id] = Task(step, sets, trains=trains, within=within, watch=watch)
        whole = next((task for task in tasks.values() if task.trains and not task.step.resumable), None)
        if whole is not None:
            # One task makes all of its steps, and the last is asked for first.
            earlier = {step.id for step in whole.within}
            tasks = {id: task for id, task in tasks.items() if id not in earlier}
        for id, task in tasks.items():
            node = self._nodes.get(id)
            if node is None:
                node = self._nodes[id] = _Node(task, len(self._nodes))
            else:
                # Other orders may have other validation samples of a domain, of those that come first in one of them.
                every = {of.id: of for of in (*node.task.sets, *task.sets)}
                chosen = task if task.trains and not node.task.trains else node.task
                node.task = dataclasses.replace(chosen, sets=tuple(every.values()))
            if task.needs in tasks and tasks[task.needs].trains:
                node.after.add(task.needs)
            node.cells.append(place)
            self._tasks_of[place].append(id)

    def taken_over(self) -> list[str]:
        """Return the steps of the cells that are left which the pool has already."""
        steps = {step.id: step for cell in self.cells for step in cell.path[1:]}
        return [id for id in steps if self._look.has_step(id)]

    def take(self) -> Task | None:
        """Return what is to be done next, which is then out; None if nothing can begin now."""
        while (task := self._next()) is not None:
            node = self._nodes[task.step.id]
            if all(self._is_done(self.cells[place]) for place in node.cells):
                # Another run has finished all that it is for, and may have removed states since.
                if is_trained(task):
                    self.passed_over.append(task)
                self._finish(node)
                continue
            if self._restores(node):
                continue
            self._out.add(task.step.id)
            return dataclasses.replace(node.task, wait=task.wait)
        return None

    def _restores(self, node: _Node) -> bool:
        """Put the step before a task back on the agenda where its state was removed since; whether the task waits for it.

        Another run that keeps the last states alone may have done so, or ``bench clean``.
        """
        needs = node.task.needs
        if needs is None or not self._had_state(needs) or self.pool.has_state(needs):
            return False
        if node.task.step.path[0].source is not None and needs == node.task.step.path[0].id:
            # Nobody trains it: the user brings it again.
            return False
        step = node.task.step
        if not node.task.trains:
            self._train(node)
            return self._restores(node)
        assert step.before is not None
        earlier = self._nodes.get(step.before.id)
        if earlier is None:
            before = step.before
            earlier = self._nodes[before.id] = _Node(Task(before, within=_within(before)), len(self._nodes))
            self._needed[earlier.task.needs] += 1
        elif not earlier.task.trains:
            self._train(earlier)
        for place in set(node.cells) - set(earlier.cells):
            earlier.cells.append(place)
            self._tasks_of[place].append(step.before.id)
            self._left[place] += 1
        node.after.add(step.before.id)
        earlier.before.append(step.id)
        self._offer(earlier, earlier.cells)
        return True

    def _had_state(self, id: str) -> bool:
        return id in self._made or self._look.has_state(id)

    def _train(self, node: _Node) -> None:
        """Let a task that was to judge make the state first."""
        self._needed[node.task.needs] -= 1
        node.task = dataclasses.replace(node.task, trains=True, within=_within(node.task.step))
        self._needed[node.task.needs] += 1

    def _next(self) -> Task | None:
        if not self._ending and self._workers > 1 and len(self._unfinished) < 2 * self._workers:
            self._ending, self._offers = True, []
            for every in self._nodes.values():
                self._offer(every, every.cells)
        put_off: list[tuple[_Rank, int, str]] = []
        task = None
        while task is None and self._offers:
            offer = heapq.heappop(self._offers)
            (*_, place), _, id = offer
            node = self._nodes.get(id)
            if node is None or id in self._out or place in self._failed:
                continue
            if id in self._busy:
                put_off.append(offer)
            else:
                task = node.task
        for offer in put_off:
            heapq.heappush(self._offers, offer)
        if task is None and put_off:
            ready = {id for _, _, id in put_off}
            first = next(id for id in self._busy if id in ready)
            task = dataclasses.replace(self._nodes[first].task, wait=_PAUSE)
        return task

    def _offer(self, node: _Node, places: Iterable[int]) -> None:
        """Let a task be next, if it can begin, for what it is to cells whose rank is new.

        A rank only ever falls, so what was offered before comes later and is passed over then.
        """
        id = node.task.step.id
        if not node.after and id not in self._out:
            for place in places:
                heapq.heappush(self._offers, (self._rank(node, place), node.number, id))

    def _rank(self, node: _Node, place: int) -> _Rank:
        if self._ending:
            return ((0, 0), node.task.step.strategy != SOURCE, False, -self._left[place], place)
        return (
            self._groups[place],
            node.task.step.strategy != SOURCE,
            not self._begun[place],
            self._left[place],
            place,
        )

    def done(self, task: Task, outcome: Outcome) -> bool:
        """Take in what became of a task; return whether others had trained its step meanwhile."""
        id = task.step.id
        self._out.discard(id)
        self._busy.pop(id, None)
        node = self._nodes.get(id)
        if outcome.busy:
            if node is not None:
                self._busy[id] = None
                self._offer(node, node.cells)
            return False
        # Time has passed: what others were at may be free.
        self._busy.clear()
        if node is None:
            # The cells that it was for have failed meanwhile.
            return False
        if outcome.reason:
            self._fail(node, outcome)
            return False
        if self.pool.has_state(id):
            self._made.add(id)
        self._finish(node)
        return is_trained(task) and not outcome.trained

    def _finish(self, node: _Node) -> None:
        id = node.task.step.id
        self._forget(id)
        for place in node.cells:
            self._begun[place] = True
            self._left[place] -= 1
            if not self._left[place]:
                self._over.add(place)
                self._unfinished.discard(place)
            for other in self._tasks_of[place]:
                if other in self._nodes:
                    self._offer(self._nodes[other], (place,))
        for other in node.before:
            if other in self._nodes:
                self._nodes[other].after.discard(id)
                self._offer(self._nodes[other], self._nodes[other].cells)

    def _forget(self, id: str) -> None:
        self._needed[self._nodes.pop(id).task.needs] -= 1

    def _fail(self, node: _Node, outcome: Outcome) -> None:
        """Fail the cells that need a task, and forget the tasks that no other cell needs."""
        reason = outcome.reason
        if node.task.step.strategy == SOURCE:
            reason = f"its source model failed: {reason}"
        failed = set(node.cells)
        for place in failed:
            self._fail_cell(self.cells[place], reason, outcome.trace)
        self._failed |= failed
        for id in {id for place in failed for id in self._tasks_of[place] if id in self._nodes}:
            other = self._nodes[id]
            other.cells = [place for place in other.cells if place not in failed]
            if not other.cells:
                self._forget(id)
        self._over -= failed
        self._unfinished -= failed

    def _fail_cell(self, cell: Cell, reason: str, trace: str) -> None:
        if self.folder.is_done(cell.id):
            # Its scores are what they were.
            self.without_course[cell.label] = reason
        else:
            self.folder.fail(cell, reason, trace)

    def is_needed(self, id: str) -> bool:
        """Whether a task that is left begins with the state of a step."""
        return self._needed[id] > 0

    def settle(self) -> None:
        """Put together the cells of which every step is computed.

        Raises:
            RunError: The disk is full.
        """
        while self._over:
            cell = self.cells[self._over.pop()]
            try:
                self._join(cell)
            except RunError:
                raise
            except BenchError as error:
                outcome = failed(error)
                self._fail_cell(cell, outcome.reason, outcome.trace)
                continue
            if self.keep == "last":
                self._drop(cell)

    def _join(self, cell: Cell) -> None:
        """Put a cell together."""
        finish_cell(cell, the_stream(cell.stream, cell.path[-1].order, cell.fold), self.folder, self.pool)
        if self.watch:
            finish_course(cell, self.watch, self.folder, self.pool)

    def _drop(self, cell: Cell) -> None:
        """Remove the states of a finished cell, but its last, that no task that is left begins with."""
        spent = [
            step.id
            for step in cell.path[1:-1]
            if not self._needed[step.id] and step.id not in self._nodes and step.id not in self._lasts
        ]
        ends = self._ends() if spent else None
        for id in spent:
            if ends is not None and id not in ends:
                self.pool.drop_state(id)

    def _ends(self) -> frozenset[str] | None:
        """Return the steps that cells of any result folder end with; None if that is not known."""
        return self._others.now()


class _Look:
    """What is in the pool, each place looked at once."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self._steps: dict[str, tuple[bool, bool]] = {}
        self._judged: dict[str, frozenset[str]] = {}
        self._judges: dict[str, str] = {}
        self._courses: dict[tuple[str, int], bool] = {}

    def has_step(self, id: str) -> bool:
        return self._of(id)[0]

    def has_state(self, id: str) -> bool:
        return self._of(id)[1]

    def _of(self, id: str) -> tuple[bool, bool]:
        if id not in self._steps:
            self._steps[id] = self.pool.has_step(id), self.pool.has_state(id)
        return self._steps[id]

    def has_course(self, id: str, every: int) -> bool:
        if (id, every) not in self._courses:
            self._courses[id, every] = self.pool.has_course(id, every)
        return self._courses[id, every]

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
