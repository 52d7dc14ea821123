"""What a result folder does with cells that others replace."""

import dataclasses
import json

import pytest

from fretal_bench.benchmark.recipes.recipe import Recipe
from fretal_bench.benchmark.runner.engine import Agenda
from fretal_bench.benchmark.runner.folder import Busy, ResultFolder
from fretal_bench.benchmark.runner.plan import make_plan
from fretal_bench.benchmark.runner.results import load_results
from fretal_bench.errors import BenchError


@pytest.fixture
def folder(tmp_path):
    return ResultFolder(tmp_path / "r")


def plan_of(*ids):
    """A plan with cells of the same two names and seeds, whatever their ids."""
    plan = make_plan(["ewc", "lwf"], "s", {"name": "s"}, Recipe(), [0])
    cells = tuple(dataclasses.replace(cell, id=id) for cell, id in zip(plan.cells, ids, strict=True))
    return dataclasses.replace(plan, cells=cells)


def done(folder, id):
    folder.cell(id).mkdir(parents=True)
    (folder.cell(id) / "checkpoint.pt").write_bytes(id.encode())


def planned(folder):
    return {entry["id"] for entry in json.loads((folder.path / "plan.json").read_text())["cells"]}


def test_a_replaced_cell_makes_room_and_its_unfinished_steps_go(folder):
    folder.create(plan_of("ewc-1", "lwf-1"))
    done(folder, "ewc-1")
    folder.step("lwf-1", 0).mkdir(parents=True)
    folder.fail(plan_of("ewc-1", "lwf-1").cells[1], "no", "")
    folder.create(plan_of("ewc-2", "lwf-2"))
    assert planned(folder) == {"ewc-2", "lwf-2"}
    assert (folder.path / "replaced" / "ewc-1" / "checkpoint.pt").read_bytes() == b"ewc-1"
    for left in ("cells", "progress", "failures"):
        assert not list(folder.path.glob(f"{left}/*")), left


def test_a_replaced_cell_that_is_asked_for_again_is_done_at_once(folder):
    first = plan_of("ewc-1", "lwf-1")
    folder.create(first)
    done(folder, "ewc-1")
    folder.create(plan_of("ewc-2", "lwf-1"))
    assert "ewc-1" not in Agenda(first, folder, 3).work
    folder.create(first)
    assert (folder.cell("ewc-1") / "checkpoint.pt").read_bytes() == b"ewc-1"
    assert not list(folder.path.glob("replaced/*"))


def test_cells_that_nothing_replaces_stay(folder):
    folder.create(plan_of("ewc-1", "lwf-1"))
    done(folder, "lwf-1")
    folder.create(plan_of("ewc-2", "lwf-1"))
    assert folder.cell("lwf-1").is_dir()
    assert planned(folder) == {"ewc-2", "lwf-1"}


def test_a_replaced_cell_that_another_process_is_at_is_left_to_it(folder):
    folder.create(plan_of("ewc-1", "lwf-1"))
    folder.step("ewc-1", 0).mkdir(parents=True)
    with folder.hold("ewc-1"):
        folder.create(plan_of("ewc-2", "lwf-1"))
        assert folder.step("ewc-1", 0).is_dir()
        with pytest.raises(Busy), folder.hold("ewc-1", wait=0):
            pass


def test_a_cell_that_was_made_again_after_it_was_replaced_can_be_replaced_again(folder):
    folder.create(plan_of("ewc-1", "lwf-1"))
    done(folder, "ewc-1")
    folder.create(plan_of("ewc-2", "lwf-1"))
    done(folder, "ewc-1")
    folder.create(plan_of("ewc-1", "lwf-1"))
    folder.create(plan_of("ewc-2", "lwf-1"))
    assert (folder.replaced("ewc-1") / "checkpoint.pt").read_bytes() == b"ewc-1"
    assert not folder.cell("ewc-1").exists()


@pytest.mark.parametrize(
    "text",
    ["[]", "{}", '{"stream": {}, "recipe": {}}', '{"stream": {}, "recipe": {}, "cells": [{"id": "a"}]}'],
)
def test_a_damaged_plan_is_named_by_whoever_reads_it(folder, text):
    folder.create(plan_of("ewc-1", "lwf-1"))
    (folder.path / "plan.json").write_text(text)
    with pytest.raises(BenchError, match=r"plan\.json: damaged"):
        load_results(folder.path)
    with pytest.raises(BenchError, match=r"plan\.json: damaged"):
        folder.create(plan_of("ewc-1", "lwf-1"))
