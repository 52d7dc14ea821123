"""The samples of a sparse, uniform memory: two of every segment of the distance to the centre of a class."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def tile_shuffled(inputs: Tensor, order: Tensor) -> Tensor:
    """Return images cut into 2 x 2 tiles that have changed places.

    Args:
        inputs: [B, C, H, W]; of an odd side, the last row or column stays where it is.
        order: Which tile (0 to 3, row by row) comes into each place, int64 [4].

    Returns:
        [B, C, H, W].
    """
    height, width = inputs.shape[2] // 2, inputs.shape[3] // 2
    shuffled = inputs.clone(memory_format=torch.preserve_format)
    for place, tile in enumerate(order.tolist()):
        here, there = ((n // 2 * height, n % 2 * width) for n in (place, tile))
        shuffled[:, :, here[0] : here[0] + height, here[1] : here[1] + width] = inputs[
            :, :, there[0] : there[0] + height, there[1] : there[1] + width
        ]
    return shuffled


def tile_order(generator: torch.Generator) -> Tensor:
    """Draw an order of the four tiles that is not the one they have, int64 [4]."""
    order = torch.randperm(4, generator=generator)
    while torch.equal(order, torch.arange(4)):
        order = torch.randperm(4, generator=generator)
    return order


def spread_order(count: int) -> list[int]:
    """Order 0 to ``count - 1`` so that the first m of them, for every m, lie at nearly even distances.

    The order of van der Corput's sequence in base 2: numbers sorted by their bits read backwards.
    """
    bits = max(1, (count - 1).bit_length())
    return sorted(range(count), key=lambda number: int(f"{number:0{bits}b}"[::-1], 2))


def sparse_uniform(features: Tensor, stability: Tensor, count: int) -> Tensor:
    """Choose samples of one class that are spread over it evenly, by their distance to its centre.

    The samples, sorted by ``|f - mean f|``, the farthest first, are cut into ``ceil(count / 2)`` segments whose sizes
    differ by at most one. Of each are taken the most stable sample, then the one whose feature has the smallest cosine
    to that one's.

    Args:
        features: f [N, D].
        stability: s [N]; a large one is stable.
        count: How many to choose, at most N.

    Returns:
        Positions, int64 [count], both samples of a segment together, segments in ``spread_order``: what is left when the
        last are given up is spread evenly too.
    """
    farthest = (features - features.mean(dim=0)).norm(dim=1).argsort(descending=True, stable=True)
    segments = farthest.tensor_split(max(1, -(-count // 2)))
    units = F.normalize(features, dim=1)
    chosen: list[int] = []
    for number in spread_order(len(segments)):
        segment = segments[number]
        stable = segment[stability[segment].argmax()]
        chosen.append(int(stable))
        others = segment[segment != stable]
        if len(others):
            chosen.append(int(others[(units[others] @ units[stable]).argmin()]))
    return torch.tensor(chosen[:count], dtype=torch.int64)
