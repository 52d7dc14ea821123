"""Each detection metric against scikit-learn, or against a slow computation written from its definition."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from fretal_bench.errors import BenchError
from fretal_bench.metrics.checks import why_undefined
from fretal_bench.metrics.detection import accuracy, auc, average_precision, balanced_accuracy, ece, eer
from fretal_bench.metrics.losses import brier, nll
from fretal_bench.metrics.rates import TPR_AT, f1, fake_accuracy, least_reals, real_accuracy, tpr_at_fpr
from fretal_bench.metrics.registry import OWN

# Few distinct scores, among them the threshold and the bin edges, so that ties are the rule.
TIED = st.sampled_from([0.0, 0.1, 0.2, 1 / 3, 0.4, 0.5, 2 / 3, 0.8, 14 / 15, 1.0])


@st.composite
def samples(draw: st.DrawFn, both: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Labels and float32 scores, tied or not; both classes there if asked."""
    labels = draw(st.lists(st.integers(0, 1), min_size=1, max_size=40))
    labels = [0, 1, *labels] if both else labels
    score = draw(st.sampled_from([TIED, st.floats(0, 1, width=32)]))
    scores = draw(st.lists(score, min_size=len(labels), max_size=len(labels)))
    return np.array(labels), np.array(scores, dtype=np.float32)


@given(samples(both=False))
def test_accuracy_equals_scikit_learns_at_the_threshold(sample):
    labels, scores = sample
    assert accuracy(labels, scores) == pytest.approx(sk.accuracy_score(labels, scores >= 0.5), abs=1e-12)


def test_a_score_of_exactly_one_half_is_called_fake():
    assert accuracy([1], [0.5]) == 1
    assert accuracy([0], [0.5]) == 0
    assert accuracy([0], [np.nextafter(np.float32(0.5), np.float32(0))]) == 1


@given(samples())
def test_balanced_accuracy_equals_scikit_learns(sample):
    labels, scores = sample
    expected = sk.balanced_accuracy_score(labels, scores >= 0.5)
    assert balanced_accuracy(labels, scores) == pytest.approx(expected, abs=1e-12)


@given(samples())
def test_auc_counts_all_pairs_and_half_of_the_ties(sample):
    labels, scores = sample
    pairs = list(itertools.product(scores[labels == 1], scores[labels == 0]))
    wins = sum(1.0 if fake > real else 0.5 if fake == real else 0.0 for fake, real in pairs)
    assert auc(labels, scores) == wins / len(pairs)
    assert auc(labels, scores) == pytest.approx(sk.roc_auc_score(labels, scores), abs=1e-12)


@given(samples())
def test_average_precision_equals_scikit_learns(sample):
    labels, scores = sample
    assert average_precision(labels, scores) == pytest.approx(
        sk.average_precision_score(labels, scores), abs=1e-12
    )


def eer_by_bisection(labels: np.ndarray, scores: np.ndarray) -> float:
    """Find the crossing of FNR and FPR along scikit-learn's ROC polygon by halving its arc."""
    fpr, tpr, _ = sk.roc_curve(labels, scores, drop_intermediate=False)
    place = np.arange(len(fpr), dtype=float)
    low, high = 0.0, place[-1]
    for _ in range(100):
        middle = (low + high) / 2
        if 1 - np.interp(middle, place, tpr) > np.interp(middle, place, fpr):
            low = middle
        else:
            high = middle
    return float(np.interp(high, place, fpr))


@given(samples())
def test_eer_is_where_the_roc_polygon_has_equal_error_rates(sample):
    labels, scores = sample
    assert eer(labels, scores) == pytest.approx(eer_by_bisection(labels, scores), abs=1e-9)


@given(samples())
def test_eer_does_not_care_which_class_is_called_positive(sample):
    labels, scores = sample
    assert eer(1 - labels, -scores.astype(float)) == pytest.approx(eer(labels, scores), abs=1e-12)


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([0.1, 0.2, 0.8, 0.9], 0.0),
        ([0.9, 0.8, 0.2, 0.1], 1.0),
        ([0.5, 0.5, 0.5, 0.5], 0.5),
        ([0.1, 0.6, 0.4, 0.9], 0.5),
    ],
)
def test_eer_of_hand_worked_cases(scores, expected):
    assert eer([0, 0, 1, 1], scores) == pytest.approx(expected)


def test_eer_interpolates_between_thresholds():
    # Points (FPR, FNR): (0, 1), (0, 1/2), (1, 1/2)... the edge from (0, 1/2) to (1, 1/2) crosses FPR = FNR at
    # 1/2.
    assert eer([0, 1, 1], [0.5, 0.9, 0.1]) == pytest.approx(0.5)
    # A tie of both classes makes one slanted edge, from (0, 1) to (1/2, 0): FPR = t/2 meets FNR = 1 - t at
    # 1/3.
    assert eer([0, 0, 1], [0.9, 0.1, 0.9]) == pytest.approx(1 / 3)


