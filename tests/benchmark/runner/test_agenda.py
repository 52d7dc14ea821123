"""The agenda: which task is next, what is put off, what others did, and what the pool has already."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fretal_bench.benchmark.recipes.recipe import Recipe
from fretal_bench.benchmark.runner import agenda as agenda_module
from fretal_bench.benchmark.runner.agenda import Agenda, Keep
from fretal_bench.benchmark.runner.folder import ResultFolder
from fretal_bench.benchmark.runner.graph import Step
from fretal_bench.benchmark.runner.plan import Cell, Plan, make_plan
from fretal_bench.benchmark.runner.pool import NewScores, NewStep, Pool
from fretal_bench.benchmark.runner.task import Outcome, Task
from tests_support import fingerprint_of

BUSY = Outcome(busy=True)
HERE = Outcome(trained=True)
MADE_WITH = {"versions": {}, "system": "", "machine": "", "processor": "", "device": "cpu"}


@pytest.fixture
def folder(tmp_path: Path) -> ResultFolder:
    return ResultFolder(tmp_path / "r")


@pytest.fixture
def pool(tmp_path: Path) -> Pool:
    pool = Pool(tmp_path / "steps")
    pool.create()
    return pool


@pytest.fixture
def agenda_of(folder: ResultFolder, pool: Pool) -> Callable[..., Agenda]:
    """Make the agenda of strategies and seeds in the test's folder and pool."""

    def agenda_of(
        strategies: Sequence[str] = ("ewc", "lwf"),
        seeds: Sequence[int] = (0,),
        domains: str = "abc",
        keep: Keep = "all",
        orders: Sequence[str] = (),
    ) -> Agenda:
        return Agenda(plan_of(strategies, seeds, domains, orders), folder, pool, keep)

    return agenda_of


@pytest.fixture
def finished(monkeypatch: pytest.MonkeyPatch) -> list[Cell]:
    """The cells that were put together, in that order."""
    cells: list[Cell] = []
    monkeypatch.setattr(agenda_module, "the_stream", lambda *_: None)
    monkeypatch.setattr(agenda_module, "finish_cell", lambda cell, *_: cells.append(cell))
    return cells


def plan_of(
    strategies: Sequence[str], seeds: Sequence[int] = (0,), domains: str = "abc", orders: Sequence[str] = ()
) -> Plan:
    others = [fingerprint_of(*order) for order in orders]
    return make_plan(strategies, "s", fingerprint_of(*domains), Recipe(), seeds, orders=others)


def keep_step(pool: Pool, step: Step, judges_as: str | None = None) -> None:
    """Put a step into the pool, as if it had been trained."""
    pool.keep_step(NewStep(step, b"state", judges_as, [], MADE_WITH, {"size": 8, "margin": 0.0}))


def keep_scores(pool: Pool, step: Step, cell: Cell) -> None:
    """Put a step's scores on all test sets of a cell into the pool."""
    rows = np.arange(2)
    scores = {of.id: np.full(2, 0.5, np.float32) for of in cell.sets}
    costs: dict[str, dict[str, Any]] = {id: {"seconds": 0.0} for id in scores}
    pool.keep_scores(NewScores(step.id, scores, dict.fromkeys(scores, rows), costs, MADE_WITH))


def fill(pool: Pool, cell: Cell, steps: Iterable[Step] | None = None) -> None:
    """Put a cell's steps into the pool with their scores; what adopts the source model judges as that does."""
    for step in cell.path if steps is None else steps:
        source = step.before if step.kind == "adopted" else None
        if step.before is not None:
            keep_step(pool, step, source.id if source else None)
        if source is None:
            keep_scores(pool, step, cell)


def label(task: Task) -> str:
    return f"{task.step.label}/{task.step.number}"


def names(agenda: Agenda) -> list[str]:
    """Do all tasks as this run, one after the other, and return what they are called in that order."""
    order = []
    while (task := agenda.take()) is not None:
        order.append(label(task))
        agenda.done(task, HERE)
    return order


