"""FReTAL: distillation, and feature representations matched in bins of confidence."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from fretal_bench.strategies import distillation
from fretal_bench.strategies.distillation import Feature
from fretal_bench.strategies.distillation.kd import distillation_loss
from fretal_bench.strategies.distillation.teacher import DistillationStrategy
from fretal_bench.strategies.features import features_and_logits

BINS = 5
"""Bins of confidence a class: (.5, .6], (.6, .7], (.7, .8], (.8, .9], (.9, 1]."""


def bin_membership(logits: Tensor, targets: Tensor) -> Tensor:
    """Say which bin each sample belongs to, by the probability of its TRUE class.

    Args:
        logits: [B, 2].
        targets: Labels, int64 [B].

    Returns:
        Float [2 * BINS, B], row ``class * BINS + bin``; 1 where the sample belongs to the bin. A misclassified sample
        (probability <= .5) belongs to none.
    """
    confidence = torch.softmax(logits.detach(), dim=1).gather(1, targets[:, None]).squeeze(1)
    # Made on the CPU and sent: made on a GPU, they would wait for all that it is computing.
    edges = torch.tensor([0.5, 0.6, 0.7, 0.8, 0.9], dtype=logits.dtype)
    edges = edges.to(logits.device, non_blocking=True)
    place = torch.bucketize(confidence, edges) - 1
    rows = torch.arange(2 * BINS, device=logits.device)
    return ((targets * BINS + place)[None] == rows[:, None]).logical_and(place >= 0).to(logits.dtype)


def bin_sums(features: Tensor, membership: Tensor, feature: Feature) -> tuple[Tensor, Tensor]:
    """Sum the features of each bin.

    Args:
        features: Pooled features [B, D].
        membership: [2 * BINS, B].
        feature: See ``FReTALHyperparameters``.

    Returns:
        Sums [2 * BINS, 1] for ``scalar`` (each feature vector averaged first), [2 * BINS, D] for ``vector``; and the
        counts of samples [2 * BINS].
    """
    values = features.mean(dim=1, keepdim=True) if feature == "scalar" else features
    return membership @ values, membership.sum(dim=1)


def representation_loss(
    student_sums: Tensor, student_counts: Tensor, teacher_sums: Tensor, teacher_counts: Tensor
) -> Tensor:
    """Return ``L_FR = sum over classes c, bins k of |f_S[c,k] - f_T[c,k]|^2``, f being the mean feature of a bin.

    A bin that is empty on either side contributes nothing. Arguments as ``bin_sums`` returns them.
    """
    both = ((student_counts > 0) & (teacher_counts > 0)).to(student_sums.dtype)
    student = student_sums / student_counts.clamp(min=1)[:, None]
    teacher = teacher_sums / teacher_counts.clamp(min=1)[:, None]
    return ((student - teacher) ** 2).sum(dim=1).mul(both).sum()


class FReTAL(DistillationStrategy):
    """``L = CE(s, y) + L_KD + L_FR``; 1.5 CE + 200 KL + L_FR with the published constants.

    ``L_KD`` is ``kd.distillation_loss``, ``L_FR`` is ``representation_loss``. The teacher's bins are filled once before
    the domain, over its whole training set without augmentation; the student's on every mini-batch, after augmentation,
    binned by the student itself; gradients flow through the student's features. The feature is the output of the
    backbone before the classifier, its maximum over space: for a timm model ``forward_features``, then global max-pool.
    (The released code takes Xception's ``bn4``, before the final ReLU; ``forward_features`` of timm comes after it.)

    The teacher is the model before this domain: along a stream FReTAL is applied at every adaptation, and each student
    teaches the next. This is what CoReD does, so that ``cored`` is another name of this strategy. With
    ``teacher="source"`` the model after the first domain teaches throughout.

    Source: Kim, Tariq, Woo, "FReTAL: Generalizing Deepfake Detection using Knowledge Distillation and Representation
    Learning", CVPR Workshops 2021, and its released code, whose second step loads the student of the first as teacher;
    Kim, Tariq, Woo, "CoReD: Generalizing Fake Media Detection with Continual Representation using Distillation", ACM
    Multimedia 2021, and its released code.
    """

    info = distillation.FRETAL

    def before_domain(self, experience: Any) -> None:
        """Freeze the teacher and fill its bins over the domain's training set."""
        super().before_domain(experience)
        self.teacher_sums, self.teacher_counts = self.fill_bins(experience)

    @torch.no_grad()
    def fill_bins(self, experience: Any) -> tuple[Tensor, Tensor]:
        """Return the teacher's ``bin_sums`` over all training samples of a domain."""
        sums: Any = 0.0
        counts: Any = 0.0
        for inputs, targets in self.clean_batches(experience):
            with self.autocast():
                features, logits = features_and_logits(self.teacher, inputs)
            part, number = bin_sums(features, bin_membership(logits, targets), self.hyperparameters.feature)
            sums, counts = sums + part, counts + number
        return sums, counts

    def forward(self) -> Tensor:
        """Return the logits of the mini-batch and keep its features."""
        with self.autocast():
            self.mb_features, logits = features_and_logits(self.model, self.mb_x)
        return logits

    def penalty(self) -> Tensor:
        """Return ``L_KD + L_FR``."""
        constants = self.hyperparameters
        membership = bin_membership(self.mb_output, self.mb_y)
        sums, counts = bin_sums(self.mb_features, membership, constants.feature)
        representation = representation_loss(sums, counts, self.teacher_sums, self.teacher_counts)
        outputs = distillation_loss(
            self.mb_output, self.teacher_logits(), self.mb_y, constants.temperature, constants.alpha
        )
        return outputs + representation.mul(constants.representation_weight)
