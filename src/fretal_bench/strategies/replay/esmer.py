"""ESMER: replay in which new samples whose loss is large, by a slow average of the model, count less."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from fretal_bench.strategies import draws, replay
from fretal_bench.strategies.batches import clean_batches, source_of
from fretal_bench.strategies.replay.averaged_replay import AveragedReplay, decay_of
from fretal_bench.strategies.state import check_tensor


def error_weights(losses: Tensor, running: Tensor, beta: float) -> Tensor:
    """Return the weights of new samples: 1 up to ``beta mu``, else ``mu / l``.

    Args:
        losses: l of the slow average [B].
        running: mu, [1]; [0] where there is none yet: all weights are 1.
        beta: How many times mu a loss may be.
    """
    if not len(running):
        return torch.ones_like(losses)
    small = losses <= beta * running
    # Where it is not small a loss is above 0.
    return torch.where(small, 1.0, running / losses.masked_fill(small, 1.0))


def typical_loss(losses: Tensor, margin: float) -> Tensor:
    """Return the mean, [1], of the losses [B] that are not above the batch's mean and ``margin`` standard deviations.

    The standard deviation is that of the batch itself (divided by B): a batch of one sample has one.
    """
    limit = losses.mean() + margin * losses.std(correction=0)
    # By rounding, the mean of equal losses may be below all of them.
    typical = losses <= torch.maximum(limit, losses.min())
    return (losses * typical).sum().div(typical.sum()).reshape(1)


class ESMER(AveragedReplay):
    """``L = mean_n w_n CE(s_n, y_n) + mean_b CE(s_b, y_b) + consistency * mean (s_b - z_b)^2``; n is new, b is old.

    ``l_n`` is the CE of the stable average on a new sample, of the same augmented view, ``z_b`` its logits of an old one,
    and mu a running mean of such losses:

        w_n = 1 where l_n <= beta mu, else mu / l_n
        mu <- g mu + (1 - g) mean{ l_n : l_n <= mean + std_margin std of the batch }

    so that a domain that comes as an error is learned slowly at first. mu rests during the first ``warmup`` of a domain's
    updates; there the authors' code has an epoch, which with one epoch a domain is all of it.

    mu begins with the first domain: it is the mean, over one more epoch of that domain, of what a batch would add to it,
    the source model judging. (The authors begin at 0, and take 0 for "not known yet".)

    The memory is a reservoir to which a domain is offered once, at its end: of its samples those with ``l_n <= beta mu``,
    l_n by the stable average as it is then, without augmentation; samples of large loss don't enter. How many of them are
    of which class plays no part, so it may be few of one, or none. (In the paper samples are offered when they pass, and
    its code stores nothing of a batch whose accepted labels are all 0.) The stable average judges. What it is:
    ``AveragedReplay``.

    Source: Sarfraz, Arani, Zonooz, "Error Sensitivity Modulation based Experience Replay: Mitigating Abrupt
    Representation Drift in Continual Learning", ICLR 2023; constants and the rule for mu as in the authors' code.
    """

    info = replay.ESMER

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.running_loss = torch.empty(0, device=self.device)
        """mu, float32 [1]; [0] until the first domain is learned."""
        self.update = 0
        """Updates made in this domain."""

    def _before_training_exp(self, **kwargs: Any) -> None:
        super()._before_training_exp(**kwargs)
        self.update = 0

    def criterion(self) -> Tensor:
        """Return the weighted CE of the new samples and the CE of the old ones; on the first domain plain CE."""
        if self.step == 0 or not self.is_training:
            plain: Tensor = super().criterion()
            return plain
        new = self.new_samples
        judged = self.average_logits("stable", self.mb_x)
        self.new_losses = F.cross_entropy(judged[:new], self.mb_y[:new], reduction="none")
        losses = F.cross_entropy(self.mb_output, self.mb_y, reduction="none")
        weights = error_weights(self.new_losses, self.running_loss, self.hyperparameters.beta)
        total = (weights * losses[:new]).mean()
        if len(losses) > new:
            distance = F.mse_loss(self.mb_output[new:], judged[new:])
            total = total + losses[new:].mean() + self.hyperparameters.consistency * distance
        return total

    def optimizer_step(self) -> None:
        """Update the weights, the stable average and, after the warm-up, the running loss."""
        super().optimizer_step()
        if self.step > 0 and self.update >= self.hyperparameters.warmup * self.updates:
            decay = decay_of(self.hyperparameters.loss_half_life, self.updates)
            typical = typical_loss(self.new_losses, self.hyperparameters.std_margin)
            self.running_loss = (decay * self.running_loss + (1 - decay) * typical).float()
        self.update += 1

    def fill_memory(self, experience: Any) -> None:
        """Offer the reservoir the domain's samples whose loss is not large."""
        if not len(self.running_loss):
            self.running_loss = self._first_running_loss(experience)
        source = source_of(experience)
        batches = clean_batches(source, self.eval_mb_size, self.transform_of(experience), self.device)
        losses = torch.cat([self._stable_losses(inputs, targets) for inputs, targets in batches])
        accepted = (losses <= self.hyperparameters.beta * self.running_loss).nonzero().squeeze(1)
        generator = draws.of(self.seed, self.step, "memory: fill")
        self.memory.offer_evenly(self.step, source.targets, generator, accepted)

    def _first_running_loss(self, experience: Any) -> Tensor:
        margin = self.hyperparameters.std_margin
        batches = self.further_batches(experience)
        return (
            torch.stack([typical_loss(self._stable_losses(x, y), margin) for x, y in batches]).mean(0).float()
        )

    def _stable_losses(self, inputs: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(self.average_logits("stable", inputs), targets, reduction="none")

    def running_state(self) -> dict[str, Any]:
        """Return the averages and the running loss."""
        return {**super().running_state(), "running_loss": self.running_loss}

    def extra_state(self) -> dict[str, Any]:
        """Keep the memory, the stable average and the running loss."""
        return {**super().extra_state(), "running_loss": self.running_loss}

    def load_extra_state(self, state: Mapping[str, Any]) -> None:
        """Restore the memory, the stable average and the running loss."""
        super().load_extra_state(state)
        expected = 1 if self.step > 0 else 0
        loss = check_tensor(
            state["running_loss"],
            "running_loss",
            lambda value: value.shape == (expected,) and bool((value >= 0).all() and value.isfinite().all()),
            f"[{expected}], a loss of at least 0",
            torch.float32,
        )
        self.running_loss = loss.to(self.device)
