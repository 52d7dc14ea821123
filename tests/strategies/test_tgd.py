"""T-GD: the gated loss against the formula, and its teacher."""

import math

import pytest
import torch

from fretal_bench.strategies.penalties.tgd import TGD
from penalty_cases import (
    TwoLayers,
    assert_same_value_and_gradient,
    domain,
    push,
    samples,
    weights_of,
)
from tests_support import tiny_backbone


def gate_of(teacher, inputs, targets):
    """sigmoid(-CE), sample by sample."""
    loss = 0.0
    for x, y in zip(inputs, targets, strict=True):
        z = teacher(x[None])[0].tolist()
        loss += (math.log(math.exp(z[0]) + math.exp(z[1])) - z[int(y)]) / len(targets)
    return 1 / (1 + math.exp(loss))


@pytest.mark.parametrize("teacher", ["previous", "source"])
@pytest.mark.parametrize(
    ("kind", "head", "shape"), [(TwoLayers, "second", (3, 2, 2)), (tiny_backbone, "head", (3, 8, 8))]
)
def test_penalty_equals_the_formula_after_two_past_domains(teacher, kind, head, shape):
    torch.manual_seed(0)
    model = kind().double().eval()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    strategy = TGD(model=model, optimizer=optimizer, starting_point=0.5, head_decay=3.0, teacher=teacher)
    inputs, targets = samples(5, shape=shape)
    pasts = []
    for step in (1, 2):
        push(model)
        with torch.no_grad():
            pasts.append((weights_of(model), gate_of(model, inputs, targets)))
        strategy.step = step
        strategy.before_domain(None)
        push(model)
    start, gate = pasts[1] if teacher == "previous" else pasts[0]
    assert 0 < gate < 0.5
    strategy.mbatch = [inputs, targets, torch.zeros_like(targets)]
    expected = sum(
        gate
        * (
            1.5 * weight.square().sum()
            if name.startswith(head)
            else 0.25 * (weight - start[name]).square().sum()
        )
        for name, weight in model.named_parameters()
    )
    assert_same_value_and_gradient(strategy.penalty(), expected, model)


def test_the_teacher_stays_frozen_in_eval_mode_while_its_pull_moves_the_student():
    ends = []
    for weight in (0.0, 3.0):
        torch.manual_seed(0)
        model = tiny_backbone()
        optimizer = torch.optim.SGD(model.parameters(), 0.05)
        strategy = TGD(
            model=model, optimizer=optimizer, starting_point=weight, train_mb_size=5, train_epochs=10
        )
        torch.manual_seed(1)
        strategy.train(domain(0, shape=(3, 8, 8), dtype=torch.float32))
        before = {name: value.clone() for name, value in model.state_dict().items()}
        strategy.train(domain(1, shape=(3, 8, 8), dtype=torch.float32))
        for name, value in strategy.teacher.state_dict().items():
            assert torch.equal(value, before[name])
        assert all(not w.requires_grad and w.grad is None for w in strategy.teacher.parameters())
        assert not any(module.training for module in strategy.teacher.modules())
        ends.append(float((model.body[0].weight.detach() - before["body.0.weight"]).square().sum()))
    assert ends[1] < 0.7 * ends[0]
