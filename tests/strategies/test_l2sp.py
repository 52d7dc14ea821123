"""L2-SP: both terms against the formula, the two starting points, the head."""

import pytest
import torch
from torch import nn

from fretal_bench.errors import BenchError
from fretal_bench.strategies.features import head_names
from fretal_bench.strategies.penalties.l2sp import L2SP
from penalty_cases import TwoLayers, assert_same_value_and_gradient, domain, push, weights_of
from tests_support import tiny_backbone


def reference(model, start, head, alpha, beta):
    loss = torch.zeros((), dtype=torch.float64)
    for name, weight in model.named_parameters():
        inside = name.startswith(head)
        for number, value in enumerate(weight.flatten()):
            away = value if inside else value - start[name].flatten()[number]
            loss = loss + (beta if inside else alpha) / 2 * away**2
    return loss


@pytest.mark.parametrize("anchor", ["previous", "source"])
@pytest.mark.parametrize(("kind", "head"), [(TwoLayers, "second"), (tiny_backbone, "head")])
def test_penalty_equals_the_formula_after_two_past_domains(anchor, kind, head):
    torch.manual_seed(0)
    model = kind().double()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    strategy = L2SP(model=model, optimizer=optimizer, alpha=0.3, beta=0.7, anchor=anchor)
    starts = []
    for step in (1, 2):
        push(model)
        starts.append(weights_of(model))
        strategy.step = step
        strategy.before_domain(None)
        push(model)
    start = starts[1] if anchor == "previous" else starts[0]
    assert_same_value_and_gradient(strategy.penalty(), reference(model, start, head, 0.3, 0.7), model)


def test_strengths_pull_the_backbone_to_its_start_and_the_head_to_zero():
    ends = {}
    for alpha, beta in ((0.0, 0.0), (2.0, 0.0), (0.0, 2.0)):
        torch.manual_seed(0)
        model = TwoLayers().double()
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        strategy = L2SP(model=model, optimizer=optimizer, alpha=alpha, beta=beta, train_epochs=10)
        strategy.train(domain(0))
        start = weights_of(model)
        strategy.train(domain(1))
        end = weights_of(model)
        away = float((end["first.weight"] - start["first.weight"]).square().sum())
        ends[alpha, beta] = away, float(end["second.weight"].square().sum())
    assert ends[2.0, 0.0][0] < 0.5 * ends[0.0, 0.0][0]
    assert ends[0.0, 2.0][1] < 0.5 * ends[0.0, 0.0][1]


@pytest.mark.parametrize("anchor", ["previous", "source"])
def test_a_new_strategy_that_loads_the_last_ones_state_goes_on_with_the_same_bytes(anchor):
    def new():
        torch.manual_seed(0)
        model = TwoLayers()
        return L2SP(model=model, optimizer=torch.optim.SGD(model.parameters(), 0.1), alpha=1.0, anchor=anchor)

    ends = []
    for stops in (False, True):
        strategy = new()
        for number in range(4):
            if stops and number:
                state = strategy.state_dict()
                strategy = new()
                strategy.load_state_dict(state)
            torch.manual_seed(number)
            strategy.train(domain(number, dtype=torch.float32))
        ends.append(torch.cat([w.flatten() for w in weights_of(strategy.model).values()]))
    assert torch.equal(*ends)


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("test_byobnet", {"head.fc.weight", "head.fc.bias"}),
        ("test_vit", {"head.weight", "head.bias"}),
        ("test_efficientnet", {"classifier.weight", "classifier.bias"}),
        ("test_convnext", {"head.fc.weight", "head.fc.bias"}),
    ],
)
def test_the_head_of_a_timm_model_is_found(name, head):
    import timm

    assert head_names(timm.create_model(name, num_classes=2)) == head


def test_a_model_without_a_head_that_can_be_told_apart_is_refused():
    import timm

    for model in (
        nn.Sequential(nn.Conv2d(3, 2, 2), nn.Flatten()),
        timm.create_model("test_vit", num_classes=0),
    ):
        strategy = L2SP(model=model, optimizer=torch.optim.SGD(model.parameters(), 0.1))
        strategy.step = 1
        strategy.before_domain(None)
        with pytest.raises(BenchError, match="has no head that can be told apart"):
            strategy.penalty()
