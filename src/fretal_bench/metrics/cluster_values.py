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

import functools
import math
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from fretal_bench.metrics import registry
from fretal_bench.metrics.checks import Samples, why_undefined
from fretal_bench.metrics.detection import ECE_BINS, THRESHOLD
from fretal_bench.metrics.inference import pseudo_values
from fretal_bench.metrics.losses import LEAST
from fretal_bench.metrics.matrices import StreamScores
from fretal_bench.metrics.numbers import NAN, Floats, Labels
from fretal_bench.metrics.rates import TPR_AT

MOST_LEFT_OUT: Final = 50
"""Where more clusters have samples in a domain, a plugin's metric is computed without groups of them."""
_CURVES: Final = 2_000_000
"""How many points of curves are held at once."""


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
        every = np.concatenate(scores.clusters) if scores.clusters else np.zeros(0, dtype=np.int64)
        self.clusters: npt.NDArray[np.int64] = np.unique(every)
        self._domains = [
            _Domain(labels, of_domain, np.searchsorted(self.clusters, clusters))
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
            if not len(domain.labels):
                # Without a test set.
                continue
            whole = values[first:, column]
            if metric in _MEANS:
                of_domain = _of_mean(domain, *_MEANS[metric], count, whole, first)
            else:
                of_domain = _of_others(domain, metric, count, whole, first)
            own[:, first:, column], without[:, first:, column] = of_domain
        return ClusterMatrices(own, without)


class _Known(dict[str, Floats]):
    """By metric its values without each cluster, ``[p]``, of the samples of one step in one domain."""


_KNOWN: Final[weakref.WeakValueDictionary[tuple[bytes, ...], _Known]] = weakref.WeakValueDictionary()
"""By the samples themselves: before any training and after the first domain strategies of a seed have the same scores."""


class _Domain:
    """The samples of a domain, sorted by cluster.

    Attributes:
        labels: ``[n]``.
        scores: ``[T + 1, n]``.
        clusters: The p clusters that have samples here, ascending, as places among all of the cell's.
        starts: Where the samples of each begin.
    """

    def __init__(self, labels: Labels, scores: Floats, clusters: npt.NDArray[np.int64]) -> None:
        """Sort samples by cluster."""
        order = np.argsort(clusters, kind="stable")
        self.labels, self.scores = labels[order], scores[:, order]
        self.clusters, self.starts = np.unique(clusters[order], return_index=True)
        self.sizes = np.diff(np.append(self.starts, len(labels)))
        self._curves: dict[tuple[int, int | None], _Curves] = {}

    @functools.cached_property
    def known(self) -> list[_Known]:
        """For each step what was computed of its samples, here or in another cell that has the same ones."""
        of_all = self.labels.tobytes(), self.places.tobytes()
        return [_KNOWN.setdefault((*of_all, scores.tobytes()), _Known()) for scores in self.scores]

    @functools.cached_property
    def places(self) -> npt.NDArray[np.int64]:
        """The place of each sample's cluster among those that are here, ``[n]``."""
        return np.repeat(np.arange(len(self.clusters)), self.sizes)

    def sums(self, values: Floats) -> Floats:
        """Sum over the samples of each cluster: ``[..., n] -> [..., p]``."""
        return np.asarray(np.add.reduceat(values, self.starts, axis=-1), dtype=np.float64)

    def curves(self, row: int, part: slice) -> _Curves:
        """Count fakes and reals above thresholds at a step without each of some clusters."""
        if (row, part.start) not in self._curves:
            scores = self.scores[row]
            order = np.argsort(-scores, kind="stable")
            ends = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
            kept = self.places[order] != np.arange(len(self.clusters))[part][:, None]
            fakes = self.labels[order] == 1
            # Clusters adjoin in memory: sums over thresholds are those of one cluster after another, to the last bit.
            above = [np.zeros((len(kept), len(ends) + 1), order="F") for _ in range(2)]
            for counts, of_class in zip(above, (fakes, ~fakes), strict=True):
                counts[:, 1:] = np.cumsum(kept & of_class, axis=1, dtype=np.float64)[:, ends]
            self._curves = {(row, part.start): _Curves(*above)}
        return self._curves[row, part.start]

    @functools.cached_property
    def groups(self) -> list[npt.NDArray[np.int64]]:
        """The places of the clusters that are left out together, one by one where they are few."""
        count = min(len(self.clusters), MOST_LEFT_OUT)
        return [np.arange(first, len(self.clusters), count) for first in range(count)]

    @functools.cached_property
    def left_out(self) -> dict[tuple[int, int], Samples]:
        """The samples without a group at a step, by the numbers of both, as far as they were asked for."""
        return {}

    def without_group(self, group: int, row: int) -> Samples:
        """Give the samples of a step without a group of clusters."""
        if (group, row) not in self.left_out:
            kept = ~np.isin(self.places, self.groups[group])
            self.left_out[group, row] = Samples(self.labels[kept], self.scores[row, kept])
        return self.left_out[group, row]


def _of_others(domain: _Domain, metric: str, count: int, whole: Floats, first: int) -> tuple[Floats, Floats]:
    """Give pseudo-values and values without each cluster, ``[P, rows]``, of what is no mean over samples."""
    without = np.tile(whole, (count, 1))
    if metric in _AT_ONCE:
        without[domain.clusters] = _without_each(domain, metric, first)
        return pseudo_values(whole, without), without
    known = registry.find(metric)
    for number, group in enumerate(domain.groups):
        for row in range(len(whole)):
            samples = domain.without_group(number, first + row)
            absent = why_undefined(samples.labels, samples.scores, classes=known.classes)
            value = NAN if absent else known.of(samples)[0]
            # A group of m clusters counts for each of them so that their spread is that of p / m groups.
            change = (value - whole[row]) / math.sqrt(len(group))
            without[domain.clusters[group], row] = value if len(group) == 1 else whole[row] + change
    return pseudo_values(whole, without), without


def _without_each(domain: _Domain, metric: str, first: int) -> Floats:
    """Give the values without each cluster, ``[p, rows]``, of a metric for which they are computed together."""
    steps = domain.known[first:]
    new = [row for row, known in enumerate(steps, start=first) if metric not in known]
    if new:
        values = _AT_ONCE[metric](domain, new)
        for column, row in enumerate(new):
            domain.known[row][metric] = values[:, column].copy()
    return np.stack([known[metric] for known in steps], axis=1)


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
    influence, others = np.zeros((2, count, len(whole)))
    with np.errstate(invalid="ignore", divide="ignore"):
        for part in parts:
            sizes = domain.sums(part.astype(np.float64))
            sums = domain.sums(np.where(part, of_samples, 0.0)).T
            size, total = sizes.sum(), sums.sum(axis=0)
            mean = total / size
            others[:] = mean
            influence[domain.clusters] = count * (sums - sizes[:, None] * mean) / size
            left = size - sizes[:, None]
            others[domain.clusters] = np.where(left > 0, (total - sums) / left, NAN)
            own += influence / len(parts)
            without += others / len(parts)
    return whole + own, without


def _auc(domain: _Domain, rows: Sequence[int]) -> Floats:
    """AUC without each cluster: pairs of a fake and a real, less those of which the cluster has either.

    ``(W - W_p. - W_.p + W_pp) / ((F - F_p) (R - R_p))``, W the pairs won, ties half.
    """
    fakes, p = domain.labels == 1, len(domain.clusters)
    of_fakes, of_reals = domain.places[fakes], domain.places[~fakes]
    fake_counts, real_counts = (
        np.bincount(of, minlength=p).astype(np.float64) for of in (of_fakes, of_reals)
    )
    begun = np.append(0.0, np.cumsum(real_counts))[:-1]
    pairs = (fake_counts.sum() - fake_counts) * (real_counts.sum() - real_counts)
    scores, numbers = domain.scores[rows], np.arange(len(rows))[:, None]
    ranks = np.unique(scores, return_inverse=True)[1].reshape(scores.shape).astype(np.int64)
    count = scores.size + 1
    # All rows at once: every row's ranks lie above those of the rows before, whose samples are taken off again.
    of_rows = numbers * count + ranks
    won = _twice_below(of_rows[:, ~fakes], of_rows[:, fakes]) - 2 * numbers * real_counts.sum()
    below = _twice_below(of_rows[:, fakes], of_rows[:, ~fakes]) - 2 * numbers * fake_counts.sum()
    lost = 2.0 * fake_counts.sum() - below
    of_clusters = (numbers * p + domain.places) * count + ranks
    inside = _twice_below(of_clusters[:, ~fakes], of_clusters[:, fakes])
    inside -= 2 * (begun[of_fakes] + numbers * real_counts.sum())
    parts = _sums_at(numbers * p + of_fakes, won - inside, len(rows) * p)
    parts += _sums_at(numbers * p + of_reals, lost, len(rows) * p)
    with np.errstate(invalid="ignore", divide="ignore"):
        left = won.sum(axis=1)[:, None] - parts.reshape(-1, p)
        result = np.where(pairs > 0, left / (2 * pairs), NAN).T
    return np.where(np.isfinite(scores).all(axis=1), result, NAN)


def _sums_at(places: npt.NDArray[np.int64], values: Floats, count: int) -> Floats:
    """Sum the values at each of so many places."""
    return np.asarray(np.bincount(places.ravel(), values.ravel(), minlength=count), dtype=np.float64)


def _twice_below(values: npt.NDArray[np.int64], of: npt.NDArray[np.int64]) -> Floats:
    """Count for each of ``of`` the values below it twice and those equal to it once."""
    ordered = np.sort(values, axis=None)
    below = np.searchsorted(ordered, of, side="left") + np.searchsorted(ordered, of, side="right")
    return below.astype(np.float64)


def _f1(domain: _Domain, rows: Sequence[int]) -> Floats:
    """F1 without each cluster, from counts."""
    fakes = (domain.labels == 1).astype(np.float64)
    called = (domain.scores[rows] >= THRESHOLD).astype(np.float64)
    both, calls, of_fakes = domain.sums(called * fakes).T, domain.sums(called).T, domain.sums(fakes)
    fakes_left = fakes.sum() - of_fakes
    reals_left = (1 - fakes).sum() - (domain.sizes - of_fakes)
    exists = (fakes_left > 0) & (reals_left > 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        value = 2 * (both.sum(axis=0) - both) / (calls.sum(axis=0) - calls + fakes_left[:, None])
    return np.where(exists[:, None], value, NAN)


def _ece(domain: _Domain, rows: Sequence[int]) -> Floats:
    """ECE without each cluster, from the excess of each bin."""
    p, edges = len(domain.clusters), np.arange(1, ECE_BINS) / ECE_BINS
    left = len(domain.labels) - domain.sizes
    result = np.empty((p, len(rows)))
    for row, scores in enumerate(domain.scores[rows]):
        places = domain.places * ECE_BINS + np.searchsorted(edges, scores, side="right")
        excess = np.bincount(places, domain.labels - scores, minlength=p * ECE_BINS).reshape(p, ECE_BINS)
        with np.errstate(invalid="ignore", divide="ignore"):
            result[:, row] = np.where(left > 0, np.abs(excess.sum(axis=0) - excess).sum(axis=1) / left, NAN)
    return result


@dataclass(frozen=True, eq=False)
class _Curves:
    """Fakes and reals with score >= t of one step, without each of some clusters, t falling: ``[c, n + 1]`` each.

    Points stand twice where a threshold is that of a cluster which is left out; no metric of them changes by that.
    """

    fakes: Floats
    reals: Floats


def _of_curves(value: Callable[[_Curves], Floats]) -> Callable[[_Domain, Sequence[int]], Floats]:
    """Make a metric of the counts above thresholds one of a domain without each of its clusters."""

    def without(domain: _Domain, rows: Sequence[int]) -> Floats:
        p, n = len(domain.clusters), len(domain.labels)
        result = np.empty((p, len(rows)))
        size = max(1, _CURVES // max(1, n))
        for column, row in enumerate(rows):
            for start in range(0, p, size):
                part = slice(start, start + size)
                curves = domain.curves(row, part)
                with np.errstate(invalid="ignore", divide="ignore"):
                    exists = (curves.fakes[:, -1] > 0) & (curves.reals[:, -1] > 0)
                    result[part, column] = np.where(exists, value(curves), NAN)
        return np.where(np.isfinite(domain.scores[rows]).all(axis=1), result, NAN)

    return without


def _average_precision(curves: _Curves) -> Floats:
    recall = curves.fakes / curves.fakes[:, -1:]
    called = curves.fakes + curves.reals
    precision = np.divide(curves.fakes, called, out=np.zeros_like(called), where=called > 0)
    return np.asarray((np.diff(recall, axis=1) * precision[:, 1:]).sum(axis=1), dtype=np.float64)


def _eer(curves: _Curves) -> Floats:
    fpr, fnr = curves.reals / curves.reals[:, -1:], 1 - curves.fakes / curves.fakes[:, -1:]
    gap, rows = fnr - fpr, np.arange(len(fpr))
    after = np.argmax(gap <= 0, axis=1)
    before = after - 1
    share = gap[rows, before] / (gap[rows, before] - gap[rows, after])
    return np.asarray(fpr[rows, before] + share * (fpr[rows, after] - fpr[rows, before]), dtype=np.float64)


def _tpr_at(percent: int) -> Callable[[_Curves], Floats]:
    def value(curves: _Curves) -> Floats:
        allowed = curves.reals * 100 <= curves.reals[:, -1:] * percent
        return np.asarray(
            np.where(allowed, curves.fakes, 0.0).max(axis=1) / curves.fakes[:, -1], dtype=np.float64
        )

    return value


_AT_ONCE: Final[dict[str, Callable[[_Domain, Sequence[int]], Floats]]] = {
    "auc": _auc,
    "f1": _f1,
    "ece": _ece,
    "ap": _of_curves(_average_precision),
    "eer": _of_curves(_eer),
    **{f"tpr_at_fpr{percent}": _of_curves(_tpr_at(percent)) for percent in TPR_AT},
}
"""Metrics whose values without each cluster are computed together, from counts."""


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
