"""RanPAC: against sums and a solution taken sample by sample, whatever the order of domains, and how lambda is chosen."""

import numpy as np
import pytest
import torch

from fretal_bench.errors import BenchError
from fretal_bench.strategies import draws
from fretal_bench.strategies.frozen.ranpac import RanPAC, errors_of_samples, errors_of_sums
from fretal_bench.strategies.registry import find_strategy
from fretal_bench.strategies.state import BadState
from tests_support import experience_of, tiny_backbone

GRID = [10.0**power for power in range(-8, 9)]


def data(seed, count=30, classes=2):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, 3, 8, 8, generator=generator)
    y = torch.randint(0, classes, (count,), generator=generator)
    return x + y[:, None, None, None] * 0.5, y


def build(**options):
    torch.manual_seed(0)
    model = tiny_backbone()
    optimizer = torch.optim.SGD(model.parameters(), 0.05)
    return RanPAC(
        model=model, optimizer=optimizer, train_mb_size=8, eval_mb_size=7, **{"projections": 24, **options}
    )


def trained(domains, **options):
    """A strategy that has learned these domains, on a model that no domain has trained."""
    strategy = build(**options)
    strategy.step = 1
    for number, (x, y) in enumerate(domains):
        strategy.train(experience_of(x, y, number))
    return strategy


def projected_by_hand(strategy, x):
    """ReLU of random projections of the features, one number after the other."""
    with torch.no_grad():
        features = strategy.model.eval().body(x).double().numpy().mean((2, 3))
    width = features.shape[1]
    drawn = torch.randn(width, 24, generator=draws.of(strategy.seed, 0, "projection")).double().numpy()
    h = np.zeros((len(features), 24))
    for n, f in enumerate(features):
        for m in range(24):
            h[n, m] = max(0.0, sum(f[d] * drawn[d, m] for d in range(width)) / width**0.5)
    return h


def solution_by_hand(h, y, ridge):
    """W_o from sums over single samples."""
    gram, moments = np.zeros((h.shape[1],) * 2), np.zeros((h.shape[1], 2))
    for row, label in zip(h, y, strict=True):
        gram += np.outer(row, row)
        moments[:, label] += row
    return np.linalg.inv(gram + ridge * np.eye(len(gram))) @ moments


def test_scores_are_those_of_a_ridge_regression_on_all_samples_of_all_domains():
    strategy = build(ridge=0.3)
    domains = [data(k) for k in range(3)]
    for number, (x, y) in enumerate(domains):
        strategy.train(experience_of(x, y, number))
    h = np.concatenate([projected_by_hand(strategy, x) for x, _ in domains])
    weights = solution_by_hand(h, np.concatenate([y.numpy() for _, y in domains]), 0.3)
    np.testing.assert_allclose(strategy.decision_rule().numpy(), weights, rtol=1e-4, atol=1e-5)
    x, _ = data(9)
    scores = projected_by_hand(strategy, x) @ weights
    expected = 1 / (1 + np.exp(scores[:, 0] - scores[:, 1]))
    judged = strategy.probabilities(x)
    np.testing.assert_allclose(judged[:, 1].numpy(), expected, atol=1e-5)
    assert judged.dtype == torch.float32


