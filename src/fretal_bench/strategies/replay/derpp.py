"""Dark experience replay with labels."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from fretal_bench.strategies import replay
from fretal_bench.strategies.replay.der import DER


class DERpp(DER):
    """``L = CE(s, y) + alpha MSE(s', z') + beta CE(s'', y'')``: DER, and the labels of another batch from the memory.

    The two batches are drawn one after the other, each with a forward pass of its own.

    Source: Buzzega et al., NeurIPS 2020, equation 7 (see ``der.py``).
    """

    info = replay.DERPP

    def penalty(self) -> Tensor:
        """Return ``alpha MSE(s', z') + beta CE(s'', y'')``."""
        batch_of_logits = super().penalty()
        batch = self.draw()
        labels: Tensor = F.cross_entropy(self.logits_of(batch.inputs), batch.targets)
        return batch_of_logits + labels.mul(self.hyperparameters.beta)
