"""Memory Aware Synapses."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from fretal_bench.strategies import penalties
from fretal_bench.strategies.penalties.anchored import AnchoredStrategy
from fretal_bench.strategies.penalties.per_sample import (
    Batches,
    Weights,
    importance_batches,
    per_sample_gradients,
)


def output_sensitivity(model: nn.Module, batches: Batches) -> Weights:
    """Return ``Omega = 1/N sum_n | d |F(x_n)|_2^2 / d w |``, F(x) being the logits; one tensor a trainable weight.

    The absolute value is taken of every single sample's gradient. (Taken of a batch's gradient, as some
    implementations do, samples whose gradients point in opposite directions would cancel.)

    Args:
        model: Used in eval mode, put back afterwards. Its weights and statistics don't change.
        batches: Inputs [B, 3, H, W] and labels int64 [B]; the labels are not used.
    """

    def squared_norm(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        return logits.square().sum(), target

    total = {name: torch.zeros_like(w) for name, w in model.named_parameters() if w.requires_grad}
    count = 0
    for gradients, targets in per_sample_gradients(model, batches, squared_norm):
        count += len(targets)
        for name, gradient in gradients.items():
            total[name] += gradient.abs().sum(dim=0)
    return {name: value / max(1, count) for name, value in total.items()}


class MAS(AnchoredStrategy):
    """``L = CE(s, y) + lambda_ sum_k Omega[k] (w[k] - w*[k])^2``, w* being the weights before this domain.

    ``Omega`` (``output_sensitivity``) says how much the squared length of the logits moves with a weight; no label is
    used. It is summed over the past domains. The logits are taken as F, before the softmax, as the released code does.

    Source: Aljundi, Babiloni, Elhoseiny, Rohrbach, Tuytelaars, "Memory Aware Synapses: Learning what (not) to forget",
    ECCV 2018, section 4: the importance from the squared norm of the output, the penalty without a factor 1/2.
    """

    info = penalties.MAS

    def strength(self) -> float:
        """Return ``lambda_``."""
        strength: float = self.hyperparameters.lambda_
        return strength

    def after_domain(self, experience: Any) -> None:
        """Add this domain's importance."""
        batches = importance_batches(self, experience, self.hyperparameters.importance_samples)
        for name, new in output_sensitivity(self.model, batches).items():
            self.importance[name] = self.importance[name] + new if name in self.importance else new
