"""Temperatures and thresholds, each found a second time by trying, by scipy or by scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, log_loss

from fretal_bench.errors import BenchError
from fretal_bench.metrics import detection
from fretal_bench.metrics.calibration import (
    TEMPERATURES,
    best_threshold,
    decisions,
    fit_temperature,
    logits,
    reals_needed,
    threshold_at_fpr,
    with_temperature,
)
from fretal_bench.metrics.losses import nll


def drawn(seed=0, n=400, sharp=3.0, shift=0.0, fakes=0.5):
    """Labels that are as likely as expit(z) says, and scores that are ``sharp`` times as sure."""
    random = np.random.default_rng(seed)
    z = random.normal(0, 1.5, n) + np.where(random.random(n) < fakes, 1, -1)
    labels = (random.random(n) < expit(z)).astype(np.int8)
    return labels, expit(sharp * z + shift).astype(np.float32)


def test_the_temperature_is_the_inverse_slope_of_a_logistic_regression_without_a_bias():
    for seed in range(5):
        labels, scores = drawn(seed)
        regression = LogisticRegression(C=np.inf, fit_intercept=False, tol=1e-10)
        slope = regression.fit(logit(scores.astype(float))[:, None], labels).coef_[0, 0]
        assert fit_temperature(labels, scores).value == pytest.approx(1 / slope, rel=1e-4)


def test_the_temperature_of_several_domains_gives_each_the_same_weight():
    parts = [drawn(1, 900, sharp=2.0), drawn(2, 100, sharp=0.5)]
    labels, scores = (np.concatenate(of) for of in zip(*parts, strict=True))
    domains = np.repeat(["a", "b"], [900, 100])

    def loss(log_t):
        z = logit(scores.astype(float)) / math.exp(log_t)
        return np.mean([log_loss(labels[domains == name], expit(z[domains == name])) for name in "ab"])

    expected = math.exp(minimize_scalar(loss, bounds=(-4, 4), method="bounded", options={"xatol": 1e-9}).x)
    together = fit_temperature(labels, scores, domains).value
    assert together == pytest.approx(expected, rel=1e-5)
    assert together != pytest.approx(fit_temperature(labels, scores).value, rel=0.05)


def test_a_temperature_lowers_the_loss_of_the_samples_it_was_fitted_on_and_keeps_order_and_half():
    labels, scores = drawn(3)
    fitted = fit_temperature(labels, scores)
    cooled = with_temperature(scores, fitted.value)
    assert fitted.value > 2
    assert nll(labels, cooled) < nll(labels, scores)
    assert np.array_equal(np.argsort(cooled, kind="stable"), np.argsort(scores, kind="stable"))
    assert np.array_equal(cooled >= 0.5, scores >= 0.5)
    assert with_temperature([0.5], 7.0)[0] == 0.5
    assert np.array_equal(with_temperature(scores, 1), scores)


def test_scores_of_exactly_0_and_1_have_the_logits_at_which_losses_are_cut():
    assert logits([0, 1, 0.5]) == pytest.approx([-24 * math.log(2), 24 * math.log(2), 0])
    labels, scores = drawn(4)
    sure = np.where(scores > 0.9, 1.0, np.where(scores < 0.1, 0.0, scores))
    assert math.isfinite(fit_temperature(labels, sure).value)


@pytest.mark.parametrize(
    ("labels", "scores", "reason"),
    [
        ([1, 1], [0.2, 0.9], "no real sample among 2"),
        ([0, 0], [0.2, 0.9], "no fake sample among 2"),
        ([], [], "no samples"),
        ([0, 1], [0.2, 0.9], "all 2 validation samples are on the right side of 0.5"),
        ([0, 1], [0.5, 0.9], "all 2 validation samples are on the right side of 0.5"),
        ([0, 1, 0, 1], [0.8, 0.7, 0.3, 0.2], "fakes do not score higher than reals"),
        ([0, 1], [math.nan, 0.9], "1 of 2 scores are not finite"),
    ],
)
def test_where_samples_say_nothing_of_the_temperature_there_is_none_with_its_reason(labels, scores, reason):
    fitted = fit_temperature(labels, scores)
    assert math.isnan(fitted.value)
    assert fitted.reason == reason
    assert fitted.otherwise(1) == 1


def test_a_temperature_ends_at_its_bounds():
    # One of 10,000 is wrong, and hardly: only a temperature below all bounds makes the others sure enough.
    labels = np.append(np.tile([0, 1], 5000), 1)
    scores = np.append(np.tile([0.4999, 0.5001], 5000), 0.49999999)
    assert fit_temperature(labels, scores).value == TEMPERATURES[0]
    # Reals and fakes are as sure of being fakes, to the last digit but one.
    labels, scores = np.array([0, 1] * 50), np.array([1 - 1e-6, 1 - 0.9e-6] * 50)
    assert fit_temperature(labels, scores).value == TEMPERATURES[1]


def by_trying(labels, scores, domains):
    """The best mean over domains of balanced accuracy, and what each threshold of a fine grid has."""
    grid = np.linspace(0, 1, 2001)
    values = [
        np.mean(
            [
                balanced_accuracy_score(labels[domains == name], scores[domains == name] >= t)
                for name in np.unique(domains)
            ]
        )
        for t in grid
    ]
    return grid, np.array(values)


@pytest.mark.parametrize("seed", range(4))
def test_no_threshold_has_a_better_mean_balanced_accuracy_over_domains(seed):
    random = np.random.default_rng(seed)
    labels = np.concatenate([(random.random(n) < share).astype(int) for n, share in ((40, 0.5), (90, 0.1))])
    labels[:2], labels[40:42] = (0, 1), (0, 1)
    scores = np.round(np.clip(random.normal(0.3 + 0.25 * labels, 0.15), 0, 1), 2)
    domains = np.repeat([0, 1], [40, 90])
    threshold = best_threshold(labels, scores, domains).value
    grid, values = by_trying(labels, scores, domains)
    at = np.mean(
        [balanced_accuracy_score(labels[domains == k], scores[domains == k] >= threshold) for k in (0, 1)]
    )
    assert at == pytest.approx(values.max())
    best = grid[values > values.max() - 1e-9]
    distances = np.abs(best - 0.5)
    # No interval of equally good thresholds is nearer to 0.5 than the one taken: neighbours of 0.01 belong together.
    nearest = best[np.argmin(distances)]
    between = (grid > min(nearest, threshold)) & (grid < max(nearest, threshold))
    assert (values[between] > values.max() - 1e-9).all()


@pytest.mark.parametrize(
    ("labels", "scores", "expected"),
    [
        ([0, 0, 1, 1], [0.1, 0.2, 0.6, 0.9], 0.4),  # the middle between the classes
        ([0, 1, 0, 1], [0.1, 0.3, 0.4, 0.8], 0.6),  # 0.2 is as good, and farther from 0.5
        ([0, 1, 0, 1], [0.2, 0.7, 0.8, 0.9], 0.45),  # 0.85 is as good
        ([0, 1], [0.7, 0.7], 0.5),  # all alike: whatever is said, half is right
        ([0, 1, 1], [1.0, 1.0, 1.0], 0.5),  # no threshold lies above 1
        ([0, 1], [0.8, 0.2], 0.1),  # the wrong way round: all fake is the best, or all real, as far from 0.5
        ([0, 0, 0, 1], [0.1, 0.2, 0.6, 0.5], 0.35),  # 3 reals to 1 fake: a fake counts three times
    ],
)
def test_the_threshold_is_the_middle_of_the_best_interval_nearest_to_half(labels, scores, expected):
    assert best_threshold(labels, scores).value == pytest.approx(expected)


def test_a_threshold_lies_between_neighbouring_numbers_on_the_upper_one():
    low = 0.7
    high = math.nextafter(low, 1)
    assert best_threshold([0, 1], [low, high]).value == high


def test_a_domain_of_fakes_alone_counts_among_the_fakes():
    labels, scores = [0, 0, 0, 1, 1, 1, 1, 1], [0.2, 0.2, 0.4, 0.5, 0.9, 0.9, 0.9, 0.3]
    domains = [0, 0, 0, 0, 0, 0, 0, 1]
    # As a domain of its own the last one is half of all fakes, else a fifth.
    assert best_threshold(labels, scores, domains).value == pytest.approx(0.25)
    assert best_threshold(labels, scores).value == pytest.approx(0.45)
    assert best_threshold([1, 1], [0.3, 0.3]).reason == "no real sample among 2"


@pytest.mark.parametrize("fpr", [0.01, 0.05, 0.29, 0.5])
@pytest.mark.parametrize("n", [5, 20, 100, 137])
def test_the_threshold_at_a_false_alarm_rate_is_the_least_that_keeps_it(n, fpr):
    scores = np.round(np.random.default_rng(n).beta(2, 3, n), 2).astype(np.float32)
    threshold = np.float32(threshold_at_fpr(scores, fpr).value)
    allowed = round(100 * fpr) * n // 100
    assert np.sum(scores >= threshold) <= allowed
    assert np.sum(scores >= np.nextafter(threshold, np.float32(0))) > allowed


def test_with_too_few_reals_none_may_be_called_fake():
    assert [reals_needed(fpr) for fpr in (0.01, 0.05, 0.1, 0.3)] == [100, 20, 10, 4]
    scores = np.linspace(0, 0.75, 99, dtype=np.float32)
    assert threshold_at_fpr(scores, 0.01).value == np.nextafter(np.float32(0.75), np.float32(1))
    assert threshold_at_fpr(np.append(scores, np.float32(0.9)), 0.01).value < 0.76


def test_reals_that_score_exactly_1_leave_no_threshold():
    fitted = threshold_at_fpr([1.0, 1.0, 0.2], 0.4)
    assert math.isnan(fitted.value)
    assert fitted.reason == "2 of 3 reals score exactly 1, and 1 may be called fake"
    assert threshold_at_fpr([], 0.1).reason == "no samples"


@pytest.mark.parametrize("fpr", [0, 1, -0.1, 1.5, math.nan])
def test_what_is_no_share_of_reals_is_refused(fpr):
    with pytest.raises(BenchError, match="false-alarm rate: expected a share above 0 and below 1"):
        threshold_at_fpr([0.1], fpr)


def test_metrics_of_decisions_are_those_of_the_threshold():
    labels, scores = drawn(5)
    assert detection.accuracy(labels, decisions(scores, 0.5)) == detection.accuracy(labels, scores)
    assert detection.accuracy(labels, decisions(scores, 0.0)) == np.mean(labels)
    assert detection.balanced_accuracy(labels, decisions(scores, 0.8)) == balanced_accuracy_score(
        labels, scores >= 0.8
    )
    assert math.isnan(detection.accuracy(labels, decisions(scores, math.nan)))
    assert np.array_equal(decisions([0.2, math.nan, 0.9], 0.5), [0, math.nan, 1], equal_nan=True)


def test_scores_that_are_no_probabilities_and_domains_of_another_shape_are_refused():
    for function in (fit_temperature, best_threshold):
        with pytest.raises(BenchError, match="apply the softmax"):
            function([0, 1], [-3.0, 4.0])
        with pytest.raises(BenchError, match=r"domains have shape \(3,\)"):
            function([0, 1], [0.3, 0.4], [0, 0, 1])
    with pytest.raises(BenchError, match="temperature: expected a number above 0"):
        with_temperature([0.2], 0.0)
