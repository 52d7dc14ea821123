"""One task done by an engine: under its step's lock, from what is in the pool, whatever the strategy does."""

import dataclasses

import pytest

from fretal_bench.benchmark.recipes.recipe import Recipe
from fretal_bench.benchmark.runner.engine import run_step
from fretal_bench.benchmark.runner.plan import make_plan
from fretal_bench.benchmark.runner.pool import Pool
from fretal_bench.benchmark.runner.task import Outcome, Task
from tests_support import fingerprint_of


@pytest.fixture
def pool(tmp_path):
    pool = Pool(tmp_path)
    pool.create()
    return pool


def task_of(number=1):
    """The task of a step by its place in the path of a cell; 1 is the source model."""
    (cell,) = make_plan(
        ["ewc"], "s", fingerprint_of("a"), dataclasses.replace(Recipe(), device="cpu"), [0]
    ).cells
    return Task(cell.path[number], cell.sets)


def test_a_step_that_another_process_is_at_is_not_waited_for(pool):
    task = task_of()
    with pool.hold(task.step.id):
        assert run_step(pool.path, task, lambda _: None) == Outcome(busy=True)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (SystemExit(3), "SystemExit: 3"),
        (KeyboardInterrupt(), "KeyboardInterrupt: "),
        (GeneratorExit("a\nb"), "GeneratorExit: a"),
        (RecursionError("deep"), "RecursionError: deep"),
    ],
)
def test_a_strategy_that_ends_the_interpreter_fails_like_any_other(pool, monkeypatch, error, reason):
    def leave(*_):
        raise error

    monkeypatch.setattr("fretal_bench.benchmark.runner.step.compute", leave)
    outcome = run_step(pool.path, task_of(), lambda _: None)
    assert outcome.reason == reason
    assert not outcome.trained
    with pool.hold(task_of().step.id, wait=0):
        pass


def test_a_task_whose_first_step_is_gone_says_which(pool):
    outcome = run_step(pool.path, task_of(2), lambda _: None)
    assert str(pool.step(task_of().step.id)) in outcome.reason
    assert "run the same command again" in outcome.reason
