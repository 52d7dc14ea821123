"""Intervals and paired differences against scipy.stats, their coverage, and their edges."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from fretal_bench.metrics.intervals import mean_and_half, mean_interval


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
