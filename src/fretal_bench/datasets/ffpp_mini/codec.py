"""H.264 as FaceForensics++ uses it: frames in, the frames a viewer of the coded clip sees out."""

from __future__ import annotations

from typing import IO, Final

import numpy as np

from fretal_bench.datasets.faces.crops import Image
from fretal_bench.datasets.media.h264 import h264_coded, write_h264
from fretal_bench.errors import unknown_name

# FaceForensics++: c23 and c40 are H.264 with these constant rate factors; 0 loses nothing.
RATE_FACTORS: Final[dict[str, int]] = {"raw": 0, "c23": 23, "c40": 40}


def write_clip(frames: Image, compression: str, out: str | IO[bytes]) -> None:
    """Code grey frames as one H.264 clip in an MP4 file; the same frames give the same bytes.

    Args:
        frames: uint8 [n, H, W] with even H and W; grey values are the luma, full range.
        compression: ``raw``, ``c23`` or ``c40``.
        out: Path or binary file to write to.

    Raises:
        BenchError: If the compression is unknown.
    """
    write_h264(_planes(frames), _rate_factor(compression), "yuvj420p", out)


def code(frames: Image, compression: str) -> Image:
    """Code frames and decode them again.

    Args:
        frames: uint8 [n, H, W] with even H and W.
        compression: ``raw`` (gives back the very same values), ``c23`` or ``c40``.

    Returns:
        uint8 [n, H, W].
    """
    return h264_coded(_planes(frames), _rate_factor(compression), "yuvj420p")[:, : frames.shape[1]]


def _rate_factor(compression: str) -> int:
    if compression not in RATE_FACTORS:
        raise unknown_name("compression", compression, RATE_FACTORS)
    return RATE_FACTORS[compression]


def _planes(frames: Image) -> Image:
    """Put grey chroma under grey frames."""
    count, height, width = frames.shape
    return np.concatenate([frames, np.full((count, height // 2, width), 128, np.uint8)], axis=1)
