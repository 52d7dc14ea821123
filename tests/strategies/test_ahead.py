"""Fetching ahead: in order, so many ahead and no more, stopped at once; on a CPU no thread is used."""

import threading

import pytest
import torch

from fretal_bench.strategies.ahead import AHEAD, ahead, fetch_batches
from fretal_bench.strategies.batches import TensorSource


def test_what_is_fetched_comes_in_order_with_its_item():
    assert list(ahead(lambda item: item * item, range(20))) == [(n, n * n) for n in range(20)]
    assert list(ahead(str, [])) == []


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_thread_fetches_so_many_ahead_and_no_more(count):
    taken, fetched = [], []
    this = threading.get_ident()

    def items():
        for number in range(10):
            assert threading.get_ident() == this
            taken.append(number)
            yield number

    def fetch(number):
        assert threading.get_ident() != this
        fetched.append(number)
        return number

    for number, _ in ahead(fetch, items(), count):
        assert number in fetched
        assert len(taken) <= number + 1 + count
    assert fetched == list(range(10))


def test_the_next_is_fetched_while_the_caller_works():
    # Whoever has the first waits for the second to be fetched: without a thread that would be forever.
    second = threading.Event()

    def fetch(number):
        if number == 1:
            second.set()
        return number

    steps = ahead(fetch, range(3))
    next(steps)
    assert second.wait(60)
    assert [number for number, _ in steps] == [1, 2]


def test_what_a_fetch_raises_is_raised_where_its_item_would_come():
    def fetch(number):
        if number == 2:
            raise OSError("no such crop")
        return number

    steps = ahead(fetch, range(5))
    assert [next(steps)[0] for _ in range(2)] == [0, 1]
    with pytest.raises(OSError, match="no such crop"):
        next(steps)


def test_who_stops_early_leaves_no_thread_and_fetches_no_more():
    fetched = []
    steps = ahead(lambda number: fetched.append(number), range(1000))
    next(steps)
    steps.close()
    assert len(fetched) <= 1 + AHEAD
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("batches")]


def test_on_a_cpu_images_are_fetched_in_this_thread_when_they_are_needed():
    asked = []

    class Source(TensorSource):
        def images(self, index):
            asked.append((threading.get_ident(), index.tolist()))
            return super().images(index)

    source = Source(torch.arange(8, dtype=torch.uint8)[:, None, None, None])
    batches = torch.arange(8).split(3)
    for number, (index, images) in enumerate(fetch_batches(source, batches, torch.device("cpu"))):
        assert torch.equal(index, batches[number])
        assert images.flatten().tolist() == index.tolist()
        assert asked == [(threading.get_ident(), batch.tolist()) for batch in batches[: number + 1]]
