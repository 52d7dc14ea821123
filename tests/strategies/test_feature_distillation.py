"""Less-forgetting learning: the loss against the formula, which features, the frozen head."""

import copy

import pytest
import torch
from torch import nn

from fretal_bench.errors import BenchError
from fretal_bench.strategies.distillation.feature_distillation import FeatureDistillation
from fretal_bench.strategies.features import head_inputs_and_logits
from penalty_cases import (
    TwoLayers,
    assert_same_value_and_gradient,
    domain,
    push,
    samples,
    weights_of,
)
from tests_support import tiny_backbone


def entering(model, x):
    """What enters the head, written out."""
    return (
        torch.tanh(model.first(x.flatten(1))) if isinstance(model, TwoLayers) else model.body(x).mean((2, 3))
    )


@pytest.mark.parametrize(("kind", "shape"), [(TwoLayers, (3, 2, 2)), (tiny_backbone, (3, 8, 8))])
def test_loss_and_gradient_equal_the_formula_after_two_past_domains(kind, shape):
    torch.manual_seed(0)
    model = kind().double().eval()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    strategy = FeatureDistillation(model=model, optimizer=optimizer, lambda_=4.0, freeze_classifier=False)
    for step in (1, 2):
        push(model)
        teacher = copy.deepcopy(model)
        strategy.step = step
        strategy.before_domain(None)
        push(model)
    inputs, targets = samples(5, shape=shape)
    strategy.mbatch = [inputs, targets, torch.zeros_like(targets)]
    strategy.mb_output = strategy.forward()
    expected = nn.functional.cross_entropy(model(inputs), targets)
    for x in inputs:
        away = entering(model, x[None]) - entering(teacher, x[None]).detach()
        expected = expected + 4.0 * 0.5 * (away**2).sum() / len(inputs)
    assert_same_value_and_gradient(strategy.criterion() + strategy.penalty(), expected, model)


@pytest.mark.parametrize("name", ["test_byobnet", "test_vit", "test_efficientnet", "test_convnext"])
def test_the_feature_is_timms_own_before_the_head(name):
    import timm

    torch.manual_seed(0)
    model = timm.create_model(name, num_classes=2).eval()
    inputs = torch.randn(2, 3, 160, 160)
    with torch.no_grad():
        features, logits = head_inputs_and_logits(model, inputs)
        expected = model.forward_head(model.forward_features(inputs), pre_logits=True)
        assert torch.equal(logits, model(inputs))
    torch.testing.assert_close(features, expected.flatten(1), rtol=0, atol=0)
    assert not model.get_classifier()._forward_pre_hooks


def train(freeze, optimizer=torch.optim.AdamW, **constants):
    torch.manual_seed(0)
    model = tiny_backbone()
    strategy = FeatureDistillation(
        model=model,
        optimizer=optimizer(model.parameters(), 0.01, weight_decay=0.1),
        train_mb_size=5,
        train_epochs=4,
        freeze_classifier=freeze,
        **constants,
    )
    ends = []
    for number in range(3):
        strategy.train(domain(number, shape=(3, 8, 8), dtype=torch.float32))
        ends.append(weights_of(model))
    return strategy, ends


def test_the_head_learns_on_the_first_domain_only_when_it_is_frozen():
    strategy, ends = train(freeze=True)
    for name in ("head.weight", "head.bias"):
        assert torch.equal(ends[0][name], ends[1][name])
        assert torch.equal(ends[0][name], ends[2][name])
    assert not torch.equal(ends[0]["body.0.weight"], ends[1]["body.0.weight"])
    assert all(weight.requires_grad for weight in strategy.model.parameters())
    assert all(weight.grad is None for weight in strategy.model.head.parameters())
    free = train(freeze=False)[1]
    assert torch.equal(free[0]["head.weight"], ends[0]["head.weight"])
    assert not torch.equal(free[0]["head.weight"], free[1]["head.weight"])


def test_a_stronger_weight_keeps_the_features_nearer():
    inputs = samples(2, shape=(3, 8, 8), dtype=torch.float32)[0]
    away = []
    for strength in (0.0, 1.0, 30.0):
        strategy, _ = train(freeze=True, lambda_=strength)
        student, teacher = copy.deepcopy(strategy.model).eval(), strategy.teacher
        with torch.no_grad():
            away.append(float((entering(student, inputs) - entering(teacher, inputs)).square().sum()))
    assert away[0] > away[1] > away[2]


def test_a_model_without_a_head_that_can_be_told_apart_is_refused():
    model = nn.Sequential(nn.Conv2d(3, 2, 2), nn.Flatten())
    strategy = FeatureDistillation(model=model, optimizer=torch.optim.SGD(model.parameters(), 0.1))
    with pytest.raises(BenchError, match="has no head that can be told apart"):
        strategy.train(domain(0, dtype=torch.float32))
