"""The replay memory: uniform reservoir, balanced shares, budget, state."""

import io
import random

import pytest
import torch
from scipy import stats

from fretal_bench.errors import BenchError
from fretal_bench.strategies import draws
from fretal_bench.strategies.batches import (
    ConcatSource,
    DatasetSource,
    IdentityTransform,
    SubsetSource,
    TensorSource,
)
from fretal_bench.strategies.replay.memory import ReplayMemory, balanced_shares, equal_shares
from tests_support import experience_of

SIZES = (30, 50, 20, 40)


def labels(count):
    return torch.arange(count) % 3 // 2


def filled_evenly(size, seed, sizes=SIZES):
    memory = ReplayMemory(size)
    for number, count in enumerate(sizes):
        memory.offer_evenly(number, labels(count), draws.of(seed, number, "test"))
    return memory


def test_every_sample_of_every_domain_is_kept_equally_often():
    counts = {(number, row): 0 for number, count in enumerate(SIZES) for row in range(count)}
    for seed in range(1500):
        memory = filled_evenly(20, seed)
        for key in zip(memory.domains.tolist(), memory.rows.tolist(), strict=True):
            counts[key] += 1
    assert stats.chisquare(list(counts.values())).pvalue > 1e-3
    by_domain = [sum(n for (number, _), n in counts.items() if number == k) for k in range(4)]
    expected = [1500 * 20 * count / sum(SIZES) for count in SIZES]
    assert stats.chisquare(by_domain, expected).pvalue > 1e-3


def test_the_reservoir_does_what_vitters_algorithm_does_sample_by_sample():
    memory = ReplayMemory(7)
    reference, seen = [], 0
    for number, count in enumerate((5, 9, 30)):
        before = list(reference)
        generator = draws.of(1, number, "test")
        drawn = torch.rand(count, dtype=torch.float64, generator=generator).tolist()
        for row in range(count):
            if len(reference) < 7:
                reference.append((number, row, int(labels(count)[row])))
            else:
                place = int(drawn[row] * (seen + 1))
                if place < 7:
                    reference[place] = (number, row, int(labels(count)[row]))
            seen += 1
        changed = memory.offer_evenly(number, labels(count), draws.of(1, number, "test"))
        actual = list(zip(memory.domains.tolist(), memory.rows.tolist(), memory.labels.tolist(), strict=True))
        assert actual == reference
        assert changed.tolist() == [i for i, key in enumerate(reference) if key not in before]
    assert memory.offered == 44


@pytest.mark.parametrize("size", [2, 3, 20, 500])
def test_the_budget_is_never_exceeded_over_four_domains_and_nothing_is_held_twice(size):
    even, ranked = ReplayMemory(size), ReplayMemory(size)
    for number, count in enumerate(SIZES):
        of_domain = labels(count)
        even.offer_evenly(number, of_domain, draws.of(0, number, "test"))
        ranked.offer_ranked(number, {c: (of_domain == c).nonzero().squeeze(1) for c in (0, 1)})
        for memory in (even, ranked):
            assert len(memory) == min(size, sum(SIZES[: number + 1]))
            assert len(memory) == len(memory.domains) == len(memory.labels) == len(memory.logits)
            held = set(zip(memory.domains.tolist(), memory.rows.tolist(), strict=True))
            assert len(held) == len(memory)
            for k, row, label in zip(memory.domains, memory.rows, memory.labels, strict=True):
                assert labels(SIZES[k])[row] == label


def test_a_memory_of_less_than_two_samples_is_refused():
    with pytest.raises(BenchError, match="memory of 1 samples cannot hold both classes"):
        ReplayMemory(1)


def test_equal_shares_are_those_of_handing_out_one_place_at_a_time():
    draw = random.Random(0)
    for _ in range(300):
        available = [draw.choice([0, 1, 2, 5, 40, 90]) for _ in range(draw.randint(1, 6))]
        budget = draw.randint(0, 150)
        reference = [0] * len(available)
        for _ in range(budget):
            hungry = [i for i, most in enumerate(available) if reference[i] < most]
            if hungry:
                reference[min(hungry, key=lambda i: (reference[i], i))] += 1
        actual = equal_shares(available, budget)
        assert sum(actual) == sum(reference)
        assert sorted(actual) == sorted(reference)
        assert all(share <= most for share, most in zip(actual, available, strict=True))


def test_shares_are_balanced_by_class_first_and_by_domain_within_the_class():
    available = {(0, 0): 100, (0, 1): 3, (1, 0): 100, (1, 1): 100, (1, 2): 100}
    assert balanced_shares(available, 60) == {(0, 0): 27, (0, 1): 3, (1, 0): 10, (1, 1): 10, (1, 2): 10}


