"""Units of work that a manifest is dealt into: a real video with the fakes made of it, small videos put together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from fretal_bench.datasets.importers.archives import archive_of, bundle_of
from fretal_bench.datasets.importers.parquet_files import is_row
from fretal_bench.datasets.manifest import video_key

# So many wanted frames make a unit: much more than starting one costs, little enough to lose when killed.
_UNIT_FRAMES: Final = 256


@dataclass(frozen=True)
class Video:
    """One video of a unit.

    Attributes:
        number: Its place in the manifest's order of videos.
        files: Path and frame number of each of its rows; a single one with frame -1 is a video file.
        fake: Whether its label is fake.
    """

    number: int
    files: tuple[tuple[str, int], ...]
    fake: bool

    @property
    def path(self) -> str:
        """What failures of the whole video are counted under."""
        return self.files[0][0]


@dataclass(frozen=True)
class Unit:
    """Work for one process, and one finished part when it is done.

    Attributes:
        number: Its place among the units.
        groups: Videos that share a face track, the real one first; or single videos.
    """

    number: int
    groups: tuple[tuple[Video, ...], ...]

    @property
    def videos(self) -> Iterator[Video]:
        """All its videos."""
        return (video for group in self.groups for video in group)


class Deal:
    """A manifest dealt into units; holds row numbers alone, and makes the units when they are asked for.

    Attributes:
        rows: Row numbers of the manifest, those of one video together.
        starts: Where each video's rows begin in ``rows``; one more than there are videos.
        unit_of: The unit of each video.
    """

    def __init__(self, frame: pd.DataFrame, originals: Mapping[str, str], frames: int) -> None:
        """Deal the rows.

        Args:
            frame: The manifest.
            originals: Key of a fake -> key of the real video whose face track it shares.
            frames: Wanted frames of each video, 0 for all.
        """
        self._frame = frame
        codes, keys = pd.factorize(video_key(frame))
        self.rows = np.argsort(codes, kind="stable")
        counts = np.bincount(codes, minlength=len(keys))
        self.starts = np.concatenate([[0], np.cumsum(counts)])
        place = {key: number for number, key in enumerate(keys)} if originals else {}
        leader = np.arange(len(keys))
        for fake, real in originals.items():
            if fake in place and real in place:
                leader[place[fake]] = place[real]
        # Groups in the order of their leaders, the leader first; in the manifest a real video may come after its fakes.
        # Of Parquet files a row group is read as a whole, wherever in the manifest its rows stand.
        shelf = _shelves(frame["path"].iloc[self.rows[self.starts[:-1]]].tolist())
        order = np.lexsort((np.arange(len(keys)), leader != np.arange(len(keys)), leader, shelf[leader]))
        self._order, self._leader = order, leader[order]
        self._first = self._cut(counts, frames)
        self.unit_of = np.empty(len(keys), np.int64)
        self.unit_of[order] = np.searchsorted(self._first, np.arange(len(keys)), side="right") - 1

    def __len__(self) -> int:
        """Number of units."""
        return len(self._first)

    @property
    def videos(self) -> int:
        """Number of videos."""
        return len(self._order)

    def unit(self, number: int) -> Unit:
        """Make a unit."""
        stop = self._first[number + 1] if number + 1 < len(self) else len(self._order)
        groups: list[list[Video]] = []
        last = -1
        for place in range(self._first[number], stop):
            if self._leader[place] != last:
                groups.append([])
                last = self._leader[place]
            groups[-1].append(self._video(int(self._order[place])))
        return Unit(number, tuple(map(tuple, groups)))

    def rows_of(self, video: int) -> npt.NDArray[np.int64]:
        """Row numbers of a video."""
        return self.rows[self.starts[video] : self.starts[video + 1]]

    def _video(self, number: int) -> Video:
        rows = self._frame.iloc[self.rows_of(number)]
        files = tuple(zip(rows["path"].tolist(), rows["frame"].tolist(), strict=True))
        return Video(number, files, bool(rows["label"].iloc[0]))

    def _cut(self, counts: npt.NDArray[np.int64], frames: int) -> list[int]:
        """Where each unit begins in the order: whole groups, and whole archives, until there are frames enough."""
        paths = self._frame["path"].iloc[self.rows[self.starts[:-1]][self._order]].tolist()
        first, unit_frames, last_archive = [0], 0, ""
        for place, video in enumerate(self._order):
            path = paths[place]
            archive = bundle_of(path)
            joined = place and (
                self._leader[place] == self._leader[place - 1] or (archive and archive == last_archive)
            )
            if unit_frames >= _UNIT_FRAMES and not joined:
                first.append(place)
                unit_frames = 0
            one_file = counts[video] == 1 and path.lower().endswith(".mp4")
            unit_frames += (
                (frames or _UNIT_FRAMES)
                if one_file
                else min(int(counts[video]), frames or int(counts[video]))
            )
            last_archive = archive
        return first


def _shelves(paths: list[str]) -> npt.NDArray[np.int64]:
    """Number of each path's row group among those of all Parquet files; 0 for whatever else."""
    bundles = [bundle_of(path) if is_row(path) else "" for path in paths]
    places = {bundle: place for place, bundle in enumerate(sorted({"", *bundles}))}
    return np.array([places[bundle] for bundle in bundles], np.int64)


def stamp(root: Path, unit: Unit) -> list[tuple[str, int, int]]:
    """Name, size and time of change of every file of a unit; a file that isn't there has -1 for both.

    A part made of other files than these is not taken for this unit's.
    """
    paths = {archive_of(path) for video in unit.videos for path, _ in video.files}
    return [(path, *_size_and_time(root / path)) for path in sorted(paths)]


def _size_and_time(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        return -1, -1
    return status.st_size, status.st_mtime_ns
