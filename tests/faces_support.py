"""Faces and clips that the tests of face preparation share."""

from __future__ import annotations

import struct

import numpy as np

from fretal_bench.datasets.faces.boxes import Face, FaceBox
from fretal_bench.datasets.ffpp_mini.codec import write_clip


def face(left, top, side, score=0.9):
    return Face(FaceBox(left, top, left + side, top + side), score)


def grey_clip(path, frames):
    """Write uint8 [n, H, W] as an mp4 that loses nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_clip(np.ascontiguousarray(frames), "raw", str(path))
    return path


def numbered(count, height=48, width=64):
    """Frames that say their own number by their brightness, with a texture that moves."""
    ramp = np.add.outer(np.arange(height), np.arange(width)) % 8
    return np.stack([np.roll(ramp, n, 1) + 20 + n * 4 for n in range(count)]).astype(np.uint8)


def turn(path, degrees):
    """Set in an mp4 that its frames are to be shown turned, as phones do: 90, 180 or 270 degrees clockwise."""
    cosine, sine = {90: (0, 1), 180: (-1, 0), 270: (0, -1)}[degrees]
    data = bytearray(path.read_bytes())
    # The matrix of the track's header box, nine numbers of 16.16 bits: a b u, c d v, x y w (ISO 14496-12, 8.3.2).
    matrix = data.index(b"tkhd") + 44
    assert struct.unpack_from(">5i", data, matrix) == (1 << 16, 0, 0, 0, 1 << 16)
    struct.pack_into(">5i", data, matrix, cosine << 16, sine << 16, 0, -sine << 16, cosine << 16)
    path.write_bytes(data)
    return path
