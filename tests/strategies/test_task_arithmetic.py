"""Task arithmetic and TIES against sums over entries written out, and what is kept of the domains."""

import copy
import math

import pytest
import torch

from fretal_bench.errors import BenchError
from fretal_bench.strategies.bounds.finetuning import FineTuning
from fretal_bench.strategies.merging.points import moved, point_of, state_of
from fretal_bench.strategies.merging.task_arithmetic import TaskArithmetic
from fretal_bench.strategies.merging.ties import disjoint_mean, elected_signs, ties, trimmed
from fretal_bench.strategies.state import BadState
from penalty_cases import domain
from tests_support import tiny_backbone

DOMAINS = [domain(number, 12, (3, 8, 8), torch.float32) for number in range(4)]


def build(kind=TaskArithmetic, **constants):
    torch.manual_seed(0)
    model = tiny_backbone()
    return kind(
        model=model,
        optimizer=torch.optim.SGD(model.parameters(), 0.1, momentum=0.9),
        train_mb_size=6,
        train_epochs=2,
        **constants,
    )


def learn(strategy, count):
    """Train along domains; returns the state after each."""
    states = []
    for number in range(count):
        torch.manual_seed(number)
        strategy.train(DOMAINS[number], eval_streams=[], num_workers=0, reset_optimizer_state=True)
        states.append(copy.deepcopy(strategy.model.state_dict()))
    return states


def trained_from(state, number):
    """What fine-tuning makes of a state in domain ``number``."""
    strategy = build(FineTuning)
    strategy.model.load_state_dict(state)
    torch.manual_seed(number)
    strategy.train(DOMAINS[number], eval_streams=[], num_workers=0, reset_optimizer_state=True)
    return copy.deepcopy(strategy.model.state_dict())


def weights_in(state):
    return {name: value for name, value in state.items() if "running" not in name and "num_" not in name}


def test_every_domain_is_trained_from_the_first_ones_model_and_the_differences_add_up():
    states = learn(build(lambda_=0.4), 4)
    models = [trained_from(states[0], number) for number in range(1, 4)]
    for number in (1, 2, 3):
        for name, value in weights_in(states[number]).items():
            start = states[0][name].double()
            expected = start + 0.4 * sum(model[name].double() - start for model in models[:number])
            torch.testing.assert_close(value.double(), expected, rtol=1e-6, atol=1e-7)
            assert number == 1 or not torch.equal(value, states[number - 1][name])


@pytest.mark.parametrize("constants", [{}, {"merge": "ties", "keep": 100.0, "batchnorm": "merge"}])
def test_one_task_with_a_scale_of_1_is_the_model_that_fine_tuning_leaves_to_the_byte(constants):
    ours, plain = learn(build(lambda_=1.0, **constants), 2), learn(build(FineTuning), 2)
    assert all(torch.equal(ours[1][name], value) for name, value in plain[1].items())
    assert not torch.equal(ours[0]["head.weight"], ours[1]["head.weight"])


@pytest.mark.parametrize("merge", ["sum", "ties"])
def test_a_scale_of_0_leaves_the_first_domains_model(merge):
    first, *later = learn(build(lambda_=0.0, merge=merge, batchnorm="merge"), 3)
    for state in later:
        for name, value in first.items():
            assert torch.equal(state[name], value) or name.endswith("num_batches_tracked")


def ties_by_hand(tasks, keep):
    """The algorithm over lists of numbers."""
    entries = len(tasks[0])
    kept = []
    for task in tasks:
        count = math.ceil(entries * keep / 100)
        threshold = sorted((abs(value) for value in task), reverse=True)[count - 1]
        kept.append([value if abs(value) >= threshold else 0.0 for value in task])
    signs = []
    for place in range(entries):
        total = sum(task[place] for task in kept)
        signs.append((total > 0) - (total < 0))
    majority = (sum(signs) > 0) - (sum(signs) < 0)
    merged = []
    for place in range(entries):
        sign = signs[place] or majority
        agreeing = [task[place] for task in kept if task[place] * sign > 0]
        merged.append(sum(agreeing) / len(agreeing) if agreeing else 0.0)
    return merged


