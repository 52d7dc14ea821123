"""Weights held near an anchor: the quadratic penalty that EWC, SI and MAS have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from fretal_bench.strategies.penalties.per_sample import Weights
from fretal_bench.strategies.state import check_table
from fretal_bench.strategies.template import ContinualStrategy


def snapshot(model: nn.Module) -> Weights:
    """Return copies of the trainable weights by name. Copies: later updates of the model don't move them."""
    return {name: w.detach().clone() for name, w in model.named_parameters() if w.requires_grad}


def weights_of(strategy: ContinualStrategy, state: Mapping[str, Any], key: str) -> Weights:
    """Take one tensor a trainable weight out of a saved state, on the strategy's device; none before the first domain.

    Raises:
        BadState: They are not of these weights.
    """
    if not state[key] and strategy.step == 0:
        return {}
    table = check_table(state[key], snapshot(strategy.model), f"{key} of every weight")
    return {name: value.to(strategy.device) for name, value in table.items()}


def squared_distance(model: nn.Module, anchor: Weights, importance: Weights | None = None) -> Tensor:
    """Return ``sum_k A[k] (w[k] - m[k])^2`` over the weights that ``anchor`` names, a scalar.

    Args:
        model: The model whose weights are w; gradients flow to them.
        anchor: m, one tensor a weight.
        importance: A, one tensor a weight; all 1 if None.
    """
    names = [name for name, _ in model.named_parameters() if name in anchor]
    if not names:
        return torch.zeros(())
    weights = dict(model.named_parameters())
    away = torch._foreach_sub([weights[name] for name in names], [anchor[name] for name in names])
    other = away if importance is None else torch._foreach_mul(away, [importance[name] for name in names])
    return torch.stack([product.sum() for product in torch._foreach_mul(away, other)]).sum()


class AnchoredStrategy(ContinualStrategy):
    """``L = CE(s, y) + strength * sum_k Omega[k] (w[k] - w*[k])^2``, w* being the weights as the last domain left them.

    A subclass says how strong the penalty is and, after every domain, how important its weights are.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.importance: Weights = {}
        self.anchor: Weights = {}

    @abstractmethod
    def strength(self) -> float:
        """Return the factor before the sum."""

    def before_domain(self, experience: Any) -> None:
        """Anchor the weights where they are now."""
        self.anchor = snapshot(self.model)

    def penalty(self) -> Tensor:
        """Return the penalty; its gradient is ``2 strength Omega (w - w*)``."""
        return squared_distance(self.model, self.anchor, self.importance).mul(self.strength())

    def extra_state(self) -> dict[str, Any]:
        """Keep the importance; the anchor is the checkpoint's model."""
        return {"importance": self.importance}

    def load_extra_state(self, state: Mapping[str, Any]) -> None:
        """Restore the importance."""
        self.importance = weights_of(self, state, "importance")
