"""Results in a notebook: what they show themselves as, and that their frames are what reports and counting give."""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import fretal_bench
from fretal_bench.errors import BenchError
from fretal_bench.reporting.inference import comparisons_frame
from fretal_bench.reporting.notebook import Results, load_results, shown
from fretal_bench.reporting.summary import summarize
from fretal_bench.reporting.verdict import verdict

DOMAINS = ["Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures"]
KNOWN = {"finetuning": (0.95, 0.14), "ewc": (0.90, 0.06), "fretal/cored": (0.93, 0.04), "joint": (0.94, 0.0)}
OLDER = Path(__file__).parents[1] / "benchmark" / "runner" / "older_results"


@pytest.fixture(scope="module")
def results(make):
    return shown(make(KNOWN))


def test_the_package_names_what_it_has_and_loads_it_when_it_is_used():
    assert {"load_results", "open_stream", "run", "__version__"} <= set(dir(fretal_bench))
    assert not {"Any", "importlib"} & set(dir(fretal_bench))
    assert fretal_bench.load_results is load_results
    assert fretal_bench.open_stream.__module__ == "fretal_bench.datasets.streams.stream"
    with pytest.raises(AttributeError, match="no attribute 'lod_results'"):
        _ = fretal_bench.lod_results


def test_one_line_in_a_terminal_says_what_is_there(results, make):
    assert repr(results) == f"Results({str(results.path)!r}: 12 cells done, 4 strategies, seeds 0-2)"
    some = shown(make(KNOWN, seeds=1, failed={("ewc", 7): "no"}, missing=[("ewc", 8)]))
    assert repr(some).endswith("4 cells done, 4 strategies, seeds 0, 1 failed, 1 missing)")
    nothing = dataclasses.replace(some, cells=())
    assert "0 cells done" in nothing._repr_html_()


def test_a_notebook_shows_the_answer_and_a_row_a_strategy(results):
    text = results._repr_html_()
    assert verdict(summarize(results)).sentence in text
    for label in KNOWN:
        assert f"<td>{label}</td>" in text
    assert text.count("<tr>") == 1 + len(KNOWN)
    assert results.verdict() == verdict(summarize(results)).sentence


def test_the_leaderboard_has_what_the_summary_has_and_stands_as_the_verdict_ranks(results):
    frame = results.summary("auc", "video")
    summary = summarize(results, "auc", "video")
    for strategy in summary.strategies:
        row = frame.loc[strategy.label]
        for name in ("backward_transfer", "learning", "final_fakes"):
            value = strategy.values[name]
            assert (row[name], row[f"{name}_half"]) == pytest.approx((value.mean, value.half), nan_ok=True)
    assert list(frame.index[:-1]) == list(summary.inference["backward_transfer"].ranked)
    assert frame.index[-1] == "joint"
    assert list(frame["bound"]) == [False, False, False, True]


def test_a_matrix_is_what_counting_right_frames_gives(results):
    for label in ("ewc", "cored"):
        cells = [cell for cell in results.cells if label in cell.label.split("/")]
        counted = []
        for cell in cells:
            right = (cell.scores["score"] >= 0.5) == (cell.scores["label"] == 1)
            counted.append(
                right.groupby([cell.scores["step"], cell.scores["domain"]]).mean().unstack()[DOMAINS]
            )
        frame = results.matrix(label)
        assert list(frame.columns) == DOMAINS
        assert list(frame.index) == ["untrained", *DOMAINS]
        assert frame.to_numpy() == pytest.approx(np.mean([of.to_numpy() for of in counted], axis=0), abs=1e-9)
        assert results.matrix(label, seed=1).to_numpy() == pytest.approx(counted[1].to_numpy(), abs=1e-9)
        assert frame.attrs["half"].shape == frame.shape


def test_all_scores_are_one_frame_with_strategy_and_seed(results):
    frame = results.scores()
    assert list(frame.columns[:2]) == ["strategy", "seed"]
    assert len(frame) == sum(len(cell.scores) for cell in results.cells)
    cell = results.cells[4]
    of_cell = frame[(frame["strategy"] == cell.label) & (frame["seed"] == cell.seed)]
    assert list(of_cell["score"]) == list(cell.scores["score"])


def test_a_comparison_is_the_reports_and_turns_its_sign_the_other_way_round(results):
    frame = results.compare("ewc", "finetuning")
    every = comparisons_frame(summarize(results).inference.values()).set_index("quantity")
    pair = every[(every["first"] == "finetuning") & (every["second"] == "ewc")]
    turned = pair if len(pair) else every[(every["first"] == "ewc") & (every["second"] == "finetuning")]
    sign = -1 if len(pair) else 1
    pd.testing.assert_series_equal(frame["difference"], sign * turned["difference"])
    pd.testing.assert_series_equal(frame["p_corrected"], turned["p_corrected"])
    other = results.compare("finetuning", "ewc")
    assert list(other["low"]) == pytest.approx(list(-frame["high"]), nan_ok=True)


def test_the_forgotten_are_the_frames_that_were_right_and_are_wrong_and_those_won_back(results):
    frame = results.forgotten("finetuning")
    count = 0
    for cell in (cell for cell in results.cells if cell.label == "finetuning"):
        for step, name in enumerate(DOMAINS[:-1]):
            of = cell.scores[cell.scores["domain"] == name]
            then = of[of["step"] == step].set_index("row")
            now = of[of["step"] == 3].set_index("row")
            fake = then["label"] == 1
            was, is_ = (then["score"] >= 0.5) == fake, (now["score"] >= 0.5) == fake
            rows = frame[(frame["seed"] == cell.seed) & (frame["domain"] == name)].set_index("row")
            assert set(rows.index[rows["kind"] == "missed"]) == set(then.index[was & ~is_ & fake])
            assert set(rows.index[rows["kind"] == "alarm"]) == set(then.index[was & ~is_ & ~fake])
            assert set(rows.index[rows["kind"] == "back"]) == set(then.index[~was & is_])
            count += int((was != is_).sum())
    assert len(frame) == count > 0
    one = results.forgotten("finetuning", "Face2Face", seed=2)
    assert set(one["domain"]) == {"Face2Face"}
    assert set(one["seed"]) == {2}
    # Nobody has the store of made-up results.
    assert results.crops_of(one) == [None] * len(one)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda of: of.matrix("ecw"), "unknown strategy 'ecw'; did you mean 'ewc'"),
        (lambda of: of.matrix("ewc", seed=9), "unknown seed '9'"),
        (lambda of: of.compare("ewc", "ewc"), "are the same strategy"),
        (lambda of: of.compare("ewc", "joint"), "ewc and joint are not compared"),
        (lambda of: of.forgotten("ewc", "Deepfake"), "unknown domain 'Deepfake'; did you mean 'Deepfakes'"),
        (lambda of: of.forgotten("ewc", seed=9), "unknown seed '9'"),
        (lambda of: of.summary("aoc"), "'aoc'"),
    ],
)
def test_what_there_is_not_is_said_in_one_line(results, call, message):
    with pytest.raises(BenchError) as error:
        call(results)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_result_folder_that_is_read_shows_itself(make):
    folder = next(iter(sorted(path.parent for path in OLDER.rglob("plan.json"))))
    results = load_results(folder)
    assert isinstance(results, Results)
    assert repr(results).startswith(f"Results({str(folder)!r}: ")
    assert "<table>" in results._repr_html_()