@pytest.mark.parametrize("keep", [5, 20, 37, 100])
@pytest.mark.parametrize("count", [1, 2, 5])
def test_ties_equals_the_algorithm_over_single_numbers(count, keep):
    generator = torch.Generator().manual_seed(count)
    tasks = [torch.randn(40, generator=generator, dtype=torch.float64) for _ in range(count)]
    named = [{"a": task[:24].reshape(4, 6), "b": task[24:]} for task in tasks]
    merged = ties(lambda: iter(named), keep)
    flat = torch.cat([merged["a"].flatten(), merged["b"]])
    expected = torch.tensor(ties_by_hand([task.tolist() for task in tasks], keep), dtype=torch.float64)
    torch.testing.assert_close(flat, expected, rtol=1e-12, atol=0)
    assert int((flat != 0).sum()) >= math.ceil(40 * keep / 100)


def test_an_entry_that_cancels_takes_the_sign_of_the_majority():
    tasks = [{"w": torch.tensor([2.0, -1.0, -3.0, 1.0])}, {"w": torch.tensor([-2.0, -1.0, -1.0, 3.0])}]
    assert elected_signs(tasks)["w"].tolist() == [-1, -1, -1, 1]
    assert disjoint_mean(tasks, elected_signs(tasks))["w"].tolist() == [-2.0, -1.0, -2.0, 2.0]


def test_the_threshold_is_one_for_all_weights_of_a_task():
    task = {"large": torch.tensor([5.0, -4.0, 3.0]), "small": torch.tensor([0.1, -0.2, 0.3])}
    kept = trimmed(task, 50)
    assert kept["large"].tolist() == [5.0, -4.0, 3.0]
    assert kept["small"].tolist() == [0.0, 0.0, 0.0]