def test_all_strategies_of_one_seed_come_before_the_next_seed_and_a_cell_is_finished_once_begun(
    agenda_of: Callable[..., Agenda], finished: list[Cell]
) -> None:
    agenda = agenda_of(seeds=(0, 1))
    order = []
    counts = []
    while (task := agenda.take()) is not None:
        order.append(label(task))
        agenda.done(task, HERE)
        agenda.settle()
        counts.append(len(finished))
    per_seed = len(order) // 2
    for seed, part in ((0, order[:per_seed]), (1, order[per_seed:])):
        assert all(f"seed {seed}" in name for name in part)
        trained = [name for name in part if not name.endswith("/-1")]
        assert trained == [
            f"source model, seed {seed}/0",
            *(f"ewc, seed {seed}/{number}" for number in range(3)),
            *(f"lwf, seed {seed}/{number}" for number in range(3)),
        ]
    assert [cell.label for cell in finished] == [
        f"{name}, seed {seed}" for seed in (0, 1) for name in ("ewc", "lwf")
    ]
    assert counts[per_seed - 1] == 2, "all of seed 0 is there before anything of seed 1"
    # Three domains a cell, of which the first is the source model's.
    assert agenda.total == 2 * (1 + 2 * 2)


def test_the_streams_own_order_is_finished_before_another_is_begun(
    agenda_of: Callable[..., Agenda], finished: list[Cell]
) -> None:
    agenda = agenda_of(("ewc",), orders=("bac",))
    there = []
    while (task := agenda.take()) is not None:
        there.append((task.step.order, [cell.order for cell in finished]))
        agenda.done(task, HERE)
        agenda.settle()
    assert {tuple(cells) for order, cells in there if order == ("a", "b", "c")} == {()}
    assert {tuple(cells) for order, cells in there if order == ("b", "a", "c")} == {(0,)}
    assert [cell.order for cell in finished] == [0, 1]


def test_a_cell_begun_earlier_is_finished_before_another_is_begun(
    agenda_of: Callable[..., Agenda], pool: Pool
) -> None:
    begun = plan_of(("ewc", "lwf")).cells[1]
    fill(pool, begun, begun.path[:3])
    assert names(agenda_of()) == [
        *("lwf, seed 0/1", "lwf, seed 0/2"),
        *("ewc, seed 0/0", "ewc, seed 0/1", "ewc, seed 0/2"),
    ]


def test_what_another_run_is_at_is_put_off_until_there_is_nothing_else(
    agenda_of: Callable[..., Agenda], pool: Pool
) -> None:
    for cell in plan_of(("ewc",), (0, 1)).cells:
        keep_scores(pool, cell.path[0], cell)
    agenda = agenda_of(("ewc",), seeds=(0, 1))
    first = agenda.take()
    assert first is not None
    assert (label(first), first.wait) == ("source model, seed 0/0", 0)
    agenda.done(first, BUSY)
    other = agenda.take()
    assert other is not None
    assert (label(other), other.wait) == ("source model, seed 1/0", 0)
    agenda.done(other, BUSY)
    # Nothing else: the one that was found busy first, with a wait, and then the next.
    for seed in (0, 1, 0):
        task = agenda.take()
        assert task is not None
        assert label(task) == f"source model, seed {seed}/0"
        assert task.wait > 0
        agenda.done(task, BUSY)


def test_after_a_step_what_was_busy_is_tried_again_without_waiting(agenda_of: Callable[..., Agenda]) -> None:
    agenda = agenda_of(seeds=(0, 1))
    first = agenda.take()
    assert first is not None
    agenda.done(first, BUSY)
    second = agenda.take()
    assert second is not None
    assert second.step.id != first.step.id
    agenda.done(second, HERE)
    assert agenda.take() == first