def test_the_sums_are_float64_and_do_not_depend_on_the_batch_size():
    domains = [data(k) for k in range(2)]
    plain, single = trained(domains, ridge=1.0), build(ridge=1.0)
    single.step, single.eval_mb_size = 1, 1
    for number, (x, y) in enumerate(domains):
        single.train(experience_of(x, y, number))
    assert plain.gram.dtype == plain.moments.dtype == torch.float64
    torch.testing.assert_close(plain.gram, single.gram, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(plain.moments, single.moments, rtol=1e-5, atol=1e-6)


def test_the_order_of_the_domains_makes_no_difference_and_one_that_comes_twice_counts_twice():
    first, second = data(0), data(1)
    there, back = (trained(domains, ridge=0.1) for domains in ((first, second), (second, first)))
    torch.testing.assert_close(there.gram, back.gram, rtol=1e-12, atol=1e-12)
    x, _ = data(9)
    torch.testing.assert_close(there.probabilities(x), back.probabilities(x), rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(trained((first, first)).gram, 2 * trained((first,)).gram)


def held_out_by_hand(strategy, domains, *, with_past):
    """The mean squared error of every lambda on a fifth of the last domain, that of the drawn order."""
    *past, (x, y) = domains
    h = projected_by_hand(strategy, x)
    order = torch.randperm(len(x), generator=draws.of(strategy.seed, strategy.step - 1, "ridge")).numpy()
    held, fitted = order[: len(x) // 5], order[len(x) // 5 :]
    rows, labels = [h[fitted]], [y.numpy()[fitted]]
    if with_past:
        rows += [projected_by_hand(strategy, old) for old, _ in past]
        labels += [old.numpy() for _, old in past]
    rows, labels = np.concatenate(rows), np.concatenate(labels)
    onehot = np.eye(2)[y.numpy()[held]]
    return [np.mean((h[held] @ solution_by_hand(rows, labels, ridge) - onehot) ** 2) for ridge in GRID]


@pytest.mark.parametrize("rule", ["select", "select-with-past"])
def test_lambda_is_the_best_on_a_fifth_of_the_current_domain(rule):
    chosen = set()
    for seed in range(4):
        domains = [data(10 * seed + k, 40) for k in range(2)]
        strategy = trained(domains, ridge=rule, seed=seed)
        errors = held_out_by_hand(strategy, domains, with_past=rule == "select-with-past")
        assert errors[GRID.index(strategy.strength)] <= min(errors) * (1 + 1e-3)
        assert strategy.strength != GRID[0]
        chosen.add(strategy.strength)
    assert max(chosen) < GRID[-1]


def test_lambda_is_the_best_where_there_are_more_projections_than_samples():
    domains = [data(k, 20) for k in range(2)]
    strategy = trained(domains, ridge="select")
    assert strategy.projection.shape[1] == 24 > 16
    errors = held_out_by_hand(strategy, domains, with_past=False)
    assert errors[GRID.index(strategy.strength)] <= min(errors) * (1 + 1e-3)
    generator = torch.Generator().manual_seed(0)
    h, y = (
        torch.rand(16, 24, generator=generator).double(),
        torch.nn.functional.one_hot(torch.arange(16) % 2, 2).double(),
    )
    other, labels = torch.rand(5, 24, generator=generator).double(), torch.eye(2).double()[[0, 1, 1, 0, 1]]
    by_hand = [
        np.mean((other.numpy() @ solution_by_hand(h.numpy(), y.argmax(1).numpy(), r) - labels.numpy()) ** 2)
        for r in GRID
    ]
    for errors in (errors_of_samples(h, y, other, labels), errors_of_sums(h.T @ h, h.T @ y, other, labels)):
        # Below, an inverse by hand has no digits left.
        np.testing.assert_allclose(errors[3:].numpy(), by_hand[3:], rtol=1e-5)


def test_the_two_rules_look_at_different_samples():
    few, many = data(0, 200), data(1, 15)
    alone, together = (trained((few, many), ridge=rule).strength for rule in ("select", "select-with-past"))
    assert alone != together


def test_a_class_that_a_domain_lacks_adds_nothing_to_its_column():
    strategy = trained([data(0)], ridge=1.0)
    before = strategy.moments.clone()
    x, _ = data(1)
    strategy.train(experience_of(x, torch.ones(len(x), dtype=torch.int64), 1))
    assert torch.equal(strategy.moments[:, 0], before[:, 0])
    assert not torch.equal(strategy.moments[:, 1], before[:, 1])
    only_reals = trained([data(0, classes=1)])
    assert torch.count_nonzero(only_reals.moments[:, 1]) == 0
    assert torch.isfinite(only_reals.probabilities(x)).all()


def test_a_domain_of_one_sample_leaves_lambda_as_it_was():
    strategy = trained([data(0)])
    before = strategy.strength
    strategy.train(experience_of(*data(1, 1), 1))
    assert strategy.strength == before
    assert trained([data(0, 1)]).strength == 1.0


def test_the_backbone_learns_the_first_domain_only_and_a_resumed_run_ends_with_the_same_bytes():
    whole = build()
    for number in range(3):
        whole.train(experience_of(*data(number), number))
        if number == 0:
            weights = {key: value.clone() for key, value in whole.model.state_dict().items()}
    first = build()
    for number in range(2):
        first.train(experience_of(*data(number), number))
    resumed = build()
    resumed.load_state_dict(first.state_dict())
    resumed.train(experience_of(*data(2), 2))
    for name in ("projection", "gram", "moments"):
        assert torch.equal(getattr(whole, name), getattr(resumed, name))
    assert whole.strength == resumed.strength
    assert all(torch.equal(value, weights[key]) for key, value in whole.model.state_dict().items())


def test_other_seeds_draw_other_projections():
    assert not torch.equal(trained([data(0)]).projection, trained([data(0)], seed=1).projection)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("gram", torch.zeros(24, 23)),
        ("moments", torch.zeros(24, 3)),
        ("projection", torch.zeros(3)),
        ("strength", -1.0),
    ],
)
def test_a_state_that_does_not_fit_together_is_refused(key, value):
    state = trained([data(0)]).state_dict()
    with pytest.raises(BadState, match=f"^{key}: expected"):
        build().load_state_dict({**state, "extra": {**state["extra"], key: value}})


@pytest.mark.parametrize("value", ["selct", "-1", 0, float("nan"), "inf", True])
def test_a_lambda_that_is_neither_a_rule_nor_a_number_above_0_is_refused(value):
    with pytest.raises(
        BenchError, match=r"key 'ridge': expected one of 'select', 'select-with-past' or a finite"
    ):
        find_strategy("ranpac").hyperparameters({"ridge": value})


def test_lambda_is_read_from_the_command_line():
    assert find_strategy("ranpac").hyperparameters({"ridge": "10"}).ridge == 10.0
    assert find_strategy("ranpac").hyperparameters({"ridge": "select-with-past"}).ridge == "select-with-past"
