"""Draws by name: numbers that stay what they were, and none that two purposes share."""

import itertools

import numpy as np
import pytest
import torch

from fretal_bench.errors import BenchError
from fretal_bench.strategies import draws


def numbers(generator):
    return torch.randint(2**31, (4,), generator=generator).tolist()


def by_key(*key):
    """The suite's first way of making a generator, written once more."""
    state = np.random.SeedSequence([part % 2**32 for part in key]).generate_state(2, np.uint32)
    return torch.Generator().manual_seed(int(state[0]) << 31 ^ int(state[1]))


@pytest.mark.parametrize("seed", [0, 7, -1])
def test_epochs_and_the_first_purposes_keep_their_numbers(seed):
    for step, epoch in itertools.product((0, 3), (0, 1, 250)):
        assert numbers(draws.epoch(seed, step, epoch)) == numbers(by_key(seed, step, epoch))
        sequence = np.random.SeedSequence([seed % 2**32, step, epoch])
        assert draws.epoch_number(seed, step, epoch) == int(sequence.generate_state(1)[0])
    for purpose, number in {
        "memory: fill": 2**30,
        "memory: draw": 2**30 + 1,
        "importance": 2**31,
        "adapters": 2**31 + 1,
        "centroids": 2**31 + 2,
    }.items():
        assert numbers(draws.of(seed, 2, purpose)) == numbers(by_key(seed, 2, number))


def test_a_purpose_shares_its_numbers_with_no_epoch_and_no_other_purpose():
    purposes = [
        "memory",
        "memory: fill",
        "importance",
        "avalanche: loaders",
        "avalanche: augmentation",
        "",
        "0",
    ]
    drawn = [numbers(draws.of(0, 1, purpose)) for purpose in purposes]
    drawn += [numbers(draws.epoch(0, 1, epoch)) for epoch in range(50)]
    # A key without a number is padded with zeros: it is that of epoch 0.
    assert numbers(by_key(0, 1)) == numbers(draws.epoch(0, 1, 0))
    assert len({tuple(part) for part in drawn}) == len(drawn)
    assert draws.number(0, 1, "avalanche: loaders") != draws.epoch_number(0, 1, 0)


def test_a_purpose_depends_on_seed_and_step_and_nothing_else():
    torch.manual_seed(3)
    first = numbers(draws.of(1, 2, "memory"))
    torch.rand(5)
    assert numbers(draws.of(1, 2, "memory")) == first
    assert numbers(draws.of(2, 2, "memory")) != first != numbers(draws.of(1, 3, "memory"))


@pytest.mark.parametrize("key", [(0, 1), (0, 1, 0), (0, 1, 77), (0, 1, 5, 0), (3,)])
def test_a_number_that_is_an_epochs_is_refused(key):
    with pytest.raises(BenchError, match=r"epochs.*draws\.of"):
        draws.generator_for(*key)


def test_a_large_number_of_an_older_plugin_gives_what_it_gave():
    from fretal_bench.strategies.batches import generator_for

    assert numbers(generator_for(4, 1, 2**40 + 2**31)) == numbers(by_key(4, 1, 2**31))
    assert numbers(generator_for(4, 1, 2**31 + 77)) == numbers(by_key(4, 1, 2**31 + 77))
