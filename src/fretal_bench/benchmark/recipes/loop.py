"""What a recipe adds to every strategy's training loop, as plugins: divergence, learning rate, BatchNorm, selection."""

from __future__ import annotations

import copy
import math
from typing import Any, Final

import torch
from avalanche.core import SupervisedPlugin
from torch import Tensor, nn

from fretal_bench.benchmark.recipes.recipe import Recipe
from fretal_bench.errors import BenchError
from fretal_bench.metrics.detection import auc
from fretal_bench.strategies.batches import BatchSource
from fretal_bench.strategies.distillation.fretal import FReTAL


def learning_rate(recipe: Recipe, update: int, updates: int) -> float:
    """Return the learning rate of update ``update`` (from 0) of ``updates`` in a domain.

    ``onecycle``: rises linearly from lr/25 to lr over the first 30 %, then a half cosine to 0. ``cosine``: a half
    cosine from lr to 0. ``constant``: lr.
    """
    if recipe.schedule == "constant":
        return recipe.lr
    warm = 0.3 * updates if recipe.schedule == "onecycle" else 0.0
    if update < warm:
        return recipe.lr * (1 / 25 + (1 - 1 / 25) * update / warm)
    done = (update - warm) / max(1.0, updates - warm)
    return recipe.lr * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


_LEAST: Final = 1e-12
"""Probability of a label below which a cross-entropy grows no further."""


class Diverged(BenchError):
    """Training whose loss, or whose scores, are no numbers any more; the cell fails, others go on."""


ADVICE: Final = (
    "train with a lower learning rate (e.g. --set recipe.lr=0.0001), or a weaker penalty of the strategy, into another "
    "--out"
)
"""What to do about a training that diverged."""


class StopWhenDiverged(SupervisedPlugin):  # type: ignore[misc]
    """Ends a training whose loss is NaN or infinite, with the domain, epoch, batch and loss where that began.

    The losses of an epoch are looked at together at its end: on a GPU, reading each would wait for it. In fp16 on CUDA
    the update of a batch whose loss overflows is skipped, so there an epoch without any finite loss is what counts.

    Args:
        domain: What is learned, in words, e.g. ``domain 'D1' (2 of 3)``.
        scaled: Whether the precision scales the loss, and skips updates.
    """

    def __init__(self, domain: str, scaled: bool = False) -> None:
        super().__init__()
        self.domain, self.scaled = domain, scaled
        self.epoch = 0
        self.losses: list[Tensor] = []

    def before_training_epoch(self, strategy: Any, **_: Any) -> None:
        """Begin an epoch."""
        self.epoch += 1
        self.losses = []

    def after_training_iteration(self, strategy: Any, **_: Any) -> None:
        """Remember the loss, penalty included, where it is."""
        self.losses.append(torch.as_tensor(strategy.loss).detach())

    def after_training_epoch(self, strategy: Any, **_: Any) -> None:
        """Look at the epoch's losses.

        Raises:
            Diverged: One (in fp16 on CUDA: every one) is NaN or infinite.
        """
        if not self.losses:
            return
        losses = torch.stack([loss.reshape(()).float() for loss in self.losses]).cpu()
        wrong = (~losses.isfinite()).nonzero().flatten().tolist()
        if not wrong or (self.scaled and len(wrong) < len(losses)):
            return
        raise Diverged(
            f"training diverged on {self.domain} in epoch {self.epoch} of {strategy.train_epochs}, "
            f"batch {wrong[0] + 1} of {len(losses)}: the loss is {float(losses[wrong[0]])}; {ADVICE}"
        )


class LearningRate(SupervisedPlugin):  # type: ignore[misc]
    """Sets the learning rate before every update; a group of weights with an ``lr_scale`` learns at that share of it."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.recipe = recipe

    def before_training_exp(self, strategy: Any, **_: Any) -> None:
        """Begin the domain's schedule."""
        self.update = 0
        self.updates = strategy.train_epochs * len(strategy.dataloader)

    def before_training_iteration(self, strategy: Any, **_: Any) -> None:
        """Set this update's learning rate."""
        rate = learning_rate(self.recipe, self.update, self.updates)
        for group in strategy.optimizer.param_groups:
            group["lr"] = rate * group.get("lr_scale", 1.0)
        self.update += 1


class FrozenBatchNorm(SupervisedPlugin):  # type: ignore[misc]
    """On every domain but the first BatchNorm normalises by the statistics it has, and doesn't update them.

    FReTAL's released code trains so by accident (binning switches the model to eval mode); as an option for every
    strategy the comparison is fair either way. BatchNorm's weights and biases go on learning.
    """

    def before_training_epoch(self, strategy: Any, **_: Any) -> None:
        """Put BatchNorm layers in eval mode."""
        if strategy.step > 0:
            for module in strategy.model.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()


class ReleasedBatchNorm(FrozenBatchNorm):
    """``FrozenBatchNorm`` for FReTAL and CoReD alone, as in their released code; the others adapt.

    There the call that bins a mini-batch by confidence leaves the student in eval mode. It is a confound: a strategy
    that bins is compared with strategies that adapt BatchNorm.
    """

    def before_training_epoch(self, strategy: Any, **_: Any) -> None:
        """Put BatchNorm layers in eval mode if the strategy bins by confidence."""
        if isinstance(strategy, FReTAL):
            super().before_training_epoch(strategy)


class KeepBest(SupervisedPlugin):  # type: ignore[misc]
    """Goes back, at a domain's end, to the epoch with the best validation accuracy.

    Among equal ones to that with the best AUC, then to that with the lowest cross-entropy, then to the latest; or, with
    ``first``, to the first of them.

    Args:
        validations: Validation splits; of several the values are added, each split counting the same.
        first: Keep the first of epochs of equal accuracy.
    """

    def __init__(self, *validations: BatchSource, first: bool = False) -> None:
        super().__init__()
        self.validations, self.first = validations, first
        self.best: tuple[float, ...] = ()
        self.weights: dict[str, Tensor] = {}
        self.running: dict[str, Any] = {}

    def after_training_epoch(self, strategy: Any, **_: Any) -> None:
        """Keep the weights if they are the best so far."""
        of_each = [self._merits(strategy, validation) for validation in self.validations]
        merits = tuple(sum(values) for values in zip(*of_each, strict=True))
        better = merits[:1] > self.best[:1] if self.first else merits >= self.best
        if better:
            self.best = merits
            self.weights = {key: value.clone() for key, value in strategy.model.state_dict().items()}
            self.running = copy.deepcopy(strategy.running_state())

    @staticmethod
    def _merits(strategy: Any, validation: BatchSource) -> tuple[float, float, float]:
        """Return accuracy, AUC (0 where a class is missing) and the negative cross-entropy: the larger, the better."""
        scores, labels = torch.from_numpy(strategy.score(validation)), validation.targets.cpu()
        accuracy = float(((scores >= 0.5).long() == labels).float().mean())
        # Scores that are no probabilities are refused elsewhere, in words.
        fake = scores.double().nan_to_num(0.0).clamp(0, 1)
        both = 0 < int(labels.sum()) < len(labels)
        of_label = torch.where(labels == 1, fake, 1 - fake).clamp(min=_LEAST)
        return accuracy, auc(labels.numpy(), fake.numpy()) if both else 0.0, float(of_label.log().mean())

    def after_training_exp(self, strategy: Any, **_: Any) -> None:
        """Restore the best weights."""
        if self.weights:
            strategy.model.load_state_dict(self.weights)
            for name, value in self.running.items():
                setattr(strategy, name, value)
