"""iCaRL: exemplars chosen by herding, distillation, and the nearest mean of exemplars as classifier."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from fretal_bench.strategies import replay
from fretal_bench.strategies.batches import BatchSource, clean_batches
from fretal_bench.strategies.distillation.teacher import DistillationStrategy
from fretal_bench.strategies.features import head_inputs_and_logits
from fretal_bench.strategies.replay.memory_strategy import RehearsalStrategy, source_of
from fretal_bench.strategies.state import check_tensor


def herd(features: Tensor, count: int) -> Tensor:
    """Choose samples one by one so that the mean of the chosen stays as near as can be to the mean of all.

    ``p_k = argmin over x not chosen yet of | mu - (phi(x) + sum_{j<k} phi(p_j)) / k |``, where every mean, mu as well, is
    divided by its length, as the paper has it. The first k of the order are the choice for k, for every k.

    Args:
        features: phi, each of length 1, [N, D].
        count: How many to choose.

    Returns:
        Their positions in the order of choice, int64 [min(count, N)].

    Source: Rebuffi et al., CVPR 2017, algorithm 4; that no sample is chosen twice is the suite's reading.
    """
    mean = F.normalize(features.mean(dim=0), dim=0)
    along = features @ mean
    total = torch.zeros_like(mean)
    free = torch.ones(len(features), dtype=torch.bool, device=features.device)
    chosen = []
    for _ in range(min(count, len(features))):
        # Among vectors of length 1 the nearest to mu is the one with the largest cosine; total + phi is never formed.
        length = (total.dot(total) + 2 * (features @ total) + 1).clamp(min=1e-12).sqrt()
        cosine = (total.dot(mean) + along) / length
        best = int(cosine.masked_fill(~free, -torch.inf).argmax())
        chosen.append(best)
        free[best] = False
        total = total + features[best]
    return torch.tensor(chosen, dtype=torch.int64)


def sigmoid_loss(logits: Tensor, weights: Tensor) -> Tensor:
    """Return ``- sum_c w_c log g_c + (1 - w_c) log(1 - g_c)``, g = sigmoid(logits), mean over the batch.

    Args:
        logits: [B, C].
        weights: w in [0, 1], [B, C].
    """
    return F.binary_cross_entropy_with_logits(logits, weights, reduction="sum") / len(logits)


class ICaRL(RehearsalStrategy, DistillationStrategy):
    """``L = B(s, onehot(y)) + lambda B(s, sigmoid(t))`` over the new domain and all exemplars, B = ``sigmoid_loss``.

    t are the logits of the model as it was before this domain, frozen in eval mode, for the same augmented batch. In the
    paper the labels are the targets of the new classes' outputs and the old model's those of the old classes'. Real and
    fake are both at once, so here each output has both targets; that is the suite's reading. Domain 0 has no teacher:
    the labels alone. (In a run of the suite it is the shared source model, trained with softmax cross-entropy.)

    Exemplars: the budget is shared out evenly between the classes and, within a class, between the domains. A share is
    chosen by ``herd`` at the end of the domain; when it shrinks, the samples chosen last go first. Each exemplar joins
    an epoch once, like a new sample.

    Classifier: ``P(c | x) = softmax_c(- |phi(x) - mu_c|^2)``. phi are the features that enter the head, divided by
    their length; mu_c is the mean over the exemplars of class c of all domains, divided by its length, computed anew at
    the end of each domain. The paper takes the nearest mean and has no probabilities; the softmax is the suite's, and
    its larger side is the nearest mean. While a domain is being learned, means and features don't belong together:
    scores asked for then (validation between epochs, the untrained model) are the softmax of the logits.

    Source: Rebuffi et al., "iCaRL: Incremental Classifier and Representation Learning", CVPR 2017, algorithms 1 to 5.
    """

    info = replay.ICARL
    judged_by = ("class_means",)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.class_means = torch.empty(0, 0)
        """mu [2, D]; infinite for a class without exemplars; empty while a domain is being learned."""

    def criterion(self) -> Tensor:
        """Return the loss against the labels."""
        logits: Tensor = self.mb_output
        return sigmoid_loss(logits, F.one_hot(self.mb_y, logits.shape[1]).to(logits))

    def penalty(self) -> Tensor:
        """Return the loss against the old model's outputs."""
        loss = sigmoid_loss(self.mb_output, torch.sigmoid(self.teacher_logits()))
        return loss.mul(self.hyperparameters.lambda_)

    def before_domain(self, experience: Any) -> None:
        """Freeze the teacher; the means no longer hold."""
        super().before_domain(experience)
        self.class_means = torch.empty(0, 0)

    def unit_features(self, inputs: Tensor) -> Tensor:
        """Return phi, the features that enter the head divided by their length, [B, D]."""
        with self.autocast():
            features, _ = head_inputs_and_logits(self.model, inputs)
        return F.normalize(features, dim=1)

    def features_of(self, source: BatchSource, experience: Any) -> Tensor:
        """Return phi of every sample of a source of the kind that ``experience`` has, [N, D]."""
        batches = clean_batches(source, self.eval_mb_size, self.transform_of(experience), self.device)
        return torch.cat([self.unit_features(inputs) for inputs, _ in batches])

    def fill_memory(self, experience: Any) -> None:
        """Choose the domain's exemplars by herding, then compute the class means anew."""
        source = source_of(experience)
        features = self.features_of(source, experience)
        ranked = {}
        for label, count in self.memory.shares(self.step, source.targets).items():
            rows = (source.targets == label).nonzero().squeeze(1)
            ranked[label] = rows[herd(features[rows.to(features.device)], count)]
        self.memory.offer_ranked(self.step, ranked)
        self.class_means = self.exemplar_means(experience)

    def exemplar_means(self, experience: Any) -> Tensor:
        """Return mu [2, D] over the exemplars in the memory, those of ``experience`` among them."""
        features = self.features_of(self.memory_source(experience, train=False), experience)
        means = features.new_full((2, features.shape[1]), torch.inf)
        for label in set(self.memory.labels.tolist()):
            of_class = features[(self.memory.labels == label).to(features.device)]
            means[label] = F.normalize(of_class.mean(dim=0), dim=0)
        return means

    def probabilities(self, inputs: Tensor) -> Tensor:
        """Return ``softmax_c(- |phi(x) - mu_c|^2)`` [B, 2]."""
        if not len(self.class_means):
            return super().probabilities(inputs)
        away = self.unit_features(inputs)[:, None] - self.class_means
        return torch.softmax(-away.square().sum(dim=2), dim=1)

    def extra_state(self) -> dict[str, Any]:
        """Keep the exemplars and the class means."""
        return {**super().extra_state(), "class_means": self.class_means}

    def load_extra_state(self, state: Mapping[str, Any]) -> None:
        """Restore the exemplars and the class means."""
        super().load_extra_state(state)
        means = check_tensor(
            state["class_means"],
            "class_means",
            lambda value: value.ndim == 2 and len(value) in (0, 2),
            "[2, D]",
        )
        self.class_means = means.to(self.device)
