"""Nearest class mean on the features of the frozen source model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from fretal_bench.strategies import frozen
from fretal_bench.strategies.frozen.frozen_features import (
    CLASSES,
    FrozenFeatures,
    add_by_class,
    sums_and_counts,
)


class NCM(FrozenFeatures):
    """``score_c(x) = -|f(x) - m_c|^2 / D``, ``m_c`` the mean feature of class c over all samples seen so far.

    ``f`` are the features that enter the head of the source model, which is never trained again. The means are running
    sums and counts: no sample is kept, every sample of every domain weighs the same, and the order of the domains makes
    no difference. P(fake) is the softmax of the scores, that is a logistic function of the difference of the squared
    distances. Their mean over the D features, not their sum: that would be so large that float32 rounds P(fake) to
    exactly 1 for many samples and loses their order. It is not calibrated.

    Source: Mensink, Verbeek, Perronnin, Csurka, "Distance-Based Image Classification: Generalizing to New Classes at
    Near-Zero Cost", TPAMI 2013: its nearest-class-mean classifier with the Euclidean distance. That the softmax is of the
    squared distances over D is the suite's choice.
    """

    info = frozen.NCM
    judged_by = ("sums", "counts")

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.sums = torch.empty(0)
        self.counts = torch.zeros(CLASSES, dtype=torch.float64, device=self.device)

    def learn(self, batches: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Add the samples to the sums and counts of their classes."""
        for features, targets in batches:
            if not len(self.sums):
                self.sums = features.new_zeros(CLASSES, features.shape[1])
            self.sums, self.counts = add_by_class(self.sums, self.counts, features, targets)

    def class_scores(self, features: Tensor) -> Tensor:
        """Return minus the squared distances to the class means, mean over the features."""
        means = self.sums / self.counts[:, None]
        return -((features[:, None] - means) ** 2).mean(2)

    def linear_rule(self) -> tuple[Tensor, Tensor]:
        """Return ``2 m_c / D`` and ``-|m_c|^2 / D``: the squared distance without ``|f|^2 / D``, which classes share."""
        means = self.sums / self.counts[:, None]
        return 2 * means / means.shape[1], -(means**2).mean(1)

    def extra_state(self) -> dict[str, Any]:
        """Keep the sums and counts."""
        return {"sums": self.sums, "counts": self.counts}

    def load_extra_state(self, state: Mapping[str, Any]) -> None:
        """Restore the sums and counts."""
        self.sums, self.counts = sums_and_counts(state, self.device)
