"""The base of the strategies with slow copies of the model: moving averages of its weights, which judge."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from fretal_bench.strategies.features import at_least_float32
from fretal_bench.strategies.replay.memory_strategy import ReplayStrategy
from fretal_bench.strategies.state import BadState, check_weights
from fretal_bench.strategies.template import frozen_copy


class MovingAverage:
    """A slow copy of a model: ``S <- a S + (1 - a) theta`` after every update; in eval mode, without gradients.

    BatchNorm's running statistics are averaged like the weights, so that a copy normalises by its own and not by the
    batch; counters are the model's.

    Args:
        model: What the copy begins as.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = frozen_copy(model)

    @torch.no_grad()
    def follow(self, model: nn.Module, decay: float) -> None:
        """Move towards ``model``; ``decay`` is a: 0 makes the copy its equal, 1 leaves it as it is."""
        slow, fast = _entries(self.model), _entries(model)
        for old, new in zip(slow, fast, strict=True):
            if not old.is_floating_point():
                old.copy_(new)
        pairs = [(old, new) for old, new in zip(slow, fast, strict=True) if old.is_floating_point()]
        torch._foreach_lerp_([old for old, _ in pairs], [new for _, new in pairs], 1 - decay)

    def __call__(self, inputs: Tensor) -> Tensor:
        """Return the copy's logits."""
        logits: Tensor = self.model(inputs)
        return logits


def _entries(model: nn.Module) -> list[Tensor]:
    return [*(weight.detach() for weight in model.parameters()), *model.buffers()]


def decay_of(half_life: float, updates: int) -> float:
    """Return the decay an update, ``2^(-1 / (half_life updates))``: after half_life x updates half is left.

    Args:
        half_life: In domains; 0 = nothing is left after one update.
        updates: Updates of a domain.
    """
    return 0.5 ** (1 / (half_life * updates)) if half_life * updates > 0 else 0.0


class AveragedReplay(ReplayStrategy):
    """Base of CLS-ER and ESMER: replay with moving averages of the model, of which the ``stable`` one judges.

    The averages begin as the source model, which the first domain trains, and follow the model from the second domain
    on. Their decay is given as a half-life in domains, so that one value fits domains and recipes of any length: a decay
    an update of 0.999 would leave a model of the first domain where a domain has 200 updates. The authors begin at random
    weights, and let the averages forget these by a decay that rises from 1/2; a source model is to be remembered, so here
    the decay is the same from the first update on. They update an average with a probability of less than 1, which a
    longer half-life does as well without draws.

    New samples and those of the memory take one forward pass together. The memory is a reservoir, as for ER; the papers
    offer samples when they pass, again in every epoch.

    Copies are in eval mode and their BatchNorm statistics are averages of the model's. (In the authors' code averages are
    of parameters alone, in train mode: their statistics are those of batches of the memory.)
    """

    judged_by = ("averages",)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.averages: dict[str, MovingAverage] = {}
        """The slow copies by name; empty until the first domain is learned."""
        self.updates = 1
        """Updates of the domain that is trained."""
        self.new_samples = 0
        """How many samples of the mini-batch are new; those of the memory come after them."""

    def half_lives(self) -> dict[str, float]:
        """Return the half-life of every average in domains, by name."""
        return {"stable": self.hyperparameters.stable}

    def _before_training_exp(self, **kwargs: Any) -> None:
        super()._before_training_exp(**kwargs)
        self.updates = max(1, self.train_epochs * len(self.dataloader))

    def _before_forward(self, **kwargs: Any) -> None:
        super()._before_forward(**kwargs)
        self.new_samples = len(self.mb_y)
        if self.step > 0 and len(self.memory):
            self.join(self.draw())

    def optimizer_step(self) -> None:
        """Update the weights, then the averages."""
        super().optimizer_step()
        for name, average in self.averages.items():
            average.follow(self.model, decay_of(self.half_lives()[name], self.updates))

    @torch.no_grad()
    def average_logits(self, name: str, inputs: Tensor) -> Tensor:
        """Return an average's logits, at least float32 [B, 2], at the strategy's precision."""
        with self.autocast():
            logits = self.averages[name](inputs)
        return at_least_float32(logits)

    def after_domain(self, experience: Any) -> None:
        """Begin the averages after the first domain; fill the memory."""
        if self.step == 0:
            self.averages = {name: MovingAverage(self.model) for name in self.half_lives()}
        super().after_domain(experience)

    def judged_logits(self, inputs: Tensor) -> Tensor:
        """Return the logits of what judges, at least float32 [B, 2]: before the first domain is learned the model."""
        if self.averages and self.hyperparameters.judge == "stable":
            return self.average_logits("stable", inputs)
        return self.logits_of(inputs)

    def probabilities(self, inputs: Tensor) -> Tensor:
        """Return the softmax of the logits of what judges."""
        return torch.softmax(self.judged_logits(inputs), dim=1)

    def classifier(self) -> nn.Module:
        """Return what judges: the stable average, or the model."""
        if self.averages and self.hyperparameters.judge == "stable":
            return self.averages["stable"].model
        model: nn.Module = self.model
        return model

    def forward(self) -> Tensor:
        """Return the model's logits while it is trained, those of what judges when Avalanche evaluates."""
        return super().forward() if self.is_training else self.judged_logits(self.mb_x)

    def extra_weights(self) -> int:
        """Return 0: the stable average judges in the place of the model, not beside it."""
        return 0

    def running_state(self) -> dict[str, Any]:
        """Return the averages: they must end where the weights do."""
        return {**super().running_state(), "averages": self.averages}

    def extra_state(self) -> dict[str, Any]:
        """Keep the memory and the averages."""
        averages = {name: average.model.state_dict() for name, average in self.averages.items()}
        return {**super().extra_state(), "averages": averages}

    def load_extra_state(self, state: Mapping[str, Any]) -> None:
        """Restore the memory and the averages."""
        super().load_extra_state(state)
        expected = set(self.half_lives()) if self.step > 0 else set()
        if set(state["averages"]) != expected:
            raise BadState(
                f"averages: expected {', '.join(sorted(expected)) or 'none'} after {self.step} domains, found "
                f"{', '.join(sorted(map(str, state['averages']))) or 'none'}"
            )
        self.averages = {}
        for name, weights in state["averages"].items():
            check_weights(weights, self.model)
            self.averages[name] = MovingAverage(self.model)
            self.averages[name].model.load_state_dict(weights)
