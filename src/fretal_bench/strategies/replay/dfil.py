"""DFIL: supervised contrast, distillation of outputs and features, a memory of hard and of central samples."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from fretal_bench.strategies import replay
from fretal_bench.strategies.distillation.kd import distillation_loss
from fretal_bench.strategies.distillation.teacher import DistillationStrategy
from fretal_bench.strategies.features import head_inputs_and_logits
from fretal_bench.strategies.replay.memory_strategy import RehearsalStrategy, source_of


def contrastive_loss(features: Tensor, targets: Tensor, temperature: float) -> Tensor:
    """Supervised contrastive loss: samples of one class together, the others apart.

    ``L = mean over anchors i of - 1/|P(i)| sum_{p in P(i)} log( exp(z_i . z_p / T) / sum_{a != i} exp(z_i . z_a / T) )``,
    z = f / |f|, P(i) = the other samples of i's class. An anchor that is alone in its class is left out of the mean.

    Args:
        features: f [B, D].
        targets: Labels, int64 [B].
        temperature: T > 0.

    Returns:
        Scalar; 0 where no anchor has a partner.

    Source: Khosla et al., "Supervised Contrastive Learning", NeurIPS 2020, equation 2, one view a sample, the mean over
    anchors for the sum.
    """
    units = F.normalize(features, dim=1)
    similarity = units @ units.T / temperature
    itself = torch.eye(len(targets), dtype=torch.bool, device=targets.device)
    # The smallest number and not -inf: a batch of one sample would have no finite denominator.
    others = similarity.masked_fill(itself, torch.finfo(similarity.dtype).min)
    log_share = similarity - torch.logsumexp(others, dim=1, keepdim=True)
    partners = (targets[:, None] == targets) & ~itself
    counts = partners.sum(dim=1)
    anchors = log_share.masked_fill(~partners, 0).sum(dim=1) / counts.clamp(min=1)
    return -anchors.sum() / (counts > 0).sum().clamp(min=1)


def feature_distance(student: Tensor, teacher: Tensor) -> Tensor:
    """Return the mean over samples and channels of ``(f_S/|f_S| - f_T/|f_T|)^2`` for features [B, D]."""
    return F.mse_loss(F.normalize(student, dim=1), F.normalize(teacher, dim=1))


def hard_and_central(entropy: Tensor, distance: Tensor) -> Tensor:
    """Rank samples of one class: the hardest, the most central, the second hardest, and so on, none twice.

    Args:
        entropy: Entropy of the model's output, [N]; a large one is hard.
        distance: Distance to the mean feature of the class, [N]; a small one is central.

    Returns:
        Positions, int64 [N]. The first m hold m/2 hard and m/2 central samples (one that is both counts once).
    """
    hard = entropy.argsort(descending=True, stable=True)
    central = distance.argsort(stable=True)
    return torch.tensor(list(dict.fromkeys(torch.stack([hard, central], dim=1).flatten().tolist())))


class DFIL(RehearsalStrategy, DistillationStrategy):
    """``L = CE(s, y) + L_KD + w_SC L_SC + w_FD L_FD`` over the new domain and the memory.

    - ``L_SC``: ``contrastive_loss`` of the features; samples of one class come from old and new domains alike.
    - ``L_KD``: ``kd.distillation_loss``, ``a T^2 KL + (1 - a) CE``, so the labels count 1.7 times with a = 0.3.
    - ``L_FD``: ``feature_distance`` to the teacher's features.

    The features are those that enter the head (Xception: the mean over space). The teacher is the model as it was
    before this domain.

    Memory: of each class of a domain, half the share are the samples whose output has the highest entropy (hard) and
    half those whose feature is nearest to the mean of the class (central), by Euclidean distance, in eval mode and
    without augmentation at the end of the domain. When a share shrinks, both halves do. Stored samples join the new
    domain's epochs, each once.

    What is whose: the terms and the two kinds of samples are the paper's; the constants, the pooling and normalisation
    of the features, the entropy and the distance are read from the released code. That code keeps 125 samples of each
    kind and class of a task; that 500 is the budget of all past domains together is the suite's rule. To the letter
    that code would not distil: it loads the teacher's weights into the student, and gives KLDivLoss log-probabilities
    where it takes probabilities; here both do what the paper says. The paper trains its first domain with ``L_SC`` too;
    here that is the source model, which all strategies share and which knows cross-entropy alone.

    Source: Pan et al., "DFIL: Deepfake Incremental Learning by Exploiting Domain-invariant Forgery Clues", ACM MM 2023
    (arXiv 2309.09526), and its released code (DeepFakeIL/DFIL: ``TaskN_KD.py``, ``SupConLoss.py``,
    ``get_image_info.py``, ``create_memory.py``).
    """

    info = replay.DFIL

    def forward(self) -> Tensor:
        """Return the logits of the mini-batch and keep its features."""
        with self.autocast():
            self.mb_features, logits = head_inputs_and_logits(self.model, self.mb_x)
        return logits

    def penalty(self) -> Tensor:
        """Return ``L_KD + w_SC L_SC + w_FD L_FD``."""
        constants = self.hyperparameters
        with torch.no_grad(), self.autocast():
            features, logits = head_inputs_and_logits(self.teacher, self.mb_x)
        outputs = distillation_loss(self.mb_output, logits, self.mb_y, constants.temperature, constants.alpha)
        contrast = contrastive_loss(self.mb_features, self.mb_y, constants.contrast_temperature)
        away = feature_distance(self.mb_features, features)
        return outputs + contrast.mul(constants.contrast) + away.mul(constants.feature_weight)

    def fill_memory(self, experience: Any) -> None:
        """Rank the domain's samples and give them their share."""
        features, logits = [], []
        for inputs, _ in self.clean_batches(experience):
            with self.autocast():
                of_batch = head_inputs_and_logits(self.model, inputs)
            features.append(of_batch[0].cpu())
            logits.append(of_batch[1].cpu())
        feature = torch.cat(features)
        entropy = torch.special.entr(torch.softmax(torch.cat(logits), dim=1)).sum(dim=1)
        labels = source_of(experience).targets
        ranked = {}
        for label in sorted(set(labels.tolist())):
            rows = (labels == label).nonzero().squeeze(1)
            distance = (feature[rows] - feature[rows].mean(dim=0)).norm(dim=1)
            ranked[label] = rows[hard_and_central(entropy[rows], distance)]
        self.memory.offer_ranked(self.step, ranked)
