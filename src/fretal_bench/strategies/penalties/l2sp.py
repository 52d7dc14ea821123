"""L2-SP: weight decay towards the starting point."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from fretal_bench.strategies import penalties
from fretal_bench.strategies.features import head_names
from fretal_bench.strategies.penalties.anchored import snapshot, squared_distance, weights_of
from fretal_bench.strategies.penalties.per_sample import Weights
from fretal_bench.strategies.template import ContinualStrategy


def split_decay(model: nn.Module, anchor: Weights) -> tuple[Tensor, Tensor]:
    """Return the two terms of L2-SP, without their weights.

    Args:
        model: A model whose head can be told apart, see ``head_of``.
        anchor: w_0, one tensor a trainable weight; those of the head are not read.

    Returns:
        ``1/2 |w - w_0|^2`` over all weights but the head's, and ``1/2 |w|^2`` over the head's; two scalars.

    Raises:
        BenchError: The head cannot be told apart.
    """
    head = head_names(model)
    backbone = {name: value for name, value in anchor.items() if name not in head}
    decay = [w.square().sum() for name, w in model.named_parameters() if name in head]
    return squared_distance(model, backbone) / 2, torch.stack(decay).sum() / 2


class L2SP(ContinualStrategy):
    """``L = CE(s, y) + alpha/2 |w - w_0|^2 + beta/2 |v|^2``, v being the head's weights and w all others.

    ``w_0`` are the weights before this domain (``anchor="previous"``) or after the first (``anchor="source"``). The head
    is ``model.get_classifier()``; a model without one is refused. In the paper the head is new, so it decays towards
    zero; here one head serves all domains and decays all the same. Biases and the weights of norms are among w.

    Source: Li, Grandvalet, Davoine, "Explicit Inductive Bias for Transfer Learning with Convolutional Networks", ICML
    2018 (L2-SP).
    """

    info = penalties.L2SP

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.anchor: Weights = {}

    def before_domain(self, experience: Any) -> None:
        """Take the starting point."""
        if self.hyperparameters.anchor == "previous" or self.step == 1:
            self.anchor = snapshot(self.model)

    def penalty(self) -> Tensor:
        """Return the two terms, weighted."""
        away, decay = split_decay(self.model, self.anchor)
        constants = self.hyperparameters
        return away.mul(constants.alpha) + decay.mul(constants.beta)

    def extra_state(self) -> dict[str, Any]:
        """Keep the source model's weights where they go on holding; the previous ones are the checkpoint itself."""
        return {"anchor": self.anchor} if self.hyperparameters.anchor == "source" and self.step > 1 else {}

    def load_extra_state(self, state: Mapping[str, Any]) -> None:
        """Restore the source model's weights."""
        self.anchor = weights_of(self, state, "anchor") if "anchor" in state else {}
