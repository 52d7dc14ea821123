"""Experience replay, and what all strategies that draw from a reservoir share."""

import dataclasses
import io

import pytest
import torch

from fretal_bench.errors import BenchError
from fretal_bench.strategies import draws
from fretal_bench.strategies.bounds.finetuning import FineTuning
from fretal_bench.strategies.replay.agem import AGEM
from fretal_bench.strategies.replay.cls_er import CLSER
from fretal_bench.strategies.replay.der import DER
from fretal_bench.strategies.replay.derpp import DERpp
from fretal_bench.strategies.replay.er import ExperienceReplay
from fretal_bench.strategies.replay.esmer import ESMER
from replay_cases import avalanche, build, domain, learn, weights
from tests_support import experience_of, tiny_backbone

RESERVOIR = (ExperienceReplay, DER, DERpp, AGEM)


class Recorder:
    """Keeps inputs, labels, loss of every update."""

    supports_distributed = True

    def __init__(self):
        self.updates = []

    def before_backward(self, strategy, **_):
        self.updates.append(
            (strategy.mb_x.clone(), strategy.mb_y.clone(), strategy.loss.detach().clone(), strategy.step)
        )


def recorded(strategy, experiences):
    recorder = Recorder()
    strategy.plugins.append(recorder)
    learn(strategy, experiences)
    return [update for update in recorder.updates if update[3] > 0]


def test_an_update_is_the_mean_cross_entropy_over_new_samples_and_as_many_old_ones():
    first, second = domain(0), domain(1)
    strategy = learn(build(ExperienceReplay, memory=10, lr=0.0), [first])
    (x, y, loss, _), *_ = recorded(strategy, [second])
    assert len(x) == len(y) == 12
    # The same rows by hand: the memory's own generator, then the recipe's transform with it.
    generator = draws.of(3, 1, "memory: draw")
    places = torch.randperm(10, generator=generator)[:6]
    rows = reservoir_by_hand(10, 30)
    old = first.source.pixels[[rows[place] for place in places.tolist()]]
    labels = first.source.targets[[rows[place] for place in places.tolist()]]
    torch.testing.assert_close(x[6:], strategy.transform.train(old, labels, generator))
    assert torch.equal(y[6:], labels)
    total = 0.0
    for image, label in zip(x, y, strict=True):
        logits = strategy.model(image[None])[0].detach().double()
        total -= float(logits[label] - logits.exp().sum().log())
    assert float(loss) == pytest.approx(total / 12, abs=1e-5)


def reservoir_by_hand(size, count):
    """The rows that a reservoir keeps of its first domain, by the loop of the paper."""
    drawn = torch.rand(count, dtype=torch.float64, generator=draws.of(3, 0, "memory: fill")).tolist()
    kept = []
    for row, draw in enumerate(drawn):
        if row < size:
            kept.append(row)
        elif int(draw * (row + 1)) < size:
            kept[int(draw * (row + 1))] = row
    return kept


def test_memory_batch_says_how_many_old_samples_an_update_has_and_a_small_memory_gives_all_it_has():
    for memory, expected, old in ((10, 4, 4), (10, 0, 6), (10, 9, 9), (5, 9, 5)):
        updates = recorded(
            build(ExperienceReplay, memory=memory, memory_batch=expected), [domain(0), domain(1)]
        )
        assert {len(x) for x, *_ in updates} == {6 + old}


def imbalanced(number, count=110):
    """A domain of ten reals to a fake."""
    whole = domain(number, count)
    whole.source.targets = (torch.arange(count) % 11 == 0).long()
    return whole


@pytest.mark.parametrize("kind", [ExperienceReplay, CLSER, ESMER])
def test_what_is_drawn_from_a_memory_of_ten_reals_to_a_fake_is_balanced_where_the_recipe_balances(kind):
    shares = {}
    for balance in (False, True):
        strategy = build(kind, memory=55, epochs=10, balance=balance, batch=10)
        if kind is ESMER:
            strategy.hyperparameters = dataclasses.replace(strategy.hyperparameters, beta=1e6)
        updates = recorded(strategy, [imbalanced(0), imbalanced(1)])
        held = strategy.memory.labels.double().mean()
        assert held == pytest.approx(1 / 11, abs=0.08), "the reservoir itself keeps the data's shares"
        old = torch.cat([y[10:] for _, y, _, _ in updates])
        assert len(old) == 10 * len(updates)
        shares[balance] = float(old.double().mean())
    assert shares[False] < 0.2
    assert shares[True] == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("kind", RESERVOIR)
