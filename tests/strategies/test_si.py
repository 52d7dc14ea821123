"""SI: path integral, importance and training against a loop written by hand."""

import copy

import pytest
import torch
from torch import nn

from fretal_bench.errors import BenchError
from fretal_bench.strategies.bounds.finetuning import FineTuning
from fretal_bench.strategies.penalties.si import SI
from fretal_bench.strategies.registry import find_strategy
from penalty_cases import TwoLayers, assert_same_value_and_gradient, domain, push, samples, weights_of
from tests_support import tiny_backbone

CONSTANTS = {"c": 0.7, "xi": 0.01}


def optimizer_of(model):
    return torch.optim.SGD(model.parameters(), 0.1, momentum=0.5, weight_decay=0.01)


def by_hand(model, domains, epochs, c, xi):
    """Whole-batch SGD along the domains; returns the importance after each, each from the loss's own gradient."""
    importance = {name: torch.zeros_like(weight) for name, weight in model.named_parameters()}
    actual = []
    for number, (x, y) in enumerate(domains):
        optimizer = optimizer_of(model)
        anchor = weights_of(model)
        path = {name: torch.zeros_like(weight) for name, weight in model.named_parameters()}
        for _ in range(epochs):
            loss = nn.functional.cross_entropy(model(x), y)
            gradients = dict(zip(path, torch.autograd.grad(loss, list(model.parameters())), strict=True))
            total = nn.functional.cross_entropy(model(x), y)
            if number:
                for name, weight in model.named_parameters():
                    total = total + c * (importance[name] * (weight - anchor[name]) ** 2).sum()
            optimizer.zero_grad()
            total.backward()
            old = weights_of(model)
            optimizer.step()
            for name, weight in weights_of(model).items():
                path[name] += -gradients[name] * (weight - old[name])
        for name, weight in weights_of(model).items():
            grown = importance[name] + path[name] / ((weight - anchor[name]) ** 2 + xi)
            importance[name] = torch.maximum(grown, torch.zeros_like(grown))
        actual.append(copy.deepcopy(importance))
    return actual


def test_importance_and_weights_equal_a_loop_written_by_hand_along_three_domains():
    torch.manual_seed(0)
    model = TwoLayers().double()
    other = copy.deepcopy(model)
    strategy = SI(model=model, optimizer=optimizer_of(model), train_mb_size=10, train_epochs=6, **CONSTANTS)
    expected = by_hand(other, [samples(number) for number in range(3)], 6, **CONSTANTS)
    for number in range(3):
        strategy.train(domain(number), reset_optimizer_state=True)
        for name, value in expected[number].items():
            assert float(value.max()) > 1e-3
            torch.testing.assert_close(strategy.importance[name], value, rtol=1e-5, atol=1e-9)
    for name, value in weights_of(other).items():
        torch.testing.assert_close(weights_of(model)[name], value, rtol=1e-7, atol=1e-9)


def test_penalty_is_the_sum_over_weights_and_not_zero_after_an_update():
    torch.manual_seed(0)
    model = TwoLayers().double()
    strategy = SI(model=model, optimizer=optimizer_of(model), train_mb_size=10, train_epochs=4, **CONSTANTS)
    strategy.train(domain(0))
    strategy.train(domain(1))
    assert float(strategy.penalty().detach()) > 1e-6, "the anchor must not follow the weights"
    anchor = weights_of(model)
    strategy.before_domain(domain(2))
    assert float(strategy.penalty().detach()) == 0
    push(model)
    expected = sum(
        0.7 * (strategy.importance[n] * (w - anchor[n]) ** 2).sum() for n, w in model.named_parameters()
    )
    assert_same_value_and_gradient(strategy.penalty(), expected, model)


