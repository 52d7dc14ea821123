"""GDumb: a greedy, balanced memory, and a model trained from scratch on it alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from fretal_bench.strategies import draws, replay
from fretal_bench.strategies.batches import BatchSource
from fretal_bench.strategies.replay.memory_strategy import RehearsalStrategy, source_of
from fretal_bench.strategies.state import check_weights


class GDumb(RehearsalStrategy):
    """``L = CE(s, y)`` over the memory alone, from the initial weights, at every domain, the first included.

    The memory is shared out evenly between the classes and, within a class, between the domains; samples are taken, and
    given up, at random. (The paper balances classes. Both of ours are there from the first domain on, so that rule alone
    would never take a sample of a later one.) The new domain's samples enter before the training, which sees no others.

    The model begins each time with the weights it was built with, which depend on the seed alone, and trains for the
    recipe's epochs, with the recipe's augmentation and schedule; the paper's own are 256 epochs with CutMix and warm
    restarts (SGDR). An epoch here is an epoch over the memory: with a small budget those are few updates. With
    ``batchnorm=frozen`` the statistics of later domains' models are those of the initialisation: use ``adapt``.

    Source: Prabhu, Torr, Dokania, "GDumb: A Simple Approach that Questions Our Progress in Continual Learning", ECCV
    2020, algorithms 1 and 2.
    """

    info = replay.GDUMB

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.initial: dict[str, Tensor] = _copied(self.model.state_dict())
        """The weights that every training begins with."""
        self._collected = -1

    def collect(self, experience: Any) -> None:
        """Give the domain its share of the memory."""
        labels = source_of(experience).targets
        order = torch.randperm(len(labels), generator=draws.of(self.seed, self.step, "memory: fill"))
        ranked = {label: order[labels[order] == label] for label in sorted(set(labels.tolist()))}
        self.memory.offer_ranked(self.step, ranked)
        self._collected = self.step

    def fill_memory(self, experience: Any) -> None:
        """Give the domain its share of the memory if it was not trained here."""
        if self._collected != self.step:
            self.collect(experience)

    def training_source(self, experience: Any) -> BatchSource:
        """Return the samples in the memory."""
        return self.memory_source(experience)

    def _before_training_exp(self, **kwargs: Any) -> None:
        self.collect(self.experience)
        self.model.load_state_dict(self.initial)
        self.optimizer.state.clear()
        super()._before_training_exp(**kwargs)

    def extra_state(self) -> dict[str, Any]:
        """Keep the memory and the initial weights."""
        return {**super().extra_state(), "initial": self.initial}

    def load_extra_state(self, state: Mapping[str, Any]) -> None:
        """Restore the memory and the initial weights."""
        super().load_extra_state(state)
        check_weights(state["initial"], self.model)
        self.initial = _copied(state["initial"])


def _copied(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: weight.detach().clone() for name, weight in weights.items()}