def greedy_by_loops(size, sizes, seed):
    """GDumb's greedy sampler one sample at a time, a group being a (class, domain)."""
    draw = random.Random(seed)
    held = {}
    for number, count in enumerate(sizes):
        rows = list(range(count))
        draw.shuffle(rows)
        for row in rows:
            group = held.setdefault((int(labels(count)[row]), number), [])
            if sum(map(len, held.values())) < size:
                group.append(row)
            elif len(group) < size / len(held):
                largest = max(held.values(), key=len)
                if len(largest) > len(group):
                    largest.pop(draw.randrange(len(largest)))
                    group.append(row)
    return {group: len(rows) for group, rows in held.items()}


def test_shares_are_those_of_the_greedy_sampler_but_for_odd_samples():
    sizes = (60, 60, 60, 60)
    memory = ReplayMemory(40)
    for number, count in enumerate(sizes):
        of_domain = labels(count)
        memory.offer_ranked(number, {c: (of_domain == c).nonzero().squeeze(1) for c in (0, 1)})
        reference = greedy_by_loops(40, sizes[: number + 1], seed=number)
        for group, count in reference.items():
            actual = int(((memory.labels == group[0]) & (memory.domains == group[1])).sum())
            assert abs(actual - count) <= 1


def test_a_share_that_shrinks_gives_up_what_was_ranked_last():
    memory = ReplayMemory(12)
    first = {0: torch.tensor([9, 4, 7, 1, 3, 8]), 1: torch.tensor([5, 0, 2, 6, 11, 10])}
    memory.offer_ranked(0, first)
    kept = 6
    for number in range(1, 4):
        of_domain = labels(30)
        assert memory.shares(number, of_domain)[0] in (12 // 2 // (number + 1), -(-6 // (number + 1)))
        memory.offer_ranked(number, {c: (of_domain == c).nonzero().squeeze(1) for c in (0, 1)})
        for label in (0, 1):
            rows = memory.rows[(memory.labels == label) & (memory.domains == 0)].tolist()
            assert rows == first[label][: len(rows)].tolist()
            assert len(rows) <= kept
        kept = len(rows)
    assert kept == 2


def test_a_memory_goes_on_from_its_state_as_if_it_had_never_stopped():
    for ranked in (False, True):
        ends = []
        for stop in (False, True):
            memory = ReplayMemory(11)
            for number, count in enumerate(SIZES):
                if ranked:
                    order = torch.randperm(count, generator=draws.of(5, number, "test"))
                    memory.offer_ranked(number, {c: order[labels(count)[order] == c] for c in (0, 1)})
                else:
                    places = memory.offer_evenly(number, labels(count), draws.of(5, number, "test"))
                    memory.logits[places] = float(number)
                if stop:
                    file = io.BytesIO()
                    torch.save(memory.state_dict(), file)
                    file.seek(0)
                    memory = ReplayMemory(11)
                    memory.load_state_dict(torch.load(file, weights_only=True))
            file = io.BytesIO()
            torch.save(memory.state_dict(), file)
            ends.append(file.getvalue())
        assert ends[0] == ends[1]


def test_a_subset_of_joined_sources_gives_the_rows_it_was_made_of():
    values = torch.arange(10.0)[:, None, None, None].expand(10, 3, 2, 2)
    parts = [
        TensorSource(values[:4], torch.tensor([0, 1, 0, 1])),
        TensorSource(values[4:], torch.ones(6, dtype=torch.int64)),
    ]
    subset = SubsetSource(ConcatSource(parts), torch.tensor([7, 0, 3]))
    assert len(subset) == 3
    assert subset.targets.tolist() == [1, 0, 1]
    assert subset.images(torch.tensor([2, 0, 0]))[:, 0, 0, 0].tolist() == [3, 7, 7]


def test_a_data_set_is_a_source_whose_images_are_inputs_already():
    x, y = torch.randn(6, 3, 4, 4), torch.tensor([0, 1, 1, 0, 1, 0])
    source = DatasetSource(experience_of(x, y).dataset)
    assert len(source) == 6
    assert torch.equal(source.targets, y)
    images = source.images(torch.tensor([4, 1]))
    assert torch.equal(images, x[[4, 1]])
    same = IdentityTransform()
    assert torch.equal(same.eval(images), images)
    assert torch.equal(same.train(images, y[[4, 1]], torch.Generator()), images)
