"""The record in which plugins gave metrics until version 0.1; it is still read, with a warning, in this version."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class MetricInfo:
    """A metric of one test set whose function takes the scores first; ``registry.Metric`` takes its place.

    Attributes:
        name: Lower-case words joined by ``_``; tables write it so.
        function: ``(scores float64 [n], labels int64 [n]) -> float``.
        higher_is_better: False for error rates.
        summary: One line: the formula or definition.
    """

    name: str
    function: Callable[[npt.NDArray[np.float64], npt.NDArray[np.int64]], float]
    higher_is_better: bool
    summary: str
