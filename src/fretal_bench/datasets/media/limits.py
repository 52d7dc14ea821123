"""Limits of what one media file may ask for: pixels of a picture, frames and minutes of a video."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fretal_bench import files
from fretal_bench.datasets.media.reasons import Cause, Reason, Unreadable
from fretal_bench.records import Record, limited

MAX_MEGAPIXELS: Final = 50.0
"""Megapixels of a picture or a frame: 8K is 33, a large camera's photograph 45; about 1 GB is needed to search 50."""
MAX_FRAMES: Final = 500_000
"""Frames of a video: four and a half hours at 30 frames a second."""
MAX_MINUTES: Final = 300.0
"""Minutes of a video. Reaching its last frame means decoding most of those before."""
_MEGA: Final = 1_000_000
_METADATA_BYTES: Final = 64 << 20


@dataclass(frozen=True)
class MediaLimits(Record):
    """What one file may ask for; the options that raise it are named after the attributes.

    Attributes:
        max_megapixels: Of a picture, or of each frame.
        max_frames: Of a video.
        max_minutes: Of a video.
    """

    max_megapixels: float = limited(MAX_MEGAPIXELS, above=0)
    max_frames: int = limited(MAX_FRAMES, at_least=1)
    max_minutes: float = limited(MAX_MINUTES, above=0)

    @property
    def pixels(self) -> int:
        """Pixels of a picture."""
        return int(self.max_megapixels * _MEGA)

    @property
    def file_bytes(self) -> int:
        """Bytes of a picture's file: 16 bits a channel uncompressed, with alpha, and metadata."""
        return 8 * self.pixels + _METADATA_BYTES

    def too_large(self, width: int, height: int) -> Cause | None:
        """Why a picture of this size is not decoded; None if it is."""
        if width * height <= self.pixels:
            return None
        return Cause(
            Reason.TOO_LARGE,
            f"{width} x {height} pixels are {width * height / _MEGA:.1f} megapixels, at most "
            f"{self.max_megapixels:g}; --max-megapixels raises that",
        )

    def too_long(self, frames: int, seconds: float) -> Cause | None:
        """Why a video of so many frames and seconds is not decoded; None if it is."""
        if frames > self.max_frames:
            return Cause(
                Reason.TOO_LONG, f"{frames:,} frames, at most {self.max_frames:,}; --max-frames raises that"
            )
        if seconds > self.max_minutes * 60:
            return Cause(
                Reason.TOO_LONG,
                f"{seconds / 60:,.0f} minutes, at most {self.max_minutes:g}; --max-minutes raises that",
            )
        return None


def check_file(path: Path, largest: int | None = None) -> None:
    """Look whether a regular file is there, without opening it: opening a pipe waits, reading a device never ends.

    Args:
        path: The file.
        largest: Bytes that it may have; any number if not given.

    Raises:
        Unreadable: There is none, it is a folder, pipe, device or socket, or it is larger.
    """
    try:
        status = path.stat()
    except FileNotFoundError as error:
        raise Unreadable(Cause(Reason.MISSING)) from error
    except (OSError, ValueError) as error:
        detail = getattr(error, "strerror", None) or "no path"
        raise Unreadable(Cause(Reason.UNDECODABLE, f"cannot be read: {detail}")) from error
    if not stat.S_ISREG(status.st_mode):
        raise Unreadable(Cause(Reason.NO_FILE, files.kind_of(path)))
    if largest is not None and status.st_size > largest:
        detail = f"a file of {status.st_size:,} bytes; --max-megapixels raises that"
        raise Unreadable(Cause(Reason.TOO_LARGE, detail))
