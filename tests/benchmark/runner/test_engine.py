"""The agenda: which step is next, what is put off, and what others did."""

import dataclasses

import pytest

from fretal_bench.benchmark.recipes.recipe import Recipe
from fretal_bench.benchmark.runner.engine import Agenda, Outcome, run_step
from fretal_bench.benchmark.runner.folder import ResultFolder
from fretal_bench.benchmark.runner.plan import make_plan

BUSY = Outcome(busy=True)


@pytest.fixture
def folder(tmp_path):
    return ResultFolder(tmp_path)


def agenda_of(folder, strategies=("ewc", "lwf"), seeds=(0,), steps=3):
    return Agenda(make_plan(strategies, "s", {}, Recipe(), seeds), folder, steps)


def finish(agenda, turn):
    """Do a turn's step as this run."""
    work, _ = turn
    agenda.done(work, Outcome(left=agenda.left[work.id] - 1, trained=1))
    return work.label


def test_sources_come_first_then_one_cell_to_its_end_before_the_next(folder):
    agenda = agenda_of(folder, seeds=(0, 1), steps=2)
    order = []
    while (turn := agenda.take()) is not None:
        order.append(finish(agenda, turn))
    sources = ["source model, seed 0", "source model, seed 1"]
    cells = [f"{name}, seed {seed}" for seed in (0, 1) for name in ("ewc", "lwf")]
    assert order == [*sources, *(cell for cell in cells for _ in range(2))]
    assert len(order) == agenda.total


def test_a_cell_begun_earlier_is_finished_before_another_is_begun(folder):
    begun = make_plan(["ewc", "lwf"], "s", {}, Recipe(), [0]).cells[1]
    folder.step(begun.id, 0).mkdir(parents=True)
    agenda = agenda_of(folder)
    finish(agenda, agenda.take())
    assert agenda.take()[0].id == begun.id


def test_what_another_run_is_at_is_put_off_until_there_is_nothing_else(folder):
    agenda = agenda_of(folder, seeds=(0, 1))
    first, wait = agenda.take()
    assert (first.label, wait) == ("source model, seed 0", 0)
    agenda.done(first, BUSY)
    other, wait = agenda.take()
    assert (other.label, wait) == ("source model, seed 1", 0)
    agenda.done(other, BUSY)
    # Nothing else: the one that was found busy first, with a wait, and then the next.
    for label in ("source model, seed 0", "source model, seed 1", "source model, seed 0"):
        work, wait = agenda.take()
        assert work.label == label
        assert wait > 0
        agenda.done(work, BUSY)


def test_after_a_step_what_was_busy_is_tried_again_without_waiting(folder):
    agenda = agenda_of(folder, seeds=(0, 1))
    first, _ = agenda.take()
    agenda.done(first, BUSY)
    finish(agenda, agenda.take())
    assert agenda.take() == (first, 0)


def test_steps_that_others_did_are_counted_once(folder):
    agenda = agenda_of(folder, ("ewc",), steps=5)
    source, _ = agenda.take()
    assert agenda.done(source, Outcome()) == 1, "another run trained it"
    cell, _ = agenda.take()
    assert agenda.done(cell, Outcome(left=4, trained=1)) == 0
    assert agenda.take() == (cell, 0)
    assert agenda.done(cell, Outcome(left=1, trained=1)) == 2
    assert agenda.take() == (cell, 0)
    assert agenda.done(cell, Outcome(left=0, trained=1)) == 0
    assert agenda.take() is None


def test_a_failed_source_model_fails_the_cells_that_start_from_it_and_no_other(folder):
    agenda = agenda_of(folder, ("ewc", "lwf"), seeds=(0, 1))
    source, _ = agenda.take()
    agenda.done(source, Outcome(reason="no"))
    failed = {path.stem for path in folder.path.glob("failures/*.json")}
    assert failed == {cell.id for cell in make_plan(["ewc", "lwf"], "s", {}, Recipe(), [0]).cells}
    assert agenda.take()[0].label == "source model, seed 1"


def test_a_step_that_another_process_is_at_is_not_waited_for(folder):
    (folder.path / "locks").mkdir()
    (cell,) = make_plan(["ewc"], "s", {}, dataclasses.replace(Recipe(), device="cpu"), [0]).cells
    with folder.hold(cell.id):
        assert run_step(folder.path, (cell, 0.0), lambda _: None) == BUSY


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (SystemExit(3), "SystemExit: 3"),
        (KeyboardInterrupt(), "KeyboardInterrupt: "),
        (GeneratorExit("a\nb"), "GeneratorExit: a"),
        (RecursionError("deep"), "RecursionError: deep"),
    ],
)
def test_a_strategy_that_ends_the_interpreter_fails_like_any_other(folder, monkeypatch, error, reason):
    def leave(*_):
        raise error

    monkeypatch.setattr("fretal_bench.benchmark.runner.step.advance", leave)
    turn = agenda_of(folder).take()
    assert run_step(folder.path, turn, lambda _: None).reason == reason
