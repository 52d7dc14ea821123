"""H.264 in memory: planes of frames coded as one clip, and the planes that a viewer of it sees."""

from __future__ import annotations

import io
import platform
from collections.abc import Iterator
from fractions import Fraction
from typing import IO, Any, Final, Literal

import av
import numpy as np
import numpy.typing as npt

Planes = npt.NDArray[np.uint8]
"""uint8 [n, H * 3 / 2, W] with even H and W: luma above both chroma planes, as libav lays out 4:2:0."""
FRAME_RATE: Final = 25
ASSEMBLY: Final = "MMX2" if platform.machine() in ("x86_64", "AMD64") else "0"
"""Which assembly x264 may use: none or MMX2's, whose integers are those of its plain C, on every x86-64 processor alike.

1,080 codings of FF++-mini's clips were the same bytes with both, in 0.43 of the time. From SSE4.2 on bytes differ, and
with AVX-512 the same frames gave up to five codings in twelve tries.
"""


def write_h264(
    planes: Planes, rate_factor: int, pixels: Literal["yuv420p", "yuvj420p"], out: str | IO[bytes]
) -> None:
    """Code frames as one H.264 clip in an MP4 file; the same frames give the same bytes.

    Args:
        planes: The frames.
        rate_factor: x264's constant rate factor, 0 (loses nothing) to 51.
        pixels: Limited or full range.
        out: Path or binary file to write to.
    """
    # One thread and a fixed preset: with more threads the rate control, and so the bytes, may differ.
    options = {
        "crf": str(rate_factor),
        "preset": "veryfast",
        "threads": "1",
        "x264-params": f"asm={ASSEMBLY}",
    }
    with av.open(out, "w", format="mp4") as container:
        stream: Any = container.add_stream("libx264", rate=FRAME_RATE, options=options)
        stream.width, stream.height, stream.pix_fmt = planes.shape[2], planes.shape[1] * 2 // 3, pixels
        stream.thread_count = 1
        for number, frame in enumerate(planes):
            picture = av.VideoFrame.from_ndarray(frame, format=pixels)
            picture.pts, picture.time_base = number, Fraction(1, FRAME_RATE)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))


def h264_coded(planes: Planes, rate_factor: int, pixels: Literal["yuv420p", "yuvj420p"]) -> Planes:
    """Code frames as one clip and decode them again; arguments as ``write_h264``."""
    file = io.BytesIO()
    write_h264(planes, rate_factor, pixels, file)
    file.seek(0)
    return np.stack(list(_decoded(file)))


def _decoded(file: IO[bytes]) -> Iterator[Planes]:
    with av.open(file) as container:
        for picture in container.decode(video=0):
            yield picture.to_ndarray()
