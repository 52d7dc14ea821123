"""The base of strategies that judge by the features of a model which only the first domain has trained."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn

from fretal_bench.strategies.features import head_inputs_and_logits, head_of
from fretal_bench.strategies.state import check_tensor
from fretal_bench.strategies.template import ContinualStrategy

CLASSES = 2
"""Real and fake."""


class FrozenFeatures(ContinualStrategy):
    """Base of strategies that train the model on the first domain only and then keep statistics of its features.

    Every domain, the first included, is read once, in order and without augmentation, the model in eval mode. The
    statistics are float64 and replace the model's head: ``class_scores`` are the logits.
    """

    def learn(self, batches: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Take a domain's training samples into the statistics: features float64 [B, D] and labels int64 [B]."""
        raise NotImplementedError

    def class_scores(self, features: Tensor) -> Tensor:
        """Return the scores of the classes, float64 [B, 2], for features float64 [B, D]."""
        raise NotImplementedError

    @torch.no_grad()
    def after_domain(self, experience: Any) -> None:
        """Read the domain once."""
        self.model.eval()
        self.learn(self._feature_batches(experience))

    def _feature_batches(self, experience: Any) -> Iterator[tuple[Tensor, Tensor]]:
        for inputs, targets in self.clean_batches(experience):
            yield self.features(inputs), targets

    @torch.no_grad()
    def features(self, inputs: Tensor) -> Tensor:
        """Return the features that enter the head, float64 [B, D]; computed at the strategy's precision."""
        with self.autocast():
            return head_inputs_and_logits(self.model, inputs)[0].double()

    def probabilities(self, inputs: Tensor) -> Tensor:
        """Return the softmax of the classes' scores, float32 [B, 2]."""
        return torch.softmax(self.class_scores(self.features(inputs)), dim=1).float()

    def linear_rule(self) -> tuple[Tensor, Tensor] | None:
        """Return weights [2, D] and biases [2] that judge as ``class_scores`` do; None where these are not linear."""
        return None

    @torch.no_grad()
    def classifier(self) -> nn.Module | None:
        """Return the model with the linear rule in place of its linear head; None where one of both is not linear."""
        rule, heads = self.linear_rule(), head_of(self.model)
        if rule is None or len(heads) > 1 or not isinstance(heads[0], nn.Linear) or heads[0].bias is None:
            return None
        model: nn.Module = copy.deepcopy(self.model)
        (head,) = head_of(model)
        # What both classes have in common makes no difference to the softmax, and costs float32 its digits.
        for own, value in zip((head.weight, head.bias), rule, strict=True):
            cast(Tensor, own).copy_(value - value.mean(0))
        return model

    def forward(self) -> Tensor:
        """Return the model's logits while it is trained, the classes' scores when Avalanche evaluates."""
        if self.is_training or self.step == 0:
            return super().forward()
        return self.class_scores(self.features(self.mb_x)).float()

    def _train_exp(self, experience: Any, eval_streams: Any = None, **kwargs: Any) -> None:
        if self.step == 0:
            super()._train_exp(experience, eval_streams, **kwargs)


def add_by_class(sums: Tensor, counts: Tensor, features: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Return ``sums`` [2, D] and ``counts`` [2] of the classes with a batch added."""
    members = torch.nn.functional.one_hot(targets, CLASSES).to(features.dtype)
    return sums + members.T @ features, counts + members.sum(0)


def sums_and_counts(state: Mapping[str, Any], device: torch.device) -> tuple[Tensor, Tensor]:
    """Take ``sums`` [2, D] and ``counts`` [2] out of a saved state, on ``device``; ``BadState`` if they are not these."""
    sums = check_tensor(
        state["sums"],
        "sums",
        lambda value: not len(value) or (value.ndim == 2 and len(value) == CLASSES),
        "[2, D]",
    )
    counts = check_tensor(state["counts"], "counts", lambda value: value.shape == (CLASSES,), "[2]")
    return sums.to(device), counts.to(device)
