"""Temperature and decision thresholds fitted on validation samples, and what they do to P(fake).

Labels are 0 (real) and 1 (fake), a score is P(fake) in [0, 1], "called fake" means score >= threshold. Samples of
several domains are pooled, and every domain counts the same however many samples it gives. What cannot be fitted is NaN,
with the reason in words.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from fretal_bench.errors import BenchError
from fretal_bench.metrics.checks import Samples, samples_of, why_undefined
from fretal_bench.metrics.detection import THRESHOLD
from fretal_bench.metrics.losses import LEAST
from fretal_bench.metrics.numbers import NAN, Floats

TEMPERATURES: Final = (0.01, 100.0)
"""The lowest and the highest temperature that is fitted."""
_ALIKE: Final = 1e-12
"""Difference up to which two balanced accuracies are the same: the rounding of their sums."""


@dataclass(frozen=True)
class Fitted:
    """A number that was fitted on validation samples.

    Attributes:
        value: The number; NaN if there is none.
        reason: Why there is none, in a few words; empty if there is one.
    """

    value: float
    reason: str = ""

    def otherwise(self, default: float) -> float:
        """Return the number, or a default where there is none."""
        return default if math.isnan(self.value) else self.value


def logits(scores: npt.ArrayLike) -> Floats:
    """Return the logits of P(fake), ``ln(s / (1 - s))``, s the score cut to [:data:`losses.LEAST`, 1 - that].

    A score of exactly 0 or 1, which float32 makes of logits beyond 16.6, has the logit -16.6 or 16.6.
    """
    cut = np.clip(np.asarray(scores, dtype=np.float64), LEAST, 1 - LEAST)
    return np.asarray(np.log(cut) - np.log1p(-cut))


def with_temperature(scores: npt.ArrayLike, temperature: float) -> Floats:
    """Divide the logits of P(fake) by a temperature: ``1 / (1 + exp(-logit(s) / T))``.

    Above 1 it moves scores towards 0.5, below 1 away from it; their order stays, and 0.5 stays 0.5.

    Args:
        scores: ``[n]``, P(fake).
        temperature: T > 0; 1 leaves scores as they are, to the bit.

    Raises:
        BenchError: The temperature is no positive number.
    """
    if not (temperature > 0 and math.isfinite(temperature)):
        raise BenchError(f"temperature: expected a number above 0, found {temperature:g}")
    if temperature == 1:
        return np.asarray(scores, dtype=np.float64)
    return np.asarray(1 / (1 + np.exp(-logits(scores) / temperature)))


def fit_temperature(
    labels: npt.ArrayLike, scores: npt.ArrayLike, domains: npt.ArrayLike | None = None
) -> Fitted:
    """Find the temperature that makes validation labels most likely.

    ``argmin_T mean_d mean_{k in d} softplus(-m_k / T)`` with ``m_k = (2 label_k - 1) logit(score_k)``: the negative
    log-likelihood of P(fake) with its logit divided by T (Platt scaling without a bias; Guo et al., "On Calibration of
    Modern Neural Networks", ICML 2017, temperature scaling; with two classes the logit is the difference of both). It is
    convex in 1/T, whose root of the derivative is sought between those of :data:`TEMPERATURES`; the same scores give
    the same number.

    Args:
        labels: ``[n]``, 0 = real, 1 = fake.
        scores: ``[n]``, P(fake); those of exactly 0 or 1 as in ``logits``.
        domains: ``[n]``, which domain each sample is of; one for all if not given.

    Returns:
        The temperature. There is none without both classes (the highest certainty that the class there allows would be
        the best); where every sample is on the right side of 0.5 (the lower the temperature, the better, without end:
        the samples don't say how sure one may be); or where the logits of fakes are, on average, no higher than those of
        reals (the higher, the better).

    Raises:
        BenchError: If shapes differ, a label is neither 0 nor 1, or a score lies outside [0, 1].
    """
    samples, of = _checked(labels, scores, domains)
    if reason := why_undefined(samples.labels, samples.scores):
        return Fitted(NAN, reason)
    margins = np.where(samples.are_fakes, 1, -1) * logits(samples.probabilities)
    weights = _alike(of)
    if margins.min() >= 0:
        return Fitted(NAN, f"all {len(margins)} validation samples are on the right side of 0.5")
    if float(weights @ margins) <= 0:
        return Fitted(NAN, "fakes do not score higher than reals")
    return Fitted(_least(margins, weights))


def _least(margins: Floats, weights: Floats) -> float:
    """Return the temperature at which the weighted mean of ``softplus(-m / T)`` is least, within the bounds."""
    from scipy.optimize import brentq
    from scipy.special import expit

    def slope(inverse: float) -> float:
        # The derivative by 1/T, which rises.
        return -float(weights @ (margins * expit(-inverse * margins)))

    low, high = 1 / TEMPERATURES[1], 1 / TEMPERATURES[0]
    if slope(low) >= 0:
        return TEMPERATURES[1]
    if slope(high) <= 0:
        return TEMPERATURES[0]
    return float(1 / brentq(slope, low, high, xtol=1e-14, rtol=1e-12))


def best_threshold(
    labels: npt.ArrayLike, scores: npt.ArrayLike, domains: npt.ArrayLike | None = None
) -> Fitted:
    """Find the threshold with the best balanced accuracy on validation samples.

    ``argmax_t (mean_d TPR_d(t) + mean_d TNR_d(t)) / 2``, each mean over the domains that have the class, so that neither
    a large domain nor the larger class decides. Where classes are equal this is the mean accuracy over domains. Between
    two neighbouring scores all thresholds decide alike: the value is the middle of such an interval; of several that are
    equally good, adjoining ones are one interval, and the one nearest to 0.5 is taken, the lower of two. Beyond the
    outermost scores the intervals end at 0 and 1.

    Args:
        labels: ``[n]``, 0 = real, 1 = fake.
        scores: ``[n]``, P(fake).
        domains: ``[n]``, which domain each sample is of; one for all if not given.

    Returns:
        The threshold, in [0, 1]. There is none without both classes: calling all of it what it is would be the best.

    Raises:
        BenchError: If shapes differ, a label is neither 0 nor 1, or a score lies outside [0, 1].
    """
    samples, of = _checked(labels, scores, domains)
    if reason := why_undefined(samples.labels, samples.scores):
        return Fitted(NAN, reason)
    gains = np.empty(len(of))
    for is_class in (samples.are_fakes, ~samples.are_fakes):
        gains[is_class] = _alike(of[is_class])
    distinct, inverse = np.unique(samples.probabilities, return_inverse=True)
    # At a threshold just above a score its reals become right and its fakes wrong; below all, only fakes are right.
    steps = np.bincount(inverse, weights=np.where(samples.are_fakes, -gains, gains), minlength=len(distinct))
    accuracies = np.append(0.0, np.cumsum(steps))
    edges = np.concatenate([[0.0], distinct, [1.0]])
    # No threshold up to 1 lies above a score of 1.
    exists = np.append(True, distinct < 1)
    best = exists & (accuracies >= accuracies[exists].max() - _ALIKE)
    starts = np.flatnonzero(best & ~np.append(False, best[:-1]))
    ends = np.flatnonzero(best & ~np.append(best[1:], False))
    lows, highs = edges[starts], edges[ends + 1]
    distances = np.maximum(0, np.maximum(lows - THRESHOLD, THRESHOLD - highs))
    low, high = (float(of_all[np.argmin(distances)]) for of_all in (lows, highs))
    middle = (low + high) / 2
    # Between two neighbouring numbers there is none; the lower one decides otherwise.
    return Fitted(middle if middle > low else high)


def threshold_at_fpr(scores: npt.ArrayLike, fpr: float) -> Fitted:
    """Find the least threshold at which at most a share ``fpr`` of validation reals is called fake.

    With n reals, ``k = floor(n * fpr)`` of them may be: the threshold is the least float32 above the (k + 1)-th highest
    score. Of fewer than ``reals_needed`` reals none may be, and the threshold rests on the highest alone. It bounds
    the share on these reals, not on others: those of n people vary as n coins do.

    Args:
        scores: ``[n]``, P(fake) of reals, each once.
        fpr: The share, in (0, 1).

    Returns:
        The threshold, in (0, 1]. There is none without reals, or where more than k of them score exactly 1, which every
        threshold calls fake.

    Raises:
        BenchError: The share is none, or a score lies outside [0, 1].
    """
    check_fpr(fpr)
    of_reals = np.asarray(scores, dtype=np.float64)
    samples = samples_of(np.zeros(of_reals.shape, np.int8), of_reals)
    if reason := why_undefined(samples.labels, samples.scores, classes=(0,)):
        return Fitted(NAN, reason)
    falling = np.sort(samples.probabilities)[::-1].astype(np.float32)
    # Counts, not shares: 0.29 * 100 is a little less than 29.
    allowed = math.floor(len(falling) * fpr + 1e-9)
    above = float(falling[allowed])
    if above >= 1:
        surest = int(np.sum(falling >= 1))
        return Fitted(
            NAN, f"{surest} of {len(falling)} reals score exactly 1, and {allowed} may be called fake"
        )
    return Fitted(float(np.nextafter(np.float32(above), np.float32(1))))


def reals_needed(fpr: float) -> int:
    """Return the fewest reals of which one may be called fake at a share ``fpr``: ``ceil(1 / fpr)``."""
    check_fpr(fpr)
    return math.ceil(1 / fpr - 1e-9)


def check_fpr(fpr: float) -> None:
    """Refuse what is no share of reals that may be called fake.

    Raises:
        BenchError: It does not lie between 0 and 1.
    """
    if not 0 < fpr < 1:
        raise BenchError(f"false-alarm rate: expected a share above 0 and below 1, e.g. 0.01, found {fpr:g}")


def decisions(scores: npt.ArrayLike, threshold: float) -> Floats:
    """Return what is decided at a threshold, 1 (fake) where ``score >= threshold``, else 0 (real).

    Metrics that compare a score with 0.5 (accuracy, balanced accuracy, F1, accuracy on reals and on fakes) are of this
    threshold when they are given decisions for scores.

    Args:
        scores: An array of any shape, P(fake).
        threshold: In [0, 1]; NaN where there is none.

    Returns:
        The same shape; NaN where there is no score or no threshold, so that metrics don't exist there.
    """
    given = np.asarray(scores, dtype=np.float64)
    return np.where(np.isnan(given) | math.isnan(threshold), NAN, given >= threshold)


def _checked(
    labels: npt.ArrayLike, scores: npt.ArrayLike, domains: npt.ArrayLike | None
) -> tuple[Samples, npt.NDArray[np.generic]]:
    """Check samples of several domains, and return them with the domain of each."""
    samples = samples_of(labels, scores)
    _ = samples.probabilities
    of = np.zeros(len(samples.labels), np.int64) if domains is None else np.asarray(domains)
    if of.shape != samples.labels.shape:
        raise BenchError(
            f"domains have shape {of.shape} and labels {samples.labels.shape}; both must be [n], one a sample"
        )
    return samples, of


def _alike(domains: npt.NDArray[np.generic]) -> Floats:
    """Weigh samples so that every domain counts the same; weights sum to 1."""
    _, inverse, counts = np.unique(domains, return_inverse=True, return_counts=True)
    return np.asarray(1 / (len(counts) * counts[inverse]))
