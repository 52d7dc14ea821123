"""Deep streaming linear discriminant analysis on the features of the frozen source model."""

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
from fretal_bench.strategies.state import check_tensor


def oracle_approximating_shrinkage(covariance: Tensor, samples: float) -> Tensor:
    """Shrink a sample covariance S of n samples towards a multiple of the identity, ``(1 - r) S + r tr(S)/p I``.

    ``r = min(1, ((1 - 2/p) tr(S^2) + tr(S)^2) / ((n + 1 - 2/p) (tr(S^2) - tr(S)^2 / p)))``

    Args:
        covariance: S [p, p].
        samples: n.

    Returns:
        [p, p].

    Source: Chen, Wiesel, Eldar, Hero, "Shrinkage Algorithms for MMSE Covariance Estimation", IEEE Transactions on
    Signal Processing 2010, equation 23. (scikit-learn's OAS leaves out the terms 2/p.)
    """
    size = len(covariance)
    trace, squared = covariance.trace(), (covariance**2).sum()
    above = (1 - 2 / size) * squared + trace**2
    below = (samples + 1 - 2 / size) * (squared - trace**2 / size)
    # A multiple of the identity already: 0 below, and nothing to shrink.
    share = (above / below).clamp(max=1) if below > 0 else torch.ones_like(trace)
    identity = torch.eye(size, dtype=covariance.dtype, device=covariance.device)
    return (1 - share) * covariance + share * trace / size * identity


class SLDA(FrozenFeatures):
    """Linear discriminant analysis with running class means and one running covariance; the model is never retrained.

    ``score_c(z) = w_c . z + b_c``, ``w_c = L m_c``, ``b_c = -1/2 m_c . L m_c``, ``L = ((1 - e) S + e I)^-1``

    z are the features that enter the head of the source model, e the shrinkage. The first domain gives the class means
    m_c and the first covariance S (of the features minus their class means, ``oracle_approximating_shrinkage``). Then
    every sample (z, y), in the order of the domain, updates both, t samples having been seen:

    ``S <- (t S + D) / (t + 1)``, ``D = t / (t + 1) (z - m_y)(z - m_y)^T``, ``m_y <- (c_y m_y + z) / (c_y + 1)``

    with m_y as it was before this sample. Here a batch is taken in at once, with the same result: ``t S`` grows by the
    sum of its samples' D. P(fake) is the softmax of the scores, as in LDA with equal priors.

    Source: Hayes and Kanan, "Lifelong Machine Learning with Deep Streaming Linear Discriminant Analysis", CVPR Workshops
    2020, with the plastic covariance; its base initialisation is the first domain here. A class that the first domain
    lacks begins at its first sample, which adds nothing to the covariance (the suite's choice).
    """

    info = frozen.SLDA
    judged_by = ("sums", "counts", "scatter")

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.sums = torch.empty(0)
        self.counts = torch.zeros(CLASSES, dtype=torch.float64, device=self.device)
        self.scatter = torch.empty(0)
        """``t S``, [D, D]."""
        self._rule: tuple[Tensor, Tensor] | None = None

    def learn(self, batches: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Begin with the first domain, or stream a later one."""
        self._rule = None
        if self.step == 0:
            self._begin(batches)
            return
        for features, targets in batches:
            self._stream(features, targets)

    def _begin(self, batches: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Take class means and covariance over a whole domain."""
        outer: Any = 0.0
        for features, targets in batches:
            if not len(self.sums):
                self.sums = features.new_zeros(CLASSES, features.shape[1])
            self.sums, self.counts = add_by_class(self.sums, self.counts, features, targets)
            outer = outer + features.T @ features
        total = self.counts.sum()
        means = self._means()
        covariance = (outer - (means * self.counts[:, None]).T @ means) / total
        self.scatter = total * oracle_approximating_shrinkage(covariance, float(total))

    def _stream(self, features: Tensor, targets: Tensor) -> None:
        """Take in a batch, sample by sample in effect: each differs from the mean of its class just before it."""
        members = torch.nn.functional.one_hot(targets, CLASSES).to(features.dtype)
        seen = self.counts + members.cumsum(0) - members
        before = (members * seen).sum(1)
        away = torch.zeros_like(features)
        for label in range(CLASSES):
            mine = targets == label
            part = features[mine]
            sums_before = self.sums[label] + part.cumsum(0) - part
            away[mine] = part - sums_before / before[mine].clamp(min=1)[:, None]
        away[before == 0] = 0
        number = self.counts.sum() + torch.arange(len(targets), dtype=features.dtype, device=features.device)
        self.scatter = self.scatter + (away * (number / (number + 1))[:, None]).T @ away
        self.sums, self.counts = add_by_class(self.sums, self.counts, features, targets)

    def _means(self) -> Tensor:
        return self.sums / self.counts.clamp(min=1)[:, None]

    def decision_rule(self) -> tuple[Tensor, Tensor]:
        """Return the weights W [2, D] and the biases b [2], float64."""
        if self._rule is None:
            shrinkage: float = self.hyperparameters.shrinkage
            covariance = self.scatter / self.counts.sum()
            identity = torch.eye(len(covariance), dtype=covariance.dtype, device=covariance.device)
            means = self._means()
            weights = torch.linalg.solve((1 - shrinkage) * covariance + shrinkage * identity, means.T).T
            self._rule = weights, -(means * weights).sum(1) / 2
        return self._rule

    def class_scores(self, features: Tensor) -> Tensor:
        """Return ``W z + b``."""
        weights, biases = self.decision_rule()
        return features @ weights.T + biases

    def linear_rule(self) -> tuple[Tensor, Tensor]:
        """Return W and b."""
        return self.decision_rule()

    def extra_weights(self) -> int:
        """Return the numbers of the decision rule, which is all that judging needs of the statistics."""
        return sum(part.numel() for part in self.decision_rule())

    def extra_state(self) -> dict[str, Any]:
        """Keep the class sums, counts and the scatter."""
        return {"sums": self.sums, "counts": self.counts, "scatter": self.scatter}

    def load_extra_state(self, state: Mapping[str, Any]) -> None:
        """Restore the class sums, counts and the scatter."""
        self._rule = None
        self.sums, self.counts = sums_and_counts(state, self.device)
        side = self.sums.shape[-1]
        scatter = check_tensor(
            state["scatter"], "scatter", lambda value: not len(value) or value.shape == (side, side), "[D, D]"
        )
        self.scatter = scatter.to(self.device)