def test_a_step_that_is_out_is_not_given_twice(agenda_of: Callable[..., Agenda]) -> None:
    agenda = agenda_of(("ewc", "lwf"))
    out = []
    while (task := agenda.take()) is not None:
        out.append(label(task))
    # All else waits for the source model; the untrained one is only judged.
    assert sorted(out) == ["source model, seed 0/-1", "source model, seed 0/0"]


def test_steps_that_others_trained_are_told_from_ones_own(agenda_of: Callable[..., Agenda]) -> None:
    agenda = agenda_of(("ewc",))
    by_others = []
    while (task := agenda.take()) is not None:
        trained = task.step.number != 1
        if agenda.done(task, Outcome(trained=trained)):
            by_others.append(label(task))
    assert by_others == ["ewc, seed 0/1"], "judging and adopting count for nothing"


def test_a_failed_source_model_fails_the_cells_that_start_from_it_and_no_other(
    agenda_of: Callable[..., Agenda], folder: ResultFolder
) -> None:
    agenda = agenda_of(("ewc", "lwf", "avalanche:naive"), seeds=(0, 1))
    task = next(task for task in iter(agenda.take, None) if label(task) == "source model, seed 0/0")
    agenda.done(task, Outcome(reason="no"))
    failed = {path.stem for path in folder.path.glob("failures/*.json")}
    assert failed == {cell.id for cell in plan_of(["ewc", "lwf"]).cells}
    agenda = agenda_of(("ewc", "lwf", "avalanche:naive"), seeds=(0, 1))
    rest = [label(task) for task in iter(agenda.take, None)]
    assert "source model, seed 1/0" in rest
    assert "avalanche:naive, seed 0/2" in rest


def test_a_failed_step_fails_its_cell_alone_and_nothing_more_of_it_is_done(
    agenda_of: Callable[..., Agenda], folder: ResultFolder, finished: list[Cell]
) -> None:
    agenda = agenda_of()
    order = []
    while (task := agenda.take()) is not None:
        order.append(label(task))
        agenda.done(task, Outcome(reason="no") if order[-1] == "ewc, seed 0/1" else HERE)
    assert "ewc, seed 0/2" not in order
    assert "lwf, seed 0/2" in order
    agenda.settle()
    assert [cell.strategy for cell in finished] == ["lwf"]
    (failure,) = folder.path.glob("failures/*.json")
    assert failure.stem == plan_of(["ewc"]).cells[0].id


def test_orders_share_the_steps_that_they_begin_with(agenda_of: Callable[..., Agenda]) -> None:
    from itertools import permutations

    others = ["".join(order) for order in permutations("abcd")][1:]
    assert agenda_of(("ewc",), domains="abcd", orders=others).total == 4 + 12 + 24 + 24


def test_a_grown_stream_asks_for_its_new_domain_and_for_the_old_steps_on_its_test_set(
    agenda_of: Callable[..., Agenda], pool: Pool
) -> None:
    (cell,) = plan_of(("ewc",)).cells
    fill(pool, cell)
    (grown,) = plan_of(("ewc",), domains="abcd").cells
    new = {of.id for of in grown.sets} - {of.id for of in cell.sets}
    assert len(new) == 2
    agenda = agenda_of(("ewc",), domains="abcd")
    assert agenda.total == 1
    tasks = []
    while (task := agenda.take()) is not None:
        tasks.append(task)
        agenda.done(task, HERE)
    (trained,) = [task for task in tasks if task.trains]
    assert (trained.step.id, trained.needs) == (grown.path[-1].id, cell.path[-1].id)
    assert {of.id for of in trained.sets} == {of.id for of in grown.sets}
    judged = {task.step.id: {of.id for of in task.sets} for task in tasks if not task.trains}
    assert judged == {step.id: new for step in cell.path if step.kind != "adopted"}


