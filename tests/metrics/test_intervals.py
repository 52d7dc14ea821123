"""Intervals and paired differences against scipy.stats, their coverage, and their edges."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from fretal_bench.metrics.intervals import mean_and_half, mean_interval, paired_difference


@pytest.mark.parametrize("n", [2, 3, 5, 30])
def test_the_interval_is_scipys_by_students_t(n):
    values = np.random.default_rng(n).normal(0.7, 0.1, n)
    found = mean_interval(values)
    expected = stats.t.interval(0.95, n - 1, loc=values.mean(), scale=stats.sem(values))
    assert (found.low, found.high) == pytest.approx(expected)
    assert found.mean == pytest.approx(values.mean())
    assert found.half == pytest.approx((expected[1] - expected[0]) / 2)
    assert found.n == n


def test_the_interval_covers_the_truth_as_often_as_it_says():
    draws = np.random.default_rng(0).normal(0, 1, (4, 4000))
    mean, half = mean_and_half(draws)
    assert np.mean(np.abs(mean) <= half) == pytest.approx(0.95, abs=0.012)


def test_one_seed_has_a_mean_and_no_interval():
    found = mean_interval([0.7])
    assert (found.mean, found.n) == (0.7, 1)
    assert np.isnan([found.low, found.high, found.half]).all()


def test_no_seed_has_no_mean():
    assert np.isnan(mean_interval([]).mean)
    assert mean_interval([]).n == 0


def test_a_seed_without_a_value_is_not_left_out_silently():
    assert np.isnan(mean_interval([0.5, np.nan]).mean)


def test_equal_values_have_exactly_their_value_and_no_width():
    found = mean_interval([0.1, 0.1, 0.1])
    assert (found.mean, found.low, found.high) == (0.1, 0.1, 0.1)


def test_matrices_are_averaged_cell_by_cell():
    stack = np.random.default_rng(0).random((3, 2, 2))
    stack[1, 0, 1] = np.nan
    mean, half = mean_and_half(stack)
    cell = mean_interval(stack[:, 1, 1])
    assert (mean[1, 1], half[1, 1]) == pytest.approx((cell.mean, cell.half))
    assert np.isnan(mean[0, 1])


def test_the_paired_difference_is_scipys_paired_t_test():
    rng = np.random.default_rng(1)
    a, b = rng.random(7), rng.random(7)
    found = paired_difference(dict(enumerate(a)), dict(enumerate(b)))
    expected = stats.ttest_rel(a, b)
    low, high = expected.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((low, high))


def test_only_common_seeds_are_paired():
    found = paired_difference({0: 0.9, 1: 0.8, 5: 0.1}, {1: 0.6, 0: 0.8, 7: 0.9})
    assert found.seeds == (0, 1)
    assert found.mean == pytest.approx(0.15)


def test_pairing_sees_a_small_steady_difference_that_two_means_hide():
    a = {0: 0.50, 1: 0.70, 2: 0.90}
    b = {0: 0.48, 1: 0.681, 2: 0.879}
    assert paired_difference(a, b).resolved
    assert mean_interval(list(a.values())).low < mean_interval(list(b.values())).high


@pytest.mark.parametrize("seeds", [(), (0,)])
def test_fewer_than_two_pairs_resolve_nothing(seeds):
    found = paired_difference(dict.fromkeys(seeds, 0.9), dict.fromkeys(seeds, 0.1))
    assert not found.resolved
    assert np.isnan([found.low, found.high]).all()


def test_equal_strategies_are_not_resolved():
    found = paired_difference({0: 0.5, 1: 0.6}, {0: 0.5, 1: 0.6})
    assert found.mean == 0
    assert not found.resolved


def test_differences_that_are_all_equal_are_no_certainty():
    found = paired_difference({0: 0.2, 1: 0.2}, {0: 0.1, 1: 0.1})
    assert found.mean == pytest.approx(0.1)
    assert not found.resolved
    assert np.isnan([found.low, found.high]).all()
