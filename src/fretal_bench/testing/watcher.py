"""A watcher of one domain's training, from inside: whether frozen modules and parameters are left alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from avalanche.core import SupervisedPlugin
from torch import Tensor, nn

MODULES, PARAMETERS = "frozen modules", "frozen parameters"
_DEPTH = 3


class Watcher(SupervisedPlugin):  # type: ignore[misc]
    """An Avalanche plugin that only looks.

    A *frozen module* is one the strategy holds (as an attribute, or in a list, tuple or dict of it) that is not its model
    and none of whose parameters is in the optimiser: a teacher. It must stay in eval mode, with all its parameters and
    buffers as they are and no gradients. A *frozen parameter* is one of the model's with ``requires_grad`` off; it must
    have no gradient and stay as it is.

    Attributes:
        faults: What was wrong: (``MODULES`` or ``PARAMETERS``, in words), each once.
    """

    def __init__(self) -> None:
        super().__init__()
        self.faults: list[tuple[str, str]] = []
        self._modules: dict[str, tuple[nn.Module, dict[str, Tensor]]] = {}
        self._parameters: dict[str, Tensor] = {}

    def before_training_epoch(self, strategy: Any, **_: Any) -> None:
        """Remember what is frozen now and was not known."""
        trained = {id(p) for group in strategy.optimizer.param_groups for p in group["params"]}
        for name, module in held_modules(strategy):
            parameters = list(module.parameters())
            frozen = parameters and not any(id(p) in trained for p in parameters)
            if frozen and (name not in self._modules or self._modules[name][0] is not module):
                self._modules[name] = (module, _copy(module.state_dict()))
        for name, parameter in strategy.model.named_parameters():
            if not parameter.requires_grad:
                self._parameters.setdefault(name, parameter.detach().clone())

    def after_backward(self, strategy: Any, **_: Any) -> None:
        """Look at modes and gradients."""
        for name, (module, _before) in self._modules.items():
            if any(part.training for part in module.modules()):
                self._fault(MODULES, f"{name} is in train mode; call .eval() when it is frozen")
            if any(p.grad is not None for p in module.parameters()):
                self._fault(MODULES, f"{name} gets gradients; call .requires_grad_(False) when it is frozen")
        for name, parameter in strategy.model.named_parameters():
            if not parameter.requires_grad and parameter.grad is not None and bool(parameter.grad.any()):
                self._fault(PARAMETERS, f"{name} has requires_grad=False and a gradient")

    def after_training_exp(self, strategy: Any, **_: Any) -> None:
        """Look whether anything frozen has moved."""
        for name, (module, before) in self._modules.items():
            after = module.state_dict()
            moved = [key for key, value in before.items() if not torch.equal(value, after[key])]
            if moved:
                self._fault(MODULES, f"{moved[0]} of {name} has moved")
        for name, parameter in strategy.model.named_parameters():
            before_ = self._parameters.get(name)
            frozen = before_ is not None and not parameter.requires_grad
            if before_ is not None and frozen and not torch.equal(before_, parameter):
                self._fault(PARAMETERS, f"{name} has requires_grad=False and has moved")

    def _fault(self, kind: str, what: str) -> None:
        if (kind, what) not in self.faults:
            self.faults.append((kind, what))


def held_modules(strategy: Any) -> Iterator[tuple[str, nn.Module]]:
    """Yield the modules that a strategy holds besides its model, with their names."""
    own = {id(module) for module in strategy.model.modules()}

    def look(name: str, value: Any, depth: int) -> Iterator[tuple[str, nn.Module]]:
        if isinstance(value, nn.Module):
            if id(value) not in own:
                yield name, value
        elif isinstance(value, Mapping) and depth:
            for key, item in value.items():
                yield from look(f"{name}[{key!r}]", item, depth - 1)
        elif isinstance(value, list | tuple) and depth:
            for key, item in enumerate(value):
                yield from look(f"{name}[{key}]", item, depth - 1)

    for name, value in vars(strategy).items():
        if name not in ("model", "plugins", "optimizer"):
            yield from look(name, value, _DEPTH)


def _copy(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in state.items()}
