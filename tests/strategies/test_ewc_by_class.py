"""EWC by class: the Fisher information of reals and of fakes apart."""

import pytest
import torch

from fretal_bench.strategies.penalties.ewc import EWC
from fretal_bench.strategies.penalties.ewc_by_class import EWCByClass
from penalty_cases import TwoLayers, assert_same_value_and_gradient, push, samples, weights_of
from tests_support import experience_of


def labelled(number, reals, fakes):
    """A domain of noise with so many samples of each class, as inputs, labels and an experience."""
    inputs, _ = samples(number, reals + fakes)
    targets = torch.tensor([0] * reals + [1] * fakes)[torch.randperm(reals + fakes)]
    return inputs, targets, experience_of(inputs, targets, number)


def squared_gradients(model, inputs, targets, kind):
    """Mean over samples of the squared gradients of log p, one backward pass a sample and class."""
    total = {name: torch.zeros_like(weight) for name, weight in model.named_parameters()}
    for x, y in zip(inputs, targets, strict=True):
        chances = torch.softmax(model(x[None]), 1)[0].detach()
        for label in range(2):
            share = float(chances[label]) if kind == "exact" else float(label == y)
            model.zero_grad()
            torch.log_softmax(model(x[None]), 1)[0, label].backward()
            for name, weight in model.named_parameters():
                total[name] += share * weight.grad**2 / len(inputs)
    model.zero_grad()
    return total


def strategy_of(kind, model, **values):
    return kind(model=model, optimizer=torch.optim.SGD(model.parameters(), 0.1), lambda_=50.0, **values)


@pytest.mark.parametrize("fisher", ["exact", "empirical"])
@pytest.mark.parametrize("combination", ["mean", "max"])
def test_penalty_equals_the_sum_over_past_domains_of_both_classes_fisher_informations(combination, fisher):
    torch.manual_seed(0)
    model = TwoLayers().double()
    strategy = strategy_of(EWCByClass, model, combination=combination, fisher=fisher)
    past = []
    for number, (reals, fakes) in enumerate(((3, 9), (8, 2), (5, 5))):
        push(model)
        inputs, targets, experience = labelled(number, reals, fakes)
        strategy.after_domain(experience)
        real, fake = (
            squared_gradients(model, inputs[targets == label], targets[targets == label], fisher)
            for label in (0, 1)
        )
        joined = {
            name: (real[name] + fake[name]) / 2
            if combination == "mean"
            else torch.where(real[name] > fake[name], real[name], fake[name])
            for name in real
        }
        past.append((joined, weights_of(model)))
    push(model)
    expected = sum(
        25.0 * (joined[name] * (weight - centre[name]) ** 2).sum()
        for joined, centre in past
        for name, weight in model.named_parameters()
    )
    assert_same_value_and_gradient(strategy.penalty(), expected, model)


def importance_of(kind, reals, fakes, **values):
    torch.manual_seed(1)
    model = TwoLayers().double()
    strategy = strategy_of(kind, model, **values)
    strategy.after_domain(labelled(0, reals, fakes)[2])
    return torch.cat([part.flatten() for part in strategy.importance.values()])


def test_it_is_ewc_where_a_domain_has_as_many_reals_as_fakes_and_not_elsewhere():
    torch.testing.assert_close(importance_of(EWCByClass, 6, 6), importance_of(EWC, 6, 6), rtol=1e-9, atol=0)
    uneven, of_ewc = importance_of(EWCByClass, 2, 10), importance_of(EWC, 2, 10)
    assert float(((uneven - of_ewc).abs() / of_ewc.clamp(min=1e-6)).max()) > 0.05


def test_the_larger_of_the_two_is_at_least_their_mean():
    larger, mean = (importance_of(EWCByClass, 4, 8, combination=way) for way in ("max", "mean"))
    assert bool((larger >= mean - 1e-12).all())
    assert float((larger - mean).max()) > 1e-4


@pytest.mark.parametrize("counts", [(7, 0), (0, 7)])
def test_a_domain_of_one_class_has_that_classs_fisher_information_which_is_ewcs(counts):
    for combination in ("mean", "max"):
        importance = importance_of(EWCByClass, *counts, combination=combination)
        torch.testing.assert_close(importance, importance_of(EWC, *counts), rtol=1e-9, atol=0)
        assert float(importance.max()) > 1e-4


def test_a_cap_counts_samples_of_both_classes_together():
    strategy = strategy_of(EWCByClass, TwoLayers().double(), fisher_samples=5)
    experience = labelled(0, 20, 20)[2]
    assert sum(len(targets) for _, targets in strategy.fisher_batches(experience)) == 5
    strategy.after_domain(experience)
    assert float(sum(part.sum() for part in strategy.importance.values())) > 0
