"""Means over seeds alone with their 95% intervals.

Seeds are few (3 to 10), so the intervals are Student's t; they describe how the MEAN over seeds would vary if
other seeds had been drawn, on the same test data. They say nothing of other people: what is measured on people has the
intervals of ``inference``, and these are for what has no values by cluster (published values, costs, anytime metrics).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fretal_bench.metrics.numbers import Floats

CONFIDENCE = 0.95
ROUNDING = 1e-12


@dataclass(frozen=True)
class Interval:
    """A mean over seeds and its 95% interval.

    Attributes:
        mean: NaN if there is no value or one of them is NaN.
        low: Lower end; NaN for fewer than two values.
        high: Upper end; NaN for fewer than two values.
        n: How many values.
        covers: What it speaks of: ``seeds`` alone, ``people`` or ``people and seeds``.
    """

    mean: float
    low: float
    high: float
    n: int
    covers: str = "seeds"

    @property
    def half(self) -> float:
        """Half the width: the number after the "±"; NaN for fewer than two values."""
        return (self.high - self.low) / 2


def mean_interval(values: npt.ArrayLike, confidence: float = CONFIDENCE) -> Interval:
    """Mean over seeds with its interval by Student's t: ``mean ± t_{n-1} * s / sqrt(n)``, s with n - 1.

    Args:
        values: ``[n]``, one a seed. A NaN makes the mean NaN: a seed without a value is not left out
            silently.
        confidence: Coverage of the interval.

    Returns:
        The interval; its ends are NaN for fewer than two values.
    """
    mean, half = mean_and_half(np.asarray(values, dtype=np.float64).reshape(-1), confidence)
    return Interval(float(mean), float(mean - half), float(mean + half), int(np.size(values)))


def mean_and_half(values: npt.ArrayLike, confidence: float = CONFIDENCE) -> tuple[Floats, Floats]:
    """Mean over the first axis and half the width of its interval, of arrays of any shape.

    Args:
        values: ``[n, ...]``, one slice a seed.
        confidence: Coverage of the interval.

    Returns:
        Two arrays ``[...]``; the second is NaN for n < 2, both are NaN where a value is.
    """
    # scipy.special, not scipy.stats: that one takes half a second to import.
    from scipy.special import stdtrit  # type: ignore[import-untyped,unused-ignore]

    stack = np.asarray(values, dtype=np.float64)
    n, nowhere = len(stack), np.full(stack.shape[1:], np.nan)
    if n == 0:
        return nowhere, nowhere
    # Taken about the first value, so that equal values have exactly that mean and no spread.
    mean = stack[0] + np.mean(stack - stack[0], axis=0)
    if n == 1:
        return mean, nowhere
    quantile = float(stdtrit(n - 1, (1 + confidence) / 2))
    spread = np.std(stack - stack[0], axis=0, ddof=1)
    return mean, quantile * spread / math.sqrt(n)
