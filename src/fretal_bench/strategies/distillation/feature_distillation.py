"""Less-forgetting learning: the features that enter the head are held near the older model's."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from fretal_bench.strategies import distillation
from fretal_bench.strategies.distillation.teacher import DistillationStrategy
from fretal_bench.strategies.features import head_inputs_and_logits, head_of


class FeatureDistillation(DistillationStrategy):
    """``L = CE(s, y) + lambda_ 1/2 |f_S - f_T|^2``, mean over the batch, sum over the features.

    f are the features that enter the head (``head_inputs_and_logits``), the paper's last hidden layer: after the model's
    own pooling, unlike FReTAL's, which are pooled by their maximum. The teacher is the model before this domain, in eval
    mode; gradients flow through the student's features only.

    The paper keeps the boundary of the classes as the source domain drew it: the head's weights are frozen on every
    domain but the first (``freeze_classifier``). They have no gradient then, so that neither the optimiser's momentum nor
    its weight decay moves them; after the domain they are trainable again.

    Source: Jung, Ju, Jung, Kim, "Less-forgetting Learning in Deep Neural Networks", arXiv 1607.00122 (2016); the weight
    of its cross-entropy, lambda_c, is 1.
    """

    info = distillation.FEATURE_DISTILLATION

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.frozen: list[nn.Parameter] = []
        """The weights this strategy has frozen for the domain being learned."""

    def before_domain(self, experience: Any) -> None:
        """Freeze the teacher and the head."""
        super().before_domain(experience)
        if self.hyperparameters.freeze_classifier:
            weights = [weight for head in head_of(self.model) for weight in head.parameters()]
            self.frozen = [weight for weight in weights if weight.requires_grad]
            for weight in self.frozen:
                weight.requires_grad_(False)
                weight.grad = None

    def after_domain(self, experience: Any) -> None:
        """Let the head learn again."""
        for weight in self.frozen:
            weight.requires_grad_(True)
        self.frozen = []

    def forward(self) -> Tensor:
        """Return the logits of the mini-batch and keep the features that enter the head."""
        with self.autocast():
            self.mb_features, logits = head_inputs_and_logits(self.model, self.mb_x)
        return logits

    @torch.no_grad()
    def teacher_features(self) -> Tensor:
        """Return the teacher's features for the mini-batch, float32 [B, D]."""
        with self.autocast():
            return head_inputs_and_logits(self.teacher, self.mb_x)[0]

    def penalty(self) -> Tensor:
        """Return the squared distance of the features, weighted."""
        away = self.mb_features - self.teacher_features()
        strength: float = self.hyperparameters.lambda_
        return away.square().sum(dim=1).mean() * (strength / 2)
