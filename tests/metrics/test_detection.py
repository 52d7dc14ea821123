"""Each detection metric against scikit-learn, or against a slow computation written from its definition."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from fretal_bench.errors import BenchError
from fretal_bench.metrics.detection import (
    accuracy,
    auc,
    average_precision,
    balanced_accuracy,
    ece,
    eer,
    video_level,
    why_undefined,
)
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


@pytest.mark.parametrize("metric", OWN.values(), ids=lambda m: m.name)
class TestEveryMetric:
    def test_is_nan_without_samples(self, metric):
        assert np.isnan(metric.function([], []))

    @pytest.mark.parametrize("label", [0, 1])
    def test_is_nan_for_one_class_exactly_if_it_needs_both(self, metric, label):
        value = metric.function([label] * 3, [0.2, 0.5, 0.9])
        assert np.isnan(value) == metric.needs_both_classes
        reason = why_undefined([label] * 3, both_classes=metric.needs_both_classes)
        assert (reason is not None) == metric.needs_both_classes

    @pytest.mark.parametrize("bad", [np.nan, np.inf])
    def test_is_nan_for_scores_that_are_not_finite(self, metric, bad):
        if metric.name in ("accuracy", "balanced_accuracy", "ece") and np.isinf(bad):
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
        assert perfect == float(metric.higher_is_better)

    def test_refuses_arrays_of_different_length(self, metric):
        with pytest.raises(BenchError, match=r"shape \(2,\) and scores \(3,\)"):
            metric.function([0, 1], [0.1, 0.2, 0.3])

    def test_refuses_labels_other_than_0_and_1(self, metric):
        with pytest.raises(BenchError, match="label 2 found"):
            metric.function([0, 2], [0.1, 0.2])


@pytest.mark.parametrize("function", [accuracy, balanced_accuracy, ece])
def test_metrics_with_a_threshold_refuse_logits(function):
    with pytest.raises(BenchError, match=r"score 3\.5 found"):
        function([0, 1], [0.5, 3.5])


@given(samples())
@settings(max_examples=30)
def test_ranking_metrics_depend_on_the_order_of_scores_alone(sample):
    labels, scores = sample
    ranks = np.unique(scores, return_inverse=True)[1] * 3.0 - 7
    for function in (auc, average_precision, eer):
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


def frames(**columns: list) -> pd.DataFrame:
    return pd.DataFrame(columns)


def test_a_videos_score_is_the_mean_of_its_frames():
    videos = video_level(frames(video=["b", "a", "b"], label=[1, 0, 1], score=np.float32([0.25, 0.5, 0.75])))
    assert videos.to_dict("list") == {
        "video": ["b", "a"],
        "label": [1, 0],
        "score": [0.5, 0.5],
        "frames": [2, 1],
    }


def test_videos_of_different_steps_and_domains_are_not_mixed():
    videos = video_level(
        frames(
            step=[0, 0, 1], domain=["x", "y", "x"], video=["v"] * 3, label=[1, 0, 1], score=[0.1, 0.2, 0.3]
        )
    )
    assert videos["score"].tolist() == [0.1, 0.2, 0.3]


def test_a_video_with_two_labels_is_an_error():
    with pytest.raises(BenchError, match="video 'ff/DF/c23/7' holds both real and fake"):
        video_level(
            frames(step=[0, 0], domain=["x", "x"], video=["ff/DF/c23/7"] * 2, label=[0, 1], score=[0.1, 0.2])
        )


def test_a_video_with_a_frame_without_a_score_has_none():
    assert np.isnan(video_level(frames(video=["v", "v"], label=[1, 1], score=[0.5, np.nan]))["score"][0])


def test_video_level_names_the_column_that_is_missing():
    with pytest.raises(BenchError, match="no column 'video'"):
        video_level(frames(label=[0], score=[0.1]))