@given(samples(both=False), st.integers(1, 20))
def test_ece_equals_its_definition_bin_by_bin(sample, bins):
    labels, scores = sample
    total = 0.0
    for k in range(bins):
        last = k == bins - 1
        inside = [
            (y, float(s))
            for y, s in zip(labels, scores, strict=True)
            if k / bins <= s and (s < (k + 1) / bins or last)
        ]
        if inside:
            share = sum(y for y, _ in inside) / len(inside)
            total += len(inside) / len(labels) * abs(share - sum(s for _, s in inside) / len(inside))
    assert ece(labels, scores, bins) == pytest.approx(total, abs=1e-9)


def test_ece_is_that_of_p_fake_not_of_the_predicted_classs_confidence():
    # P(fake): |1/2 - 0.1| for half of the samples and |1 - 0.9| for the others. The predicted class's
    # confidence is 0.9 throughout and right in 3 of 4 cases, which would give 0.15.
    assert ece([0, 1, 1, 1], [0.1, 0.1, 0.9, 0.9]) == pytest.approx(0.25)


def test_ece_is_zero_for_a_perfectly_calibrated_coin():
    assert ece([0, 1, 0, 1], [0.5] * 4) == 0
    assert ece([1, 1, 0], [1.0, 1.0, 0.0]) == 0


@given(samples(both=False))
def test_accuracy_by_class_is_scikit_learns_recall_of_each_class(sample):
    labels, scores = sample
    for function, of in ((real_accuracy, 0), (fake_accuracy, 1)):
        if (labels == of).any():
            recall = sk.recall_score(labels, scores >= 0.5, pos_label=of)
            assert function(labels, scores) == pytest.approx(recall, abs=1e-12)
        else:
            assert np.isnan(function(labels, scores))


@given(samples())
def test_the_two_accuracies_by_class_average_to_balanced_accuracy(sample):
    mean = (real_accuracy(*sample) + fake_accuracy(*sample)) / 2
    assert mean == pytest.approx(balanced_accuracy(*sample), abs=1e-12)


@given(samples())
def test_f1_equals_scikit_learns(sample):
    labels, scores = sample
    expected = sk.f1_score(labels, scores >= 0.5, zero_division=0)
    assert f1(labels, scores) == pytest.approx(expected, abs=1e-12)


def test_f1_of_a_detector_that_calls_nothing_fake_is_0_and_of_one_that_calls_all_fake_two_thirds():
    assert f1([0, 1], [0.1, 0.1]) == 0
    assert f1([0, 1], [0.9, 0.9]) == pytest.approx(2 / 3)


@given(samples(), st.sampled_from([0, 1, 5, 25, 100]))
def test_tpr_at_fpr_is_the_best_of_all_thresholds_that_keep_the_budget(sample, percent):
    labels, scores = sample
    best = 0.0
    for threshold in (np.inf, *scores):
        called = scores >= threshold
        if 100 * sum(called[labels == 0]) <= percent * sum(labels == 0):
            best = max(best, sum(called[labels == 1]) / sum(labels == 1))
    assert tpr_at_fpr(labels, scores, percent) == pytest.approx(best, abs=1e-12)


@given(samples())
def test_tpr_at_fpr_5_is_read_from_scikit_learns_roc(sample):
    fpr, tpr, _ = sk.roc_curve(*sample, drop_intermediate=False)
    # Below 20 reals, no FPR but 0 is at most 5%, so that rounding cannot matter.
    assert tpr_at_fpr(*sample, 5) == pytest.approx(tpr[fpr <= 0.05 + 1e-12].max(), abs=1e-12)


@pytest.mark.parametrize(
    ("reals", "percent", "expected"), [(99, 1, 0.0), (100, 1, 0.5), (19, 5, 0.0), (20, 5, 0.5)]
)
def test_too_few_reals_leave_no_false_alarm_at_all(reals, percent, expected):
    # One real above the first of two fakes, the other fake below all.
    labels = [0] * reals + [1, 1]
    scores = [0.9] + [0.5] * (reals - 1) + [0.8, 0.1]
    assert TPR_AT[percent](labels, scores) == expected
    assert (reals < least_reals(percent)) == (expected == 0)


@given(samples(both=False))
def test_brier_equals_scikit_learns(sample):
    labels, scores = sample
    expected = sk.brier_score_loss(labels, scores.astype(float), labels=[0, 1], pos_label=1)
    assert brier(labels, scores) == pytest.approx(expected, abs=1e-12)


