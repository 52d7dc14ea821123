"""H.264 as FaceForensics++ uses it: frames in, the frames a viewer of the coded clip sees out."""

from __future__ import annotations

import io
from collections.abc import Iterator
from fractions import Fraction
from typing import IO, Any, Final

import av
import numpy as np

from fretal_bench.datasets.faces.crops import Image
from fretal_bench.errors import unknown_name

# FaceForensics++: c23 and c40 are H.264 with these constant rate factors; 0 loses nothing.
RATE_FACTORS: Final[dict[str, int]] = {"raw": 0, "c23": 23, "c40": 40}
FRAME_RATE: Final = 25


def write_clip(frames: Image, compression: str, out: str | IO[bytes]) -> None:
    """Code grey frames as one H.264 clip in an MP4 file; the same frames give the same bytes.

    Args:
        frames: uint8 [n, H, W] with even H and W; grey values are the luma, full range.
        compression: ``raw``, ``c23`` or ``c40``.
        out: Path or binary file to write to.

    Raises:
        BenchError: If the compression is unknown.
    """
    if compression not in RATE_FACTORS:
        raise unknown_name("compression", compression, RATE_FACTORS)
    height, width = frames.shape[1:]
    # One thread and a fixed preset: with more threads the rate control, and so the bytes, may differ. No assembly: with
    # AVX-512, x264 gave the same frames up to five codings in twelve tries; its plain C gives one, on every processor.
    options = {
        "crf": str(RATE_FACTORS[compression]),
        "preset": "veryfast",
        "threads": "1",
        "x264-params": "asm=0",
    }
    chroma = np.full((height // 2, width), 128, np.uint8)
    with av.open(out, "w", format="mp4") as container:
        stream: Any = container.add_stream("libx264", rate=FRAME_RATE, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuvj420p"
        stream.thread_count = 1
        for number, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(np.vstack([frame, chroma]), format="yuvj420p")
            picture.pts, picture.time_base = number, Fraction(1, FRAME_RATE)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))


def code(frames: Image, compression: str) -> Image:
    """Code frames and decode them again.

    Args:
        frames: uint8 [n, H, W] with even H and W.
        compression: ``raw`` (gives back the very same values), ``c23`` or ``c40``.

    Returns:
        uint8 [n, H, W].
    """
    file = io.BytesIO()
    write_clip(frames, compression, file)
    file.seek(0)
    return np.stack(list(_decode(file)))


def _decode(file: IO[bytes]) -> Iterator[Image]:
    with av.open(file) as container:
        for picture in container.decode(video=0):
            yield picture.to_ndarray()[: picture.height]
