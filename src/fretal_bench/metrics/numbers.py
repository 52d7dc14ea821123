"""The arrays that metrics take and give, and the value that does not exist."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int8]

NAN: Final = float("nan")
"""A value that does not exist."""


def or_none(value: Any) -> Any:
    """Return a number, or None in place of NaN and infinity, which JSON does not have; in nested lists too."""
    if isinstance(value, list):
        return [or_none(item) for item in value]
    return value if math.isfinite(value) else None
