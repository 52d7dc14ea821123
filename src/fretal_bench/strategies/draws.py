"""Random draws by name: generators that depend on seed, step and what is drawn, and on nothing that ran before.

    draws.of(self.seed, self.step, "memory")    # a strategy's own draws
    draws.epoch(seed, step, 3)                  # the order and the augmentation of an epoch

A purpose gives numbers of its own: no two purposes, and no purpose and epoch, share them.
"""

from __future__ import annotations

import hashlib
from typing import Final

import numpy as np
import torch

from fretal_bench.errors import BenchError

# The suite's first purposes had numbers in place of names. They keep them, so that no result of an earlier version
# changes; epochs are smaller numbers. Purposes that come later are hashed: this table does not grow.
_NUMBERED: Final = {
    "memory: fill": 2**30,
    "memory: draw": 2**30 + 1,
    "importance": 2**31,
    "adapters": 2**31 + 1,
    "centroids": 2**31 + 2,
}
_EPOCHS: Final = 2**30
"""Epochs are numbers below this."""


def of(seed: int, step: int, purpose: str) -> torch.Generator:
    """Return the CPU generator of one purpose in one step.

    Args:
        seed: The cell's seed.
        step: Number of the domain in the stream.
        purpose: What is drawn, in words of one's own, e.g. ``memory``.
    """
    return _generator(_state(seed, step, purpose))


def number(seed: int, step: int, purpose: str) -> int:
    """Return a seed for one purpose in one step, in [0, 2**32), for what takes a number; arguments as ``of``."""
    return int(_state(seed, step, purpose).generate_state(1)[0])


def epoch(seed: int, step: int, epoch: int) -> torch.Generator:
    """Return the CPU generator of the batches of one epoch: their order and their augmentation."""
    return _generator(_sequence(seed, step, epoch))


def epoch_number(seed: int, step: int, epoch: int) -> int:
    """Return the seed of torch's global generator in one epoch, which dropout and the like draw from."""
    return int(_sequence(seed, step, epoch).generate_state(1)[0])


def generator_for(*key: int) -> torch.Generator:
    """Return a CPU generator that depends on ``key``, (seed, step, a number), alone: the older form of ``of``.

    Raises:
        BenchError: The number is that of an epoch (or missing, which is the same as 0): its draws would be those of the
            training's batches.
    """
    if not any(part % 2**32 >= _EPOCHS for part in key[2:3]) and not any(key[3:]):
        raise BenchError(
            f"generator_for{key}: numbers below 2**30 are those of the training's epochs, whose draws these would be; "
            'use draws.of(seed, step, "a name")'
        )
    return _generator(_sequence(*key))


def _state(seed: int, step: int, purpose: str) -> np.random.SeedSequence:
    if purpose in _NUMBERED:
        return _sequence(seed, step, _NUMBERED[purpose])
    # Eight words: a key of three numbers and zeros, which SeedSequence takes for the same as one of three, is not met.
    return _sequence(seed, step, *np.frombuffer(hashlib.sha256(purpose.encode()).digest(), "<u4").tolist())


def _sequence(*key: int) -> np.random.SeedSequence:
    return np.random.SeedSequence([part % 2**32 for part in key])


def _generator(sequence: np.random.SeedSequence) -> torch.Generator:
    state = sequence.generate_state(2, np.uint32)
    return torch.Generator().manual_seed(int(state[0]) << 31 ^ int(state[1]))
