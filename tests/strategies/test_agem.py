"""A-GEM: the projection against loops, and an update against one by hand."""

import copy

import pytest
import torch
from torch.nn import functional as F

from fretal_bench.strategies import draws
from fretal_bench.strategies.batches import BatchLoader
from fretal_bench.strategies.bounds.finetuning import FineTuning
from fretal_bench.strategies.replay.agem import AGEM, project
from replay_cases import build, domain, learn, weights

SHAPES = ((4, 3), (4,), (2, 4), (2,))


def gradients(seed):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in SHAPES]


def dot(first, second):
    """Sum of products, number by number."""
    return sum(
        a * b
        for one, other in zip(first, second, strict=True)
        for a, b in zip(one.flatten().tolist(), other.flatten().tolist(), strict=True)
    )


def projected(gradient, reference):
    """Equation 11, number by number."""
    along = dot(gradient, reference)
    if along >= 0:
        return [part.clone() for part in gradient]
    share = along / dot(reference, reference)
    return [g - share * r for g, r in zip(gradient, reference, strict=True)]


def test_the_projection_is_the_papers_where_gradients_oppose_and_nothing_elsewhere():
    signs = set()
    for seed in range(20):
        gradient, reference = gradients(seed), gradients(seed + 100)
        expected = projected(gradient, reference)
        opposed = dot(gradient, reference) < 0
        signs.add(opposed)
        actual = [part.clone() for part in gradient]
        project(actual, reference)
        for new, hand, old in zip(actual, expected, gradient, strict=True):
            torch.testing.assert_close(new, hand, rtol=1e-5, atol=1e-9)
            assert opposed or torch.equal(new, old)
        if opposed:
            assert dot(actual, reference) == pytest.approx(0, abs=1e-9)
    assert signs == {False, True}


def test_the_projection_scales_with_the_gradient_and_not_with_the_reference():
    gradient = gradients(1)
    reference = [-part + 0.1 for part in gradient]
    plain = [part.clone() for part in gradient]
    project(plain, reference)
    scaled = [part * 1024 for part in gradient]
    project(scaled, [part * 4096 for part in reference])
    for one, other in zip(plain, scaled, strict=True):
        torch.testing.assert_close(one * 1024, other)


def test_a_reference_of_zeros_changes_nothing():
    gradient = gradients(1)
    actual = [part.clone() for part in gradient]
    project(actual, [torch.zeros_like(part) for part in gradient])
    assert all(torch.equal(a, b) for a, b in zip(actual, gradient, strict=True))


def test_training_takes_the_projected_gradient_at_every_update():
    first, second = domain(0), domain(1)
    # The opposite labels on the same kind of images: gradients that oppose.
    second.source.targets = 1 - first.source.targets
    second.source.pixels = first.source.pixels.clone()
    strategy = learn(build(AGEM, memory=12, epochs=2), [first])
    model = copy.deepcopy(strategy.model)
    memory = strategy.memory
    generator = draws.of(3, 1, "memory: draw")
    loader = BatchLoader(second.source, 6, strategy.transform, seed=3, step=1)
    opposed = 0
    for _ in range(2):
        for x, y, _ in loader:
            parameters = list(model.parameters())
            gradient = torch.autograd.grad(F.cross_entropy(model(x), y), parameters)
            places = torch.randperm(12, generator=generator)[:6]
            labels = memory.labels[places]
            old = strategy.transform.train(first.source.pixels[memory.rows[places]], labels, generator)
            reference = torch.autograd.grad(F.cross_entropy(model(old), labels), parameters)
            opposed += dot(gradient, reference) < 0
            with torch.no_grad():
                for weight, step in zip(parameters, projected(gradient, reference), strict=True):
                    weight -= 0.05 * step
    learn(strategy, [second])
    assert opposed >= 5
    torch.testing.assert_close(weights(strategy.model), weights(model), rtol=1e-5, atol=1e-6)
    plain = learn(build(FineTuning, epochs=2), [first, second])
    assert not torch.allclose(weights(plain.model), weights(model), atol=1e-4)


def test_parameters_that_are_frozen_get_no_gradient():
    strategy = build(AGEM, memory=12)
    strategy.model.body[1].requires_grad_(False)
    before = strategy.model.body[1].weight.clone()
    learn(strategy, [domain(0), domain(1)])
    assert strategy.model.body[1].weight.grad is None
    assert torch.equal(strategy.model.body[1].weight, before)