@given(samples(both=False))
def test_nll_equals_scikit_learns_of_scores_that_are_cut(sample):
    labels, scores = sample
    cut = np.clip(scores.astype(float), 2**-24, 1 - 2**-24)
    assert nll(labels, scores) == pytest.approx(sk.log_loss(labels, cut, labels=[0, 1]), abs=1e-9)


def test_nll_weighs_a_certain_error_alike_on_both_sides_and_not_infinitely():
    least = np.float32(1e-38)
    assert nll([1], [0]) == nll([0], [1]) == nll([1], [least]) == pytest.approx(24 * np.log(2))


def test_losses_of_a_detector_that_knows_nothing():
    assert brier([0, 1], [0.5, 0.5]) == 0.25
    assert nll([0, 1], [0.5, 0.5]) == pytest.approx(np.log(2))


@pytest.mark.parametrize("metric", OWN.values(), ids=lambda m: m.name)
class TestEveryMetric:
    def test_is_nan_without_samples(self, metric):
        assert np.isnan(metric.function([], []))

    @pytest.mark.parametrize("label", [0, 1])
    def test_is_nan_for_one_class_exactly_if_it_needs_the_other(self, metric, label):
        needs = metric.needs_both_classes or metric.needs_class == ("fake", "real")[label]
        value = metric.function([label] * 3, [0.2, 0.5, 0.9])
        assert np.isnan(value) == needs
        reason = why_undefined([label] * 3, classes=metric.classes)
        assert (reason is not None) == needs
        assert np.isnan(metric.evaluate([label] * 3, [0.2, 0.5, 0.9])[0]) == needs

    @pytest.mark.parametrize("bad", [np.nan, np.inf])
    def test_is_nan_for_scores_that_are_not_finite(self, metric, bad):
        any_scale = metric.name in ("auc", "ap", "eer", "tpr_at_fpr1", "tpr_at_fpr5")
        if np.isinf(bad) and not any_scale:
            with pytest.raises(BenchError, match=r"P\(fake\)"):
                metric.function([0, 1], [0.5, bad])
        else:
            assert np.isnan(metric.function([0, 1], [0.5, bad]))

    def test_does_not_depend_on_the_order_of_samples(self, metric):
        rng = np.random.default_rng(0)
        labels, scores = rng.integers(0, 2, 50), rng.integers(0, 11, 50) / 10
        order = rng.permutation(50)
        shuffled = metric.function(labels[order], scores[order])
        assert shuffled == pytest.approx(metric.function(labels, scores), abs=1e-12)

    def test_says_a_perfect_detector_is_better_than_its_opposite(self, metric):
        labels = np.array([0, 1] * 10)
        perfect, opposite = metric.function(labels, labels), metric.function(labels, 1 - labels)
        assert (perfect > opposite) == metric.higher_is_better
        # No loss is 0: probabilities are cut.
        assert perfect == pytest.approx(float(metric.higher_is_better), abs=1e-7)

    def test_refuses_arrays_of_different_length(self, metric):
        with pytest.raises(BenchError, match=r"shape \(2,\) and scores \(3,\)"):
            metric.function([0, 1], [0.1, 0.2, 0.3])

    def test_refuses_labels_other_than_0_and_1(self, metric):
        with pytest.raises(BenchError, match="label 2 found"):
            metric.function([0, 2], [0.1, 0.2])


@pytest.mark.parametrize(
    "function", [accuracy, balanced_accuracy, ece, real_accuracy, fake_accuracy, f1, brier, nll]
)
def test_metrics_with_a_threshold_refuse_logits(function):
    with pytest.raises(BenchError, match=r"score 3\.5 found"):
        function([0, 1], [0.5, 3.5])


@given(samples())
@settings(max_examples=30)
def test_ranking_metrics_depend_on_the_order_of_scores_alone(sample):
    labels, scores = sample
    ranks = np.unique(scores, return_inverse=True)[1] * 3.0 - 7
    for function in (auc, average_precision, eer, *TPR_AT.values()):
        assert function(labels, ranks) == pytest.approx(function(labels, scores), abs=1e-12)


@pytest.mark.parametrize(
    ("labels", "scores", "reason"),
    [
        ([], None, "no samples"),
        ([1, 1], None, "no real sample among 2"),
        ([0], None, "no fake sample among 1"),
        ([0, 1], [0.1, np.nan], "1 of 2 scores are not finite"),
        ([0, 1], [0.1, 0.2], None),
    ],
)
def test_why_undefined_says_what_is_missing(labels, scores, reason):
    assert why_undefined(labels, scores) == reason


def test_a_score_that_is_too_large_by_a_little_is_shown_to_be():
    with pytest.raises(BenchError, match=r"score 1\.0000001 found; a score is P\(fake\) in \[0, 1\]"):
        accuracy([0, 1], [0.1, 1.0000001])
