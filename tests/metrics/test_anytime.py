"""Anytime metrics: against loops over the formulas of the paper, and its released code's own examples."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fretal_bench.metrics.anytime import (
    Course,
    minimum_accuracy,
    recovered_share,
    stability_gap,
    windowed_forgetting,
    windowed_plasticity,
    worst_case_accuracy,
)


def course_of(values, updates, ends):
    return Course(np.array(values, dtype=float), np.array(updates), np.array(ends))


@st.composite
def courses(draw):
    """Courses of 2 to 4 domains; a domain is judged from the update at which it begins."""
    domains = draw(st.integers(2, 4))
    points = [sorted(draw(st.sets(st.integers(1, 9), min_size=1, max_size=5))) for _ in range(domains)]
    offset, updates, ends = 0, [0], []
    for of_domain in points:
        updates += [offset + n for n in of_domain]
        offset = updates[-1]
        ends.append(offset)
    values = np.array([[draw(st.integers(0, 20)) / 20 for _ in updates] for _ in range(domains)], dtype=float)
    for i in range(1, domains):
        values[i, np.array(updates) < ends[i - 1]] = np.nan
    return Course(values, np.array(updates), np.array(ends))


def a(course, i, n):
    """A(i, n), i from 1, n an update."""
    return course.values[i - 1, course.updates.tolist().index(n)]


def between(course, low, high):
    return [n for n in course.updates.tolist() if low < n <= high]


def t(course, k):
    """|T_k|."""
    return 0 if k == 0 else int(course.ends[k - 1])


def min_acc(course):
    last = len(course.ends)
    minima = [
        min(a(course, i, n) for n in between(course, t(course, i), t(course, last))) for i in range(1, last)
    ]
    return sum(minima) / (last - 1)


@given(courses())
def test_minimum_and_worst_case_accuracy_are_the_papers_formulas(course):
    last = len(course.ends)
    assert minimum_accuracy(course) == pytest.approx(min_acc(course))
    expected = a(course, last, t(course, last)) / last + (1 - 1 / last) * min_acc(course)
    assert worst_case_accuracy(course) == pytest.approx(expected)


@given(courses(), st.integers(2, 6))
def test_windowed_forgetting_and_plasticity_are_the_largest_fall_and_rise_in_a_window(course, window):
    falls, rises = [], []
    for i in range(1, len(course.ends) + 1):
        series = [a(course, i, n) for n in course.updates.tolist() if n >= t(course, i - 1)]
        pairs = [
            series[x] - series[y]
            for start in range(len(series))
            for x in range(start, min(start + window, len(series)))
            for y in range(x + 1, min(start + window, len(series)))
        ]
        falls.append(max([0.0, *pairs]))
        rises.append(max([0.0, *(-pair for pair in pairs)]))
    assert windowed_forgetting(course, window) == pytest.approx(np.mean(falls))
    assert windowed_plasticity(course, window) == pytest.approx(np.mean(rises))


@given(courses())
def test_the_stability_gap_is_the_mean_fall_while_one_domain_is_learned(course):
    falls, recovered = [], []
    for k in range(2, len(course.ends) + 1):
        for i in range(1, k):
            least = min(a(course, i, n) for n in between(course, t(course, k - 1), t(course, k)))
            falls.append(a(course, i, t(course, k - 1)) - least)
            recovered.append(a(course, i, t(course, k)) - least)
    assert stability_gap(course) == pytest.approx(np.mean(falls))
    fell = [n for n, fall in enumerate(falls) if fall > 0]
    if not fell:
        assert math.isnan(recovered_share(course))
    else:
        expected = sum(recovered[n] for n in fell) / sum(falls[n] for n in fell)
        assert recovered_share(course) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("series", "window", "fall"),
    [([0.9, 0.5, 0.8, 0.85], 2, 0.4), ([0.9, 0.8, 0.7, 0.6], 2, 0.1), ([0.9, 0.8, 0.7, 0.6], 10, 0.3)],
)
def test_a_window_counts_evaluations(series, window, fall):
    course = course_of([series], [0, 1, 2, 3], [3])
    assert windowed_forgetting(course, window) == pytest.approx(fall)
    assert windowed_plasticity(course_of([series[::-1]], [0, 1, 2, 3], [3]), window) == pytest.approx(fall)


def test_a_dip_that_recovers_is_a_gap_and_no_forgetting():
    dip = course_of([[0.5, 0.9, 0.4, 0.9], [np.nan, 0.5, 0.7, 0.8]], [0, 2, 3, 4], [2, 4])
    stays = course_of([[0.5, 0.9, 0.4, 0.4], [np.nan, 0.5, 0.7, 0.8]], [0, 2, 3, 4], [2, 4])
    assert stability_gap(dip) == stability_gap(stays) == pytest.approx(0.5)
    assert recovered_share(dip) == pytest.approx(1.0)
    assert recovered_share(stays) == 0
    assert minimum_accuracy(dip) == pytest.approx(0.4)
    assert dip.matrix[1].tolist() == [0.9, 0.8]


def test_one_domain_has_no_earlier_ones():
    course = course_of([[0.5, 0.9]], [0, 2], [2])
    assert math.isnan(minimum_accuracy(course))
    assert math.isnan(stability_gap(course))
    assert math.isnan(recovered_share(course))
    assert worst_case_accuracy(course) == 0.9


def test_a_value_that_does_not_exist_goes_through():
    course = course_of([[0.5, 0.9, np.nan, 0.9], [np.nan, 0.5, 0.7, 0.8]], [0, 2, 3, 4], [2, 4])
    for metric in (minimum_accuracy, worst_case_accuracy, stability_gap, recovered_share):
        assert math.isnan(metric(course))
    assert math.isnan(windowed_forgetting(course, 10))


@pytest.mark.parametrize(
    ("values", "updates", "ends"),
    [
        ([[0.5, 0.5]], [0], [0]),
        ([[0.5, 0.5]], [1, 1], [1]),
        ([[0.5, 0.5]], [0, 1], [2]),
        ([[0.5], [0.5]], [1], [1, 1]),
    ],
)
def test_a_course_whose_parts_do_not_belong_together_is_refused(values, updates, ends):
    with pytest.raises(ValueError, match="must"):
        course_of(values, updates, ends)


def test_a_window_of_one_evaluation_is_refused():
    with pytest.raises(ValueError, match="at least"):
        windowed_forgetting(course_of([[0.5, 0.9]], [0, 2], [2]), 1)
