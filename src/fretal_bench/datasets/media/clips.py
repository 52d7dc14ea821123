"""Facts of a clip from its header: size, bits a channel, HDR, codec, rates; limits are kept before a frame is decoded."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import av

from fretal_bench.datasets.media.limits import MediaLimits, check_file
from fretal_bench.datasets.media.reasons import Cause, Reason, Unreadable

STORED_BITS: Final = 8
"""Bits a channel of a crop store."""
_TRANSFERS: Final = {16: "PQ", 18: "HLG"}
"""Transfer functions of HDR: SMPTE ST 2084 and ARIB STD-B67 (ITU-T H.273, table 3)."""
_PLAYLISTS: Final = frozenset({"hls", "dash", "concat", "imf", "sdp", "rtsp"})
"""Formats that name other files or addresses instead of holding frames."""


@dataclass(frozen=True)
class ClipFacts:
    """What the header of a clip says.

    Attributes:
        codec: libav's name, e.g. ``h264``.
        width: Pixels as coded, before it is turned.
        height: Pixels as coded.
        pixels: libav's pixel format, e.g. ``yuv420p``.
        bits: Bits a channel.
        hdr: ``PQ`` or ``HLG``; empty for standard dynamic range.
        frames: Declared number of frames; 0 if the header doesn't say.
        rate: Frames a second, on average; 0 if the header doesn't say.
        seconds: Duration; 0 if the header doesn't say.
        bit_rate: Bits a second; 0 if the header doesn't say.
    """

    codec: str
    width: int
    height: int
    pixels: str
    bits: int
    hdr: str
    frames: int
    rate: float
    seconds: float
    bit_rate: int

    @property
    def deep(self) -> Cause | None:
        """Why its frames cannot be kept as 8-bit crops without losing what they hold; None if they can."""
        if self.bits <= STORED_BITS:
            return None
        tone = f", HDR ({self.hdr})" if self.hdr else ""
        return Cause(
            Reason.DEEP, f"{self.bits} bits{tone}; convert it to 8-bit SDR with a tone mapping of your choice"
        )


def clip_facts(path: Path, limits: MediaLimits | None = None) -> ClipFacts:
    """Read what the header of a video file says; no frame is decoded but those that libav needs to know the format.

    Args:
        path: The file.
        limits: The largest picture and the longest clip; the default limits if not given.

    Raises:
        Unreadable: There is no such regular file, no video stream in it, or it is beyond the limits.
    """
    with open_clip(path, limits or MediaLimits()) as (_, _, facts):
        return facts


@contextlib.contextmanager
def open_clip(path: Path, limits: MediaLimits) -> Iterator[tuple[Any, Any, ClipFacts]]:
    """Open a video file: its container, its first video stream, and what its header says.

    libav itself is held to the largest picture too, so that a stream whose size changes on the way allocates no more.

    Raises:
        Unreadable: See ``clip_facts``; also what libav raises on opening.
    """
    check_file(path)
    with contextlib.ExitStack() as stack:
        try:
            options = {"max_pixels": str(limits.pixels), "protocol_whitelist": "file"}
            container = stack.enter_context(av.open(str(path), options=options))
            if _PLAYLISTS & set(container.format.name.split(",")):
                raise Unreadable(Cause(Reason.UNDECODABLE, "a list of other files, not a video"))
            if not container.streams.video:
                raise Unreadable(Cause(Reason.UNDECODABLE, "no video stream in it"))
            stream = container.streams.video[0]
            if stream.codec_context is None:
                raise Unreadable(Cause(Reason.UNDECODABLE, "its codec is not known"))
            facts = _facts(container, stream)
            _check(facts, limits)
            stream.codec_context.options = {"max_pixels": str(limits.pixels)}
        except FileNotFoundError as error:
            raise Unreadable(Cause(Reason.MISSING)) from error
        except (av.FFmpegError, OSError, ValueError) as error:
            raise Unreadable(
                Cause(Reason.UNDECODABLE, getattr(error, "strerror", None) or "damaged")
            ) from error
        yield container, stream, facts


def _check(facts: ClipFacts, limits: MediaLimits) -> None:
    if facts.width <= 0 or facts.height <= 0:
        raise Unreadable(
            Cause(Reason.UNDECODABLE, "its header says no picture size, or one beyond the limit")
        )
    cause = limits.too_large(facts.width, facts.height) or limits.too_long(facts.frames, facts.seconds)
    if cause is not None:
        raise Unreadable(cause)


def _facts(container: Any, stream: Any) -> ClipFacts:
    context = stream.codec_context
    layout = context.format
    seconds = float(container.duration / av.time_base) if container.duration else 0.0
    return ClipFacts(
        codec=str(context.name),
        width=int(context.width),
        height=int(context.height),
        pixels=str(context.pix_fmt or ""),
        bits=max((component.bits for component in layout.components), default=0) if layout else 0,
        hdr=_TRANSFERS.get(int(context.color_trc or 0), ""),
        frames=int(stream.frames),
        rate=float(stream.average_rate or 0),
        seconds=max(0.0, seconds),
        bit_rate=int(context.bit_rate or container.bit_rate or 0),
    )
