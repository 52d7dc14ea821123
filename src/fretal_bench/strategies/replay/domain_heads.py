"""A linear head a domain: the old ones learn on beside the model's own, which is their mean after a domain."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fretal_bench.errors import BenchError
from fretal_bench.strategies.features import head_of


def linear_head(model: nn.Module, who: str) -> nn.Linear:
    """Return a model's head.

    Args:
        model: See ``head_of``.
        who: What needs a linear one, and what to do where there is none: two halves, parted by ``;``.

    Raises:
        BenchError: It is not one linear layer with a bias.
    """
    heads = head_of(model)
    head = heads[0]
    if len(heads) > 1 or not isinstance(head, nn.Linear) or head.bias is None:
        linear = isinstance(head, nn.Linear)
        found = f"{len(heads)} heads" if len(heads) > 1 else "one without" if linear else type(head).__name__
        needs, _, remedy = who.partition(";")
        raise BenchError(
            f"{needs} needs a model whose head is one linear layer with a bias, {type(model).__name__} has {found};"
            f"{remedy}"
        )
    return head


@torch.no_grad()
def turn(newest: Tensor, previous: Tensor, share: float) -> None:
    """Turn the rows of ``newest`` [2, D] towards those of ``previous`` in place; their lengths stay.

    ``w <- |w| u / |u|``, ``u = (1 - share) w / |w| + share v / |v|``.
    """
    towards = torch.lerp(F.normalize(newest, dim=1), F.normalize(previous, dim=1), share)
    newest.copy_(newest.norm(dim=1, keepdim=True) * F.normalize(towards, dim=1))


class DomainHeads:
    """The heads of the past domains.

    Between two domains the model's own head is the mean of all. While one is learned it is the newest, and the others
    are parameters that learn too.

    Attributes:
        weights: [T, 2, D], T past domains.
        biases: [T, 2].
        learning: Whether a domain is being learned.
    """

    def __init__(self) -> None:
        self.weights, self.biases = torch.empty(0, 2, 0), torch.empty(0, 2)
        self.learning = False

    @torch.no_grad()
    def begin(self, head: nn.Linear, generator: torch.Generator) -> None:
        """Make the old heads learn, and the model's the new domain's: drawn as PyTorch draws a linear layer."""
        self.weights, self.biases = (nn.Parameter(old.clone()) for old in (self.weights, self.biases))
        bound = head.in_features**-0.5
        for weight in (head.weight, head.bias):
            weight.copy_(torch.rand(weight.shape, generator=generator).mul(2 * bound).sub(bound))
        self.learning = True

    def logits(self, features: Tensor, domains: Tensor) -> Tensor:
        """Return the logits [M, 2] of features [M, D], each by the head of its (past) domain, int64 [M]."""
        return torch.einsum("md,mcd->mc", features, self.weights[domains]) + self.biases[domains]

    @torch.no_grad()
    def mean(self, head: nn.Linear) -> tuple[Tensor, Tensor]:
        """Return weight and bias of the one linear layer that gives the mean of the logits of ``head`` and all others."""
        weight = (self.weights.sum(dim=0) + head.weight) / (len(self.weights) + 1)
        bias = (self.biases.sum(dim=0) + head.bias) / (len(self.biases) + 1)
        return weight, bias

    @torch.no_grad()
    def end(self, head: nn.Linear) -> None:
        """Keep the newest head with the others, and give the model the mean of all."""
        newest = head.weight.detach().clone()[None], head.bias.detach().clone()[None]
        if not self.learning:
            # The first domain's, or one that was learned elsewhere.
            self.weights, self.biases = newest
            return
        weight, bias = self.mean(head)
        self.weights = torch.cat([self.weights.detach(), newest[0]])
        self.biases = torch.cat([self.biases.detach(), newest[1]])
        head.weight.copy_(weight)
        head.bias.copy_(bias)
        self.learning = False
