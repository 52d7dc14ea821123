"""Rates of right and wrong decisions by class: accuracy on reals, on fakes, F1, and TPR at a bounded FPR.

Conventions as in ``detection``: labels are 0 (real) and 1 (fake), a score is P(fake), the fakes are the positives, and a
value that does not exist is NaN.
"""

from __future__ import annotations

from functools import partial
from typing import Final

import numpy as np

from fretal_bench.metrics.checks import Samples, of_samples
from fretal_bench.metrics.detection import THRESHOLD


@of_samples(classes=(0,))
def real_accuracy(samples: Samples) -> float:
    """Share of the reals that are called real: the true negative rate, 1 - FPR.

    ``mean(score < 0.5)`` over the reals; next to ``fake_accuracy`` it says which of the two classes a detector has
    forgotten, which accuracy hides. Their mean is balanced accuracy.

    Args:
        samples: Called with labels ``[n]``, 0 = real, 1 = fake, and scores ``[n]``, P(fake) in [0, 1].

    Returns:
        A value in [0, 1], higher is better; NaN without reals, or if a score is not finite.

    Raises:
        BenchError: If the shapes differ, a label is neither 0 nor 1, or a score lies outside [0, 1].
    """
    return float(np.mean(samples.probabilities[~samples.are_fakes] < THRESHOLD))


@of_samples(classes=(1,))
def fake_accuracy(samples: Samples) -> float:
    """Share of the fakes that are called fake: the true positive rate (recall).

    ``mean(score >= 0.5)`` over the fakes.

    Args:
        samples: Called with labels ``[n]``, 0 = real, 1 = fake, and scores ``[n]``, P(fake) in [0, 1].

    Returns:
        A value in [0, 1], higher is better; NaN without fakes, or if a score is not finite.

    Raises:
        BenchError: If the shapes differ, a label is neither 0 nor 1, or a score lies outside [0, 1].
    """
    return float(np.mean(samples.probabilities[samples.are_fakes] >= THRESHOLD))


@of_samples()
def f1(samples: Samples) -> float:
    """F1 of the fakes: the harmonic mean of precision and recall at the threshold of ``accuracy``.

    ``2 TP / (2 TP + FP + FN)`` (van Rijsbergen 1979; scikit-learn's ``f1_score``). It ignores the reals that are called
    real, and a detector that calls everything fake has ``2 p / (1 + p)`` with p the share of fakes: 0.667 where classes
    are equal.

    Args:
        samples: Called with labels ``[n]``, 0 = real, 1 = fake, and scores ``[n]``, P(fake) in [0, 1].

    Returns:
        A value in [0, 1], higher is better; NaN unless both classes are there (of fakes alone it would be another word
        for recall) and all scores are finite.

    Raises:
        BenchError: If the shapes differ, a label is neither 0 nor 1, or a score lies outside [0, 1].
    """
    called_fake, fakes = samples.probabilities >= THRESHOLD, samples.are_fakes
    return 2 * int(np.sum(called_fake & fakes)) / (int(np.sum(called_fake)) + int(np.sum(fakes)))


@of_samples(probabilities=False)
def tpr_at_fpr(samples: Samples, percent: int) -> float:
    """Share of the fakes that are found where at most ``percent`` of a hundred reals are called fake.

    ``max_t TPR(t)`` over the thresholds t with ``FPR(t) <= percent / 100``, "fake" meaning score >= t: the largest such
    point of the empirical ROC, without interpolation (scikit-learn: ``max(tpr[fpr <= percent / 100])`` of
    ``roc_curve``). False alarms are whole reals: of n reals ``floor(n * percent / 100)`` may be called fake, counted in
    integers. With fewer than ``100 / percent`` reals (100 for 1%, 20 for 5%) that is none, and the value is the share of
    fakes above every real: it is stricter than its name then, and rests on one real (``least_reals``; reports say on
    which domains). The threshold is taken from the test set itself, so the value says what a well-chosen threshold could
    do, not what a detector in service does.

    Args:
        samples: Called with labels ``[n]``, 0 = real, 1 = fake, and scores ``[n]``, any scale, higher = more fake.
        percent: The largest FPR, in percent, 0 to 100.

    Returns:
        A value in [0, 1], higher is better, ``percent / 100`` = chance; NaN unless both classes are there and all scores
        are finite.

    Raises:
        BenchError: If the shapes differ or a label is neither 0 nor 1.
    """
    fakes, reals = samples.counts_above
    allowed = reals * 100 <= reals[-1] * percent
    # Both counts grow together: the last allowed point has the most fakes.
    return float(fakes[allowed][-1] / fakes[-1])


def least_reals(percent: int) -> int:
    """Return the fewest reals of which one may be called fake at an FPR of so many percent."""
    return -(-100 // percent)


TPR_AT: Final = {
    percent: of_samples(probabilities=False)(partial(tpr_at_fpr.value, percent=percent)) for percent in (1, 5)
}
"""FPR in percent -> the metric at it."""
