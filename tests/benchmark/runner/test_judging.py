"""Finished steps judged on test sets that were never trained on."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch

from fretal_bench.benchmark.recipes.model import build_model
from fretal_bench.benchmark.recipes.recipe import Recipe
from fretal_bench.benchmark.runner import step as step_module
from fretal_bench.benchmark.runner.inspection import inspect, inspect_pool
from fretal_bench.benchmark.runner.judging import ScoreCall, execute_scoring, prepare_scoring
from fretal_bench.benchmark.runner.pool import Pool
from fretal_bench.benchmark.runner.results import load_results
from fretal_bench.benchmark.runner.run import run
from fretal_bench.datasets.store.store import CropStore, CropStoreWriter
from fretal_bench.errors import BenchError
from tests_support import TINY, tiny_stream

LEARNED = 2
STRATEGIES = ("finetuning", "ewc", "joint")


def stream_of(folder, first):
    """A stream of the first domains of a store that holds more."""
    text = (folder / "tiny.toml").read_text().split("[[domains]]")
    path = folder / f"first-{first}.toml"
    path.write_text("[[domains]]".join(text[: first + 1]))
    return str(path)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run on two domains of a store that holds three."""
    folder = tmp_path_factory.mktemp("judging")
    tiny_stream(folder, domains=3)
    stream = stream_of(folder, LEARNED)
    results = run(STRATEGIES, stream, changes={"recipe": TINY}, jobs=1, out=folder / "results" / "r")
    assert not results.failures
    return folder


@pytest.fixture
def folder(trained, tmp_path):
    """A copy of it, whose results and pool may be changed."""
    shutil.copytree(trained / "results", tmp_path / "results")
    shutil.copytree(trained / "store", tmp_path / "store")
    shutil.copy(trained / "first-2.toml", tmp_path)
    return tmp_path


def call_of(folder, **changes):
    values = {"on": str(folder / "store"), "stream": str(folder / "first-2.toml"), "jobs": 1}
    return ScoreCall(folder / "results" / "r", **{**values, **changes})


def judged(folder, **changes):
    scoring = prepare_scoring(call_of(folder, **changes))
    execute_scoring(scoring)
    assert not scoring.left_out
    return scoring, load_results(folder / "results" / "r")


def test_every_cell_gets_the_scores_of_every_step_and_nothing_is_trained(folder, monkeypatch):
    monkeypatch.setattr(step_module, "train_domain", lambda *_: pytest.fail("something was trained"))
    before = {cell.id: cell.scores for cell in load_results(folder / "results" / "r").cells}
    _, results = judged(folder)
    assert len(results.cells) == len(STRATEGIES)
    for cell in results.cells:
        assert cell.scores.equals(before[cell.id])
        further = cell.further
        assert sorted(further["domain"].unique()) == ["m0", "m1", "m2"]
        assert sorted(further["step"].unique()) == [-1, 0, 1]
        assert further.groupby(["step", "domain"]).size().eq(2 * 2 * 3).all()


def test_scores_are_what_the_saved_weights_say_of_the_images(folder):
    _, results = judged(folder)
    cell = next(cell for cell in results.cells if cell.strategy == "finetuning")
    about = json.loads((cell.path / "cell.json").read_text())
    content = {key: value for key, value in about["recipe"].items() if key != "name"}
    model = build_model(Recipe(**content), seed=7).eval()
    state = torch.load(Pool(folder / "results" / "steps").step(about["steps"][-1]) / "checkpoint.pt")
    model.load_state_dict(state["model"])
    last = cell.further[(cell.further["step"] == LEARNED - 1) & (cell.further["domain"] == "m2")]
    crops = CropStore.open(folder / "store").crops[last["row"].to_numpy()]
    images = torch.from_numpy(crops).permute(0, 3, 1, 2).float() * (2 / 255) - 1
    with torch.no_grad():
        expected = torch.softmax(model(images), 1)[:, 1].numpy()
    assert np.allclose(last["score"], expected, atol=1e-5)
    assert last["score"].std() > 0


def test_the_same_samples_under_another_name_have_the_scores_that_were_there(folder):
    scoring, results = judged(folder)
    sets = {of.id for task in scoring.agenda.left for of in task.sets}
    assert not sets, "all was judged"
    for cell in results.cells:
        for number in range(LEARNED):
            learned = cell.scores[cell.scores["domain"] == f"D{number}"].reset_index(drop=True)
            again = cell.further[cell.further["domain"] == f"m{number}"].reset_index(drop=True)
            columns = ["step", "row", "label", "video", "people", "score"]
            assert learned[columns].equals(again[columns])


def test_a_second_time_there_is_nothing_to_judge(folder):
    judged(folder)
    scoring, _ = judged(folder)
    assert scoring.agenda.tasks == 0


def test_two_processes_give_the_bytes_of_one(folder, trained, tmp_path):
    judged(folder)
    other = tmp_path / "other"
    shutil.copytree(trained / "results", other / "results")
    for name in ("store", "first-2.toml"):
        (shutil.copytree if name == "store" else shutil.copy)(trained / name, other / name)
    judged(other, jobs=2)
    here, there = (
        {path.relative_to(root): path.read_bytes() for path in root.glob("results/r/further/*/*/*.parquet")}
        for root in (folder, other)
    )
    assert len(here) == 3 * len(STRATEGIES)
    assert here == there


