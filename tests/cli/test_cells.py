"""`bench cells`: the state of every cell, its numbers by any metric, and an address that means it alone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from filelock import FileLock

from fretal_bench.benchmark.prediction.addresses import cell_at
from fretal_bench.benchmark.runner.results import load_results
from fretal_bench.benchmark.runner.run import run
from tests_support import TINY, tiny_stream

OLDER = Path(__file__).parents[1] / "benchmark" / "runner" / "older_results"


@pytest.fixture(scope="module")
def ordered(tmp_path_factory):
    """Two kinds of fine-tuning, two seeds, three domains in two orders."""
    folder = tmp_path_factory.mktemp("cells")
    stream = str(tiny_stream(folder))
    for changes in ({}, {"kd": {"alpha": 0.25}}):
        run(
            ("kd",),
            stream,
            changes={"recipe": TINY, **changes},
            seeds=(0, 1),
            orders="D2,D1,D0;D0,D1,D2",
            out=folder / "r",
        )
    return folder / "r"


@pytest.fixture
def older(tmp_path):
    shutil.copytree(OLDER, tmp_path / "r")
    return tmp_path / "r"


def listed(bench, folder, *words):
    code, out, err = bench("cells", folder, *words, "--json")
    assert (code, err) == (0, "")
    return json.loads(out)


def right(cell):
    """Accuracy of a cell by hand: R[i, j] by step and domain."""
    scores = cell.scores[cell.scores["step"] >= 0]
    hits = (scores["score"] >= 0.5) == (scores["label"] == 1)
    return hits.groupby([scores["step"], scores["domain"]]).mean()


def test_every_cell_is_found_by_its_address_and_has_the_numbers_of_its_scores(bench, ordered):
    rows = listed(bench, ordered)["cells"]
    results = load_results(ordered)
    of_orders = (results, *results.in_other_orders)
    assert len(rows) == 8
    assert len({row["address"] for row in rows}) == 8
    assert {row["order"] for row in rows} == {0, 1}
    for row in rows:
        assert cell_at(row["address"]) == Path(row["path"])
        assert row["state"] == "done"
        assert row["steps"] == [4, 4]
        (cell,) = (c for of in of_orders for c in of.cells if c.path == Path(row["path"]))
        assert (row["label"], row["seed"]) == (cell.label, cell.seed)
        r, names = right(cell), row["domains"].split(" → ")
        learned, final = [r[at, name] for at, name in enumerate(names)], [r[2, name] for name in names]
        assert row["learning"] == pytest.approx(np.mean(learned))
        assert row["final"] == pytest.approx(np.mean(final))
        assert row["forgetting"] == pytest.approx(np.mean(np.subtract(learned, final)[:-1]))


def test_an_address_without_an_order_is_refused_where_there_are_several(bench, ordered):
    code, _, err = bench("export", f"{ordered}:kd(alpha=0.25):0")
    assert code == 2
    assert "expected one cell, found 2; give" in err
    assert "kd(alpha=0.25):0:1" in err


def test_another_metric_and_level_change_the_numbers_alone(bench, older):
    frames, videos = listed(bench, older), listed(bench, older, "--metric", "auc", "--level", "video")
    assert (videos["metric"], videos["level"]) == ("auc", "video")
    for row, other in zip(frames["cells"], videos["cells"], strict=True):
        assert (row["address"], row["state"]) == (other["address"], other["state"])
        assert other["final"] is not None


def test_states_are_told_apart(bench, older):
    plan = json.loads((older / "plan.json").read_text())
    diverged, failed, held, missing = plan["cells"]
    for entry in plan["cells"]:
        shutil.rmtree(older / "cells" / entry["id"])
    (older / "failures").mkdir()
    for entry, reason in ((diverged, "training diverged on D1 in epoch 1"), (failed, "ZeroDivisionError")):
        about = {key: entry[key] for key in ("id", "label", "seed")}
        text = json.dumps({**about, "reason": reason, "traceback": ""})
        (older / "failures" / f"{entry['id']}.json").write_text(text)
    (older / "locks").mkdir()
    (older / "locks" / f"{missing['id']}.lock").touch()
    with FileLock(str(older / "locks" / f"{held['id']}.lock")):
        rows = listed(bench, older)["cells"]
    assert [row["state"] for row in rows] == ["diverged", "failed", "under way", "missing"]
    assert [row["reason"] for row in rows[:2]] == ["training diverged on D1 in epoch 1", "ZeroDivisionError"]
    assert all(row["final"] is None for row in rows)
    out = bench("cells", older).out
    assert "1 diverged, 1 failed, 2 missing" in out
    assert "ZeroDivisionError" in out


def test_a_done_cell_whose_scores_are_not_finite_diverged(bench, older):
    path = next((older / "cells").iterdir()) / "scores.parquet"
    frame = pd.read_parquet(path)
    frame.loc[len(frame) - 1, "score"] = np.nan
    frame.to_parquet(path, index=False)
    assert sorted(row["state"] for row in listed(bench, older)["cells"]) == ["diverged", *["done"] * 3]


def test_lines_are_not_cut_and_can_be_copied(bench, older, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    out = bench("cells", older).out
    for row in listed(bench, older)["cells"]:
        (line,) = (line for line in out.splitlines() if row["path"] in line)
        assert row["address"] in line


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("nowhere",), "nowhere is no result folder"),
        ((OLDER, "--metric", "aoc"), "'aoc'"),
        ((OLDER, "--level", "clip"), "'clip'"),
    ],
)
def test_what_cannot_be_listed_is_one_line(bench, words, message):
    code, out, err = bench("cells", *words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err
