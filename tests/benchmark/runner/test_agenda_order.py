"""The order of tasks on an agenda, against the rule looked up among all tasks; and what is left when cells fail."""

import dataclasses
import random

import pytest

from fretal_bench.benchmark.recipes.recipe import Recipe
from fretal_bench.benchmark.runner.agenda import _PAUSE
from fretal_bench.benchmark.runner.graph import SOURCE
from fretal_bench.benchmark.runner.plan import make_plan
from fretal_bench.benchmark.runner.task import Outcome
from perf.simulation import AgendaInMemory, FolderInMemory, PoolInMemory, fingerprint, in_orders

STRATEGIES = ("finetuning", "ewc", "gdumb", "joint", "avalanche:gem")


class LookedUp(AgendaInMemory):
    """An agenda that looks at every task whenever one is asked for."""

    def _next(self):
        ready = [node for id, node in self._nodes.items() if id not in self._out and not node.after]
        free = [node for node in ready if node.task.step.id not in self._busy]
        if free:
            return min(free, key=self._lowest).task
        waiting = {node.task.step.id: node.task for node in ready}
        first = next((id for id in self._busy if id in waiting), None)
        return dataclasses.replace(waiting[first], wait=_PAUSE) if first is not None else None

    def _lowest(self, node):
        seeds = list(dict.fromkeys(cell.seed for cell in self.cells))
        return min(
            (
                (self.cells[place].order, seeds.index(self.cells[place].seed)),
                node.task.step.strategy != SOURCE,
                not self._begun[place],
                self._left[place],
                place,
            )
            for place in node.cells
        )

    def _drop(self, cell):
        needed = {node.task.needs for node in self._nodes.values()}
        lasts = {cell.path[-1].id for cell in self.cells}
        for step in cell.path[1:-1]:
            if step.id not in needed | lasts | self._nodes.keys():
                self.pool.drop_state(step.id)


def a_plan(draw):
    """A plan of some strategies, seeds and orders of three domains."""
    names = draw.sample(STRATEGIES, draw.randint(1, 4))
    orders = in_orders(fingerprint(("A", "B", "C")))
    others = draw.sample(orders[1:], draw.randint(0, 5))
    return make_plan(names, "s", orders[0], Recipe(), range(draw.randint(1, 3)), orders=others)


def begun(plan, draw):
    """A folder and a pool in which some of a plan is done already."""
    folder, pool = FolderInMemory(), PoolInMemory()
    share = draw.choice([0, 0, 0.2, 0.7])
    for cell in plan.cells:
        if draw.random() < share / 3:
            folder.done.add(cell.id)
        for step in cell.path[1:]:
            if draw.random() < share:
                pool.states.add(step.id)
            if draw.random() < share:
                pool.steps.add(step.id)
                pool.judgements[step.id] = {of.id for of in cell.sets if draw.random() < 0.7}
    pool.steps |= pool.states
    return folder, pool


def story(kind, seed):
    """What happens, in order, to tasks and cells of a random plan with random outcomes and several workers."""
    draw = random.Random(seed)
    plan = a_plan(draw)
    folder, pool = begun(plan, draw)
    agenda = kind(plan, folder, pool, draw.choice(["all", "last"]))
    workers = draw.randint(1, 6)
    busy, failing = draw.choice([0, 0.05, 0.4]), draw.choice([0, 0.01, 0.1])
    out, events = [], []
    for _ in range(20_000):
        while len(out) < workers and (task := agenda.take()) is not None:
            out.append(task)
            events.append(("take", task))
        if not out:
            break
        task = out.pop(draw.randrange(len(out)))
        if draw.random() < busy:
            outcome = Outcome(busy=True)
        elif draw.random() < failing:
            outcome = Outcome(reason="no")
        else:
            outcome = Outcome(trained=draw.random() < 0.8)
            pool.take_in(task)
        events.append(("done", task.step.id, agenda.done(task, outcome)))
        if draw.random() < 0.02:
            # Another run finishes a cell.
            folder.done.add(draw.choice(plan.cells).id)
        agenda.settle()
    assert not out, "it does not end"
    return events, agenda.finished, sorted(folder.failed), sorted(pool.dropped), agenda.tasks, agenda.total


@pytest.mark.parametrize("seed", range(100))
def test_tasks_come_in_the_order_of_the_rule_whatever_happens(seed):
    assert story(AgendaInMemory, seed) == story(LookedUp, seed)


def test_a_task_that_is_out_when_its_cells_fail_is_forgotten():
    plan = make_plan(["finetuning"], "s", fingerprint(("A", "B")), Recipe(), [0])
    agenda = AgendaInMemory(plan, FolderInMemory(), PoolInMemory())
    first, second = agenda.take(), agenda.take()
    agenda.done(first, Outcome(reason="no"))
    assert not agenda.done(second, Outcome(trained=True))
    assert agenda.take() is None
    assert agenda.folder.failed == {plan.cells[0].id}


def test_a_task_that_others_are_at_when_its_cells_fail_is_forgotten():
    plan = make_plan(["finetuning"], "s", fingerprint(("A", "B")), Recipe(), [0])
    agenda = AgendaInMemory(plan, FolderInMemory(), PoolInMemory())
    first, second = agenda.take(), agenda.take()
    agenda.done(first, Outcome(reason="no"))
    agenda.done(second, Outcome(busy=True))
    assert agenda.take() is None


def rounds(strategies, workers, domains="ABCD", seeds=(0,)):
    """How long a plan takes on so many workers if every domain that is trained takes 1, and nothing else any time."""
    plan = make_plan(strategies, "s", fingerprint(tuple(domains)), Recipe(), seeds)
    agenda = AgendaInMemory(plan, FolderInMemory(), PoolInMemory(), workers=workers)
    now, out = 0, []
    while True:
        while len(out) < workers and (task := agenda.take()) is not None:
            out.append((now + int(task.trains and task.step.kind != "adopted"), task))
        if not out:
            return now
        ended = min(out, key=lambda entry: entry[0])
        out.remove(ended)
        now = ended[0]
        agenda.pool.take_in(ended[1])
        agenda.done(ended[1], Outcome(trained=True))
        agenda.settle()


@pytest.mark.parametrize(
    ("strategies", "workers", "seeds", "least"),
    [
        # The source model by itself, then three later domains of three strategies on two workers.
        (("fretal", "lwf", "ewc"), 2, (0,), 1 + 5),
        (("fretal", "lwf", "ewc", "kd", "mas"), 2, (0,), 1 + 8),
        (("fretal", "lwf", "ewc"), 1, (0,), 1 + 9),
        (("fretal", "lwf", "ewc"), 2, (0, 1), 10),
        (("fretal", "lwf", "ewc", "kd"), 3, (0,), 1 + 4),
    ],
)
def test_no_cell_is_left_for_one_worker_while_others_have_nothing_to_do(strategies, workers, seeds, least):
    assert rounds(strategies, workers, seeds=seeds) == least