def test_where_earlier_states_were_removed_the_last_is_judged_alone(folder):
    pool = Pool(folder / "results" / "steps")
    for cell in load_results(folder / "results" / "r").cells:
        for id in json.loads((cell.path / "cell.json").read_text())["steps"][1:-1]:
            pool.drop_state(id)
    _, results = judged(folder)
    for cell in results.cells:
        assert sorted(cell.further["step"].unique()) == [-1, LEARNED - 1]


def test_a_cell_whose_last_state_is_gone_is_named_and_the_others_are_judged(folder):
    pool = Pool(folder / "results" / "steps")
    ewc = next(cell for cell in load_results(folder / "results" / "r").cells if cell.strategy == "ewc")
    pool.drop_state(json.loads((ewc.path / "cell.json").read_text())["steps"][-1])
    scoring = prepare_scoring(call_of(folder))
    assert list(scoring.left_out) == ["ewc, seed 0"]
    execute_scoring(scoring)
    results = load_results(folder / "results" / "r")
    assert {cell.strategy: cell.further is not None for cell in results.cells} == {
        "finetuning": True,
        "ewc": False,
        "joint": True,
    }


def test_people_that_were_trained_on_are_refused(folder):
    store = CropStore.open(folder / "store")
    rows = store.index.copy()
    rows["split"] = rows["split"].map({"train": "test", "val": "val", "test": "train"})
    with CropStoreWriter(folder / "turned", size=store.size, name="turned") as writer:
        writer.add(np.asarray(store.crops), rows)
        writer.finish()
    with pytest.raises(BenchError, match=r"holds 8 people and .*trained or chosen on"):
        prepare_scoring(call_of(folder, on=str(folder / "turned")))
    assert not (folder / "results" / "r" / "further").exists()


def test_what_would_be_taken_for_a_domain_of_the_stream_is_refused(folder):
    with pytest.raises(BenchError, match="test set 'D0' has the name of a domain that was trained on"):
        prepare_scoring(call_of(folder, on=str(folder / "first-2.toml")))


def test_crops_of_another_size_are_refused(folder):
    tiny_stream(folder / "larger", size=48)
    with pytest.raises(BenchError, match=r"expected crops of 32 px, .*found 48 px"):
        prepare_scoring(call_of(folder, on=str(folder / "larger" / "store")))


def test_another_stream_than_the_cells_were_trained_on_is_refused(folder):
    (folder / "only.toml").write_text((folder / "first-2.toml").read_text().replace('"m1"', '"m2"'))
    with pytest.raises(BenchError, match=r"is not the stream that the cells of .* were trained on"):
        prepare_scoring(call_of(folder, stream=str(folder / "only.toml")))


@pytest.mark.parametrize("change", ["row", "score", "no probability", "other set"])
def test_further_scores_that_are_not_those_of_the_set_are_refused(change, folder):
    import pandas as pd

    judged(folder)
    first, second, *_ = sorted((folder / "results" / "r" / "further").iterdir())
    place = next(first.iterdir()) / "scores.parquet"
    frame = pd.read_parquet(place)
    if change == "row":
        frame["row"] += 1
    elif change == "score":
        frame["score"] = frame["score"].astype("float32") * 0
    elif change == "no probability":
        frame["score"] = frame["score"].astype("float32") + 1
    else:
        frame = pd.read_parquet(next(second.iterdir()) / "scores.parquet")
    frame.to_parquet(place, index=False)
    with pytest.raises(BenchError, match=r"scores\.parquet: not the file that was written"):
        load_results(folder / "results" / "r")
    (place.parent / "checksums.json").unlink()
    if change == "score":
        load_results(folder / "results" / "r")
    else:
        with pytest.raises(BenchError, match=r"scores\.parquet: .*(test set|no probabilities)"):
            load_results(folder / "results" / "r")


def test_doctor_finds_nothing_wrong_with_what_was_judged_and_names_what_is_changed(folder):
    judged(folder)
    pool = folder / "results" / "steps"
    assert not inspect(folder / "results" / "r").faults
    assert not inspect(folder / "results" / "r").notes
    about = inspect_pool(pool)
    assert not about.faults
    assert not about.notes
    assert about.steps == about.checkpoints == len(list(pool.glob("steps/*")))
    sets = [json.loads(path.read_text())["sets"] for path in pool.glob("scores/*/*/judged.json")]
    assert about.judged == sum(map(len, sets)) > 0
    for number, name in enumerate(
        ("steps/*/step.json", "scores/*/*/scores.parquet", "steps/*/checkpoint.pt"), 1
    ):
        # The first and the last: of one step, the first fault alone is named.
        place = sorted(pool.glob(name))[-1 if name.endswith(".pt") else 0]
        place.write_bytes(place.read_bytes() + b" ")
        assert len(inspect_pool(pool).faults) == number
        assert any(str(place) in fault for fault in inspect_pool(pool).faults)
