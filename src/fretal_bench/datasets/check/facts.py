"""Facts of a media file that its picture doesn't show: format, size, quality and rates, read from its header alone."""

from __future__ import annotations

import hashlib
import math
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from fretal_bench.datasets.media.reasons import Reason, Unreadable
from fretal_bench.datasets.media.suffixes import CLIP_SUFFIXES, IMAGE_SUFFIXES
from fretal_bench.errors import BenchError

# ITU-T T.81, table K.1, row by row: what encoders scale by a quality of 1 to 100 as libjpeg does.
_LUMINANCE: Final = (
    *(16, 11, 10, 16, 24, 40, 51, 61),
    *(12, 12, 14, 19, 26, 58, 60, 55),
    *(14, 13, 16, 24, 40, 57, 69, 56),
    *(14, 17, 22, 29, 51, 87, 80, 62),
    *(18, 22, 37, 56, 68, 109, 103, 77),
    *(24, 35, 55, 64, 81, 104, 113, 92),
    *(49, 64, 78, 87, 103, 121, 120, 101),
    *(72, 92, 95, 98, 112, 100, 103, 99),
)


@dataclass(frozen=True)
class Facts:
    """What a file's name and header say; blank, 0 or NaN where they don't.

    Attributes:
        suffix: Of its name, in lower case.
        format: Of a picture ``JPEG`` and the like, of a clip its codec.
        width: Pixels as stored.
        height: Pixels as stored.
        pixels: Pixel format: of a clip libav's, of a picture Pillow's mode.
        bits: Bits a channel.
        quality: Of a JPEG, 1 to 100: of libjpeg's tables those that are nearest.
        tables: Of a JPEG, its quantisation tables as a short hash.
        bit_rate: Bits a second.
        frame_rate: Frames a second.
        duration: Seconds.
    """

    suffix: str
    format: str = ""
    width: int = 0
    height: int = 0
    pixels: str = ""
    bits: int = 0
    quality: float = math.nan
    tables: str = ""
    bit_rate: float = math.nan
    frame_rate: float = math.nan
    duration: float = math.nan


def suffix_of(path: str) -> str:
    """The extension of a path, in lower case."""
    return os.path.splitext(path)[1].lower()


def file_facts(path: Path) -> Facts:
    """The facts of a picture or clip; of what cannot be read, or is inside an archive, the suffix alone."""
    if suffix_of(path.name) in CLIP_SUFFIXES and path.is_file():
        return clip_facts(path)[0]
    return _picture_facts(path)


def _picture_facts(path: Path) -> Facts:
    """Read the facts of a picture file; nothing is decoded. Of one that cannot be read they are blank but the suffix."""
    from fretal_bench.datasets.media.headers import format_of, open_picture

    suffix = suffix_of(path.name)
    if not path.is_file() or suffix not in IMAGE_SUFFIXES:
        return Facts(suffix)
    try:
        with open_picture(path) as (picture, file):
            file.seek(0)
            return _of_picture(suffix, format_of(picture), picture, file.read(26))
    except Unreadable:  # a damaged file is another finding's
        return Facts(suffix)


def _of_picture(suffix: str, kind: str, picture: Any, head: bytes) -> Facts:
    tables = getattr(picture, "quantization", None) or {}
    depth = {"1": 1, "F": 32}.get(picture.mode, 16 if picture.mode.startswith("I") else 8)
    width, height = picture.size
    return Facts(
        suffix=suffix,
        format=kind,
        width=width,
        height=height,
        pixels=picture.mode,
        # Pillow gives RGB of 16 bits as RGB of 8.
        bits=head[24] if kind == "PNG" else depth,
        quality=_quality(tuple(tables[min(tables)])) if tables else math.nan,
        tables=_digest(tables) if tables else "",
    )


def _digest(tables: dict[int, Any]) -> str:
    text = repr([(number, list(tables[number])) for number in sorted(tables)])
    return hashlib.sha256(text.encode()).hexdigest()[:8]


@cache
def _quality(table: tuple[int, ...]) -> float:
    """The quality whose luminance table is nearest, by the sum of absolute differences.

    libjpeg scales by s = 5000 / q below 50 and 200 - 2 q from there on: (t s + 50) / 100, rounded down, 1 to 255.
    """

    def distance(quality: int) -> int:
        scale = 5000 // quality if quality < 50 else 200 - 2 * quality
        scaled = (min(255, max(1, (value * scale + 50) // 100)) for value in _LUMINANCE)
        return sum(abs(ours - theirs) for ours, theirs in zip(scaled, table, strict=False))

    return float(min(range(1, 101), key=distance))


def clip_facts(path: Path) -> tuple[Facts, tuple[str, str] | None]:
    """Read the facts of a video file; no frame is decoded but those that libav needs to know the format.

    Returns:
        The facts, and what keeps it out of a store: a kind of finding (``unreadable``, ``large``, ``deep``) and words, or
        None. Of an unreadable or too large one the facts are blank but the suffix.

    Raises:
        BenchError: PyAV is not installed.
    """
    suffix = suffix_of(path.name)
    try:
        from fretal_bench.datasets.media import clips
    except ImportError as error:
        raise BenchError(f"reading {path.name} needs PyAV, which isn't installed; pip install av") from error
    try:
        clip = clips.clip_facts(path)
    except Unreadable as error:
        kind = "large" if error.cause.reason in (Reason.TOO_LARGE, Reason.TOO_LONG) else "unreadable"
        return Facts(suffix), (kind, str(error.cause))
    facts = Facts(
        suffix=suffix,
        format=clip.codec,
        width=clip.width,
        height=clip.height,
        pixels=clip.pixels,
        bits=clip.bits,
        bit_rate=clip.bit_rate or math.nan,
        frame_rate=clip.rate or math.nan,
        duration=clip.seconds or math.nan,
    )
    return facts, ("deep", str(clip.deep)) if clip.deep is not None else None
