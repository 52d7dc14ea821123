"""A-GEM: the projection against loops, and an update against one by hand."""

import copy

import pytest
import torch
from torch.nn import functional as F

from fretal_bench.strategies import draws
from fretal_bench.strategies.batches import BatchLoader
from fretal_bench.strategies.bounds.finetuning import FineTuning
from fretal_bench.strategies.replay.agem import AGEM, project, project_update
from replay_cases import Jitter, SmoothNet, build, domain, learn, weights

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


class Products:
    """Of every update: its product with the gradient of the memory's loss at the weights before it, over both lengths."""

    supports_distributed = True

    def __init__(self):
        self.cosines = []

    def watch(self, strategy):
        draw = strategy.draw

        def drawn():
            self.batch = draw()
            return self.batch

        strategy.draw = drawn

    def before_update(self, strategy, **_):
        if strategy.step == 0:
            return
        self.before = [w.detach().clone() for w in strategy.model.parameters()]
        loss = F.cross_entropy(strategy.model(self.batch.inputs), self.batch.targets)
        self.gradient = torch.autograd.grad(loss, list(strategy.model.parameters()))

    def after_update(self, strategy, **_):
        if strategy.step == 0:
            return
        update = [w.detach() - b for w, b in zip(strategy.model.parameters(), self.before, strict=True)]
        lengths = (dot(update, update) * dot(self.gradient, self.gradient)) ** 0.5
        self.cosines.append(dot(update, self.gradient) / max(lengths, 1e-30))


OPTIMIZERS = {
    "sgd": lambda weights: torch.optim.SGD(weights, 0.05),
    "momentum": lambda weights: torch.optim.SGD(weights, 0.05, momentum=0.9, weight_decay=0.05),
    "adamw": lambda weights: torch.optim.AdamW(weights, 0.003, weight_decay=0.05),
}


def cosines(optimizer, what):
    """Of the updates on a second domain that says the opposite of the first."""
    first, second = domain(0), domain(1)
    second.source.targets = 1 - first.source.targets
    second.source.pixels = first.source.pixels.clone()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(11)
        model = SmoothNet().double()
    products = Products()
    strategy = AGEM(
        model=model,
        optimizer=OPTIMIZERS[optimizer](model.parameters()),
        train_mb_size=6,
        train_epochs=6,
        transform=DoubleJitter(),
        seed=3,
        plugins=[products],
        memory=12,
        project=what,
    )
    products.watch(strategy)
    learn(strategy, [first, second])
    assert len(products.cosines) == 30
    return products.cosines


class DoubleJitter(Jitter):
    """Inputs in float64, so that a product of 0 is one to many digits."""

    def eval(self, images):
        return super().eval(images).double()


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_no_projected_update_raises_the_memorys_loss_to_first_order(optimizer):
    of_updates = cosines(optimizer, "update")
    assert max(of_updates) < 1e-6
    # Some were projected, to a product of 0, and not all.
    assert any(abs(cosine) < 1e-6 for cosine in of_updates)


def test_a_projected_gradient_keeps_the_promise_under_plain_sgd_alone():
    assert max(cosines("sgd", "gradient")) < 1e-6
    for optimizer in ("momentum", "adamw"):
        assert sum(cosine > 1e-3 for cosine in cosines(optimizer, "gradient")) > 5


def test_under_plain_sgd_both_projections_are_the_same():
    experiences = [domain(0), domain(1)]
    experiences[1].source.targets = 1 - experiences[0].source.targets
    one, other = (
        learn(build(AGEM, memory=12, epochs=2, project=p), experiences) for p in ("gradient", "update")
    )
    torch.testing.assert_close(weights(one.model), weights(other.model), rtol=1e-5, atol=1e-6)


def test_an_update_is_projected_as_by_hand_and_one_that_lowers_the_loss_is_left_as_it_is():
    before, reference = gradients(1), gradients(2)
    for sign in (1, -1):
        update = [sign * part for part in gradients(3)]
        raises = dot(update, reference) > 0
        share = dot(update, reference) / dot(reference, reference) if raises else 0.0
        now = [b + u for b, u in zip(before, update, strict=True)]
        old = [part.clone() for part in now]
        project_update(now, before, reference)
        for new, u, b, r, kept in zip(now, update, before, reference, old, strict=True):
            torch.testing.assert_close(new, b + u - share * r)
            assert raises or torch.equal(new, kept)
    assert {dot(gradients(3), reference) > 0, dot([-p for p in gradients(3)], reference) > 0} == {True, False}


def test_a_reference_that_is_no_number_or_0_leaves_the_update_as_it_is():
    before = gradients(1)
    for value in (0.0, torch.inf, torch.nan):
        now = [part + 1 for part in before]
        project_update(now, before, [torch.full_like(part, value) for part in before])
        assert all(torch.equal(n, b + 1) for n, b in zip(now, before, strict=True))
