"""T-GD: a teacher's own loss decides how strongly the student is held near it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from fretal_bench.strategies import penalties
from fretal_bench.strategies.distillation.teacher import DistillationStrategy
from fretal_bench.strategies.penalties.l2sp import split_decay
from fretal_bench.strategies.penalties.per_sample import Weights


class TGD(DistillationStrategy):
    """``L = CE(s, y) + g (L2SP + L2cls)``, ``g = sigmoid(-CE(t, y))`` on the mini-batch, t the teacher's logits.

    ``L2SP = 1/2 |w - w_T|^2`` over all weights but the head's, w_T being the teacher's; ``L2cls = 1/2 |v|^2`` over the
    head's (``split_decay``). A teacher that is right about the batch holds the student, one that is wrong lets it go: g
    lies in (0, 1/2], since a cross-entropy is not negative. The head is ``model.get_classifier()``; a model without one
    is refused.

    This is the loss alone, as FReTAL's comparison uses it. The published method also trains with intra-class CutMix and
    with noise and self-training; augmentation here is the recipe's, the same for every strategy.

    Source: Jeon, Bang, Kim, Woo, "T-GD: Transferable GAN-generated Images Detection Framework", ICML 2020, in the form
    of FReTAL's released code.
    """

    info = penalties.TGD

    def before_domain(self, experience: Any) -> None:
        """Freeze the teacher."""
        super().before_domain(experience)
        weights = dict(self.teacher.named_parameters())
        self.anchor: Weights = {
            name: weights[name] for name, w in self.model.named_parameters() if w.requires_grad
        }

    def penalty(self) -> Tensor:
        """Return ``g`` times the two weighted terms."""
        with torch.no_grad():
            gate = torch.sigmoid(-self._criterion(self.teacher_logits(), self.mb_y))
        away, decay = split_decay(self.model, self.anchor)
        constants = self.hyperparameters
        return gate * (away.mul(constants.starting_point) + decay.mul(constants.head_decay))
