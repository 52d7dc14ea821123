"""Fetching batches ahead of the device that computes: on CUDA a thread loads the next ones meanwhile."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, Protocol, TypeVar

import torch
from torch import Tensor

AHEAD: Final = 2
"""Batches that are fetched before the one in use is done with."""
_Item = TypeVar("_Item")
_Fetched = TypeVar("_Fetched")


class ImageSource(Protocol):
    """What is asked of a batch source here."""

    def images(self, index: Tensor) -> Tensor:
        """Return the images of samples ``index``."""
        ...


def fetch_batches(
    source: ImageSource, batches: Iterable[Tensor], device: torch.device
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the samples of every batch and their images, in order; what is yielded does not depend on the device.

    On CUDA a thread reads the next images and copies them on a stream of its own, so that the device need not wait for
    them. On a CPU there is nothing to gain: the thread would take its cores from the training.

    Args:
        source: Where the images come from.
        batches: The samples of each batch, int64 [B]; taken from in this thread alone.
        device: Where the images go.

    Yields:
        The samples, and their images as the source gives them, on the device.
    """
    if device.type != "cuda":
        for index in batches:
            yield index, source.images(index).to(device)
        return
    beside: torch.cuda.Stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def fetch(index: Tensor) -> tuple[Tensor, torch.cuda.Event]:
        with torch.cuda.stream(beside):
            images = source.images(index).to(device)
            return images, beside.record_event()

    for index, (images, copied) in ahead(fetch, batches):
        current = torch.cuda.current_stream(device)
        current.wait_event(copied)
        # The memory is not to be given to another batch of the thread while this one is computed with.
        images.record_stream(current)
        yield index, images


def ahead(
    fetch: Callable[[_Item], _Fetched], items: Iterable[_Item], count: int = AHEAD
) -> Iterator[tuple[_Item, _Fetched]]:
    """Yield every item and what ``fetch`` makes of it, in order; a thread fetches ``count`` items ahead.

    What ``fetch`` raises is raised where its item would come. Whoever stops early waits for one fetch at most.

    Args:
        fetch: Called in the thread, for one item after the other.
        items: Taken from in the caller's thread.
        count: How many are fetched, or being fetched, while the caller has one.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="batches") as thread:
        waiting: deque[tuple[_Item, Future[_Fetched]]] = deque()
        try:
            for item in items:
                waiting.append((item, thread.submit(fetch, item)))
                if len(waiting) > count:
                    first, fetched = waiting.popleft()
                    yield first, fetched.result()
            while waiting:
                first, fetched = waiting.popleft()
                yield first, fetched.result()
        finally:
            for _, fetched in waiting:
                fetched.cancel()
