"""The teacher and the distillation loss that LwF, KD and FReTAL share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fretal_bench.strategies.distillation import Teacher
from fretal_bench.strategies.features import at_least_float32
from fretal_bench.strategies.state import check_weights
from fretal_bench.strategies.template import ContinualStrategy, frozen_copy


def softened_divergence(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Kullback-Leibler divergence of softened outputs, ``KL(softmax(t/T) || softmax(s/T))``, mean over the batch.

    Args:
        student: Logits s [B, C].
        teacher: Logits t [B, C].
        temperature: T > 0.

    Returns:
        Scalar, without the factor T^2 that some losses put before it.
    """
    return F.kl_div(
        F.log_softmax(student / temperature, dim=1),
        F.log_softmax(teacher / temperature, dim=1),
        reduction="batchmean",
        log_target=True,
    )


class DistillationStrategy(ContinualStrategy):
    """A strategy with a teacher: the model as it was before this domain (or after the first), frozen in eval mode."""

    teacher: nn.Module

    def teacher_kind(self) -> Teacher:
        """Return which model teaches: the ``previous`` one, or always the ``source`` model."""
        kind: Teacher = getattr(self.hyperparameters, "teacher", "previous")
        return kind

    def before_domain(self, experience: Any) -> None:
        """Freeze the teacher."""
        if self.teacher_kind() == "previous" or self.step == 1:
            self.teacher = frozen_copy(self.model)

    @torch.no_grad()
    def teacher_logits(self) -> Tensor:
        """Return the teacher's logits for the mini-batch, float32 [B, 2]."""
        with self.autocast():
            logits: Tensor = self.teacher(self.mb_x)
        return at_least_float32(logits)

    def extra_state(self) -> dict[str, Any]:
        """Keep the source model where it goes on teaching; the previous model is the checkpoint itself."""
        if self.teacher_kind() == "source" and self.step > 1:
            return {"teacher": self.teacher.state_dict()}
        return {}

    def load_extra_state(self, state: Mapping[str, Any]) -> None:
        """Restore the source model as teacher."""
        if "teacher" in state:
            self.teacher = frozen_copy(self.model)
            check_weights(state["teacher"], self.teacher)
            self.teacher.load_state_dict(state["teacher"])
