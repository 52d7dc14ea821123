"""What a report infers: levels, pairs, ties and clusters of made-up results, and families without an effect."""

import numpy as np
import pytest

from fretal_bench.metrics.inference import effect
from fretal_bench.reporting.summary import summarize

SUMMARY = ("forgetting", "learning", "average", "minimum_old", "backward_transfer")


@pytest.fixture(scope="module")
def summary(make):
    return summarize(make({"finetuning": (0.95, 0.14), "ewc": (0.9, 0.06), "joint": (0.94, 0.0)}))


def test_every_quantity_of_the_first_table_is_inferred_with_its_mean_over_seeds(summary):
    assert set(summary.inference) == set(SUMMARY)
    for name, of in summary.inference.items():
        assert set(of.levels) == {"finetuning", "ewc", "joint"}
        for strategy in summary.strategies:
            expected = np.mean(list(strategy.by_seed[name].values()))
            assert of.levels[strategy.label].mean == pytest.approx(expected)


def test_bounds_have_levels_and_no_comparisons(summary):
    of = summary.inference["backward_transfer"]
    assert [(c.first, c.second) for c in of.comparisons] == [("finetuning", "ewc")]
    assert set(of.groups) == {"finetuning", "ewc"}


def test_a_pair_is_compared_either_way_round(summary):
    of = summary.inference["backward_transfer"]
    one, other = of.between("finetuning", "ewc"), of.between("ewc", "finetuning")
    assert (one.effect.mean, one.effect.low) == (-other.effect.mean, -other.effect.high)
    assert one.p_corrected == other.p_corrected


def test_the_level_of_bwt_is_the_effect_of_the_videos_own_accuracies(make):
    results = make({"ewc": (0.9, 0.06)}, seeds=2, domains=("A", "B"))
    tables = []
    for cell in results.cells:
        right = (cell.scores["score"] >= 0.5) == (cell.scores["label"] == 1)
        by_video = right.groupby([cell.scores["domain"], cell.scores["step"], cell.scores["video"]]).mean()
        first = (by_video["A"][1] - by_video["A"][0]).to_numpy()
        # A video of B has no share in what became of A, and there are as many.
        whole = first.mean()
        tables.append(np.concatenate([whole + 2 * (first - whole), np.full(len(first), whole)]))
    expected = effect(tables)
    level = summarize(results).inference["backward_transfer"].levels["ewc"]
    assert (level.mean, level.low, level.high) == pytest.approx((expected.mean, expected.low, expected.high))


def test_what_is_inferred_says_of_what(summary):
    of = summary.inference["backward_transfer"]
    assert (of.unit, of.people, of.folds, of.seeds) == ("videos", 0, 1, (0, 1, 2))
    assert of.clusters == 200
    assert (of.metric, of.level, of.margin) == ("accuracy", "frame", 0.05)
