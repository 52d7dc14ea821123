"""Values by cluster against leaving clusters out by hand, and what intervals of them cover where sizes differ."""

import math

import numpy as np
import pandas as pd
import pytest

from fretal_bench.metrics import registry
from fretal_bench.metrics.cluster_values import ClusterMetrics
from fretal_bench.metrics.clusters import find_clusters
from fretal_bench.metrics.inference import effect
from fretal_bench.metrics.matrices import align, matrix

DOMAINS = ("a", "b", "c")
MEANS = ("accuracy", "real_accuracy", "fake_accuracy", "balanced_accuracy", "brier", "nll")


def table(seed=0, sizes=((1, 4), (6, 2), (2, 2), (3, 5), (4, 1)), absent=(("b", 2),)):
    """Scores of three domains, of clusters with unequal numbers of reals and fakes; some clusters lack a domain."""
    generator = np.random.default_rng(seed)
    parts = []
    for name in DOMAINS:
        videos, labels = [], []
        for number, (reals, fakes) in enumerate(sizes):
            if (name, number) not in absent:
                videos += [f"s/{number}"] * (reals + fakes)
                labels += [0] * reals + [1] * fakes
        for step in range(-1, 3):
            shift = 0.25 * (2 * np.array(labels) - 1) * (step + 1) / 3
            scores = np.clip(np.round(generator.normal(0.5 + shift, 0.25), 2), 0, 1)
            parts.append(
                pd.DataFrame(
                    {
                        "step": step,
                        "domain": name,
                        "row": np.arange(len(labels)),
                        "label": labels,
                        "video": videos,
                        "score": scores,
                    }
                )
            )
    return pd.concat(parts, ignore_index=True)


@pytest.mark.parametrize("metric", ["auc", "eer"])
def test_cells_that_share_some_steps_have_the_values_of_each_alone(metric):
    first, other = table(0), table(1)
    other.loc[other["step"] < 1, "score"] = first.loc[first["step"] < 1, "score"]
    alone = ClusterMetrics(
        align(other, "frame", DOMAINS, clusters=find_clusters([other[other["step"] == -1]]))
    )
    expected = alone.matrices(metric, by_cluster(other, metric)[0]).without
    del alone
    kept = by_cluster(first, metric)
    kept[1].matrices(metric, kept[0])
    whole, metrics = by_cluster(other, metric)
    np.testing.assert_array_equal(metrics.matrices(metric, whole).without, expected)
    assert not np.array_equal(kept[0][2:], whole[2:])


def by_cluster(frame, metric, level="frame"):
    scores = align(frame, level, DOMAINS, clusters=find_clusters([frame[frame["step"] == -1]]))
    whole = matrix(scores, metric)
    return np.vstack([whole.baseline, whole.values]), ClusterMetrics(scores)


@pytest.mark.parametrize("metric", registry.OWN)
def test_the_metric_without_a_cluster_is_that_of_the_other_rows(metric):
    frame = table()
    whole, metrics = by_cluster(frame, metric)
    without = metrics.matrices(metric, whole).without
    for number in range(5):
        others = frame[frame["video"] != f"s/{number}"]
        for row, step in enumerate(range(-1, 3)):
            for column, name in enumerate(DOMAINS):
                part = others[(others["step"] == step) & (others["domain"] == name)]
                expected = registry.find(metric).evaluate(part["label"], part["score"])[0]
                assert without[number, row, column] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("metric", MEANS)
def test_own_values_have_the_metric_as_their_mean_where_sizes_differ_and_clusters_are_missing(metric):
    whole, metrics = by_cluster(table(1), metric)
    own = metrics.matrices(metric, whole).own
    assert own.mean(axis=0) == pytest.approx(whole, abs=1e-12)


def test_own_values_of_clusters_of_equal_size_are_their_own_accuracies():
    frame = table(sizes=((3, 3),) * 4, absent=())
    whole, metrics = by_cluster(frame, "accuracy")
    own = metrics.matrices("accuracy", whole).own
    right = (frame["score"] >= 0.5) == (frame["label"] == 1)
    expected = right.groupby([frame["video"], frame["step"], frame["domain"]]).mean()
    assert own.ravel() == pytest.approx(expected.to_numpy())


@pytest.mark.parametrize("metric", ["auc", "eer", "f1"])
def test_own_values_of_other_metrics_are_pseudo_values(metric):
    whole, metrics = by_cluster(table(), metric)
    of = metrics.matrices(metric, whole)
    assert of.own == pytest.approx(5 * whole - 4 * of.without)


def test_a_metric_does_not_exist_without_the_only_cluster_that_has_a_class():
    frame = table(sizes=((0, 4), (0, 2), (3, 2)), absent=())
    whole, metrics = by_cluster(frame, "auc")
    without = metrics.matrices("auc", whole).without
    assert np.isnan(without[2]).all()
    assert np.isfinite(without[:2]).all()


def test_only_the_rows_that_are_asked_for_are_computed():
    whole, metrics = by_cluster(table(), "auc")
    everything, last = metrics.matrices("auc", whole), metrics.matrices("auc", whole, first=3)
    assert np.isnan(last.without[:, :3]).all()
    assert last.own[:, 3] == pytest.approx(everything.own[:, 3])


def test_videos_have_clusters_too():
    frame = table().assign(video=lambda f: f["video"] + "/" + f["label"].astype(str))
    frame["people"] = frame["video"].str[:3]
    whole, metrics = by_cluster(frame, "accuracy", "video")
    assert len(metrics.clusters) == 5
    assert metrics.matrices("accuracy", whole).own.mean(axis=0) == pytest.approx(whole)


def coverage(form, count=1500, clusters=30):
    """How often 95% intervals of an accuracy of clusters of 1 to 40 samples hold the truth, 0.7."""
    generator, hits = np.random.default_rng(8), 0
    for _ in range(count):
        sizes = np.ceil(40 * generator.random(clusters) ** 3)
        chance = np.clip(generator.normal(0.7, 0.1, clusters), 0, 1)
        right = generator.binomial(sizes.astype(int), chance)
        of = effect(form(right, sizes)[None])
        hits += of.low <= 0.7 <= of.high
    return hits / count


def test_intervals_of_own_values_cover_the_truth_where_clusters_have_1_to_40_samples():
    def linear(right, sizes):
        accuracy = right.sum() / sizes.sum()
        return accuracy + len(sizes) * (right - sizes * accuracy) / sizes.sum()

    def shares(right, sizes):
        return len(sizes) * right / sizes.sum()

    slack = 2 * math.sqrt(0.05 * 0.95 / 1500)
    assert 0.93 - slack <= coverage(linear) <= 0.97
    # A cluster's share of what is right is mostly its size: far too wide.
    assert coverage(shares) > 0.99
