"""Finished parts of a store in the making: crops streamed to a file, seen by nobody until they are whole."""

from __future__ import annotations

import contextlib
import errno
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from fretal_bench.datasets.faces.crops import Image
from fretal_bench.errors import BenchError, RunError


@dataclass
class VideoPart:
    """What a unit made of one video.

    Attributes:
        number: Its place in the manifest's order of videos.
        frames: Frame numbers of its crops, in their order.
        failures: Path, frame (-1 for the whole video) and reason of what gave none.
        boxes: ``own`` if its faces were looked for in it, ``shared`` if they are its original's, else ``none``.
    """

    number: int
    frames: list[int] = field(default_factory=list)
    failures: list[tuple[str, int, str]] = field(default_factory=list)
    boxes: str = "none"


class PartWriter:
    """Writes a part: crops one by one, then what they are; the last rename makes it whole.

    Use it as a context; leaving without ``finish`` removes what was written.
    """

    def __init__(self, stem: Path) -> None:
        self._stem = stem
        # Named by process: another one may be making the same part, and gives the same bytes.
        self._crops_file = stem.with_name(f".{stem.name}.{os.getpid()}.crops")
        self._file: BinaryIO | None = None

    def __enter__(self) -> PartWriter:
        with writing(self._stem.parent):
            self._stem.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._crops_file.open("wb")
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()
        for unfinished in (self._crops_file, self._crops_file.with_suffix(".json")):
            unfinished.unlink(missing_ok=True)

    def add(self, crop: Image) -> None:
        """Append a crop."""
        assert self._file is not None
        with writing(self._stem.parent):
            self._file.write(crop.tobytes())

    def finish(self, videos: list[VideoPart]) -> None:
        """Put the part into its place.

        Args:
            videos: What the crops are of, in the order in which they were added.
        """
        assert self._file is not None
        description = self._crops_file.with_suffix(".json")
        with writing(self._stem.parent):
            _flush(self._file)
            self._file.close()
            with description.open("w", encoding="utf-8") as out:
                json.dump([asdict(video) for video in videos], out)
                _flush(out)
            os.replace(self._crops_file, self._stem.with_suffix(".crops"))
            # This one last: a part whose description is there is whole.
            os.replace(description, self._stem.with_suffix(".json"))


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
        try:
            described = json.loads(stem.with_suffix(".json").read_text(encoding="utf-8"))
            bytes_there = stem.with_suffix(".crops").stat().st_size
            videos = tuple(
                VideoPart(v["number"], v["frames"], [(p, f, r) for p, f, r in v["failures"]], v["boxes"])
                for v in described
            )
        except (OSError, ValueError, KeyError, TypeError):
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
        one = size * size * 3
        # Plain reading, no memory map: its pages would count as this process's memory.
        with self.stem.with_suffix(".crops").open("rb") as file:
            file.seek(before * one)
            data = file.read(len(video.frames) * one)
        return np.frombuffer(data, np.uint8).reshape(-1, size, size, 3)


@contextlib.contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn what the operating system says about writing into one line that says what to do.

    Raises:
        RunError: The disk is full.
        BenchError: The folder cannot be written for another reason.
    """
    try:
        yield
    except OSError as error:
        why = error.strerror or str(error)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise RunError(
                f"{folder}: no space left for crops ({why}); free some and run the same command again to go on"
            ) from error
        raise BenchError(
            f"{folder}: cannot write there ({why}); give this user the right to, or choose another --out"
        ) from error


def _flush(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())
