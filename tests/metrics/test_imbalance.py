"""Which accuracy detectors are compared by: where one class is far larger, always naming it must not look good."""

from __future__ import annotations

import pytest

from fretal_bench.metrics.detection import accuracy, balanced_accuracy
from fretal_bench.metrics.imbalance import accuracy_for, majority


def labels(reals: int, fakes: int) -> list[int]:
    return [0] * reals + [1] * fakes


@pytest.mark.parametrize(("reals", "fakes"), [(50, 50), (60, 40), (40, 60)])
def test_up_to_six_of_ten_accuracy_is_fair(reals, fakes):
    assert accuracy_for({"a": labels(reals, fakes), "b": labels(1, 1)}) == "accuracy"


@pytest.mark.parametrize(("reals", "fakes"), [(61, 39), (10, 100), (100, 10)])
def test_one_domain_above_that_asks_for_balanced_accuracy(reals, fakes):
    assert accuracy_for({"a": labels(50, 50), "b": labels(reals, fakes)}) == "balanced_accuracy"


def test_a_domain_of_one_class_has_no_balanced_accuracy_so_accuracy_stays():
    assert accuracy_for({"a": labels(10, 100), "b": labels(0, 5)}) == "accuracy"


@pytest.mark.parametrize(("reals", "fakes", "answer"), [(80, 10, "real"), (3, 9, "fake"), (5, 5, "real")])
def test_the_larger_class_is_what_a_constant_answer_has_and_is_worth_half_when_balanced(reals, fakes, answer):
    of = majority(reals, fakes)
    constant = [0.0 if answer == "real" else 1.0] * (reals + fakes)
    assert of.answer == answer
    assert of.share == pytest.approx(accuracy(labels(reals, fakes), constant))
    assert balanced_accuracy(labels(reals, fakes), constant) == 0.5


def test_a_test_set_without_samples_has_no_larger_class():
    with pytest.raises(ValueError, match="without samples"):
        majority(0, 0)
