"""A tiny stream in memory that writes down who reads what."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

DOMAINS = 3
"""Domains of the stream: a teacher that stays and one that is refreshed differ from the third on."""
SIDE = 32
"""Pixels of a side."""
SIZES = {"train": (12, 18), "val": (4, 4), "test": (10, 10)}
"""Reals and fakes of each split of each domain; uneven in training, so that drawing them evenly matters."""

Reads = dict[tuple[int, str], set[int]]
"""(Domain, split) -> rows that were read."""


class Ledger:
    """Which rows of which split were read, while it is open."""

    def __init__(self) -> None:
        self._reads: Reads | None = None

    def note(self, domain: int, split: str, rows: list[int]) -> None:
        """Write rows down."""
        if self._reads is not None:
            self._reads[domain, split].update(rows)

    @contextlib.contextmanager
    def opened(self) -> Iterator[Reads]:
        """Give what is read inside the block."""
        reads: Reads = defaultdict(set)
        self._reads = reads
        try:
            yield reads
        finally:
            self._reads = None


class WatchedSource:
    """A batch source over images in memory whose every access stands in a ledger.

    Args:
        ledger: Where accesses are written down.
        domain: Number of the domain.
        split: ``train``, ``val`` or ``test``.
        images: uint8 [N, H, W, 3].
        targets: int64 [N].
    """

    def __init__(self, ledger: Ledger, domain: int, split: str, images: Tensor, targets: Tensor) -> None:
        self._ledger, self._domain, self._split = ledger, domain, split
        self._images, self._targets = images, targets
        self.rows: NDArray[np.int64] = np.arange(len(targets), dtype=np.int64)

    @property
    def targets(self) -> Tensor:
        """Labels, int64 [N]. Reading those of a split counts as reading the split, except for training labels."""
        if self._split != "train":
            self._ledger.note(self._domain, self._split, self.rows.tolist())
        return self._targets

    def __len__(self) -> int:
        return len(self._targets)

    def images(self, index: Tensor) -> Tensor:
        """Return images ``index`` as uint8 [B, H, W, 3]."""
        self._ledger.note(self._domain, self._split, index.tolist())
        return self._images[index.to(self._images.device)]

    def to(self, device: torch.device | str) -> WatchedSource:
        """Give the same source, still watched, with its images on another device."""
        return WatchedSource(self._ledger, self._domain, self._split, self._images.to(device), self._targets)


class WatchedDomain:
    """What ``avalanche.benchmark`` needs of a domain."""

    def __init__(self, ledger: Ledger, number: int) -> None:
        self.name = f"D{number}"
        self._sources = {
            split: WatchedSource(ledger, number, split, *images_of(number, split)) for split in SIZES
        }
        self.rows = {split: source.rows for split, source in self._sources.items()}

    def batches(self, split: str) -> WatchedSource:
        """Return the source of a split."""
        return self._sources[split]


def images_of(domain: int, split: str) -> tuple[Tensor, Tensor]:
    """Draw a split: noise, the fakes with faint stripes whose spacing and channel belong to the domain.

    Returns:
        Images uint8 [N, 32, 32, 3] and labels int64 [N], reals first.
    """
    reals, fakes = SIZES[split]
    random = np.random.default_rng([domain, list(SIZES).index(split)])
    images = random.integers(40, 180, (reals + fakes, SIDE, SIDE, 3))
    images[reals:, :: domain + 2, :, domain % 3] += 45
    labels = torch.tensor([0] * reals + [1] * fakes)
    return torch.from_numpy(images.astype(np.uint8)), labels


def make_benchmark(ledger: Ledger) -> Any:
    """Make the tiny stream as an Avalanche benchmark, as the suite makes its own: see ``Stream.as_avalanche``.

    Beside that, each experience leads to the whole benchmark (``experience.origin_stream.benchmark``), as those of some
    Avalanche benchmarks do: a strategy that looks there for test data finds them, and is seen.
    """
    from fretal_bench.datasets.streams import avalanche

    domains: Any = [WatchedDomain(ledger, number) for number in range(DOMAINS)]
    benchmark = avalanche.benchmark(domains)
    for stream in benchmark.streams.values():
        for experience in stream:
            experience.origin_stream.benchmark = benchmark
    return benchmark


class TinyAugmentation:
    """Flips and shifts the brightness, drawn from the generator it is given; pixels to [-1, 1]."""

    def train(self, images: Tensor, targets: Tensor, generator: torch.Generator) -> Tensor:
        """Augment and normalise uint8 [B, H, W, 3] to float [B, 3, H, W]."""
        inputs = self.eval(images)
        flip = torch.rand(len(inputs), generator=generator).to(inputs.device) < 0.5
        shift = torch.rand(len(inputs), generator=generator).to(inputs.device) * 0.1
        inputs = torch.where(flip[:, None, None, None], inputs.flip(3), inputs)
        return inputs + shift[:, None, None, None]

    def eval(self, images: Tensor) -> Tensor:
        """Normalise only."""
        return images.permute(0, 3, 1, 2).float() * (2 / 255) - 1
