"""Averaged gradient episodic memory: gradients, or updates, that don't oppose the memory's gradient."""

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


@torch.no_grad()
def project_update(weights: Sequence[Tensor], before: Sequence[Tensor], reference: Sequence[Tensor]) -> None:
    """Take out of an update what raises the reference's loss to first order; the weights change in place.

    The update is ``d = weights - before``. If ``d . r > 0``, ``weights <- before + d - (d . r / r . r) r``; then
    ``d . r = 0``. Else nothing changes: for ``d = -lr g`` this is ``project``. A reference that is not finite changes
    nothing.

    Args:
        weights: After the update, one tensor a weight.
        before: The weights before it.
        reference: r, the gradient of the loss at ``before``.
    """
    r = torch.cat([part.flatten() for part in reference])
    update = torch.cat([(w - b).flatten() for w, b in zip(weights, before, strict=True)])
    along = update.dot(r)
    share = torch.where(along > 0, along / r.dot(r), torch.zeros_like(along))
    parts = [torch.where(share > 0, share * part, torch.zeros_like(part)) for part in reference]
    torch._foreach_sub_(list(weights), parts)


class AGEM(ReplayStrategy):
    """Cross-entropy on the new domain, its gradient projected where it opposes that of a batch from the memory.

    See ``project``. That no update raises the loss on this batch to first order, the paper's promise, follows for plain
    SGD alone, whose update is the gradient times a number. Momentum adds gradients of earlier updates, Adam and AdamW
    rescale every weight's, weight decay adds a direction of its own: under AdamW two of three updates of a small network
    raised it. With ``project="update"`` the gradient stays as it is and the optimiser's update is projected, after it was
    made (``project_update``), so the promise holds for every optimiser; what the optimiser gathers (momentum, squares)
    is of the gradients as they were. Under plain SGD both are the same.

    The batch from the memory is run in train mode, like every batch, so BatchNorm's statistics follow it too. The memory
    is a reservoir over the past domains, as for ER and DER; the paper gives every task the same number of samples.

    Source: Chaudhry, Ranzato, Rohrbach, Elhoseiny, "Efficient Lifelong Learning with A-GEM", ICLR 2019, algorithm 2; the
    projected update is the suite's.
    """

    info = replay.AGEM

    _constrained: tuple[list[Tensor], tuple[Tensor, ...]] | None = None
    """The weights whose update must be projected, and the memory's gradient; None where nothing must."""

    def backward(self) -> None:
        """Compute the gradient of the new domain's loss and that of the memory; project the one, or leave it."""
        super().backward()
        if self.step == 0:
            return
        weights = [w for w in self.model.parameters() if w.grad is not None]
        batch = self.draw()
        loss = self._criterion(self.logits_of(batch.inputs), batch.targets)
        # Scaled like the loss: in fp16 small gradients would vanish. Its length does not matter to the projection.
        scaled: Tensor = self._scaler.scale(loss)
        reference = torch.autograd.grad(scaled, weights, materialize_grads=True)
        gradient = [w.grad for w in weights if w.grad is not None]
        if self.hyperparameters.project == "gradient":
            project(gradient, reference)
            return
        self._constrained = weights, reference
        if self._scaler.is_enabled():
            # A reference that overflowed says nothing: such an update is skipped, as one whose own gradient did.
            torch._foreach_add_(gradient, torch._foreach_mul(list(reference), 0.0))

    def optimizer_step(self) -> None:
        """Update the weights, and project the update if that is asked for."""
        if self._constrained is None:
            super().optimizer_step()
            return
        weights, reference = self._constrained
        before = [weight.detach().clone() for weight in weights]
        super().optimizer_step()
        project_update([weight.detach() for weight in weights], before, reference)
        self._constrained = None
