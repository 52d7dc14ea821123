"""Finished parts of a store in the making: crops streamed to a file, seen by nobody until they are whole."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal

import numpy as np

from fretal_bench import files, parsing, records
from fretal_bench.datasets.faces.crops import Image
from fretal_bench.datasets.faces.reasons import Failure
from fretal_bench.datasets.media.reasons import Cause
from fretal_bench.errors import BenchError
from fretal_bench.records import Record

ELSEWHERE: Final = "give this user the right to write there, or choose another --out"


@dataclass
class VideoPart:
    """What a unit made of one video.

    Attributes:
        number: Its place in the manifest's order of videos.
        frames: Frame numbers of its crops, in their order.
        failures: What gave none.
        boxes: ``own`` if its faces were looked for in it, ``shared`` if they are its original's, else ``none``.
    """

    number: int
    frames: list[int] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    boxes: str = "none"

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        failures = [(failure.path, failure.frame, str(failure.cause)) for failure in self.failures]
        return {"number": self.number, "frames": self.frames, "failures": failures, "boxes": self.boxes}

    @classmethod
    def read(cls, values: Any, where: str) -> VideoPart:
        """Read what ``to_json`` gave.

        Raises:
            BenchError: It is something else; ``where`` it stands is named.
            ValueError: A failure has a reason that is none.
        """
        kept = records.read(_Kept, values, where)
        failures = [Failure(path, frame, Cause.read(text)) for path, frame, text in kept.failures]
        return cls(kept.number, list(kept.frames), failures, kept.boxes)


@dataclass(frozen=True)
class _Kept(Record):
    """A ``VideoPart`` as it is kept."""

    number: int
    frames: tuple[int, ...]
    failures: tuple[tuple[str, int, str], ...]
    boxes: Literal["own", "shared", "none"]


class NewPart:
    """A part in the making.

    Attributes:
        videos: What the crops are of, in the order in which they were added; to be filled before the part is finished.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.videos: list[VideoPart] = []

    def add(self, crop: Image) -> None:
        """Append a crop."""
        self._file.write(crop.tobytes())


@contextlib.contextmanager
def new_part(stem: Path) -> Iterator[NewPart]:
    """Give a part to fill; it is whole at the block's end, or not there if the block fails.

    Args:
        stem: Path of its files without extension.

    Raises:
        RunError: There is no space left.
        BenchError: The folder cannot be written.
    """
    with files.replacing(stem.with_suffix(".crops"), remedy=ELSEWHERE) as file:
        part = NewPart(file)
        yield part
    # This one last: a part whose description is there is whole.
    description = json.dumps([video.to_json() for video in part.videos])
    files.write(stem.with_suffix(".json"), description, remedy=ELSEWHERE)


@dataclass(frozen=True)
class Part:
    """A finished part.

    Attributes:
        stem: Its files' path without extension.
        videos: What it made of each video.
    """

    stem: Path
    videos: tuple[VideoPart, ...]

    @classmethod
    def open(cls, stem: Path, size: int) -> Part | None:
        """Open a part.

        Args:
            stem: Its files' path without extension.
            size: Height and width of its crops.

        Returns:
            The part, or None if it isn't there or isn't whole.
        """
        place = stem.with_suffix(".json")
        try:
            description = parsing.read_json(place, "part of a store")
            bytes_there = files.check_regular(stem.with_suffix(".crops"), "part of a store").st_size
            if not isinstance(description, list):
                return None
            videos = tuple(VideoPart.read(values, str(place)) for values in description)
        except (BenchError, ValueError):
            # What is damaged is made again.
            return None
        whole = sum(len(video.frames) for video in videos) * size * size * 3
        return cls(stem, videos) if bytes_there == whole else None

    def crops(self, number: int, size: int) -> Image:
        """Read the crops of one video, uint8 [n, size, size, 3]."""
        before = 0
        for video in self.videos:
            if video.number == number:
                break
            before += len(video.frames)
        crop_bytes = size * size * 3
        # Plain reading, no memory map: its pages would count as this process's memory.
        with self.stem.with_suffix(".crops").open("rb") as file:
            file.seek(before * crop_bytes)
            data = file.read(len(video.frames) * crop_bytes)
        return np.frombuffer(data, np.uint8).reshape(-1, size, size, 3)
