"""Continual-learning metrics of the accuracy matrix R: average, forgetting, transfer.

``R[i, j]`` is the value on domain ``j`` after training step ``i`` (both from 0 to T - 1; domain ``j`` is
learned at step ``j``), ``b[j]`` the value of the untrained model on domain ``j``. Papers use one word for
different things, so each function gives its formula, what its sign means, and what others call it.

Sign, for every metric: forgetting > 0 means that the detector got WORSE, transfer > 0 that it got BETTER. For
metrics where lower is better (EER, ECE, Brier score, NLL) pass ``higher_is_better=False``: differences are then
taken the other way round, a "best earlier value" is the lowest, and the worst old domain is the one with the
highest value.
Averages keep the metric's own scale.

A NaN in R goes through to every number that reads it; what a stream of one domain does not have is NaN. A domain without
a test set is no part of any mean: its column is masked, in an R that is a ``numpy.ma.MaskedArray``.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fretal_bench.errors import BenchError
from fretal_bench.metrics.numbers import NAN, Floats


def average_accuracy(values: npt.ArrayLike) -> float:
    """Average accuracy at the end of the stream, macro: every domain counts the same.

    ``mean_j R[T-1, j]`` (Lopez-Paz and Ranzato 2017, "ACC"; DFIL's and CDDB's "AA"). Where domains differ in
    size it differs from the micro average over pooled samples
    (``fretal_bench.metrics.matrices.micro_average``), which is what Avalanche's ``StreamAccuracy`` gives.

    Args:
        values: R, ``[T, T]``.

    Returns:
        On the metric's own scale.
    """
    return _mean(_square(values)[-1])


def learning_accuracy(values: npt.ArrayLike) -> float:
    """How well each domain was learned, right after it was: the price of not forgetting shows here.

    ``mean_j R[j, j]`` (Riemer et al. 2019, "learning accuracy"). A strategy that changes nothing forgets
    nothing, and has a low learning accuracy: read forgetting with it.

    Args:
        values: R, ``[T, T]``.

    Returns:
        On the metric's own scale.
    """
    return _mean(np.diagonal(_square(values)))


def average_incremental_accuracy(values: npt.ArrayLike) -> float:
    """Average over the stream of the average accuracy on the domains seen so far.

    ``mean_i mean_{j <= i} R[i, j]`` (Rebuffi et al. 2017, iCaRL, "average incremental accuracy").

    Args:
        values: R, ``[T, T]``.

    Returns:
        On the metric's own scale.
    """
    r = _square(values)
    means: list[Any] = [np.mean(r[i, : i + 1]) for i in range(len(r))]
    # After a step no domain that has a test set may have been seen yet.
    return _mean(np.asarray([mean for mean in means if mean is not np.ma.masked], dtype=np.float64))


def minimum_old_accuracy(values: npt.ArrayLike, *, higher_is_better: bool = True) -> float:
    """The old domain on which the final detector is worst.

    ``min_{j < T-1} R[T-1, j]`` (``max`` for metrics where lower is better); an average can hide a domain that
    is gone.

    Args:
        values: R, ``[T, T]``.
        higher_is_better: False for error rates.

    Returns:
        On the metric's own scale; NaN for one domain.
    """
    old = _square(values)[-1, :-1]
    if not len(old):
        return NAN
    return _number(np.min(old) if higher_is_better else np.max(old))


def zero_shot_accuracy(values: npt.ArrayLike) -> float:
    """How good the detector is on domains it has not been trained on yet.

    ``mean_{i < j} R[i, j]``, over all cells above the diagonal.

    Args:
        values: R, ``[T, T]``.

    Returns:
        On the metric's own scale; NaN for one domain.
    """
    r = _square(values)
    above = r[np.triu_indices(len(r), k=1)]
    return _mean(above)


def backward_transfer(values: npt.ArrayLike, *, higher_is_better: bool = True) -> float:
    """What later training did to earlier domains, against the moment each was learned.

    ``BWT = mean_{j < T-1} (R[T-1, j] - R[j, j])`` (GEM, Lopez-Paz and Ranzato 2017). Negative = forgetting,
    positive = later domains helped. CDDB's "AF" (average forgetting) is this very number, negative for
    forgetting; DFIL's "AF" is its negative. Avalanche's ``StreamBWT`` is this, its ``StreamForgetting`` the
    negative (NOT the max-based forgetting below).

    Args:
        values: R, ``[T, T]``.
        higher_is_better: False for error rates: the difference is turned round, so that positive still means
            "better".

    Returns:
        A difference on the metric's scale; NaN for one domain.
    """
    r = _oriented(values, higher_is_better)
    return _mean(r[-1, :-1] - np.diagonal(r)[:-1])


def forgetting(values: npt.ArrayLike, *, higher_is_better: bool = True) -> float:
    """How far the final detector fell from the best it ever was on each earlier domain.

    ``mean_{j < T-1} (max_{j <= l < T-1} R[l, j] - R[T-1, j])`` (Chaudhry et al. 2018, Riemannian walk,
    "average forgetting"). Positive = worse than the best, lower is better; negative if the last step improved
    on it. The best is sought from the step at which the domain was learned: what the detector could do by
    luck before is not its to forget (Chaudhry's own text starts at the first step). Always >= -BWT, which is
    DFIL's "AF"; CDDB's "AF" is BWT.

    Args:
        values: R, ``[T, T]``.
        higher_is_better: False for error rates: then ``R[T-1, j] - min_{j <= l < T-1} R[l, j]``.

    Returns:
        A difference on the metric's scale; NaN for one domain.
    """
    return _mean(forgetting_matrix(values, higher_is_better=higher_is_better)[-1, :-1])


def forgetting_matrix(values: npt.ArrayLike, *, higher_is_better: bool = True) -> Floats:
    """Forgetting of every domain at every later step.

    ``F[i, j] = max_{j <= l < i} R[l, j] - R[i, j]`` for ``i > j`` and NaN elsewhere (Chaudhry et al. 2018,
    ``f_j^i``). Positive = worse than the best before; the mean of its last row is ``forgetting``.

    Args:
        values: R, ``[T, T]``.
        higher_is_better: False for error rates: then ``R[i, j] - min_{j <= l < i} R[l, j]``.

    Returns:
        F, ``[T, T]``, on the metric's scale.
    """
    oriented = _oriented(values, higher_is_better)
    r = np.asarray(oriented)
    result = np.full_like(r, np.nan)
    for j in range(len(r) - 1):
        best = np.maximum.accumulate(r[j:-1, j])
        result[j + 1 :, j] = best - r[j + 1 :, j]
    return _masked_as(oriented, result)


def forgetting_matrices(values: Floats, *, higher_is_better: bool = True) -> Floats:
    """Forgetting as ``forgetting_matrix`` of several R, ``[n, T, T] -> [n, T, T]``."""
    r = values if higher_is_better else -values
    result = np.full_like(r, np.nan)
    for j in range(r.shape[1] - 1):
        best = np.maximum.accumulate(r[:, j:-1, j], axis=1)
        result[:, j + 1 :, j] = best - r[:, j + 1 :, j]
    return result


def _forgetting_of_all(r: Floats, higher_is_better: bool) -> Floats:
    return _means(forgetting_matrices(r, higher_is_better=higher_is_better)[:, -1, :-1])


def _minimum_old_of_all(r: Floats, higher_is_better: bool) -> Floats:
    old = r[:, -1, :-1]
    if not old.shape[1]:
        return np.full(len(r), NAN)
    return np.asarray(old.min(axis=1) if higher_is_better else old.max(axis=1), dtype=np.float64)


def _relative_forgetting_of_all(r: Floats, higher_is_better: bool) -> Floats:
    ends = forgetting_matrices(r, higher_is_better=higher_is_better)[:, -1, :-1]
    reduce = np.max if higher_is_better else np.min
    best = np.array([reduce(r[:, j:-1, j], axis=1) for j in range(r.shape[1] - 1)], dtype=np.float64)
    best = best.reshape(-1, len(r)).T
    return _means(np.divide(ends, best, out=np.full_like(ends, np.nan), where=best != 0))


def _means(differences: Floats) -> Floats:
    """Means of rows, NaN for none."""
    empty = np.full(len(differences), NAN)
    return np.asarray(differences.mean(axis=1), dtype=np.float64) if differences.shape[1] else empty


def relative_forgetting(values: npt.ArrayLike, *, higher_is_better: bool = True) -> float:
    """Which share of the best that it ever was the detector has lost on each earlier domain.

    ``mean_{j < T-1} (B_j - R[T-1, j]) / B_j`` with ``B_j = max_{j <= l < T-1} R[l, j]``, the best that
    ``forgetting`` starts from: 0.1 = a tenth of it is gone, 1 = all of it; negative if the last step improved on
    it. Next to ``forgetting`` it is larger for a detector that learned less, so that one that learned little cannot
    hide its loss. Accuracy and AUC do not begin at 0 but at chance, so even a detector that forgot all it learned has
    less than 1. The suite's own definition; no paper of the field is known to state one.

    Args:
        values: R, ``[T, T]``.
        higher_is_better: False for error rates and losses: then ``(R[T-1, j] - B_j) / B_j`` with ``B_j`` the lowest: 1 =
            twice the error; it has no upper bound.

    Returns:
        A ratio without unit, lower is better; NaN for one domain, or where the best value on a domain is 0
        (``without_best``).
    """
    r = _square(values)
    ends = np.asarray(forgetting_matrix(r, higher_is_better=higher_is_better))[-1, :-1]
    best = _best(r, higher_is_better)
    shares = np.divide(ends, best, out=np.full_like(ends, np.nan), where=best != 0)
    return _mean(_masked_as(r[-1, :-1], shares))


def without_best(values: npt.ArrayLike, *, higher_is_better: bool = True) -> tuple[int, ...]:
    """Return the earlier domains whose best value is 0, which nothing can be a share of: ``relative_forgetting``."""
    return tuple(int(j) for j in np.flatnonzero(_best(_square(values), higher_is_better) == 0))


def forward_transfer(
    values: npt.ArrayLike, baseline: npt.ArrayLike, *, higher_is_better: bool = True
) -> float:
    """What earlier domains gave to a domain before it was learned.

    ``FWT = mean_{j > 0} (R[j-1, j] - b_j)`` (GEM, Lopez-Paz and Ranzato 2017), b_j the untrained model's
    value. Positive = the detector did better on a new domain than an untrained one would. With pretrained
    weights "untrained" still means a head of random weights.

    Args:
        values: R, ``[T, T]``.
        baseline: b, ``[T]``.
        higher_is_better: False for error rates: the difference is turned round.

    Returns:
        A difference on the metric's scale; NaN for one domain.

    Raises:
        BenchError: If b does not fit R.
    """
    r = _oriented(values, higher_is_better)
    b = np.asarray(baseline, dtype=np.float64)
    if b.shape != (len(r),):
        raise BenchError(f"baseline has shape {b.shape}; expected ({len(r)},), one value a domain of R")
    return _mean(np.diagonal(r, offset=1) - (b if higher_is_better else -b)[1:])


@dataclass(frozen=True)
class ContinualMetric:
    """A number of a whole stream, as the registry knows it.

    Attributes:
        name: Key in the registry.
        title: How tables write it; ``{metric}`` stands for the metric of R.
        formula: The formula in one line.
        better: ``higher``, ``lower``, or ``as metric``: as the metric of R itself.
        source: Where the definition comes from.
        function: ``(R, b, higher_is_better) -> float``.
        linear: Whether it is a linear function of R and b, so that it is the mean of what it is of every part of them.
        of_all: Of one that is not linear the same for several R, ``([n, T, T], higher_is_better) -> [n]``.
    """

    name: str
    title: str
    formula: str
    better: str
    source: str
    function: Callable[[Floats, Floats, bool], float]
    linear: bool = False
    of_all: Callable[[Floats, bool], Floats] | None = None

    def higher_is_better(self, metric_is: bool) -> bool:
        """Tell whether a higher value is better, given whether it is so for the metric of R."""
        return metric_is if self.better == "as metric" else self.better == "higher"


CONTINUAL_METRICS: dict[str, ContinualMetric] = {
    metric.name: metric
    for metric in (
        ContinualMetric(
            "forgetting",
            "max-based forgetting",
            "mean_{j<T-1} max_{j<=l<T-1} R[l,j] - R[T-1,j]",
            "lower",
            "max-based, Chaudhry et al. 2018",
            lambda r, b, higher: forgetting(r, higher_is_better=higher),
            of_all=_forgetting_of_all,
        ),
        ContinualMetric(
            "learning",
            "learning {metric}",
            "mean_j R[j,j]",
            "as metric",
            "Riemer et al. 2019",
            lambda r, b, higher: learning_accuracy(r),
            linear=True,
        ),
        ContinualMetric(
            "average",
            "average {metric}",
            "mean_j R[T-1,j]",
            "as metric",
            "macro: every domain counts the same; Lopez-Paz and Ranzato 2017",
            lambda r, b, higher: average_accuracy(r),
            linear=True,
        ),
        ContinualMetric(
            "backward_transfer",
            "BWT",
            "mean_{j<T-1} R[T-1,j] - R[j,j]",
            "higher",
            "GEM, Lopez-Paz and Ranzato 2017; CDDB's AF, minus DFIL's AF",
            lambda r, b, higher: backward_transfer(r, higher_is_better=higher),
            linear=True,
        ),
        ContinualMetric(
            "relative_forgetting",
            "relative forgetting",
            "mean_{j<T-1} (B_j - R[T-1,j]) / B_j, B_j = max_{j<=l<T-1} R[l,j]",
            "lower",
            "share of the best value that is lost; the suite's own",
            lambda r, b, higher: relative_forgetting(r, higher_is_better=higher),
            of_all=_relative_forgetting_of_all,
        ),
        ContinualMetric(
            "forward_transfer",
            "FWT",
            "mean_{j>0} R[j-1,j] - b_j",
            "higher",
            "GEM, Lopez-Paz and Ranzato 2017; b = untrained model",
            lambda r, b, higher: forward_transfer(r, b, higher_is_better=higher),
            linear=True,
        ),
        ContinualMetric(
            "incremental",
            "average incremental {metric}",
            "mean_i mean_{j<=i} R[i,j]",
            "as metric",
            "AIA, Rebuffi et al. 2017",
            lambda r, b, higher: average_incremental_accuracy(r),
            linear=True,
        ),
        ContinualMetric(
            "minimum_old",
            "worst old domain",
            "min_{j<T-1} R[T-1,j]",
            "as metric",
            "max where lower is better",
            lambda r, b, higher: minimum_old_accuracy(r, higher_is_better=higher),
            of_all=_minimum_old_of_all,
        ),
        ContinualMetric(
            "zero_shot",
            "unseen domains",
            "mean_{i<j} R[i,j]",
            "as metric",
            "cells above the diagonal",
            lambda r, b, higher: zero_shot_accuracy(r),
            linear=True,
        ),
    )
}


@functools.cache
def linear_weights(name: str, domains: int, higher_is_better: bool, untested: tuple[int, ...] = ()) -> Floats:
    """Return what each value of b (row 0) and R counts for in a linear metric of a stream, ``[T + 1, T]``.

    Args:
        name: Key of ``CONTINUAL_METRICS``, of a linear one.
        domains: T.
        higher_is_better: Whether it is so for the metric of R.
        untested: The columns of domains without a test set, which count for nothing.
    """
    function = CONTINUAL_METRICS[name].function
    weights = np.zeros((domains + 1, domains))
    for row, column in np.ndindex(*weights.shape):
        if column in untested:
            continue
        unit = np.zeros_like(weights)
        unit[row, column] = 1.0
        r = without_columns(unit[1:], untested)
        weights[row, column] = np.nan_to_num(function(r, unit[0], higher_is_better))
    weights.setflags(write=False)
    return weights


def without_columns(values: Floats, untested: tuple[int, ...]) -> Floats:
    """Mask the columns of domains without a test set, ``[..., T]``; without such a domain the array as it is."""
    if not untested:
        return values
    mask = np.zeros(values.shape, dtype=bool)
    mask[..., list(untested)] = True
    return np.ma.array(values, mask=mask)


def _masked_as(r: Floats, values: Floats) -> Floats:
    """Mask values where R is masked, if it is anywhere."""
    if not isinstance(r, np.ma.MaskedArray):
        return values
    return np.ma.array(values, mask=np.ma.getmaskarray(r))


def _square(values: npt.ArrayLike) -> Floats:
    """Turn R into an array ``[T, T]`` with T >= 1, masked if it is one, or raise."""
    r = np.asanyarray(values, dtype=np.float64)
    if r.ndim != 2 or r.shape[0] != r.shape[1] or not len(r):
        raise BenchError(f"R has shape {r.shape}; expected [T, T], one row a step and one column a domain")
    return r


def _oriented(values: npt.ArrayLike, higher_is_better: bool) -> Floats:
    """Give R with its sign turned where lower is better, so that more is always better."""
    r = _square(values)
    return r if higher_is_better else -r


def _best(r: Floats, higher_is_better: bool) -> Floats:
    """Give the best value on each earlier domain from when it was learned to before the last step, ``[T - 1]``."""
    best, r = (np.max if higher_is_better else np.min), np.asarray(r)
    return np.array([best(r[j:-1, j]) for j in range(len(r) - 1)], dtype=np.float64)


def _mean(differences: Floats) -> float:
    """Mean, NaN for none (and without numpy's warning)."""
    return _number(np.mean(differences)) if len(differences) else NAN


def _number(value: Any) -> float:
    """Turn a number into a float, NaN for one of masked values alone."""
    return NAN if value is np.ma.masked else float(value)
