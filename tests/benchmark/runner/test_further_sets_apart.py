"""Further test sets: none is taken for another, nobody in them was trained on, and a failure is that of its cell."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from fretal_bench.benchmark.runner.call import Call, prepare
from fretal_bench.benchmark.runner.inspection import inspect
from fretal_bench.benchmark.runner.judging import ScoreCall, execute_scoring, prepare_scoring
from fretal_bench.benchmark.runner.pool import Pool
from fretal_bench.benchmark.runner.results import load_results
from fretal_bench.benchmark.runner.run import run
from fretal_bench.datasets.store.store import CropStore, CropStoreWriter
from fretal_bench.datasets.streams.stream import open_stream
from fretal_bench.errors import BenchError
from tests_support import TINY, tiny_stream


def write_stream(path, *domains, more=""):
    """Write a stream of domains, each a name, a method and a store."""
    tables = "".join(
        f'[[domains]]\nname = "{name}"\nstore = "{store}"\nmethods = ["{method}"]\n'
        for name, method, store in domains
    )
    path.write_text(f'name = "s"\ndescription = "d"\n{tables}{more}')
    return str(path)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Fine-tuning and joint training on one domain of a store that holds two."""
    folder = tmp_path_factory.mktemp("further")
    tiny_stream(folder, domains=2)
    stream = write_stream(folder / "one.toml", ("D0", "m0", "store"))
    run(("finetuning", "joint"), stream, changes={"recipe": TINY}, jobs=1, out=folder / "results" / "r")
    return folder


@pytest.fixture
def folder(trained, tmp_path):
    for name in ("results", "store"):
        shutil.copytree(trained / name, tmp_path / name)
    shutil.copy(trained / "one.toml", tmp_path)
    return tmp_path


def scoring_of(folder, *domains):
    on = write_stream(folder / f"{domains[0][0]}.toml", *domains)
    return prepare_scoring(ScoreCall(folder / "results" / "r", on, stream=str(folder / "one.toml"), jobs=1))


def source_of(folder):
    entry, _ = json.loads((folder / "results" / "r" / "plan.json").read_text())["cells"]
    assert entry["strategy"] == "finetuning"
    return Pool(folder / "results" / "steps"), entry["steps"][1], entry["id"]


def test_samples_that_were_judged_under_one_name_are_refused_under_another(folder):
    execute_scoring(scoring_of(folder, ("X", "m1", "store")))
    with pytest.raises(BenchError, match="'Y' holds the samples of test set 'X'"):
        scoring_of(folder, ("Y", "m1", "store"))
    with pytest.raises(BenchError, match="'Z' holds the samples of test set 'X'"):
        scoring_of(folder, ("X", "m1", "store"), ("Z", "m1", "store"))
    assert all(set(cell.further["domain"]) == {"X"} for cell in load_results(folder / "results" / "r").cells)


def test_without_the_source_models_state_the_steps_that_adopted_it_are_judged(folder):
    pool, source, _ = source_of(folder)
    pool.drop_state(source)
    scoring = scoring_of(folder, ("X", "m1", "store"))
    execute_scoring(scoring)
    assert not scoring.left_out
    cells = load_results(folder / "results" / "r").cells
    assert [sorted(set(cell.further["step"])) for cell in cells] == [[-1, 0], [-1, 0]]


def test_a_source_model_that_cannot_be_judged_leaves_out_its_cells_and_says_why(folder):
    pool, source, _ = source_of(folder)
    (pool.step(source) / "checkpoint.pt").write_bytes(b"damaged")
    scoring = scoring_of(folder, ("X", "m1", "store"))
    execute_scoring(scoring)
    named = {label: "not the file that was written" in reason for label, reason in scoring.left_out.items()}
    assert named == {"finetuning, seed 0": True, "joint, seed 0": True}


def test_scores_of_a_cell_whose_place_another_took_are_no_fault(folder):
    execute_scoring(scoring_of(folder, ("X", "m1", "store")))
    results, (_, _, id) = folder / "results" / "r", source_of(folder)
    (results / "replaced").mkdir()
    (results / "cells" / id).rename(results / "replaced" / id)
    plan = json.loads((results / "plan.json").read_text())
    del plan["checksum"]
    plan["cells"] = [entry for entry in plan["cells"] if entry["id"] != id]
    (results / "plan.json").write_text(json.dumps(plan))
    assert inspect(results).faults == []


def test_a_folder_whose_own_order_was_named_can_be_judged(folder):
    stream = write_stream(folder / "two.toml", ("D0", "m0", "store"), ("D1", "m1", "store"))
    out = folder / "results" / "turned"
    prepare(Call(("finetuning",), stream, changes={"recipe": TINY}, out=out, orders="D1,D0"))
    # As far as that there is no cell yet: the stream is the one that it was.
    tiny_stream(folder / "more", domains=3)
    on = write_stream(folder / "X.toml", ("X", "m2", "more/store"))
    with pytest.raises(BenchError, match="no cell is done"):
        prepare_scoring(ScoreCall(out, on, stream=stream))


def renamed(folder, name, dataset, people=None, splits=None):
    """Write the store again as another data set: all people or some, their splits changed."""
    store = CropStore.open(folder / "store")
    rows = store.index.assign(dataset=dataset)
    chosen = rows["source"].isin(people).to_numpy() if people else np.ones(len(rows), bool)
    rows = rows.replace({"split": splits or {}})
    with CropStoreWriter(folder / name, size=store.size, name=name) as writer:
        writer.add(np.asarray(store.crops)[chosen], rows[chosen].reset_index(drop=True))
        writer.finish()


def test_people_that_were_trained_on_in_another_order_alone_are_refused(folder):
    renamed(folder, "second", "second")
    thinned = "[protocol]\nvideos_per_class = 2\n"
    stream = write_stream(folder / "two.toml", ("D0", "m0", "store"), ("D1", "m1", "second"), more=thinned)
    whole = open_stream(stream)
    seen, all_seen = (
        set(domain.store.index["source"].to_numpy()[domain.rows["train"]])
        for domain in (whole[1], whole.in_order(["D1", "D0"])[0])
    )
    only = all_seen - seen
    assert only
    renamed(folder, "third", "second", only, {"train": "test"})
    on = write_stream(folder / "X.toml", ("X", "m0", "third"))
    for orders, reason in (("D0,D1", "no cell is done"), ("D0,D1;D1,D0", "trained or chosen on")):
        out = folder / "results" / str(len(orders))
        prepare(Call(("finetuning",), stream, changes={"recipe": TINY}, out=out, orders=orders))
        with pytest.raises(BenchError, match=reason):
            prepare_scoring(ScoreCall(out, on, stream=stream))