def test_ties_is_applied_to_the_trained_weights_and_statistics_are_averaged():
    strategy = build(merge="ties", keep=30.0, lambda_=0.8, batchnorm="merge")
    states = learn(strategy, 3)
    models = [trained_from(states[0], number) for number in (1, 2)]
    names = list(weights_in(states[0]))
    start = torch.cat([states[0][name].flatten().double() for name in names])
    tasks = [torch.cat([model[name].flatten().double() for name in names]) - start for model in models]
    tau = torch.tensor(ties_by_hand([task.tolist() for task in tasks], 30), dtype=torch.float64)
    actual = torch.cat([states[2][name].flatten().double() for name in names])
    torch.testing.assert_close(actual, start + 0.8 * tau, rtol=1e-6, atol=1e-7)
    # A share of 0.2 of the start's moments and 0.4 of each model's.
    everything = [states[0], *models]
    shares = (0.2, 0.4, 0.4)
    mean = sum(s * state["body.1.running_mean"].double() for s, state in zip(shares, everything, strict=True))
    square = sum(
        s * (state["body.1.running_var"].double() + state["body.1.running_mean"].double() ** 2)
        for s, state in zip(shares, everything, strict=True)
    )
    torch.testing.assert_close(states[2]["body.1.running_mean"].double(), mean, rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(
        states[2]["body.1.running_var"].double(), square - mean**2, rtol=1e-5, atol=1e-7
    )


@pytest.mark.parametrize("count", [1, 3])
def test_summed_statistics_are_the_moments_moved_as_the_weights_are(count):
    states = learn(build(lambda_=0.3), count + 1)
    models = [trained_from(states[0], number) for number in range(1, count + 1)]
    moments = []
    for state in (states[0], *models):
        mean = state["body.4.running_mean"].double()
        moments.append((mean, state["body.4.running_var"].double() + mean**2))
    mean, square = (of[0] + 0.3 * sum(part - of[0] for part in of[1:]) for of in zip(*moments, strict=True))
    merged = states[count]
    torch.testing.assert_close(merged["body.4.running_mean"].double(), mean, rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(merged["body.4.running_var"].double(), square - mean**2, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(("merge", "rule"), [("sum", "merge"), ("ties", "reestimate")])
def test_where_nothing_is_said_sums_merge_statistics_and_ties_measures_them(merge, rule):
    states = [learn(build(merge=merge, batchnorm=choice), 3)[2] for choice in ("auto", rule, "start")]
    assert all(torch.equal(states[0][name], value) for name, value in states[1].items())
    assert not torch.equal(states[0]["body.1.running_var"], states[2]["body.1.running_var"])


def test_no_variance_is_negative_or_tiny_where_the_sum_extrapolates():
    start = {"bn.running_mean": torch.zeros(3), "bn.running_var": torch.tensor([1.0, 1.0, 4.0])}
    model = {
        "bn.running_mean": torch.tensor([0.0, 5.0, 0.0]),
        "bn.running_var": torch.tensor([0.2, 1.0, 4.0]),
    }
    by = {name: value - point_of(start, start)[name] for name, value in point_of(model, start).items()}
    point = moved(point_of(start, start), by, 3.0)
    # 1 + 3 (0.2 - 1) = -1.4, and 1 + 3 25 - 15^2 = -149.
    assert state_of(point, start, model)["bn.running_var"].tolist() == pytest.approx([-1.4, -149, 4.0])
    clipped = state_of(point, start, model, 0.1)["bn.running_var"]
    assert clipped.tolist() == pytest.approx([0.1, 0.1, 4.0])
    strategy = build(lambda_=40.0)
    states = learn(strategy, 3)
    for layer in ("body.1", "body.4"):
        ratios = states[2][f"{layer}.running_var"] / states[0][f"{layer}.running_var"]
        assert float(ratios.min()) == pytest.approx(0.1, rel=1e-5)


def test_a_training_begins_with_the_first_domains_statistics_and_no_momentum_of_another():
    strategy = build()
    first, *_ = learn(strategy, 3)
    begins = []

    class Watch:
        supports_distributed = True

        def before_training_epoch(self, strategy, **_):
            begins.append((copy.deepcopy(strategy.model.state_dict()), len(strategy.optimizer.state)))

    strategy.plugins.append(Watch())
    strategy.train(DOMAINS[3], eval_streams=[], num_workers=0)
    state, momenta = begins[0]
    assert all(torch.equal(state[name], value) for name, value in first.items())
    assert momenta == 0


def test_what_is_kept_is_the_first_model_and_one_sum_or_a_model_a_domain():
    for merge, counts in (("sum", (0, 1, 1)), ("ties", (0, 1, 2))):
        strategy = build(merge=merge)
        for number, count in enumerate(counts):
            strategy.train(DOMAINS[number], eval_streams=[], num_workers=0, reset_optimizer_state=True)
            extra = strategy.extra_state()
            assert len(extra["kept"]) == count
            assert bool(extra["start"]) == (number > 0)


def test_a_state_with_another_number_of_tasks_is_refused():
    strategy = build(merge="ties")
    learn(strategy, 3)
    state = strategy.state_dict()
    state["extra"]["kept"] = state["extra"]["kept"][:1]
    with pytest.raises(BadState, match="kept: expected 2 task vectors or models after 3 domains, found 1"):
        build(merge="ties").load_state_dict(state)
    first = build()
    learn(first, 1)
    state = {**first.state_dict(), "extra": {"start": first.model.state_dict(), "kept": []}}
    with pytest.raises(BadState, match="start: expected nothing"):
        build().load_state_dict(state)


def test_weights_that_are_frozen_neither_move_nor_count_in_trimming():
    strategy = build(merge="ties", keep=50.0)
    for weight in strategy.model.body.parameters():
        weight.requires_grad_(False)
    states = learn(strategy, 2)
    assert torch.equal(states[0]["body.0.weight"], states[1]["body.0.weight"])
    changed = sum(int((states[0][n] != states[1][n]).sum()) for n in ("head.weight", "head.bias"))
    # Half of the head's 18 numbers is 9; those of its two rows mirror each other, so a tenth may be as large.
    assert changed in (9, 10)


@pytest.mark.parametrize("constants", [{"keep": 0.0}, {"keep": 101.0}, {"lambda_": -0.1}, {"merge": "mean"}])
def test_nonsense_is_refused(constants):
    with pytest.raises(BenchError, match=next(iter(constants))):
        build(**constants)
