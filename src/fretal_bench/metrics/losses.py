"""Proper scoring rules of P(fake): Brier score and negative log-likelihood; lower is better, forgetting is a rise.

Conventions as in ``detection``. Both exist for one class alone, and both judge calibration and separation together: a
detector is best at its honest probability.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from fretal_bench.metrics.checks import Samples, of_samples

LEAST: Final = 2.0**-24
"""The least probability that a loss or a logit believes: the step between float32 numbers just below 1.

Scores are float32: nearer to 1 than this they are exactly 1, while near 0 they reach 1e-38. Cut alike on both sides, no
sample weighs more than 24 ln 2 = 16.6 nats, and calling a real fake costs what calling a fake real does.
"""


@of_samples(classes=())
def brier(samples: Samples) -> float:
    """Brier score: the mean squared error of P(fake).

    ``mean((score - label)^2)`` (Brier 1950, the form for two classes; scikit-learn's ``brier_score_loss``).

    Args:
        samples: Called with labels ``[n]``, 0 = real, 1 = fake, and scores ``[n]``, P(fake) in [0, 1].

    Returns:
        A value in [0, 1], LOWER is better, 0.25 for a detector that always says 0.5; NaN for no samples or scores that
        are not finite.

    Raises:
        BenchError: If the shapes differ, a label is neither 0 nor 1, or a score lies outside [0, 1].
    """
    return float(np.mean((samples.probabilities - samples.labels) ** 2))


@of_samples(classes=())
def nll(samples: Samples) -> float:
    """Negative log-likelihood of the labels: the cross-entropy of P(fake).

    ``-mean(label ln s + (1 - label) ln(1 - s))`` in nats, s the score cut to [:data:`LEAST`, 1 - :data:`LEAST`]
    (scikit-learn's ``log_loss`` of scores that are cut so).

    Args:
        samples: Called with labels ``[n]``, 0 = real, 1 = fake, and scores ``[n]``, P(fake) in [0, 1].

    Returns:
        A value in [0, 16.6], LOWER is better, ln 2 = 0.693 for a detector that always says 0.5; NaN for no samples or
        scores that are not finite.

    Raises:
        BenchError: If the shapes differ, a label is neither 0 nor 1, or a score lies outside [0, 1].
    """
    cut = np.clip(samples.probabilities, LEAST, 1 - LEAST)
    return float(-np.mean(np.log(np.where(samples.are_fakes, cut, 1 - cut))))
