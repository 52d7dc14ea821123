"""Final steps judged on corrupted versions of the stream's own test sets."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch

from fretal_bench.benchmark.recipes.model import build_model
from fretal_bench.benchmark.recipes.recipe import Recipe
from fretal_bench.benchmark.runner import documents
from fretal_bench.benchmark.runner import step as step_module
from fretal_bench.benchmark.runner.documents import FurtherContent
from fretal_bench.benchmark.runner.graph import TestSet, set_id
from fretal_bench.benchmark.runner.inspection import inspect, inspect_pool
from fretal_bench.benchmark.runner.judging import ScoreCall, execute_scoring, prepare_scoring
from fretal_bench.benchmark.runner.pool import Pool
from fretal_bench.benchmark.runner.results import load_results
from fretal_bench.benchmark.runner.run import run
from fretal_bench.datasets.corruptions import corruption
from fretal_bench.datasets.store.store import CropStore
from fretal_bench.errors import BenchError
from fretal_bench.reporting.robustness_tables import robustness_tables
from fretal_bench.reporting.summary import summarize
from tests_support import TINY, tiny_stream

STRATEGIES = ("finetuning", "ewc")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corrupted")
    stream = tiny_stream(folder, domains=2)
    results = run(STRATEGIES, stream, changes={"recipe": TINY}, jobs=1, out=folder / "results" / "r")
    assert not results.failures
    return folder


@pytest.fixture
def folder(trained, tmp_path):
    """A copy of its results, which may be changed; the stream stays where it is."""
    shutil.copytree(trained / "results", tmp_path / "results")
    return tmp_path


def judged(folder, corrupt, trained, **changes):
    call = ScoreCall(
        folder / "results" / "r",
        corrupt=corrupt,
        stream=str(trained / "tiny.toml"),
        **{"jobs": 1, **changes},
    )
    scoring = prepare_scoring(call)
    execute_scoring(scoring)
    assert not scoring.left_out
    return scoring, load_results(folder / "results" / "r")


def test_only_final_steps_are_judged_on_every_corruption_of_every_domain(folder, trained, monkeypatch):
    monkeypatch.setattr(step_module, "train_domain", lambda *_: pytest.fail("something was trained"))
    before = {cell.id: cell.scores for cell in load_results(folder / "results" / "r").cells}
    _, results = judged(folder, "jpeg-30,h264", trained)
    for cell in results.cells:
        assert cell.scores.equals(before[cell.id])
        assert cell.further["step"].unique().tolist() == [1]
        assert cell.further["domain"].unique().tolist() == [
            f"{domain} ({name})" for name in ("jpeg-30", "h264-30", "h264-40") for domain in ("D0", "D1")
        ]
    scoring, _ = judged(folder, "jpeg-30,h264", trained)
    assert scoring.agenda.tasks == 0


def test_without_a_severity_the_scores_are_the_clean_ones(folder, trained):
    _, results = judged(folder, "blur-0,resize-1", trained)
    for cell in results.cells:
        clean = cell.scores[cell.scores["step"] == 1]
        for domain in ("D0", "D1"):
            expected = clean[clean["domain"] == domain].reset_index(drop=True)
            for name in ("blur-0", "resize-1"):
                further = cell.further[cell.further["domain"] == f"{domain} ({name})"].reset_index(drop=True)
                columns = ["row", "label", "video", "score"]
                assert further[columns].equals(expected[columns])
    summary = summarize(results)
    assert {of.drop for of in summary.robustness.values} == {0.0}


def test_scores_are_what_the_saved_weights_say_of_the_corrupted_images(folder, trained):
    _, results = judged(folder, "jpeg-30", trained)
    cell = next(cell for cell in results.cells if cell.strategy == "finetuning")
    about = json.loads((cell.path / "cell.json").read_text())
    content = {key: value for key, value in about["recipe"].items() if key != "name"}
    model = build_model(Recipe(**content), seed=7).eval()
    state = torch.load(Pool(folder / "results" / "steps").step(about["steps"][-1]) / "checkpoint.pt")
    model.load_state_dict(state["model"])
    last = cell.further[cell.further["domain"] == "D1 (jpeg-30)"]
    crops = CropStore.open(trained / "store").crops[last["row"].to_numpy()]
    images = torch.from_numpy(corruption("jpeg-30").apply(crops)).permute(0, 3, 1, 2).float() * (2 / 255) - 1
    with torch.no_grad():
        expected = torch.softmax(model(images), 1)[:, 1].numpy()
    assert np.allclose(last["score"], expected, atol=1e-5)
    clean = cell.scores[(cell.scores["step"] == 1) & (cell.scores["domain"] == "D1")]
    assert not np.allclose(last["score"], clean["score"], atol=1e-5)


@pytest.mark.long
def test_two_processes_give_the_bytes_of_one(folder, trained, tmp_path):
    shutil.copytree(trained / "results", tmp_path / "other" / "results")
    judged(folder, "h264-40", trained)
    judged(tmp_path / "other", "h264-40", trained, jobs=2)
    here, there = (
        {path.relative_to(root): path.read_bytes() for path in root.glob("results/r/further/*/*/*.parquet")}
        for root in (folder, tmp_path / "other")
    )
    assert len(here) == 2 * len(STRATEGIES)
    assert here == there


def test_doctor_knows_corrupted_sets_and_a_report_shows_them_apart(folder, trained):
    _, results = judged(folder, "blur-2", trained)
    assert not inspect(folder / "results" / "r").faults
    assert not inspect_pool(folder / "results" / "steps").faults
    summary = summarize(results)
    assert summary.further is None
    table = robustness_tables(summary)[0]
    assert [column.key for column in table.columns] == ["strategy", "clean", "blur-2"]
    assert [row.cells[0] for row in table.rows] == list(STRATEGIES)


def test_a_plan_with_an_unknown_corruption_is_refused():
    content = {
        "name": "D0 (smear-2)",
        "store": "a" * 16,
        "rows": dict.fromkeys(("train", "val", "test"), "b" * 16),
    }
    with pytest.raises(BenchError, match=r"key 'corruption': expected the name of a corruption"):
        documents.build(FurtherContent, {**content, "corruption": "smear-2"}, "plan.json")


def test_the_corruption_is_part_of_the_id_and_of_the_task():
    domain = {"store": "a" * 16, "rows": {"test": "b" * 16}}
    ids = {set_id({**domain, "corruption": name}, "test") for name in ("", "jpeg-30", "jpeg-70", "blur-2")}
    assert len(ids) == 4
    assert set_id(domain, "test") == set_id({**domain, "corruption": ""}, "test")
    assert TestSet("b" * 16, "D0", "test", "s").corruption == ""


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, "nothing to judge on"),
        ({"on": "x", "corrupt": "all"}, "give one of the two"),
        ({"data": ("x",), "corrupt": "all"}, "--data is for --on"),
        ({"corrupt": "jepg"}, "unknown corruption"),
    ],
)
def test_a_call_that_does_not_say_what_to_judge_on_is_refused(changes, message, trained):
    with pytest.raises(BenchError, match=message):
        prepare_scoring(ScoreCall(trained / "results" / "r", stream=str(trained / "tiny.toml"), **changes))
