"""A ledger of who reads which rows of a batch source, and the source that writes it."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

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