def test_a_stronger_penalty_keeps_the_weights_nearer():
    away = []
    for strength in (0.0, 0.5, 5.0):
        torch.manual_seed(0)
        model = TwoLayers().double()
        optimizer = torch.optim.SGD(model.parameters(), 0.05)
        strategy = SI(model=model, optimizer=optimizer, train_mb_size=10, train_epochs=10, c=strength)
        strategy.train(domain(0))
        old, importance = weights_of(model), dict(strategy.importance)
        strategy.train(domain(1))
        away.append(
            sum(float((importance[n] * (w - old[n]) ** 2).sum()) for n, w in weights_of(model).items())
        )
    assert away[0] > away[1] > away[2]


def test_importance_is_never_negative_though_a_path_may_climb():
    model = TwoLayers().double()
    strategy = SI(model=model, optimizer=optimizer_of(model), xi=0.25)
    for paths, expected in (((1.0, -1.0), (4.0, 0.0)), ((-0.5, 0.5), (2.0, 2.0))):
        strategy.start = weights_of(model)
        strategy.path = {name: torch.full_like(w, paths[0]) for name, w in strategy.start.items()}
        strategy.path["second.bias"][1] = paths[1]
        strategy.after_domain(domain(0))
        assert strategy.importance["second.bias"].tolist() == list(expected)


def test_its_own_first_domain_equals_the_shared_source_model():
    ends = []
    for kind in (SI, FineTuning):
        torch.manual_seed(0)
        model = tiny_backbone()
        strategy = kind(model=model, optimizer=optimizer_of(model), train_mb_size=5, train_epochs=2)
        torch.manual_seed(1)
        strategy.train(domain(0, shape=(3, 8, 8), dtype=torch.float32))
        ends.append(torch.cat([value.flatten().double() for value in model.state_dict().values()]))
    assert torch.equal(*ends)
    assert not find_strategy("si").shared_source


def test_adopting_a_model_is_refused():
    model = TwoLayers()
    strategy = SI(model=model, optimizer=optimizer_of(model))
    with pytest.raises(BenchError, match="must watch the first domain"):
        strategy.adopt(model.state_dict(), domain(0))


def test_an_update_that_half_precision_skips_adds_nothing():
    model = TwoLayers()
    strategy = SI(model=model, optimizer=torch.optim.SGD(model.parameters(), 0.0))
    strategy.path = {name: torch.zeros_like(weight) for name, weight in model.named_parameters()}
    strategy.task_gradients = {name: torch.full_like(w, torch.inf) for name, w in model.named_parameters()}
    for weight in model.parameters():
        weight.grad = torch.zeros_like(weight)
    strategy.optimizer_step()
    assert all(torch.equal(path, torch.zeros_like(path)) for path in strategy.path.values())


def test_where_a_recipe_goes_back_to_an_earlier_epoch_the_path_integral_goes_back_too():
    from types import SimpleNamespace

    from fretal_bench.benchmark.recipes.loop import KeepBest

    keeper = KeepBest()
    model = tiny_backbone()
    strategy = SI(model=model, optimizer=optimizer_of(model), train_epochs=3, plugins=[keeper])
    qualities = iter([0.6, 0.9, 0.7])
    paths, ends = [], []

    class Watch(SimpleNamespace):
        supports_distributed = True

        def after_training_epoch(self, strategy, **_):
            paths.append({name: path.clone() for name, path in strategy.path.items()})
            ends.append({name: w.detach().clone() for name, w in strategy.model.named_parameters()})

    strategy.plugins.insert(0, Watch())
    keeper.validations = (None,)
    keeper._merits = lambda *_: (next(qualities), 0.5, -1.0)
    start = {name: w.detach().clone() for name, w in model.named_parameters()}
    strategy.train(domain(0, shape=(3, 8, 8), dtype=torch.float32), eval_streams=[])
    for name, weight in model.named_parameters():
        assert torch.equal(weight, ends[1][name])
        expected = (
            paths[1][name] / ((ends[1][name] - start[name]) ** 2 + strategy.hyperparameters.xi)
        ).clamp(min=0)
        torch.testing.assert_close(strategy.importance[name], expected)
    assert any(not torch.equal(paths[1][name], paths[2][name]) for name in start)
