"""MAS: importance against single backward passes, the penalty against the sum it is."""

import pytest
import torch

from fretal_bench.strategies.penalties.mas import MAS, output_sensitivity
from penalty_cases import (
    TwoLayers,
    assert_same_value_and_gradient,
    domain,
    push,
    samples,
    weights_of,
)
from tests_support import tiny_backbone


def sensitivity_by_single_passes(model, inputs):
    """One backward pass a sample of the squared length of its logits; absolute values averaged."""
    model.eval()
    total = {name: torch.zeros_like(weight) for name, weight in model.named_parameters()}
    for x in inputs:
        model.zero_grad()
        logits = model(x[None])[0]
        (logits[0] ** 2 + logits[1] ** 2).backward()
        for name, weight in model.named_parameters():
            total[name] += weight.grad.abs() / len(inputs)
    model.zero_grad()
    return total


@pytest.mark.parametrize(("kind", "shape"), [(TwoLayers, (3, 2, 2)), (tiny_backbone, (3, 8, 8))])
def test_importance_equals_a_loop_of_single_backward_passes_and_not_that_of_the_batch(kind, shape):
    torch.manual_seed(0)
    model = kind().double()
    inputs, targets = samples(1, shape=shape)
    got = output_sensitivity(model, [(inputs[:4], targets[:4]), (inputs[4:], targets[4:])])
    expected = sensitivity_by_single_passes(model, inputs)
    for name, value in expected.items():
        torch.testing.assert_close(got[name], value, rtol=1e-6, atol=1e-10)
    model.zero_grad()
    model(inputs).square().sum(1).mean().backward()
    batch = torch.cat([weight.grad.abs().flatten() for weight in model.parameters()])
    assert float((torch.cat([v.flatten() for v in expected.values()]) - batch).max()) > 1e-3


def test_importance_leaves_the_model_as_it_was():
    model = tiny_backbone().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    output_sensitivity(model, [samples(0, shape=(3, 8, 8), dtype=torch.float32)])
    assert model.training
    assert all(weight.grad is None for weight in model.parameters())
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])


def test_penalty_equals_the_sum_over_weights_with_importance_summed_over_domains():
    torch.manual_seed(1)
    model = TwoLayers().double()
    strategy = MAS(model=model, optimizer=torch.optim.SGD(model.parameters(), 0.1), lambda_=3.0)
    total = {name: torch.zeros_like(weight) for name, weight in model.named_parameters()}
    for number in range(3):
        push(model)
        strategy.after_domain(domain(number))
        for name, value in sensitivity_by_single_passes(model, samples(number)[0]).items():
            total[name] += value
    anchor = weights_of(model)
    strategy.before_domain(domain(3))
    push(model)
    expected = sum(3.0 * (total[n] * (w - anchor[n]) ** 2).sum() for n, w in model.named_parameters())
    assert_same_value_and_gradient(strategy.penalty(), expected, model)


def test_a_stronger_penalty_keeps_the_weights_nearer():
    away = []
    for strength in (0.0, 0.3, 3.0):
        torch.manual_seed(0)
        model = TwoLayers().double()
        optimizer = torch.optim.SGD(model.parameters(), 0.05)
        strategy = MAS(model=model, optimizer=optimizer, lambda_=strength, train_epochs=10)
        strategy.train(domain(0))
        old = weights_of(model)
        strategy.train(domain(1))
        away.append(
            sum(
                float((strategy.importance[n] * (w - old[n]) ** 2).sum())
                for n, w in weights_of(model).items()
            )
        )
        assert float(strategy.penalty().detach()) > 0 or strength == 0
    assert away[0] > away[1] > away[2]


def test_a_cap_on_samples_changes_the_importance():
    torch.manual_seed(0)
    model = TwoLayers().double()
    actual = []
    for cap in (0, 3):
        strategy = MAS(
            model=model,
            optimizer=torch.optim.SGD(model.parameters(), 0.1),
            importance_samples=cap,
            eval_mb_size=2,
        )
        strategy.after_domain(domain(0))
        actual.append(strategy.importance["second.weight"])
    assert not torch.equal(*actual)
