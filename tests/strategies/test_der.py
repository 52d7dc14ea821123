"""DER and DER++: the loss against loops, what is stored and when."""

import pytest
import torch

from fretal_bench.errors import BenchError
from fretal_bench.strategies import draws
from fretal_bench.strategies.bounds.finetuning import FineTuning
from fretal_bench.strategies.replay.der import DER
from fretal_bench.strategies.replay.derpp import DERpp
from replay_cases import build, domain, learn, weights
from tests_support import tiny_backbone


def opened(kind, **constants):
    """A strategy after two domains, its memory open for a third, the weights moved on."""
    experiences = [domain(0), domain(1)]
    strategy = learn(build(kind, memory=12, **constants), experiences)
    strategy.before_domain(domain(2))
    strategy.mbatch = [torch.zeros(6, 3, 4, 4), torch.zeros(6, dtype=torch.int64)]
    with torch.no_grad():
        for weight in strategy.model.parameters():
            weight.add_(0.3 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(1)))
    return strategy, experiences


def batch_by_hand(strategy, experiences, generator):
    """Inputs, labels and stored logits of the next batch from the memory, sample by sample."""
    memory = strategy.memory
    places = torch.randperm(len(memory), generator=generator)[:6].tolist()
    pixels = torch.stack(
        [experiences[int(memory.domains[p])].source.pixels[int(memory.rows[p])] for p in places]
    )
    labels = [int(experiences[int(memory.domains[p])].source.targets[int(memory.rows[p])]) for p in places]
    inputs = strategy.transform.train(pixels, torch.tensor(labels), generator)
    return inputs, labels, [memory.logits[p].tolist() for p in places]


def squared_error(strategy, inputs, stored):
    total = 0.0
    for image, old in zip(inputs, stored, strict=True):
        for new, was in zip(strategy.model(image[None])[0].tolist(), old, strict=True):
            total += (new - was) ** 2
    return total / (2 * len(inputs))


def test_der_is_alpha_times_the_mean_squared_distance_to_the_stored_logits():
    strategy, experiences = opened(DER, alpha=0.7)
    inputs, _, stored = batch_by_hand(strategy, experiences, draws.of(3, 2, "memory: draw"))
    expected = 0.7 * squared_error(strategy, inputs, stored)
    assert expected > 1e-3
    assert float(strategy.penalty().detach()) == pytest.approx(expected, rel=1e-5)


def test_derpp_adds_beta_times_the_cross_entropy_of_another_batch():
    strategy, experiences = opened(DERpp, alpha=0.7, beta=1.3)
    generator = draws.of(3, 2, "memory: draw")
    inputs, _, stored = batch_by_hand(strategy, experiences, generator)
    expected = 0.7 * squared_error(strategy, inputs, stored)
    others, labels, _ = batch_by_hand(strategy, experiences, generator)
    assert not torch.equal(inputs, others)
    for image, label in zip(others, labels, strict=True):
        logits = strategy.model(image[None])[0].double()
        expected += 1.3 * float((logits.exp().sum().log() - logits[label]).detach()) / len(others)
    assert float(strategy.penalty().detach()) == pytest.approx(expected, rel=1e-5)


def test_the_gradient_of_der_is_that_of_its_formula():
    strategy, experiences = opened(DER, alpha=0.7)
    inputs, _, stored = batch_by_hand(strategy, experiences, draws.of(3, 2, "memory: draw"))
    parameters = list(strategy.model.parameters())
    expected = torch.autograd.grad(
        0.7
        * sum(
            ((strategy.model(x[None])[0] - torch.tensor(z)) ** 2).sum()
            for x, z in zip(inputs, stored, strict=True)
        )
        / (2 * len(inputs)),
        parameters,
    )
    for actual, hand in zip(torch.autograd.grad(strategy.penalty(), parameters), expected, strict=True):
        torch.testing.assert_close(actual, hand, rtol=1e-5, atol=1e-6)


def test_logits_are_those_of_the_model_at_the_end_of_the_samples_domain_and_are_not_renewed():
    experiences = [domain(k, side=8) for k in range(3)]
    strategy = build(DER, tiny_backbone(), memory=12, eval_mb_size=5)
    expected = {}
    for number, experience in enumerate(experiences):
        learn(strategy, [experience])
        strategy.model.eval()
        with torch.no_grad():
            logits = strategy.model(strategy.transform.eval(experience.source.pixels))
        expected |= {(number, row): logits[row] for row in range(len(logits))}
    memory = strategy.memory
    assert set(memory.domains.tolist()) == {0, 1, 2}
    for number, row, logits in zip(memory.domains, memory.rows, memory.logits, strict=True):
        torch.testing.assert_close(logits, expected[int(number), int(row)], rtol=1e-5, atol=1e-6)


def test_without_weight_on_the_memory_der_is_fine_tuning():
    experiences = [domain(k) for k in range(3)]
    plain = weights(learn(build(FineTuning), experiences).model)
    assert torch.equal(plain, weights(learn(build(DER, alpha=0.0, memory=12), experiences).model))
    assert torch.equal(plain, weights(learn(build(DERpp, alpha=0.0, beta=0.0, memory=12), experiences).model))
    assert not torch.equal(plain, weights(learn(build(DER, memory=12), experiences).model))


def test_a_larger_alpha_keeps_old_logits_nearer():
    away = []
    for alpha in (0.0, 0.3, 3.0):
        experiences = [domain(0), domain(1)]
        experiences[1].source.targets = 1 - experiences[1].source.targets
        strategy = learn(build(DER, alpha=alpha, memory=30, epochs=8, lr=0.1), experiences[:1])
        stored = strategy.memory.logits.clone()
        learn(strategy, experiences[1:])
        with torch.no_grad():
            now = strategy.model(strategy.transform.eval(experiences[0].source.pixels))
        away.append(float((now - stored).square().mean()))
    assert away[0] > away[1] > away[2]


def test_negative_and_undefined_weights_are_refused():
    for kind, key in ((DER, "alpha"), (DERpp, "beta")):
        with pytest.raises(BenchError, match=rf"{key}.* of at least 0.*-0\.1"):
            build(kind, **{key: -0.1})