def test_a_state_that_was_dropped_is_made_again_only_where_something_begins_with_it(
    agenda_of: Callable[..., Agenda], pool: Pool
) -> None:
    (cell,) = plan_of(("ewc",)).cells
    (grown,) = plan_of(("ewc",), domains="abcd").cells
    fill(pool, cell)
    # Judged on all that there will be: only states can be missing.
    for step in cell.path:
        if step.kind != "adopted":
            keep_scores(pool, step, grown)
    for step in cell.path[1:-1]:
        pool.drop_state(step.id)
    assert not agenda_of(("ewc",)).tasks
    assert names(agenda_of(("ewc",), domains="abcd")) == ["ewc, seed 0/3"]
    pool.drop_state(cell.path[-1].id)
    assert not agenda_of(("ewc",)).tasks
    assert names(agenda_of(("ewc",), domains="abcd")) == [
        "source model, seed 0/0",
        *(f"ewc, seed 0/{number}" for number in range(4)),
    ]
    # A step in the middle is there: it is gone on from.
    keep_step(pool, cell.path[3])
    assert names(agenda_of(("ewc",), domains="abcd")) == ["ewc, seed 0/2", "ewc, seed 0/3"]


def test_last_states_alone_are_kept_once_nothing_begins_with_the_others(
    agenda_of: Callable[..., Agenda], pool: Pool, finished: list[Cell]
) -> None:
    plan = plan_of(("ewc", "lwf"))
    agenda = agenda_of(keep="last")
    ewc, lwf = plan.cells
    states = []
    while (task := agenda.take()) is not None:
        if task.trains:
            keep_step(pool, task.step)
        agenda.done(task, HERE)
        count = len(finished)
        agenda.settle()
        if len(finished) > count:
            states.append({step.id for step in (*ewc.path, *lwf.path) if pool.has_state(step.id)})
    source = ewc.path[1].id
    assert states == [{source, ewc.path[-1].id}, {ewc.path[-1].id, lwf.path[-1].id}]


def test_a_strategy_that_cannot_be_stopped_is_one_task_that_makes_all_of_its_steps(
    agenda_of: Callable[..., Agenda], pool: Pool
) -> None:
    (cell,) = plan_of(("avalanche:naive",)).cells
    agenda = agenda_of(("avalanche:naive",))
    assert agenda.total == 1
    tasks = [task for task in iter(agenda.take, None) if task.trains]
    (task,) = tasks
    assert [step.id for step in (*task.within, task.step)] == [step.id for step in cell.path[1:]]
    assert task.needs is None
    # A grown one is trained anew as a whole, and what is there is judged on the new test set.
    fill(pool, cell)
    (grown,) = plan_of(("avalanche:naive",), domains="abcd").cells
    (task,) = [
        task for task in iter(agenda_of(("avalanche:naive",), domains="abcd").take, None) if task.trains
    ]
    assert [step.id for step in (*task.within, task.step)] == [step.id for step in grown.path[1:]]
    assert [step.id for step in task.within] == [step.id for step in cell.path[1:]]


def test_a_cell_that_another_run_finished_meanwhile_is_left_alone_and_counted(
    agenda_of: Callable[..., Agenda], folder: ResultFolder
) -> None:
    agenda = agenda_of()
    ewc, lwf = plan_of(("ewc", "lwf")).cells
    folder.cell(ewc.id).mkdir(parents=True)
    assert not [name for name in names(agenda) if name.startswith("ewc")]
    assert [label(task) for task in agenda.passed_over] == ["ewc, seed 0/1", "ewc, seed 0/2"]
    folder.cell(lwf.id).mkdir(parents=True)
    assert agenda_of().take() is None


def test_what_is_done_is_not_looked_at_again(agenda_of: Callable[..., Agenda], folder: ResultFolder) -> None:
    for cell in plan_of(("ewc", "lwf")).cells:
        folder.cell(cell.id).mkdir(parents=True)
    agenda = agenda_of(seeds=(0, 1))
    assert {cell.seed for cell in agenda.cells} == {1}
