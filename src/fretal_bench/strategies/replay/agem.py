"""Averaged gradient episodic memory: updates that don't raise the loss on the memory."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fretal_bench.strategies import replay
from fretal_bench.strategies.replay.memory_strategy import ReplayStrategy


def project(gradient: Sequence[Tensor], reference: Sequence[Tensor]) -> None:
    """Take out of ``gradient``, in place, what opposes ``reference``.

    If ``g . r < 0``, ``g <- g - (g . r / r . r) r``, all weights as one vector; then ``g . r = 0``. Else nothing changes.
    The result does not depend on the length of r, and scales with g.

    Args:
        gradient: g, one tensor a weight.
        reference: r, tensors of the same shapes.

    Source: Chaudhry et al., ICLR 2019, equation 11.
    """
    g = torch.cat([part.flatten() for part in gradient])
    r = torch.cat([part.flatten() for part in reference])
    along = g.dot(r)
    # No branch on the sign: on a GPU the processor would wait for it at every update.
    share = torch.where(along < 0, along / r.dot(r), torch.zeros_like(along))
    torch._foreach_sub_(list(gradient), torch._foreach_mul(list(reference), share))


class AGEM(ReplayStrategy):
    """Cross-entropy on the new domain, its gradient projected where it opposes that of a batch from the memory.

    See ``project``. The batch from the memory is run in train mode, like every batch, so BatchNorm's statistics follow
    it too. The memory is a reservoir over the past domains, as for ER and DER; the paper gives every task the same
    number of samples.

    Source: Chaudhry, Ranzato, Rohrbach, Elhoseiny, "Efficient Lifelong Learning with A-GEM", ICLR 2019, algorithm 2.
    """

    info = replay.AGEM

    def backward(self) -> None:
        """Compute the gradient of the new domain's loss, then project it."""
        super().backward()
        if self.step == 0:
            return
        weights = [w for w in self.model.parameters() if w.grad is not None]
        batch = self.draw()
        loss = self._criterion(self.logits_of(batch.inputs), batch.targets)
        # Scaled like the loss: in fp16 small gradients would vanish. Its length does not matter to the projection.
        scaled: Tensor = self._scaler.scale(loss)
        reference = torch.autograd.grad(scaled, weights, materialize_grads=True)
        project([w.grad for w in weights if w.grad is not None], reference)
