"""Knowledge distillation alone."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from fretal_bench.strategies import distillation
from fretal_bench.strategies.distillation.teacher import DistillationStrategy, softened_divergence


def distillation_loss(
    student: Tensor, teacher: Tensor, targets: Tensor, temperature: float, alpha: float
) -> Tensor:
    """Return ``L_KD = a T^2 KL(softmax(t/T) || softmax(s/T)) + (1 - a) CE(s, y)``, mean over the batch.

    Args:
        student: Logits s [B, 2].
        teacher: Logits t [B, 2].
        targets: Labels y, int64 [B].
        temperature: T.
        alpha: a.
    """
    divergence = softened_divergence(student, teacher, temperature)
    return alpha * temperature**2 * divergence + (1 - alpha) * F.cross_entropy(student, targets)


class KD(DistillationStrategy):
    """``L = CE(s, y) + L_KD``: FReTAL without the representation term ("DL" in its tables).

    With the published constants that is 1.5 CE + 200 KL, since ``L_KD`` itself holds half a cross-entropy. The teacher is
    FReTAL's: the model before this domain, or with ``teacher="source"`` the one after the first.

    Source: Kim, Tariq, Woo, "FReTAL", CVPR Workshops 2021, and its released code.
    """

    info = distillation.KD

    def penalty(self) -> Tensor:
        """Return ``L_KD``."""
        constants = self.hyperparameters
        return distillation_loss(
            self.mb_output, self.teacher_logits(), self.mb_y, constants.temperature, constants.alpha
        )
