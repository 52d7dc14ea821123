"""Runs of which every seed draws other videos: planned, read, reported and judged on the test samples that all share."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fretal_bench.benchmark.runner.judging import ScoreCall, execute_scoring, prepare_scoring
from fretal_bench.benchmark.runner.results import Results, load_results
from fretal_bench.benchmark.runner.run import run
from fretal_bench.errors import BenchError
from fretal_bench.reporting.summary import summarize
from tests_support import TINY, tiny_stream


def _file(folder: Path, protocol: str) -> Path:
    text = (folder / "tiny.toml").read_text()
    path = folder / "drawn.toml"
    path.write_text(text.replace("[[domains]]", f"[protocol]\n{protocol}\n\n[[domains]]", 1))
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("drawn")
    tiny_stream(path, domains=2)
    return path


@pytest.fixture(scope="module")
def results(folder: Path) -> Results:
    path = _file(folder, "videos_per_class = 2\ndraws = 2")
    return run(
        ("finetuning",), str(path), seeds=(0, 1, 2), changes={"recipe": TINY}, out=folder / "r" / "few"
    )


def test_seeds_that_take_one_draw_learn_the_same_videos_and_all_are_tested_alike(results: Results) -> None:
    plan = results.plan
    assert plan["stream"]["protocol"]["draws"] == 2
    (other,) = plan["folds"]
    rows = [[domain["rows"] for domain in of["domains"]] for of in (plan["stream"], other)]
    assert rows[0][0] == rows[1][0]
    assert rows[0][1]["train"] != rows[1][1]["train"]
    assert [of["test"] for of in rows[0]] == [of["test"] for of in rows[1]]
    assert [cell.fold for cell in results.cells] == [0, 1, 0]
    assert not results.failures


def test_a_report_counts_the_test_samples_once(results: Results) -> None:
    summary = summarize(results)
    frames = results.cells[0].scores.query("step == 0 and domain == 'D1'")
    assert summary.sizes[1].reals + summary.sizes[1].fakes == len(frames)
    assert summary.sizes[1].folds == 1
    assert "draws=2" in summary.stream
    assert "folds" not in summary.stream


def test_another_number_of_draws_is_another_run(folder: Path, results: Results) -> None:
    path = _file(folder, "videos_per_class = 2\ndraws = 3")
    with pytest.raises(BenchError, match=r"another plan: stream\.protocol\.draws: there 2, now 3"):
        run(("finetuning",), str(path), changes={"recipe": TINY}, out=folder / "r" / "few")


def test_cells_of_all_draws_are_judged_on_one_corrupted_set(folder: Path, results: Results) -> None:
    scoring = prepare_scoring(
        ScoreCall(
            results.path,
            corrupt="jpeg-30",
            jobs=1,
            stream=str(_file(folder, "videos_per_class = 2\ndraws = 2")),
        )
    )
    execute_scoring(scoring)
    further = json.loads((results.path / "plan.json").read_text())["further"]
    assert len(further) == 2
    for cell in load_results(results.path).cells:
        assert cell.further is not None
        assert cell.further["domain"].nunique() == 2
