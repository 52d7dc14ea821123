"""Metrics of one test set from its labels and scores: accuracy, AUC, AP, EER, ECE.

Everywhere: labels are 0 (real) and 1 (fake); a score is P(fake). Each is written as the formula for checked samples
(``checks.Samples``), and called with labels ``[n]`` and scores ``[n]``. A value that does not exist is NaN, never 0 or
0.5, and ``checks.why_undefined`` says in words why.
"""

from __future__ import annotations

import numpy as np

from fretal_bench.metrics.checks import Samples, of_samples

THRESHOLD = 0.5
ECE_BINS = 15


@of_samples(classes=())
def accuracy(samples: Samples) -> float:
    """Share of samples on the right side of the threshold.

    ``mean((score >= 0.5) == (label == 1))``: a score of exactly 0.5 counts as "fake".

    Args:
        samples: Called with labels ``[n]``, 0 = real, 1 = fake, and scores ``[n]``, P(fake) in [0, 1].

    Returns:
        A value in [0, 1], higher is better; NaN for no samples or scores that are not finite.

    Raises:
        BenchError: If the shapes differ, a label is neither 0 nor 1, or a score lies outside [0, 1].
    """
    return float(np.mean((samples.probabilities >= THRESHOLD) == samples.are_fakes))


@of_samples()
def balanced_accuracy(samples: Samples) -> float:
    """Mean of the accuracy on the reals and the accuracy on the fakes, with the threshold of ``accuracy``.

    ``(TPR + TNR) / 2``; 0.5 for a detector that always gives the same answer, whatever the share of fakes.

    Args:
        samples: Called with labels ``[n]``, 0 = real, 1 = fake, and scores ``[n]``, P(fake) in [0, 1].

    Returns:
        A value in [0, 1], higher is better; NaN unless both classes are there and all scores are finite.

    Raises:
        BenchError: If the shapes differ, a label is neither 0 nor 1, or a score lies outside [0, 1].
    """
    called_fake, fakes = samples.probabilities >= THRESHOLD, samples.are_fakes
    return float((np.mean(called_fake[fakes]) + np.mean(~called_fake[~fakes])) / 2)


@of_samples(probabilities=False)
def auc(samples: Samples) -> float:
    """Area under the ROC curve: the probability that a random fake scores higher than a random real.

    ``(#{fake > real} + #{fake = real} / 2) / (n_fake * n_real)`` over all pairs: the Mann-Whitney statistic,
    exact with ties (the pairs are counted in integers).

    Args:
        samples: Called with labels ``[n]``, 0 = real, 1 = fake, and scores ``[n]``, any scale, higher = more fake.

    Returns:
        A value in [0, 1], higher is better, 0.5 = chance; NaN unless both classes are there and all scores
        are finite.

    Raises:
        BenchError: If the shapes differ or a label is neither 0 nor 1.
    """
    reals, fakes = np.sort(samples.scores[~samples.are_fakes]), samples.scores[samples.are_fakes]
    below = np.searchsorted(reals, fakes, side="left").sum(dtype=np.int64)
    below_or_equal = np.searchsorted(reals, fakes, side="right").sum(dtype=np.int64)
    return float(int(below) + int(below_or_equal)) / (2 * len(reals) * len(fakes))


@of_samples(probabilities=False)
def average_precision(samples: Samples) -> float:
    """Area under the precision-recall curve as a step function; the fakes are the positives.

    ``sum_k (recall_k - recall_{k-1}) * precision_k`` over the distinct scores from the highest to the lowest:
    scikit-learn's ``average_precision_score``, without interpolation.

    Args:
        samples: Called with labels ``[n]``, 0 = real, 1 = fake, and scores ``[n]``, any scale, higher = more fake.

    Returns:
        A value in (0, 1], higher is better, the share of fakes = chance; NaN unless both classes are there
        (with fakes alone it would be 1 whatever the detector does) and all scores are finite.

    Raises:
        BenchError: If the shapes differ or a label is neither 0 nor 1.
    """
    fakes, reals = samples.counts_above
    recall = fakes / fakes[-1]
    precision = fakes[1:] / (fakes[1:] + reals[1:])
    return float(np.sum(np.diff(recall) * precision))


@of_samples(probabilities=False)
def eer(samples: Samples) -> float:
    """Equal error rate: where as many reals are called fake as fakes are called real.

    At every distinct score t, "fake" means score >= t, which gives a point (FPR_k, FNR_k), from (0, 1) with
    the threshold above all scores to (1, 0) with it at the lowest. FNR - FPR falls strictly along these
    points; between the last point where it is positive and the next, FPR and FNR are interpolated linearly
    and the EER is their common value at the crossing. That is the ROC polygon cut by the line FPR + TPR = 1;
    ties between reals and fakes make one slanted edge. Torchmetrics' EER is not interpolated: it is the mean of FPR and
    FNR at the threshold where they are nearest to one another, and differs where no threshold makes them equal.

    Args:
        samples: Called with labels ``[n]``, 0 = real, 1 = fake, and scores ``[n]``, any scale, higher = more fake.

    Returns:
        A value in [0, 1], LOWER is better, 0.5 = chance; NaN unless both classes are there and all scores are
        finite.

    Raises:
        BenchError: If the shapes differ or a label is neither 0 nor 1.
    """
    fakes, reals = samples.counts_above
    fpr, fnr = reals / reals[-1], 1 - fakes / fakes[-1]
    gap = fnr - fpr
    after = int(np.argmax(gap <= 0))
    share = gap[after - 1] / (gap[after - 1] - gap[after])
    return float(fpr[after - 1] + share * (fpr[after] - fpr[after - 1]))


@of_samples(classes=())
def ece(samples: Samples, bins: int = ECE_BINS) -> float:
    """Expected calibration error of P(fake), the binary form: is a score of 0.8 right in 80% of cases?

    ``sum_k n_k / n * |share of fakes in bin k - mean score in bin k|`` over 15 equal-width bins of P(fake),
    bin k holding ``k/15 <= score < (k+1)/15`` and the last one 1.0 too (Naeini et al., AAAI 2015; the binary
    form of scikit-learn's ``calibration_curve`` and of torchmetrics). Torchmetrics differs on scores that lie on an
    edge between bins: its edges are float32, by which such a score may fall into the bin below. With a handful of
    scores that shows (up to .17 for four); elsewhere they agree. It is NOT the multi-class form of Guo
    et al. (2017), which bins the predicted class's confidence: with two classes that would leave the lower
    half of the bins empty.

    Args:
        samples: Called with labels ``[n]``, 0 = real, 1 = fake, and scores ``[n]``, P(fake) in [0, 1].
        bins: Number of bins.

    Returns:
        A value in [0, 1], LOWER is better; NaN for no samples or scores that are not finite.

    Raises:
        BenchError: If the shapes differ, a label is neither 0 nor 1, or a score lies outside [0, 1].
    """
    y, s = samples.labels, samples.probabilities
    edges = np.arange(1, bins) / bins
    which = np.searchsorted(edges, s, side="right")
    # n_k * |share - mean| is |sum of labels - sum of scores| of the bin, so empty bins need no special case.
    excess = np.bincount(which, weights=y - s, minlength=bins)
    return float(np.sum(np.abs(excess)) / len(s))
