"""Dark experience replay: the memory's samples with the logits that the model had for them when they were stored."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from fretal_bench.strategies import replay
from fretal_bench.strategies.batches import SubsetSource, clean_batches
from fretal_bench.strategies.replay.memory_strategy import ReplayStrategy, source_of


class DER(ReplayStrategy):
    """``L = CE(s, y) + alpha MSE(s', z')``, s' being the logits of a batch from the memory, z' those stored with it.

    MSE is the mean over samples and logits, as in the authors' code, whose alpha this is; the paper's equation 6 has
    the squared norm, which with two logits is twice that. The batch from the memory takes a forward pass of its own, in
    train mode and augmented.

    A sample's logits are stored when it enters the memory: here at the end of its domain, in eval mode and without
    augmentation. (In the paper they come from the middle of training, where the sample was met.) They are not renewed.

    Source: Buzzega et al., "Dark Experience for General Continual Learning: a Strong, Simple Baseline", NeurIPS 2020,
    equation 6 and algorithm 1.
    """

    info = replay.DER

    def fill_memory(self, experience: Any) -> None:
        """Offer the domain to the reservoir and store the logits of the samples that were kept."""
        super().fill_memory(experience)
        places = (self.memory.domains == self.step).nonzero().squeeze(1)
        kept = SubsetSource(source_of(experience), self.memory.rows[places])
        batches = clean_batches(kept, self.eval_mb_size, self.transform_of(experience), self.device)
        logits = [self.logits_of(inputs) for inputs, _ in batches]
        if logits:
            self.memory.logits[places] = torch.cat(logits).float().cpu()

    def stored_logits_loss(self) -> Tensor:
        """Return the MSE between the model's logits of a batch from the memory and those stored with it (scalar)."""
        batch = self.draw()
        logits = self.logits_of(batch.inputs)
        return F.mse_loss(logits, self.memory.logits[batch.places].to(logits))

    def penalty(self) -> Tensor:
        """Return ``alpha MSE(s', z')``."""
        return self.stored_logits_loss().mul(self.hyperparameters.alpha)
