"""CLS-ER: replay held near the more confident of a fast and a slow average of the model."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from fretal_bench.strategies import replay
from fretal_bench.strategies.replay.averaged_replay import AveragedReplay


def more_confident(first: Tensor, second: Tensor, targets: Tensor) -> Tensor:
    """Return for every sample the logits that give its label the larger probability, the second's if they are equal.

    Args:
        first: Logits [B, C].
        second: Logits [B, C].
        targets: Labels, int64 [B].
    """
    sure = [F.log_softmax(logits, 1).gather(1, targets[:, None]) for logits in (first, second)]
    return torch.where(sure[0] > sure[1], first, second)


class CLSER(AveragedReplay):
    """``L = CE(s, y) over new and old samples + consistency * mean (s' - z*)^2``, s' the logits of the old ones alone.

    ``z*`` are the logits of the ``stable`` or of the ``plastic`` average, whichever gives the old sample's label the
    larger probability. CE is one mean over all samples of the update, the squares' mean is over old samples and classes.
    s' is from the forward pass of CE (the authors' code runs the old samples a second time, with other dropout and other
    batches for BatchNorm). The stable average judges. What the averages are: ``AveragedReplay``.

    Source: Arani, Sarfraz, Zonooz, "Learning Fast, Learning Slow: A General Continual Learning Method based on
    Complementary Learning System", ICLR 2022; what is averaged over, and the constants, as in the authors' code.
    """

    info = replay.CLS_ER

    def half_lives(self) -> dict[str, float]:
        """Return the half-lives of the stable and of the plastic average."""
        return {**super().half_lives(), "plastic": self.hyperparameters.plastic}

    def penalty(self) -> Tensor | None:
        """Return ``consistency * mean (s' - z*)^2``; nothing where no old sample is there."""
        old, targets = self.mb_x[self.new_samples :], self.mb_y[self.new_samples :]
        if not len(old):
            return None
        stable, plastic = (self.average_logits(name, old) for name in ("stable", "plastic"))
        goal = more_confident(stable, plastic, targets)
        return F.mse_loss(self.mb_output[self.new_samples :], goal).mul(self.hyperparameters.consistency)
