"""The continual metrics against loops written from their formulas, worked examples, and their own laws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fretal_bench.errors import BenchError
from fretal_bench.metrics.continual import (
    CONTINUAL_METRICS,
    average_accuracy,
    average_incremental_accuracy,
    backward_transfer,
    forgetting,
    forgetting_matrix,
    forward_transfer,
    learning_accuracy,
    minimum_old_accuracy,
    relative_forgetting,
    without_best,
    zero_shot_accuracy,
)

# Three domains: the first is forgotten, recovers by half; the second falls a little.
R = [[0.9, 0.6, 0.5], [0.5, 0.8, 0.4], [0.7, 0.7, 1.0]]
B = [0.5, 0.4, 0.6]

eighths = st.integers(0, 8).map(lambda k: k / 8)
longer = st.integers(2, 6).flatmap(lambda t: arrays(np.float64, (t, t), elements=eighths))


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (average_accuracy, 0.8),
        (learning_accuracy, 0.9),
        (average_incremental_accuracy, (0.9 + 0.65 + 0.8) / 3),
        (minimum_old_accuracy, 0.7),
        (zero_shot_accuracy, 0.5),
        (backward_transfer, (-0.2 - 0.1) / 2),
        (forgetting, (0.2 + 0.1) / 2),
        (relative_forgetting, (0.2 / 0.9 + 0.1 / 0.8) / 2),
    ],
)
def test_worked_example(function, expected):
    assert function(R) == pytest.approx(expected)


def test_worked_example_of_forward_transfer():
    assert forward_transfer(R, B) == pytest.approx(((0.6 - 0.4) + (0.4 - 0.6)) / 2)


@given(longer, st.booleans())
def test_relative_forgetting_is_the_share_of_the_best_value_that_is_lost(r, higher):
    r = (r + 1) / 2
    last, shares = len(r) - 1, []
    for j in range(last):
        column = [r[i, j] for i in range(j, last)]
        best = max(column) if higher else min(column)
        shares.append((best - r[last, j] if higher else r[last, j] - best) / best)
    assert relative_forgetting(r, higher_is_better=higher) == pytest.approx(sum(shares) / last)
    assert without_best(r, higher_is_better=higher) == ()


def test_relative_forgetting_of_an_error_that_was_0_does_not_exist():
    errors = [[0.0, 0.5, 0.5], [0.1, 0.2, 0.5], [0.1, 0.3, 0.2]]
    assert np.isnan(relative_forgetting(errors, higher_is_better=False))
    assert without_best(errors, higher_is_better=False) == (0,)
    assert np.isnan(relative_forgetting([[0.9]]))


def test_a_loss_that_rises_is_forgotten():
    nll = [[0.1, 0.9], [0.3, 0.2]]
    assert forgetting(nll, higher_is_better=False) == pytest.approx(0.2)
    assert relative_forgetting(nll, higher_is_better=False) == pytest.approx(2.0)
    assert backward_transfer(nll, higher_is_better=False) == pytest.approx(-0.2)


def test_forgetting_is_from_the_best_not_from_the_first_value():
    improved_then_lost = [[0.6, 0.5, 0.5], [0.9, 0.8, 0.5], [0.6, 0.8, 0.8]]
    assert forgetting(improved_then_lost) == pytest.approx((0.3 + 0.0) / 2)
    assert backward_transfer(improved_then_lost) == 0


def test_luck_before_a_domain_was_learned_is_not_forgotten():
    lucky = [[0.9, 1.0], [0.9, 0.7]]
    assert forgetting([*map(list, lucky)]) == 0


def test_forgetting_is_negative_if_the_last_step_improved_an_old_domain():
    assert forgetting([[0.5, 0.5], [0.8, 0.9]]) == pytest.approx(-0.3)


@given(longer)
def test_forgetting_matrix_equals_its_formula_cell_by_cell(r):
    f = forgetting_matrix(r)
    for i in range(len(r)):
        for j in range(len(r)):
            if i > j:
                assert f[i, j] == max(r[k, j] for k in range(j, i)) - r[i, j]
            else:
                assert np.isnan(f[i, j])


@given(longer)
def test_every_number_equals_a_loop_over_its_formula(r):
    t, b = len(r), r[::-1, 0]
    last = t - 1
    assert average_accuracy(r) == pytest.approx(sum(r[last, j] for j in range(t)) / t)
    assert learning_accuracy(r) == pytest.approx(sum(r[j, j] for j in range(t)) / t)
    assert minimum_old_accuracy(r) == min(r[last, j] for j in range(last))
    assert backward_transfer(r) == pytest.approx(sum(r[last, j] - r[j, j] for j in range(last)) / last)
    assert forgetting(r) == pytest.approx(
        sum(max(r[k, j] for k in range(j, last)) - r[last, j] for j in range(last)) / last
    )
    assert forward_transfer(r, b) == pytest.approx(sum(r[j - 1, j] - b[j] for j in range(1, t)) / last)
    seen = [sum(r[i, j] for j in range(i + 1)) / (i + 1) for i in range(t)]
    assert average_incremental_accuracy(r) == pytest.approx(sum(seen) / t)
    above = [r[i, j] for i in range(t) for j in range(t) if i < j]
    assert zero_shot_accuracy(r) == pytest.approx(sum(above) / len(above))


@given(longer)
def test_forgetting_is_at_least_minus_backward_transfer(r):
    assert forgetting(r) >= -backward_transfer(r) - 1e-12


@given(longer)
def test_average_is_learning_minus_what_backward_transfer_took(r):
    t = len(r)
    assert average_accuracy(r) == pytest.approx(learning_accuracy(r) + backward_transfer(r) * (t - 1) / t)


@given(longer)
def test_an_error_rate_gives_the_differences_of_its_accuracy(r):
    b = r[0]
    error = {"higher_is_better": False}
    assert forgetting(1 - r, **error) == pytest.approx(forgetting(r), abs=1e-12)
    assert backward_transfer(1 - r, **error) == pytest.approx(backward_transfer(r), abs=1e-12)
    assert forward_transfer(1 - r, 1 - b, **error) == pytest.approx(forward_transfer(r, b), abs=1e-12)
    assert minimum_old_accuracy(1 - r, **error) == pytest.approx(1 - minimum_old_accuracy(r))
    np.testing.assert_allclose(forgetting_matrix(1 - r, **error), forgetting_matrix(r), atol=1e-12)


def test_a_stream_of_one_domain_has_averages_and_no_forgetting_or_transfer():
    one = [[0.8]]
    assert average_accuracy(one) == learning_accuracy(one) == average_incremental_accuracy(one) == 0.8
    values = [f(one) for f in (forgetting, backward_transfer, minimum_old_accuracy, zero_shot_accuracy)]
    assert np.isnan([*values, forward_transfer(one, [0.5])]).all()


def test_an_undefined_cell_reaches_the_numbers_that_read_it_and_no_other():
    r = np.array(R)
    r[1, 0] = np.nan
    assert np.isnan(forgetting(r))
    assert np.isnan(average_incremental_accuracy(r))
    assert not np.isnan(
        [average_accuracy(r), backward_transfer(r), learning_accuracy(r), zero_shot_accuracy(r)]
    ).any()


@pytest.mark.parametrize("bad", [[[0.1, 0.2]], [0.1], [], [[[0.1]]]])
def test_r_that_is_not_square_is_refused(bad):
    with pytest.raises(BenchError, match=r"expected \[T, T\]"):
        average_accuracy(bad)


def test_a_baseline_of_another_length_is_refused():
    with pytest.raises(BenchError, match=r"baseline has shape \(2,\)"):
        forward_transfer(R, [0.5, 0.5])


@given(longer)
def test_every_registered_metric_turns_with_its_direction(r):
    for metric in CONTINUAL_METRICS.values():
        if metric.name == "relative_forgetting":
            # A share of an accuracy is none of the error.
            continue
        value = metric.function(r, r[0], True)
        of_error = metric.function(1 - r, 1 - r[0], False)
        turned = 1 - of_error if metric.better == "as metric" else of_error
        assert turned == pytest.approx(value, abs=1e-12), metric.name
        assert metric.formula
        assert metric.source


def test_directions_of_registered_metrics_follow_their_sign():
    assert not CONTINUAL_METRICS["forgetting"].higher_is_better(True)
    assert not CONTINUAL_METRICS["forgetting"].higher_is_better(False)
    assert CONTINUAL_METRICS["backward_transfer"].higher_is_better(False)
    assert CONTINUAL_METRICS["average"].higher_is_better(True)
    assert not CONTINUAL_METRICS["average"].higher_is_better(False)
