"""Faces and clips that the tests of face preparation share."""

from __future__ import annotations

import numpy as np

from fretal_bench.datasets.faces.boxes import Box, Face
from fretal_bench.datasets.ffpp_mini.codec import write_clip


def face(left, top, side, score=0.9):
    return Face(Box(left, top, left + side, top + side), score)


def grey_clip(path, frames):
    """Write uint8 [n, H, W] as an mp4 that loses nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_clip(np.ascontiguousarray(frames), "raw", str(path))
    return path


def numbered(count, height=48, width=64):
    """Frames that say their own number by their brightness, with a texture that moves."""
    ramp = np.add.outer(np.arange(height), np.arange(width)) % 8
    return np.stack([np.roll(ramp, n, 1) + 20 + n * 4 for n in range(count)]).astype(np.uint8)
