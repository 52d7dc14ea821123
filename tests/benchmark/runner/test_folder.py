"""What a result folder does with cells that others replace."""

import dataclasses
import json

import pytest

from fretal_bench.benchmark.recipes.recipe import Recipe
from fretal_bench.benchmark.runner.agenda import Agenda
from fretal_bench.benchmark.runner.difference import first_difference
from fretal_bench.benchmark.runner.folder import ResultFolder
from fretal_bench.benchmark.runner.locks import Busy
from fretal_bench.benchmark.runner.plan import make_plan
from fretal_bench.benchmark.runner.pool import Pool
from fretal_bench.benchmark.runner.results import load_results
from fretal_bench.errors import BenchError


@pytest.fixture
def folder(tmp_path):
    return ResultFolder(tmp_path / "r")


STREAM = {
    "name": "s",
    "protocol": {"videos_per_class": None, "shared_reals": True, "seed": 0},
    "domains": [{"name": "D0", "store": "5" * 64, "rows": dict.fromkeys(("train", "val", "test"), "7" * 64)}],
}


def plan_of(*ids):
    """A plan with cells of the same two names and seeds, whatever their ids."""
    plan = make_plan(["ewc", "lwf"], "s", STREAM, Recipe(), [0])
    cells = tuple(dataclasses.replace(cell, id=id) for cell, id in zip(plan.cells, ids, strict=True))
    return dataclasses.replace(plan, cells=cells)


def done(folder, id):
    folder.cell(id).mkdir(parents=True)
    (folder.cell(id) / "scores.parquet").write_bytes(id.encode())


def older_step(folder, id):
    """A step of an unfinished cell, as earlier versions kept it."""
    path = folder.path / "progress" / id / "step-0"
    path.mkdir(parents=True)
    return path


def planned(folder):
    return {entry["id"] for entry in json.loads((folder.path / "plan.json").read_text())["cells"]}


def test_a_replaced_cell_makes_room_and_its_unfinished_steps_go(folder):
    folder.create(plan_of("aaaaaaa1", "bbbbbbb1"))
    done(folder, "aaaaaaa1")
    older_step(folder, "bbbbbbb1")
    folder.fail(plan_of("aaaaaaa1", "bbbbbbb1").cells[1], "no", "")
    folder.create(plan_of("aaaaaaa2", "bbbbbbb2"))
    assert planned(folder) == {"aaaaaaa2", "bbbbbbb2"}
    assert (folder.path / "replaced" / "aaaaaaa1" / "scores.parquet").read_bytes() == b"aaaaaaa1"
    for left in ("cells", "progress", "failures"):
        assert not list(folder.path.glob(f"{left}/*")), left


def test_a_replaced_cell_that_is_asked_for_again_is_done_at_once(folder):
    first = plan_of("aaaaaaa1", "bbbbbbb1")
    folder.create(first)
    done(folder, "aaaaaaa1")
    folder.create(plan_of("aaaaaaa2", "bbbbbbb1"))
    agenda = Agenda(first, folder, Pool(folder.pool))
    assert [cell.id for cell in agenda.cells] == ["bbbbbbb1"]
    folder.create(first)
    assert (folder.cell("aaaaaaa1") / "scores.parquet").read_bytes() == b"aaaaaaa1"
    assert not list(folder.path.glob("replaced/*"))


def test_cells_that_nothing_replaces_stay(folder):
    folder.create(plan_of("aaaaaaa1", "bbbbbbb1"))
    done(folder, "bbbbbbb1")
    folder.create(plan_of("aaaaaaa2", "bbbbbbb1"))
    assert folder.cell("bbbbbbb1").is_dir()
    assert planned(folder) == {"aaaaaaa2", "bbbbbbb1"}


def test_a_replaced_cell_that_another_process_is_at_is_left_to_it(folder):
    folder.create(plan_of("aaaaaaa1", "bbbbbbb1"))
    step = older_step(folder, "aaaaaaa1")
    with folder.hold("aaaaaaa1"):
        folder.create(plan_of("aaaaaaa2", "bbbbbbb1"))
        assert step.is_dir()
        with pytest.raises(Busy), folder.hold("aaaaaaa1", wait=0):
            pass


