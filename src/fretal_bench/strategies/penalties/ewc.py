"""Elastic Weight Consolidation, in closed form over any number of past domains."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from fretal_bench.strategies import penalties
from fretal_bench.strategies.penalties import Fisher
from fretal_bench.strategies.penalties.anchored import snapshot, squared_distance, weights_of
from fretal_bench.strategies.penalties.per_sample import (
    Batches,
    Weights,
    importance_batches,
    per_sample_gradients,
)
from fretal_bench.strategies.state import check_tensor
from fretal_bench.strategies.template import ContinualStrategy


def fisher_diagonal(model: nn.Module, batches: Batches, kind: Fisher = "exact") -> Weights:
    """Estimate the diagonal of the Fisher information of ``model``'s weights, from gradients of single samples.

    ``exact``: ``F = 1/N sum_n sum_c p_c(x_n) (d log p_c(x_n) / d w)^2``; with two classes that equals
    ``p_0 p_1 (d (z_1 - z_0) / d w)^2``, z being the logits, one gradient a sample.
    ``empirical``: ``F = 1/N sum_n (d log p_{y_n}(x_n) / d w)^2``.

    Args:
        model: Two-class model; used in eval mode, put back afterwards. Its weights and statistics don't change.
        batches: Inputs [B, 3, H, W] and labels int64 [B].
        kind: Which Fisher; van de Ven, "On the Computation of the Fisher Information in Continual Learning" (2025,
            arXiv 2502.11756) compares them.

    Returns:
        One tensor a trainable weight, in its shape.
    """

    def margin(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        difference = logits[1] - logits[0]
        fake = torch.sigmoid(difference)
        # d log p_y / d w = (y - p_1) d(z_1 - z_0) / d w; squared and averaged over y ~ p that is p_0 p_1 (...)^2.
        factor = fake * (1 - fake) if kind == "exact" else (target - fake) ** 2
        return difference, factor

    total = {name: torch.zeros_like(w) for name, w in model.named_parameters() if w.requires_grad}
    count = 0
    for gradients, factors in per_sample_gradients(model, batches, margin):
        count += len(factors)
        for name, gradient in gradients.items():
            flat = gradient.flatten(1)
            total[name] += torch.einsum("bi,bi,b->i", flat, flat, factors).view_as(total[name])
    return {name: value / max(1, count) for name, value in total.items()}


class EWC(ContinualStrategy):
    """``L = CE(s, y) + lambda_/2 sum_i sum_k F_i[k] (w[k] - w_i[k])^2``, i over the past domains, k over the weights.

    ``w_i`` are the weights after domain i and ``F_i`` the diagonal of the Fisher information there
    (``fisher_diagonal``: gradients of single samples, so its scale does not depend on the batch size). The sum over
    past domains is kept in closed form, ``sum_k A[k] (w[k] - m[k])^2 + c`` with ``A = sum_i F_i`` and
    ``m = sum_i F_i w_i / A``: its cost does not grow with the number of domains, and it is the sum itself, no
    approximation (not "online EWC").

    Source: Kirkpatrick et al., "Overcoming catastrophic forgetting in neural networks", PNAS 2017, equation 3; one
    penalty a past domain as in its section on multiple tasks.
    """

    info = penalties.EWC

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.importance: Weights = {}
        self.centre: Weights = {}
        self.constant = torch.zeros(())

    def after_domain(self, experience: Any) -> None:
        """Add this domain's Fisher information to the sum."""
        fisher = self.fisher_of(experience)
        weights = snapshot(self.model)
        if not self.importance:
            self.importance, self.centre = fisher, weights
            return
        for name, new in fisher.items():
            old, centre, weight = self.importance[name], self.centre[name], weights[name]
            total = old + new
            share = torch.where(total > 0, new / total, torch.zeros_like(total))
            # A (w - m)^2 of two parabolas: their sum is one around the weighted mean, plus a constant.
            self.constant = self.constant + (old * share * (weight - centre) ** 2).sum().cpu()
            self.centre[name] = centre + share * (weight - centre)
            self.importance[name] = total

    def fisher_of(self, experience: Any) -> Weights:
        """Return the diagonal of a domain's Fisher information, one tensor a trainable weight."""
        return fisher_diagonal(self.model, self.fisher_batches(experience), self.hyperparameters.fisher)

    def fisher_batches(self, experience: Any) -> Iterable[tuple[Tensor, Tensor]]:
        """Yield the training samples that the Fisher information is estimated from."""
        return importance_batches(self, experience, self.hyperparameters.fisher_samples)

    def penalty(self) -> Tensor:
        """Return the closed-form penalty; its gradient is ``lambda_ A (w - m)``."""
        strength: float = self.hyperparameters.lambda_
        total = squared_distance(self.model, self.centre, self.importance) + self.constant.to(self.device)
        return total * (strength / 2)

    def extra_state(self) -> dict[str, Any]:
        """Keep the sum of the past domains' penalties."""
        return {"importance": self.importance, "centre": self.centre, "constant": self.constant}

    def load_extra_state(self, state: Mapping[str, Any]) -> None:
        """Restore the sum of the past domains' penalties."""
        for name in ("importance", "centre"):
            setattr(self, name, weights_of(self, state, name))
        self.constant = check_tensor(
            state["constant"], "constant", lambda value: value.ndim == 0, "one number"
        )
