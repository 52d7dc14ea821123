"""Low-rank adapters that add up, those of a new domain orthogonal to the old ones', under one head."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from fretal_bench.strategies import prompts
from fretal_bench.strategies.prompts.frozen_backbone import FrozenBackbone
from fretal_bench.strategies.prompts.layers import feed_forward_layers, linear_head
from fretal_bench.strategies.prompts.parts import LowRank, add_to

REAL = 0
_EPSILON = 1e-8


class Experts(LowRank):
    """``W + alpha / r sum_{i<=k} B_i A_i`` in domain k: what domains 1 to k learned, and what they share.

    Args:
        rank: r, rows of A_i.
        alpha: Numerator of the scale.
        shared: Whether there is a pair that every domain trains (Real-LoRA); it is number 0, in front.
    """

    def __init__(self, rank: int, alpha: float, shared: bool) -> None:
        super().__init__(rank, alpha)
        self.shared = shared

    def add(self, weight: Tensor, generator: torch.Generator) -> None:
        """Add a domain; with the first, the pair that all domains share."""
        if self.shared and not self.down:
            super().add(weight, generator)
        super().add(weight, generator)

    def in_domain(self, weight: Tensor, domain: int) -> Tensor:
        """Return ``W + alpha / r [B_0 .. B_k] [A_0; ..; A_k]``."""
        count = domain + self.shared
        change = torch.cat(list(self.up[:count]), 1) @ torch.cat(list(self.down[:count]))
        return weight + self.scale * change

    def learn(self) -> None:
        """Let the newest pair learn, and the shared one."""
        for pairs in (self.down, self.up):
            for pair in (pairs[-1], *pairs[: int(self.shared)]):
                pair.requires_grad_(True)

    def overlap(self) -> Tensor:
        """Return the mean over older domains i of ``||A_t A_i^T||_F^2``, t being the newest; 0 where there are none."""
        matrices: list[Tensor] = list(self.down)[int(self.shared) :]
        *old, newest = matrices
        if not old:
            return newest.new_zeros(())
        products: Tensor = newest @ torch.cat(old).T
        return products.square().sum() / len(old)

    def responses(self, inputs: Tensor, samples: int) -> Tensor:
        """Return the mean over tokens of the norm of what each expert adds to the layer's output.

        Args:
            inputs: What enters the layer; all of a sample's tokens follow each other.
            samples: B.

        Returns:
            [experts, B], those in use.
        """
        tokens = inputs.float().reshape(samples, -1, inputs.shape[-1])
        count = self.active + self.shared
        rows = []
        for down, up in zip(self.down[:count], self.up[:count], strict=True):
            inner = tokens @ down.T
            squared = ((inner @ (up.T @ up)) * inner).sum(2)
            # The norm has no derivative at 0, where every B begins.
            rows.append(self.scale * (squared.clamp(min=0) + _EPSILON**2).sqrt().mean(1))
        return torch.stack(rows)


class _Inputs:
    """What entered the adapted layers in the last training pass, while ``wanted``."""

    wanted = False

    def __init__(self, layers: list[nn.Linear]) -> None:
        self.kept: dict[int, Tensor] = {}
        for place, layer in enumerate(layers):
            layer.register_forward_pre_hook(self._keeper(place))

    def _keeper(self, place: int) -> Any:
        def keep(layer: nn.Module, arguments: tuple[Tensor, ...]) -> None:
            if self.wanted and layer.training:
                self.kept[place] = arguments[0]

        return keep


def imbalance(responses: Tensor, fake: Tensor, delta: float, shared: bool) -> Tensor:
    """Return ``var(I o C) / mean(I o C)`` over experts and samples, the label-guided balancing.

    Args:
        responses: I, [experts, B].
        fake: Whether each sample is fake, bool [B].
        delta: C is ``1 - delta`` where an expert fits a sample (the shared one a real, the others a fake), else
            ``1 + delta``.
        shared: Whether expert 0 is the shared one.
    """
    of_fakes = torch.ones(len(responses), 1, dtype=torch.bool, device=responses.device)
    if shared:
        of_fakes[REAL] = False
    weighted = responses * torch.where(of_fakes == fake[None], 1 - delta, 1 + delta)
    return weighted.var(correction=0) / (weighted.mean() + _EPSILON)


class OrthogonalLoRA(FrozenBackbone):
    """Adapters that add up, each domain's orthogonal to those before it, under one head that all domains train.

    Domain 0 is the source model. For domain t > 0 the backbone and the adapters of older domains stay as they are, and
    the domain's own adapters and the head learn: ``W + alpha / r sum_{i<=t} B_i A_i`` in place of the weight W of every
    linear layer of the feed-forward networks (``mlp``) of blocks with attention. B_t = 0 at first. All adapters are in
    use at test time, whatever the sample: nothing is routed, no sample is kept.

    ``L = CE + orthogonality * 1/(t-1) sum_{i<t} sum_layers ||A_t A_i^T||_F^2``

    With ``real_lora`` one more pair a layer is trained by every domain and never frozen (Real-LoRA). With ``balancing``
    the loss has ``balancing_weight`` times ``var(I o C) / mean(I o C)``, mean over layers, over experts e and samples l
    of the batch: I_el is the mean over tokens of the norm of what expert e adds for sample l, C_el = 1 - delta where the
    expert fits the sample (Real-LoRA a real, the others a fake) and 1 + delta elsewhere.

    The head is shared and goes on learning, so it is what is not protected. A domain with one class only, as in
    fake-incremental streams, pulls it towards that class.

    Not DevFD. It is after Zhang, Gao, Peng, Zhu, Lei, "DevFD: Developmental Face Forgery Detection by Learning Shared
    and Orthogonal LoRA Subspaces", NeurIPS 2025, of which it leaves out the integrated gradient constraint and the
    weighting of experts by their responses: the formulas of both, and the rank, are not known here. DevFD also adds an
    expert in its first domain, to published weights. Its published numbers are not to be expected of this. What is known
    of it is kept: layers, subspace loss, constants of the balancing (delta 0.15, weight 0.2). The orthogonality alone is
    O-LoRA: Wang et al., "Orthogonal Subspace Learning for Language Model Continual Learning", Findings of EMNLP 2023,
    which adapts the attention's queries and values and sums over older tasks where this takes the mean.

    The frozen backbone must have learned something to adapt: see ``domain-lora``. BatchNorm's statistics are frozen.
    """

    info = prompts.ORTHOGONAL_LORA
    purpose = "experts"

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # A model that cannot be adapted is refused before the first domain is trained.
        layers = feed_forward_layers(self.model, "orthogonal-lora")
        linear_head(self.model, "orthogonal-lora")
        # Now: a model is compiled at its first batch, and would be again for hooks that come later.
        self._inputs = _Inputs(layers) if self.hyperparameters.balancing else None

    def before_domain(self, experience: Any) -> None:
        """Freeze, add this domain's adapters, and look at what enters them."""
        super().before_domain(experience)
        if self._inputs is not None:
            self._inputs.wanted = True

    def after_domain(self, experience: Any) -> None:
        """Let go of what entered the adapters."""
        del experience
        if self._inputs is not None:
            self._inputs.wanted = False
            self._inputs.kept.clear()

    def add_domain(self, generator: torch.Generator) -> None:
        """Add a domain's adapters; they, those that all share and the head learn."""
        constants = self.hyperparameters
        for layer in feed_forward_layers(self.model, "orthogonal-lora"):
            add_to(layer, "weight", Experts(constants.rank, constants.alpha, constants.real_lora), generator)
        for experts in self._experts():
            experts.learn()
        linear_head(self.model, "orthogonal-lora").requires_grad_(True)

    def _experts(self) -> list[Experts]:
        return [module for module in self.model.modules() if isinstance(module, Experts)]

    def penalty(self) -> Tensor | None:
        """Return the overlap of the new adapters with the old ones, and the imbalance of the experts."""
        constants, experts = self.hyperparameters, self._experts()
        loss: Tensor = constants.orthogonality * torch.stack([part.overlap() for part in experts]).sum()
        if self._inputs is not None:
            fake, kept = self.mb_y == 1, self._inputs.kept
            parts = [
                imbalance(part.responses(kept[place], len(fake)), fake, constants.delta, part.shared)
                for place, part in enumerate(experts)
            ]
            loss = loss + constants.balancing_weight * torch.stack(parts).mean()
            kept.clear()
        return loss