def test_a_cell_that_was_made_again_after_it_was_replaced_can_be_replaced_again(folder):
    folder.create(plan_of("aaaaaaa1", "bbbbbbb1"))
    done(folder, "aaaaaaa1")
    folder.create(plan_of("aaaaaaa2", "bbbbbbb1"))
    done(folder, "aaaaaaa1")
    folder.create(plan_of("aaaaaaa1", "bbbbbbb1"))
    folder.create(plan_of("aaaaaaa2", "bbbbbbb1"))
    assert (folder.replaced("aaaaaaa1") / "scores.parquet").read_bytes() == b"aaaaaaa1"
    assert not folder.cell("aaaaaaa1").exists()


@pytest.mark.parametrize(
    "text",
    ["[]", "{}", '{"stream": {}, "recipe": {}}', '{"stream": {}, "recipe": {}, "cells": [{"id": "a"}]}'],
)
def test_a_damaged_plan_is_named_by_whoever_reads_it(folder, text):
    folder.create(plan_of("aaaaaaa1", "bbbbbbb1"))
    (folder.path / "plan.json").write_text(text)
    with pytest.raises(BenchError, match=r"plan\.json: key '.*expected .*found .*bring the file back"):
        load_results(folder.path)
    with pytest.raises(BenchError, match=r"plan\.json: key '.*expected .*found .*bring the file back"):
        folder.create(plan_of("aaaaaaa1", "bbbbbbb1"))


@pytest.mark.parametrize(
    "change",
    [
        lambda plan: plan["cells"].pop(),
        lambda plan: plan["cells"].reverse(),
        lambda plan: plan["stream"]["left_out"].update(TOO_LARGE=3),
        lambda plan: plan["cells"][0].update(seed=5),
        lambda plan: plan.update(checksum="0" * 64),
    ],
    ids=["cell removed", "cells in another order", "reason added", "seed", "checksum"],
)
def test_a_plan_that_says_something_else_than_was_written_is_refused(folder, change):
    folder.create(plan_of("aaaaaaa1", "bbbbbbb1"))
    path = folder.path / "plan.json"
    written = json.loads(path.read_text())
    change(plan := json.loads(path.read_text()))
    path.write_text(json.dumps(plan))
    for read in (load_results, lambda _: folder.create(plan_of("aaaaaaa1", "bbbbbbb1"))):
        with pytest.raises(BenchError, match=r"plan\.json: not the plan that was written"):
            read(folder.path)
    # The same content in another layout, or without a checksum as earlier versions wrote it, is the same plan.
    path.write_text(json.dumps(written))
    load_results(folder.path)
    del written["checksum"]
    path.write_text(json.dumps(written))
    load_results(folder.path)


@pytest.mark.parametrize(
    ("there", "now", "words"),
    [
        ({"a": 1}, {"a": 1}, ""),
        ({"epochs": 1}, {"epochs": 2}, "x.epochs: there 1, now 2"),
        ({"epochs": 1}, {}, "x.epochs: there 1, now none"),
        ({}, {"on": False}, "x.on: there none, now False"),
        ({"d": [{"name": "A"}]}, {"d": [{"name": "A"}, {"name": "B"}]}, "x.d[1]: there none, now 'B'"),
        ({"d": [{"name": "A", "n": 1}]}, {"d": [{"name": "A", "n": 2}]}, "x.d[0].n: there 1, now 2"),
        ({"d": [1, 2]}, {"d": [2]}, "x.d[0]: there 1, now 2"),
    ],
)
def test_two_plans_are_told_apart_by_the_first_place_where_they_differ(there, now, words):
    assert first_difference(there, now, "x") == words


def test_long_texts_are_cut_to_the_part_in_which_they_differ():
    words = first_difference("a" * 200 + "b" * 100, "a" * 200 + "c" * 100, "x")
    assert "ab" in words
    assert "ac" in words
    assert len(words) < 200


@pytest.mark.parametrize("id", ["../x", "/etc/passwd", "", "plan.json", "a" * 300, "ABCDEF12"])
def test_nothing_but_an_id_leads_into_the_folder(folder, id):
    pool = Pool(folder.path)
    for place in (folder.cell, folder.replaced, folder.failure, pool.step, pool.judged):
        with pytest.raises(BenchError, match="expected a hexadecimal id"):
            place(id)
    for hold in (folder.hold, pool.hold):
        with pytest.raises(BenchError, match="expected a hexadecimal id"), hold(id):
            pass
