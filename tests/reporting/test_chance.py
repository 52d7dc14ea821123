"""What a detector that knows nothing has, and how far from it by luck."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from fretal_bench.metrics.detection import auc
from fretal_bench.reporting.chance import chance_of, learned, not_above_chance, null_error
from fretal_bench.reporting.inputs import usual_metric
from fretal_bench.reporting.quantities import DomainSize
from fretal_bench.reporting.summary import summarize
from hard_cases import Videos, results_on


def test_the_deviation_of_an_uninformed_auc_is_that_of_all_orders_of_reals_and_fakes():
    reals, fakes = 3, 2
    scores = np.arange(5) / 5
    values = [
        auc([int(at in chosen) for at in range(5)], scores)
        for chosen in itertools.combinations(range(5), fakes)
    ]
    size = DomainSize("a", 4 * reals, 4 * fakes, reals + fakes)
    assert null_error([size]) == pytest.approx(np.std(values))
    # The mean of two independent ones.
    assert null_error([size, size]) == pytest.approx(np.std(values) / np.sqrt(2))


def test_chance_by_accuracy_is_the_share_of_the_larger_class_unless_that_is_too_large():
    sets = {"a": Videos(22, 18), "b": Videos(20, 20)}
    summary = summarize(results_on(sets, {"er": (4.0, 0.1)}))
    assert summary.metric == "accuracy"
    assert chance_of(summary) == pytest.approx((0.55 + 0.5) / 2)
    assert chance_of(replace(summary, metric="auc")) == 0.5
    assert chance_of(replace(summary, metric="f1")) is None
    skewed = summarize(results_on({"a": Videos(30, 3), "b": Videos(3, 3)}, {"er": (4.0, 0.1)}), "accuracy")
    assert chance_of(skewed) is None


@pytest.mark.parametrize("metric", ["accuracy", "eer", "auc", "f1"])
def test_a_detector_that_learned_is_not_at_chance_and_one_that_did_not_is(metric):
    sets = dict.fromkeys("ab", Videos(40, 40))
    of = learned(summarize(results_on(sets, {"er": (4.0, 0.1), "lwf": (0.0, 0.0)}), metric))
    assert not of["er"].at_chance
    assert of["lwf"].at_chance
    assert not of["lwf"].swapped


@pytest.mark.parametrize("level", ["frame", "video"])
def test_cells_alone_say_by_their_auc_whether_anything_was_learned(level):
    sets = dict.fromkeys("ab", Videos(40, 40))
    cells = results_on(sets, {"er": (4.0, 0.1), "lwf": (0.0, 0.0)}).cells
    for label, expected in (("er", False), ("lwf", True)):
        assert not_above_chance([c for c in cells if c.label == label], level, ("a", "b")) is expected
    # Reals alone have no AUC: nothing can be said.
    one_class = results_on(dict.fromkeys("ab", Videos(40, 0)), {"lwf": (0.0, 0.0)}).cells
    assert not not_above_chance(one_class, level, ("a", "b"))


def test_the_usual_metric_counts_frames_or_videos():
    # As many real frames as fake ones, and four real videos for a fake one.
    few = results_on({"a": Videos(8, 8)}, {"er": (4.0, 0.1)}, seeds=(0,))
    cell = few.cells[0]
    number = cell.scores["video"].str.split("/").str[1].astype(int)
    joined = np.where(number < 8, number, 8 + (number - 8) // 4)
    scores = cell.scores.assign(video=[f"a/{key}" for key in joined])
    results = replace(few, cells=(replace(cell, scores=scores),))
    assert usual_metric(results, "frame") == "accuracy"
    assert usual_metric(results, "video") == "balanced_accuracy"


def test_no_cells_are_judged_by_accuracy():
    empty = replace(results_on({"a": Videos(1, 1)}, {}), cells=())
    assert usual_metric(empty, "frame") == "accuracy"
