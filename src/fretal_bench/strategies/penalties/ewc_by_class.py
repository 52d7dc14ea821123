"""EWC with the Fisher information of real and of fake samples apart; the suite's own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from fretal_bench.strategies import penalties
from fretal_bench.strategies.penalties.ewc import EWC, fisher_diagonal
from fretal_bench.strategies.penalties.per_sample import Batches, Weights

CLASSES = (0, 1)
"""Real and fake."""


class OfClass:
    """The samples of one class alone, in batches: inputs [b, 3, H, W] and labels int64 [b]; no batch without any.

    Args:
        batches: Batches of all classes, of which one is held at a time.
        label: The class.

    Attributes:
        count: Samples given so far.
    """

    def __init__(self, batches: Batches, label: int) -> None:
        self.batches, self.label, self.count = batches, label, 0

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for inputs, targets in self.batches:
            mine = targets == self.label
            if mine.any():
                self.count += int(mine.sum())
                yield inputs[mine], targets[mine]


class EWCByClass(EWC):
    """``L = CE(s, y) + lambda_/2 sum_i sum_k C(F^r_i, F^f_i)[k] (w[k] - w_i[k])^2``, i over the past domains.

    ``F^r_i`` and ``F^f_i`` are the diagonals of the Fisher information after domain i, estimated as EWC's
    (``fisher_diagonal``) from its real samples alone and from its fake ones alone, each a mean over the samples of its
    class. ``C`` is their mean or, weight by weight, the larger of the two (``combination``). A domain whose samples are
    of one class has that class's. Everything else is EWC's (``ewc.py``), the closed form over past domains as well.

    EWC's Fisher information is a mean over all samples, so that the class with more of them says which weights matter:
    ``F = (n_r F^r + n_f F^f) / (n_r + n_f)``. With the mean this is EWC where a domain has as many reals as fakes, and
    differs from it by the class frequencies alone: on FF++-mini, whose domains are balanced, the two are equal but for
    rounding, which training then enlarges. Both are estimated at the same weights, so there is one ``w_i``, and state of
    the same size.

    This is the suite's own. It was prompted by Face-D2CL (arXiv 2604.08159), whose abstract names an EWC that tells the
    importance for real samples from that for fake ones; how it combines them, its strength and the rest of it (inputs,
    adapters, orthogonal gradients) are not public, and no number of this strategy is one of that method's.
    """

    info = penalties.EWC_BY_CLASS

    def fisher_of(self, experience: Any) -> Weights:
        """Return the combined diagonal of a domain's Fisher information, one tensor a trainable weight."""
        constants = self.hyperparameters
        parts = []
        for label in CLASSES:
            batches = OfClass(self.fisher_batches(experience), label)
            fisher = fisher_diagonal(self.model, batches, constants.fisher)
            parts += [fisher] if batches.count else []
        if len(parts) == 1:
            return parts[0]
        real, fake = parts
        if constants.combination == "max":
            return {name: torch.maximum(of_reals, fake[name]) for name, of_reals in real.items()}
        return {name: (of_reals + fake[name]) / 2 for name, of_reals in real.items()}
