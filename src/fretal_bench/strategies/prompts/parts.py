"""Parts of a model that depend on the domain: weights that become others in each, and the switch between domains."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize


class ByDomain(nn.Module):
    """What is different in each domain. Domain 0 is the model as the first domain left it."""

    active = 0
    """The domain whose part is in use."""

    def activate(self, domain: int) -> None:
        """Put the part of a domain in use."""
        self.active = domain


class PerDomain(ByDomain):
    """What a frozen weight becomes in domain ``active``; in domain 0 it stays what it is."""

    def add(self, weight: Tensor, generator: torch.Generator) -> None:
        """Add a domain."""
        raise NotImplementedError

    def in_domain(self, weight: Tensor, domain: int) -> Tensor:
        """Return the weight of a domain (from 1)."""
        raise NotImplementedError

    def forward(self, weight: Tensor) -> Tensor:
        """Return the weight of the active domain."""
        return self.in_domain(weight, self.active) if self.active else weight


class LowRank(PerDomain):
    """``W + alpha / r B_k A_k`` in domain k, A [r, in] drawn and B [out, r] zero at first (LoRA, equation 3)."""

    def __init__(self, rank: int, alpha: float) -> None:
        super().__init__()
        self.rank, self.scale = rank, alpha / rank
        self.down, self.up = nn.ParameterList(), nn.ParameterList()

    def add(self, weight: Tensor, generator: torch.Generator) -> None:
        """Add a domain. A ~ N(0, 1/in): LoRA's paper draws from a Gaussian; its width is the suite's choice."""
        outside, inside = weight.shape
        drawn = torch.randn(self.rank, inside, generator=generator) / inside**0.5
        self.down.append(nn.Parameter(drawn.to(weight)))
        self.up.append(nn.Parameter(weight.new_zeros(outside, self.rank)))

    def in_domain(self, weight: Tensor, domain: int) -> Tensor:
        """Return ``W + alpha / r B A``."""
        change: Tensor = self.up[domain - 1] @ self.down[domain - 1]
        return weight + self.scale * change


class Own(PerDomain):
    """A weight of its own in every domain, the source model's at first."""

    def __init__(self) -> None:
        super().__init__()
        self.values = nn.ParameterList()

    def add(self, weight: Tensor, generator: torch.Generator) -> None:
        """Add a domain."""
        del generator
        self.values.append(nn.Parameter(weight.detach().clone()))

    def in_domain(self, weight: Tensor, domain: int) -> Tensor:
        """Return the domain's own."""
        own: Tensor = self.values[domain - 1]
        return own


def parts_of(model: nn.Module) -> Iterator[ByDomain]:
    """Yield all parts of a model that depend on the domain."""
    return (module for module in model.modules() if isinstance(module, ByDomain))


def activate(model: nn.Module, domain: int) -> None:
    """Put the parts of a domain in use."""
    for part in parts_of(model):
        part.activate(domain)


def active_domain(model: nn.Module) -> int:
    """Return the domain in use; 0 where no part of the model depends on it."""
    return max((part.active for part in parts_of(model)), default=0)


def add_to(layer: nn.Module, name: str, new: PerDomain, generator: torch.Generator) -> None:
    """Give a weight another domain: its part gets one more, or is ``new`` where it has none yet."""
    if not parametrize.is_parametrized(layer, name):
        parametrize.register_parametrization(layer, name, new)
    weights: Any = cast(Any, layer).parametrizations[name]
    weights[0].add(weights.original, generator)


def add_head(head: nn.Module, generator: torch.Generator) -> None:
    """Give a linear head a weight and a bias of its own in another domain."""
    for name in ("weight", "bias"):
        if getattr(head, name) is not None:
            add_to(head, name, Own(), generator)
