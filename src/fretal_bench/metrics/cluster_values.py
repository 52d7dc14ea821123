"""What every cluster of test data contributes to a metric of one cell: its own values, and the metric without it.

With the P clusters that a seed tests, a metric has two forms, each ``[P, T + 1, T]`` as R under b is ``[T + 1, T]``:

- *own*: values whose mean over clusters is the metric. Where the metric is a mean over samples (accuracy, Brier score),
  cluster p has ``R + P (sum_p - n_p R) / n`` in a domain of n samples, n_p of them and a sum of sum_p in the cluster: the
  linear form of a ratio, whose spread is that of the metric also where clusters have unequal numbers of samples or none.
  ``P sum_p / n``, the cluster's share, has the same mean, but large clusters would count as right for being large.
  What is no mean over samples has the jackknife's pseudo-values.
- *without*: the metric of all other clusters, for what is no linear function of R (max-based forgetting, the worst
  domain).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from fretal_bench.metrics import registry
from fretal_bench.metrics.detection import THRESHOLD
from fretal_bench.metrics.inference import pseudo_values
from fretal_bench.metrics.losses import LEAST
from fretal_bench.metrics.matrices import StreamScores
from fretal_bench.metrics.numbers import NAN, Floats, Labels


@dataclass(frozen=True, eq=False)
class ClusterMatrices:
    """A metric of one cell by cluster.

    Attributes:
        own: Each cluster's values of b (row 0) and R, ``[P, T + 1, T]``; NaN where there are none.
        without: The metric of the other clusters, ``[P, T + 1, T]``; NaN where it does not exist.
    """

    own: Floats
    without: Floats


class ClusterMetrics:
    """The metrics of one cell's scores by cluster."""

    def __init__(self, scores: StreamScores) -> None:
        """Group the samples of every domain by cluster.

        Args:
            scores: Laid out with their clusters.
        """
        self._scores = scores
        every = np.concatenate(scores.clusters) if scores.clusters else np.zeros(0, dtype=np.int64)
        self.clusters: npt.NDArray[np.int64] = np.unique(every)
        self._domains = [
            _Domain.of(labels, of_domain, np.searchsorted(self.clusters, clusters))
            for labels, of_domain, clusters in zip(scores.labels, scores.scores, scores.clusters, strict=True)
        ]

    def matrices(self, metric: str, values: Floats, first: int = 0) -> ClusterMatrices:
        """Give a metric by cluster.

        Args:
            metric: Its name.
            values: b above R, ``[T + 1, T]``, as the metric itself has them.
            first: The first row that is wanted; those above are NaN.
        """
        count = len(self.clusters)
        own = np.full((count, *values.shape), NAN)
        without = np.full((count, *values.shape), NAN)
        for column, domain in enumerate(self._domains):
            whole = values[first:, column]
            if metric in _MEANS:
                own[:, first:, column], without[:, first:, column] = _of_mean(
                    domain, *_MEANS[metric], count, whole, first
                )
                continue
            others = without[:, first:, column]
            others[:] = whole
            others[domain.clusters] = domain.without(metric, first)
            own[:, first:, column] = pseudo_values(whole, others)
        return ClusterMatrices(own, without)


class _Domain(NamedTuple):
    """The samples of a domain, sorted by cluster.

    Attributes:
        labels: ``[n]``.
        scores: ``[T + 1, n]``.
        clusters: The clusters that have samples here, ascending, as places among all of the cell's.
        starts: Where the samples of each begin.
    """

    labels: Labels
    scores: Floats
    clusters: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int64]

    @classmethod
    def of(cls, labels: Labels, scores: Floats, clusters: npt.NDArray[np.int64]) -> _Domain:
        """Sort samples by cluster."""
        order = np.argsort(clusters, kind="stable")
        present, starts = np.unique(clusters[order], return_index=True)
        return cls(labels[order], scores[:, order], present, starts.astype(np.int64))

    def sums(self, values: Floats) -> Floats:
        """Sum over the samples of each cluster: ``[..., n] -> [..., p]``."""
        return np.add.reduceat(values, self.starts, axis=-1)

    def without(self, metric: str, first: int) -> Floats:
        """Give a metric without each of the clusters that are here, ``[p, rows]``."""
        known = registry.find(metric)
        ends = np.append(self.starts[1:], len(self.labels))
        result = np.empty((len(self.clusters), len(self.scores) - first))
        for place, (start, end) in enumerate(zip(self.starts, ends, strict=True)):
            kept = np.r_[0:start, end : len(self.labels)]
            labels = self.labels[kept]
            for row, of_step in enumerate(self.scores[first:]):
                result[place, row] = known.evaluate(labels, of_step[kept])[0]
        return result


def _of_mean(
    domain: _Domain,
    value: Callable[[Floats, Labels], Floats],
    classes: tuple[int, ...],
    count: int,
    whole: Floats,
    first: int,
) -> tuple[Floats, Floats]:
    """Give the own values and those without each cluster, ``[P, rows]``, of a mean over samples.

    Args:
        domain: The samples.
        value: A sample's value.
        classes: The labels whose means are averaged; none = all samples alike.
        count: P.
        whole: The metric, ``[rows]``.
        first: The first row.
    """
    of_samples = value(domain.scores[first:], domain.labels)
    parts = [domain.labels == label for label in classes] or [np.ones(len(domain.labels), dtype=bool)]
    own, without = np.zeros((2, count, len(whole)))
    for part in parts:
        sizes = domain.sums(part.astype(np.float64))
        sums = domain.sums(np.where(part, of_samples, 0.0)).T
        size, total = sizes.sum(), sums.sum(axis=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = total / size
            influence, others = np.zeros((count, len(whole))), np.tile(mean, (count, 1))
            influence[domain.clusters] = count * (sums - sizes[:, None] * mean) / size
            left = size - sizes[:, None]
            others[domain.clusters] = np.where(left > 0, (total - sums) / left, NAN)
        own += influence / len(parts)
        without += others / len(parts)
    return whole + own, without


def _right(scores: Floats, labels: Labels) -> Floats:
    return np.asarray((scores >= THRESHOLD) == (labels == 1), dtype=np.float64)


def _squared(scores: Floats, labels: Labels) -> Floats:
    return np.asarray((scores - labels) ** 2, dtype=np.float64)


def _surprise(scores: Floats, labels: Labels) -> Floats:
    of_label = np.where(labels == 1, scores, 1 - scores)
    return np.asarray(-np.log(np.clip(of_label, LEAST, 1 - LEAST)), dtype=np.float64)


_MEANS: Final[dict[str, tuple[Callable[[Floats, Labels], Floats], tuple[int, ...]]]] = {
    "accuracy": (_right, ()),
    "real_accuracy": (_right, (0,)),
    "fake_accuracy": (_right, (1,)),
    "balanced_accuracy": (_right, (0, 1)),
    "brier": (_squared, ()),
    "nll": (_surprise, ()),
}
"""Metrics that are means over samples: a sample's value, and the classes whose means are averaged."""
