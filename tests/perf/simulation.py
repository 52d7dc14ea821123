"""The scheduler driven by simulated time: what a plan costs on so many workers, and what of it goes through the head.

The agenda is the suite's own. A worker is a GPU that gets the state that a step begins with from the head, computes, and
gives back the new state and the scores, as with Ray; the head does one thing at a time, and its network link carries one
transfer a direction at a time. Costs are parameters; those of ``docs/scale.md`` are in ``perf.scale``.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from fretal_bench.benchmark.recipes.recipe import Recipe
from fretal_bench.benchmark.runner.agenda import Agenda, Keep
from fretal_bench.benchmark.runner.content import content_id
from fretal_bench.benchmark.runner.folder import ResultFolder
from fretal_bench.benchmark.runner.graph import Step
from fretal_bench.benchmark.runner.plan import Cell, Plan, make_plan
from fretal_bench.benchmark.runner.pool import Pool
from fretal_bench.benchmark.runner.task import Outcome, Task, is_trained

GIGABIT: Final = 1e9 / 8
"""Bytes a second."""


class PoolInMemory(Pool):
    """What an agenda asks of a pool, without files."""

    def __init__(self) -> None:
        super().__init__("no pool on disk")
        self.steps: set[str] = set()
        self.states: set[str] = set()
        self.judgements: dict[str, set[str]] = {}
        self.dropped: list[str] = []

    def has_step(self, id: str) -> bool:
        return id in self.steps

    def has_state(self, id: str) -> bool:
        return id in self.states

    def judged(self, id: str) -> dict[str, Path]:
        return dict.fromkeys(self.judgements.get(id, ()), self.path)

    def judge_of(self, id: str) -> str:
        return id

    def drop_state(self, id: str) -> None:
        if id in self.states:
            self.states.remove(id)
            self.dropped.append(id)

    def take_in(self, task: Task) -> None:
        """Keep what a task makes."""
        if task.trains:
            for step in (*task.within, task.step):
                self.steps.add(step.id)
                self.states.add(step.id)
                self.judgements.setdefault(step.id, set()).update(of.id for of in task.sets)
        self.judgements.setdefault(task.step.id, set()).update(of.id for of in task.sets)


class AgendaInMemory(Agenda):
    """An agenda whose cells are finished when their steps are, without files.

    Attributes:
        finished: Cells that were finished since this was emptied.
    """

    def __init__(
        self,
        plan: Plan,
        folder: FolderInMemory,
        pool: PoolInMemory,
        keep: Keep = "all",
        workers: int = 1,
    ) -> None:
        super().__init__(plan, folder, pool, keep, workers=workers)
        self.finished: list[Cell] = []

    def _ends(self) -> frozenset[str]:
        return frozenset()

    def _join(self, cell: Cell) -> None:
        assert isinstance(self.folder, FolderInMemory)
        self.folder.done.add(cell.id)
        self.finished.append(cell)


class FolderInMemory(ResultFolder):
    """What an agenda asks of a result folder, without files."""

    def __init__(self) -> None:
        super().__init__("no folder on disk")
        self.done: set[str] = set()
        self.failed: set[str] = set()

    def is_done(self, id: str) -> bool:
        return id in self.done

    def fail(self, cell: Cell, reason: str, trace: str) -> None:
        self.failed.add(cell.id)


def fingerprint(names: Sequence[str], shared: bool = True) -> dict[str, Any]:
    """Return the content of a made-up stream.

    Args:
        names: Its domains.
        shared: Whether a domain is the same thing in whatever order; if not, no step has a history like another's.
    """
    salt = "" if shared else " ".join(names)
    return {
        "name": "made-up",
        "protocol": {},
        "domains": [
            {
                "name": name,
                "store": content_id({"store": name + salt}),
                "rows": {
                    split: content_id({"rows": split, "of": name + salt})
                    for split in ("train", "val", "test")
                },
            }
            for name in names
        ],
    }


def in_orders(stream: Mapping[str, Any], shared: bool = True) -> list[dict[str, Any]]:
    """Return the content of a made-up stream in all orders of its domains, its own first."""
    names = [domain["name"] for domain in stream["domains"]]
    return [fingerprint(order, shared) for order in itertools.permutations(names)]


def plan_of(strategies: Sequence[str], seeds: int, domains: int = 4, *, shared: bool = True) -> Plan:
    """Make the plan of strategies and seeds in all orders of some domains; ``shared`` as in ``fingerprint``."""
    own, *others = in_orders(fingerprint([f"D{number}" for number in range(domains)]), shared)
    return make_plan(strategies, "made-up", own, Recipe(), range(seeds), orders=others)


@dataclass(frozen=True)
class Costs:
    """What things cost; seconds and bytes.

    Attributes:
        images: Training images of a domain.
        epochs: Passes over them.
        judged: Images of one test set.
        training: Images a second of fine-tuning on one GPU.
        judging: Images a second.
        factors: By strategy, what an update costs in updates of fine-tuning; 1 where nothing is said.
        starting: Seconds to build a model and to load the state that a task begins with.
        states: By strategy, the bytes of its state after each domain; ``source`` where nothing is said.
        scores: Bytes of the scores of a step on a test set.
        link: Bytes a second of the head's network, each way.
        reading: Bytes a second that the head reads from its pool.
        writing: Bytes a second that it writes there.
        keeping: Seconds of the head a task, whatever its size.
        joining: Seconds of the head to put a cell together.
    """

    images: int
    epochs: int
    judged: int
    training: float
    judging: float
    factors: Mapping[str, float] = field(default_factory=dict)
    starting: float = 0.0
    states: Mapping[str, Sequence[int]] = field(default_factory=lambda: {"source": (0,)})
    scores: int = 0
    link: float = float("inf")
    reading: float = float("inf")
    writing: float = float("inf")
    keeping: float = 0.0
    joining: float = 0.0

    def computing(self, task: Task) -> float:
        """Seconds of a GPU."""
        steps = (*task.within, task.step)
        training = sum(self._training(step) for step in steps) if task.trains else 0.0
        # What is adopted judges as the source model, and is not judged again.
        sets = 0 if task.step.kind == "adopted" else len(task.sets) * len(steps)
        return self.starting + training + sets * self.judged / self.judging

    def _training(self, step: Step) -> float:
        if step.kind != "trained":
            # E.g. the Fisher information of the source model's domain.
            return self.images / self.training
        images = self.images * (step.number + 1 if step.strategy == "joint" else 1)
        passes = 1 if step.strategy in ("ncm", "slda") else self.epochs
        return passes * images * self.factors.get(step.strategy, 1.0) / self.training

    def state(self, step: Step) -> int:
        """Bytes of the state of a step."""
        sizes = self.states.get(step.strategy, self.states["source"])
        return sizes[min(step.number, len(sizes) - 1)]

    def down(self, task: Task) -> int:
        """Bytes that a task is begun with."""
        if task.needs is None:
            return 0
        return self.state(task.step if task.needs == task.step.id else _before(task.step))

    def up(self, task: Task) -> int:
        """Bytes that a task gives back."""
        steps = (*task.within, task.step)
        states = sum(self.state(step) for step in steps) if task.trains else 0
        return states + self.scores * len(task.sets) * len(steps)


def _before(step: Step) -> Step:
    assert step.before is not None
    return step.before


@dataclass
class Run:
    """What a simulated run was like.

    Attributes:
        workers: How many there were.
        makespan: Seconds from its begin to its end.
        computing: Seconds of all workers together in which they computed.
        tasks: Tasks that were done.
        trained: Steps that were trained.
        stored: Bytes of states in the pool at the end.
        most_stored: Bytes of states in the pool when they were most.
        down: Bytes from the head to workers.
        up: Bytes from workers to the head.
        head: Seconds in which the head worked.
        first: Seconds until every strategy had its first cell.
    """

    workers: int
    makespan: float = 0.0
    computing: float = 0.0
    tasks: int = 0
    trained: int = 0
    stored: int = 0
    most_stored: int = 0
    down: int = 0
    up: int = 0
    head: float = 0.0
    first: float = 0.0

    @property
    def utilisation(self) -> float:
        """The share of the workers' time in which they computed."""
        return self.computing / (self.workers * self.makespan)