def test_every_draw_of_every_reservoir_is_balanced(kind):
    strategy = learn(build(kind, memory=55, balance=True, batch=10), [imbalanced(0)])
    strategy.before_domain(avalanche(imbalanced(1)))
    strategy.mbatch = [torch.zeros(10, 1), torch.zeros(10)]
    drawn = [strategy.draw() for _ in range(300)]
    labels = torch.cat([batch.targets for batch in drawn])
    assert float(labels.double().mean()) == pytest.approx(0.5, abs=0.04)
    fakes = int(strategy.memory.labels.sum())
    for batch in drawn:
        assert torch.equal(batch.targets, strategy.memory.labels[batch.places])
        # A real is drawn once a batch; a fake no more often than it takes to be as many as the reals.
        times = torch.bincount(batch.places, minlength=55)
        assert int(times[strategy.memory.labels == 0].max()) <= 1
        assert int(times[strategy.memory.labels == 1].max()) <= -(-(55 - fakes) // fakes)
    assert len({tuple(batch.places.tolist()) for batch in drawn}) == 300


def test_a_memory_of_one_class_is_drawn_from_as_it_is():
    first = domain(0)
    first.source.targets = torch.zeros(30, dtype=torch.int64)
    updates = recorded(build(ExperienceReplay, memory=10, balance=True), [first, domain(1)])
    assert {(len(y), int(y[6:].sum())) for _, y, _, _ in updates} == {(12, 0)}


def test_the_new_domains_batches_are_those_of_fine_tuning():
    experiences = [domain(0), domain(1)]
    plain = recorded(build(FineTuning, epochs=2), experiences)
    for kind in RESERVOIR:
        actual = recorded(build(kind, epochs=2, memory=10), experiences)
        assert len(actual) == len(plain) == 10
        for (x, y, *_), (old_x, old_y, *_) in zip(actual, plain, strict=True):
            assert torch.equal(x[:6], old_x)
            assert torch.equal(y[:6], old_y)


def test_with_one_seed_all_reservoirs_hold_the_same_samples():
    held = []
    for kind in RESERVOIR:
        strategy = learn(build(kind, memory=9), [domain(k) for k in range(3)])
        held.append((strategy.memory.domains.tolist(), strategy.memory.rows.tolist()))
    assert all(actual == held[0] for actual in held)
    assert set(held[0][0]) == {0, 1, 2}
    assert learn(build(DER, memory=9, seed=4), [domain(0)]).memory.rows.tolist() != held[0][1]


@pytest.mark.parametrize("kind", RESERVOIR)
def test_no_more_than_the_budget_of_old_samples_is_read_over_four_domains(kind):
    strategy = build(kind, memory=7, epochs=3)
    experiences = [domain(k) for k in range(4)]
    for number, experience in enumerate(experiences):
        for past in experiences[:number]:
            past.source.read.clear()
        learn(strategy, [experience])
        assert len(strategy.memory) == 7
        read = sum(len(set(past.source.read)) for past in experiences[:number])
        assert read <= 7
        assert number == 0 or read > 0


@pytest.mark.parametrize("kind", RESERVOIR)
def test_a_run_that_is_stopped_after_every_domain_ends_with_the_same_bytes(kind):
    experiences = [domain(k, side=8) for k in range(4)]
    ends = []
    for stop in (False, True):
        strategy = build(kind, tiny_backbone(), memory=9)
        strategy.model.load_state_dict(_start())
        for number, experience in enumerate(experiences):
            learn(strategy, [experience])
            if stop:
                file = io.BytesIO()
                torch.save(strategy.state_dict(), file)
                file.seek(0)
                strategy = build(kind, tiny_backbone(), memory=9)
                strategy.load_state_dict(torch.load(file, weights_only=True))
                strategy.past = [avalanche(past) for past in experiences[: number + 1]]
        ends.append((weights(strategy.model), strategy.memory.rows, strategy.memory.logits.nan_to_num(9)))
    for whole, stopped in zip(*ends, strict=True):
        assert torch.equal(whole, stopped)


def _start():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return tiny_backbone().state_dict()


@pytest.mark.parametrize("kind", RESERVOIR)
def test_replay_works_in_a_plain_avalanche_script(kind):
    strategy = build(kind, tiny_backbone(), memory=8)
    recorder = Recorder()
    strategy.plugins.append(recorder)
    for number in range(3):
        generator = torch.Generator().manual_seed(number)
        x = torch.randn(20, 3, 8, 8, generator=generator) + number
        strategy.train(experience_of(x, torch.arange(20) % 2, number), eval_streams=[], num_workers=0)
    assert len(strategy.memory) == 8
    assert len(strategy.past) == 3
    if kind is ExperienceReplay:
        # The last batch has the 2 samples that are left of 20, and 2 inputs of the old domains as they are.
        old = recorder.updates[-1][0][2:]
        assert len(old) == len(recorder.updates[-1][0]) / 2 == 2
        assert all(any(torch.equal(x, kept) for k in range(2) for kept in _inputs(k)) for x in old)


def _inputs(number):
    return torch.randn(20, 3, 8, 8, generator=torch.Generator().manual_seed(number)) + number


def test_a_memory_without_the_domains_that_it_names_is_an_error_that_says_what_to_set():
    strategy = learn(build(ExperienceReplay, memory=8), [domain(0)])
    other = build(ExperienceReplay, memory=8)
    other.load_state_dict(strategy.state_dict())
    with pytest.raises(BenchError, match=r"samples of 1 domains.*data of 0 are at hand; set strategy\.past"):
        learn(other, [domain(1)])


def test_replay_keeps_the_first_domain_better_than_fine_tuning():
    first, second = domain(0, 60), domain(1, 60)
    # The second domain says the opposite about the same kind of images.
    second.source.pixels = first.source.pixels.flip(0).clone()
    second.source.targets = 1 - first.source.targets.flip(0)
    accuracy = {}
    for kind, constants in ((FineTuning, {}), (ExperienceReplay, {"memory": 60})):
        strategy = learn(build(kind, lr=0.2, epochs=15, **constants), [first, second])
        scores = torch.from_numpy(strategy.score(first.source))
        accuracy[kind] = float(((scores > 0.5).long() == first.source.targets).float().mean())
    assert accuracy[ExperienceReplay] > accuracy[FineTuning] + 0.2


def test_nonsense_is_refused_by_name():
    for constants, message in (
        ({"memory": 1}, "memory'.*whole number in \\[2,.*found 1"),
        ({"memory_batch": -1}, "memory_batch'.*whole number in \\[0,.*found -1"),
    ):
        with pytest.raises(BenchError, match=message):
            build(ExperienceReplay, **constants)
