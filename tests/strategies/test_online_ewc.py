"""Online EWC: the running Fisher information and its one anchor."""

import pytest
import torch

from fretal_bench.errors import BenchError
from fretal_bench.strategies.penalties.online_ewc import OnlineEWC
from penalty_cases import TwoLayers, assert_same_value_and_gradient, domain, push, samples, weights_of


def fisher_by_single_passes(model, inputs):
    """The exact Fisher information: one backward pass a sample and class."""
    total = {name: torch.zeros_like(weight) for name, weight in model.named_parameters()}
    for x in inputs:
        chances = torch.softmax(model(x[None]), 1)[0].detach()
        for label in range(2):
            model.zero_grad()
            torch.log_softmax(model(x[None]), 1)[0, label].backward()
            for name, weight in model.named_parameters():
                total[name] += chances[label] * weight.grad**2 / len(inputs)
    model.zero_grad()
    return total


def test_penalty_equals_a_fading_sum_of_fisher_informations_around_the_last_weights():
    torch.manual_seed(0)
    model = TwoLayers().double()
    strategy = OnlineEWC(
        model=model, optimizer=torch.optim.SGD(model.parameters(), 0.1), lambda_=50.0, gamma=0.6
    )
    fishers = []
    for number in range(3):
        push(model)
        strategy.after_domain(domain(number))
        fishers.append(fisher_by_single_passes(model, samples(number)[0]))
    anchor = weights_of(model)
    strategy.before_domain(domain(3))
    push(model)
    expected = sum(
        25.0 * 0.6**age * (fisher[n] * (w - anchor[n]) ** 2).sum()
        for age, fisher in enumerate(reversed(fishers))
        for n, w in model.named_parameters()
    )
    assert_same_value_and_gradient(strategy.penalty(), expected, model)


def test_it_is_ewc_on_two_domains_and_not_on_three():
    from fretal_bench.strategies.penalties.ewc import EWC

    ends = []
    for kind in (EWC, OnlineEWC):
        torch.manual_seed(0)
        model = TwoLayers().double()
        strategy = kind(model=model, optimizer=torch.optim.SGD(model.parameters(), 0.1), lambda_=30.0)
        ends.append([])
        for number in range(3):
            torch.manual_seed(number)
            strategy.train(domain(number))
            ends[-1].append(torch.cat([w.flatten() for w in weights_of(model).values()]))
    torch.testing.assert_close(ends[0][1], ends[1][1], rtol=1e-9, atol=1e-12)
    assert float((ends[0][2] - ends[1][2]).abs().max()) > 1e-6


def test_a_gamma_outside_of_zero_to_one_is_refused():
    model = TwoLayers()
    with pytest.raises(BenchError, match=r"gamma.* in \[0, 1\].*1\.5"):
        OnlineEWC(model=model, optimizer=torch.optim.SGD(model.parameters(), 0.1), gamma=1.5)
