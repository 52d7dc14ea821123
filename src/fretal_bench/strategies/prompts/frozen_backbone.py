"""The base of strategies that freeze what the first domain made, and train small parts of every later domain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from fretal_bench.strategies import draws
from fretal_bench.strategies.prompts import parts
from fretal_bench.strategies.state import BadState
from fretal_bench.strategies.template import ContinualStrategy


class FrozenBackbone(ContinualStrategy):
    """Base of strategies in which the model stays as the first domain left it, but for parts that ``add_domain`` adds.

    BatchNorm's statistics are frozen with the weights, whatever the recipe says.
    """

    purpose = "parts"
    """What the draws of a new domain's parts are called."""

    def add_domain(self, generator: torch.Generator) -> None:
        """Add the parts of a domain, ready to learn; the generator is for what is drawn."""
        raise NotImplementedError

    def before_domain(self, experience: Any) -> None:
        """Freeze everything learned so far, add this domain's parts and put them in use."""
        del experience
        for weight in self.model.parameters():
            weight.requires_grad_(False)
            weight.grad = None
        self.add_domain(draws.of(self.seed, self.step, self.purpose))
        parts.activate(self.model, self.step)

    def make_optimizer(self, **kwargs: Any) -> None:
        """Give the optimiser the parameters that learn, and no others: it would decay frozen weights too.

        They learn at the whole rate, also where the model's layers learn at shares of it (``lr_scale`` of a group).
        """
        if self.step == 0:
            super().make_optimizer(**kwargs)
            return
        groups = self.optimizer.param_groups
        for group in groups:
            group["params"] = []
        whole = max(groups, key=lambda group: group.get("lr_scale", 1.0))
        whole["params"] = [w for w in self.model.parameters() if w.requires_grad]
        self.optimizer.state.clear()

    def _before_training_epoch(self, **kwargs: Any) -> None:
        super()._before_training_epoch(**kwargs)
        if self.step > 0:
            for module in self.model.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from ``state``: the model gets the parts of as many domains as were learned after the first."""
        learned = int(state["step"])
        if learned > len(state["model"]):
            # Every domain has weights of its own.
            raise BadState(f"step: expected no more domains than weights, found {learned}")
        for _ in range(learned - 1):
            self.add_domain(torch.Generator())
        super().load_state_dict(state)
        parts.activate(self.model, max(0, learned - 1))