class _Queue:
    """Something that does one thing after the other."""

    def __init__(self) -> None:
        self.free, self.busy = 0.0, 0.0

    def serve(self, now: float, seconds: float) -> float:
        """Return when what is asked for now is done."""
        self.free = max(self.free, now) + seconds
        self.busy += seconds
        return self.free


def simulate(plan: Plan, costs: Costs, workers: int, keep: Keep = "all") -> Run:
    """Run a plan on ``workers`` workers in simulated time.

    Args:
        plan: The plan.
        costs: What things cost.
        workers: GPUs, each of which does one task at a time.
        keep: States that are kept: ``all``, or the ``last`` of every cell.
    """
    return _Simulation(plan, costs, workers, keep).run


class _Simulation:
    def __init__(self, plan: Plan, costs: Costs, workers: int, keep: Keep) -> None:
        self.costs, self.run = costs, Run(workers)
        self.pool, self.folder = PoolInMemory(), FolderInMemory()
        self.agenda = AgendaInMemory(plan, self.folder, self.pool, keep)
        self.head, self.uplink, self.downlink = _Queue(), _Queue(), _Queue()
        self.sizes: dict[str, int] = {}
        self.strategies = {cell.strategy for cell in plan.cells}
        self.events: list[tuple[float, int, str, Task]] = []
        self.numbers = itertools.count()
        self.idle = workers
        self._go()

    def _go(self) -> None:
        self._give(0.0)
        while self.events:
            now, _, kind, task = heapq.heappop(self.events)
            if kind == "computed":
                sent = self.uplink.serve(now, self.costs.up(task) / self.costs.link)
                self._at(sent, "arrived", task)
            elif kind == "arrived":
                seconds = self.costs.keeping + self.costs.up(task) / self.costs.writing
                self._at(self.head.serve(now, seconds), "kept", task)
            else:
                self.idle += 1
                self._take_in(now, task)
                self._give(now)
        assert not any(self.folder.failed)
        self.run.head = self.head.busy

    def _at(self, when: float, kind: str, task: Task) -> None:
        heapq.heappush(self.events, (when, next(self.numbers), kind, task))

    def _give(self, now: float) -> None:
        """Give tasks to idle workers."""
        while self.idle and (task := self.agenda.take()) is not None:
            self.idle -= 1
            size = self.costs.down(task)
            self.run.down += size
            read = self.head.serve(now, size / self.costs.reading)
            begun = self.downlink.serve(read, size / self.costs.link)
            seconds = self.costs.computing(task)
            self.run.computing += seconds
            self._at(begun + seconds, "computed", task)

    def _take_in(self, now: float, task: Task) -> None:
        """Take in the outcome of a task, and put together the cells that it finishes."""
        self.pool.take_in(task)
        self.run.tasks += 1
        self.run.trained += is_trained(task) + len(task.within)
        self.run.up += self.costs.up(task)
        if task.trains:
            self._store({step.id: self.costs.state(step) for step in (*task.within, task.step)})
        self.agenda.done(task, Outcome(trained=is_trained(task)))
        end = now
        self.agenda.settle()
        self._remove()
        for cell in self.agenda.finished:
            end = self.head.serve(now, self.costs.joining)
            self.strategies.discard(cell.strategy)
            if not self.strategies and not self.run.first:
                self.run.first = end
        self.agenda.finished.clear()
        self.run.makespan = max(self.run.makespan, end)

    def _store(self, sizes: Mapping[str, int]) -> None:
        self.run.stored += sum(size for id, size in sizes.items() if id not in self.sizes)
        self.run.most_stored = max(self.run.most_stored, self.run.stored)
        self.sizes.update(sizes)

    def _remove(self) -> None:
        self.run.stored -= sum(self.sizes.pop(id) for id in self.pool.dropped)
        self.pool.dropped.clear()
