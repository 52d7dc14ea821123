"""Class imbalance of test sets: the share of the larger class, and the accuracy that does not reward always naming it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

MAJORITY: Final = 0.6
"""A share of the larger class above this makes accuracy say more of the test set than of the detector."""
ACCURACY: Final = "accuracy"
BALANCED: Final = "balanced_accuracy"


@dataclass(frozen=True)
class Majority:
    """The larger class of a test set.

    Attributes:
        answer: ``real`` or ``fake``; ``real`` where both are as many.
        share: Its share of the samples: the accuracy of a detector that always answers so.
    """

    answer: str
    share: float

    @property
    def is_large(self) -> bool:
        """Whether accuracy is no fair measure of such a test set."""
        return self.share > MAJORITY

    @property
    def is_all(self) -> bool:
        """Whether the other class is not there at all, so that balanced accuracy does not exist."""
        return self.share == 1


def majority(reals: int, fakes: int) -> Majority:
    """Return the larger class of a test set with so many samples of each; ``ValueError`` where there is none."""
    if reals + fakes < 1:
        raise ValueError("a test set without samples has no larger class")
    return Majority("real" if reals >= fakes else "fake", max(reals, fakes) / (reals + fakes))


def accuracy_for(labels: Mapping[str, npt.ArrayLike]) -> str:
    """Name the accuracy by which detectors are compared on some domains.

    ``balanced_accuracy`` where the larger class of some domain is more than ``MAJORITY`` of its samples, else
    ``accuracy``, and that too where a domain has one class alone: balanced accuracy does not exist there, and so no mean
    over domains.

    Args:
        labels: Of each domain ``[n]``, 0 = real, 1 = fake.
    """
    counts = [np.bincount(np.asarray(of, dtype=np.int64), minlength=2) for of in labels.values()]
    majorities = [majority(int(reals), int(fakes)) for reals, fakes in counts]
    if any(of.is_all for of in majorities):
        return ACCURACY
    return BALANCED if any(of.is_large for of in majorities) else ACCURACY
