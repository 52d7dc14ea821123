"""What the tests of penalties share: a small net with a named head, domains of noise, weights pushed about."""

from __future__ import annotations

import torch
from torch import nn

from tests_support import experience_of


class TwoLayers(nn.Module):
    """Two linear layers; as in timm, ``get_classifier`` returns the last one."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(12, 5), nn.Linear(5, 2)

    def forward(self, x):
        return self.second(torch.tanh(self.first(x.flatten(1))))

    def get_classifier(self):
        return self.second


def samples(number, count=10, shape=(3, 2, 2), dtype=torch.float64):
    """Inputs and labels of domain ``number``."""
    generator = torch.Generator().manual_seed(number)
    inputs = torch.randn(count, *shape, generator=generator, dtype=torch.float64).to(dtype)
    return inputs, torch.randint(0, 2, (count,), generator=generator)


def domain(number, count=10, shape=(3, 2, 2), dtype=torch.float64):
    """The same as an Avalanche experience."""
    return experience_of(*samples(number, count, shape, dtype), number)


def push(model, size=0.3):
    """Move every weight at random."""
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(size * torch.randn_like(weight))


def weights_of(model):
    """Copies of all weights by name."""
    return {name: weight.detach().clone() for name, weight in model.named_parameters()}


def assert_same_value_and_gradient(got, expected, model):
    """Both scalars, and their gradients by every weight, agree to 1e-5; neither is zero."""
    assert abs(float(expected.detach())) > 1e-4
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-7)
    parameters = list(model.parameters())
    gradients = [torch.autograd.grad(loss, parameters, allow_unused=True) for loss in (got, expected)]
    assert any(g is not None and float(g.abs().max()) > 1e-4 for g in gradients[1])
    for weight, g, w in zip(parameters, *gradients, strict=True):
        zeros = torch.zeros_like(weight)
        torch.testing.assert_close(zeros if g is None else g, zeros if w is None else w, rtol=1e-5, atol=1e-7)
