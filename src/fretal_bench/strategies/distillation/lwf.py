"""Learning without Forgetting."""

from __future__ import annotations

from torch import Tensor

from fretal_bench.strategies import distillation
from fretal_bench.strategies.distillation.teacher import DistillationStrategy, softened_divergence


class LwF(DistillationStrategy):
    """``L = CE(s, y) + lambda_ KL(softmax(t/T) || softmax(s/T))``, the teacher t being the model before this domain.

    As published the old outputs' loss is a cross-entropy of softened outputs, without a factor T^2; the divergence
    differs from it by a constant and has the same gradient. With one head for all domains there is no new head to
    warm up. Teacher in eval mode, without gradients.

    Source: Li and Hoiem, "Learning without Forgetting", ECCV 2016, equations 1 to 4.
    """

    info = distillation.LWF

    def penalty(self) -> Tensor:
        """Return the old outputs' loss."""
        constants = self.hyperparameters
        divergence = softened_divergence(self.mb_output, self.teacher_logits(), constants.temperature)
        return divergence.mul(constants.lambda_)
