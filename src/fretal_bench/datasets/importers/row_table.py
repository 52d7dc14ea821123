"""The compact table of rows to be: what is known of a video once, and of each of its rows its file and frame."""

from __future__ import annotations

from array import array
from collections.abc import Collection, Hashable, Iterable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from fretal_bench.datasets.manifest import SPLITS, column_types

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")
Ints = npt.NDArray[np.int64]
# A person in two splits stays in the test: that is what gets reported.
PRIORITY: Final = {split: place for place, split in enumerate((*reversed(SPLITS), ""))}


class Video(NamedTuple):
    """What all rows of a video share: the manifest's columns without path and frame, and the video it was made from.

    A video whose rows are in several splits is several of these.
    """

    dataset: str
    method: str
    compression: str
    label: int
    video: str
    source: str
    target: str
    split: str
    original: str
    date: str = ""

    @property
    def key(self) -> str:
        """The video's key."""
        return f"{self.dataset}/{self.method}/{self.compression}/{self.video}"

    @property
    def people(self) -> tuple[str, ...]:
        """Who is in it, by data set and name; the recording itself where nobody is known."""
        known = sorted({person for person in (self.target, self.source) if person})
        return tuple(f"{self.dataset}/{person}" for person in known) or (self.recording,)

    @property
    def recording(self) -> str:
        """The video without its compression."""
        return f"{self.dataset}/{self.method}/{self.video}"


class Entry(NamedTuple):
    """A row, read back: its video, path and frame."""

    video: Video
    path: str
    frame: int


class RowTable:
    """Rows in their order, three numbers each; a million rows of a few videos take some dozen megabytes.

    Attributes:
        videos: What the rows are of.
        paths: Their files.
    """

    def __init__(self) -> None:
        self.videos: list[Video] = []
        self.paths: list[str] = []
        self._video_of: dict[Video, int] = {}
        self._path_of: dict[str, int] = {}
        self._columns = (array("q"), array("q"), array("q"))

    def has(self, video: Video) -> bool:
        """Whether a row is of that video."""
        return video in self._video_of

    def append(self, video: Video, path: str, frame: int) -> None:
        """Add a row at the end."""
        self._columns[0].append(_number(video, self._video_of, self.videos))
        self._columns[1].append(_number(path, self._path_of, self.paths))
        self._columns[2].append(frame)

    def repeat(self, frame: int) -> None:
        """Add the last row again, with another frame."""
        video, path, frames = self._columns
        video.append(video[-1])
        path.append(path[-1])
        frames.append(frame)

    def __len__(self) -> int:
        return len(self._columns[0])

    @property
    def splits(self) -> set[str]:
        """The splits that occur."""
        return {video.split for video in self.videos}

    def rows(self) -> Selection:
        """All rows."""
        video, path, frame = (np.frombuffer(column, np.int64) for column in self._columns)
        return Selection(self.videos, self.paths, video, path, frame)


class Selection:
    """Some rows of a table, in an order; nothing of it changes.

    Attributes:
        videos: Number of a video -> what is known of it.
        paths: Number of a file -> its path.
        video: Number of each row's video, int64 [rows].
        path: Number of each row's file, int64 [rows].
        frame: Each row's frame, int64 [rows].
    """

    def __init__(self, videos: list[Video], paths: list[str], video: Ints, path: Ints, frame: Ints) -> None:
        self.videos = videos
        self.paths = paths
        self.video = video
        self.path = path
        self.frame = frame

    def __len__(self) -> int:
        return len(self.video)

    def entry(self, place: int) -> Entry:
        """The row at a place."""
        return Entry(self.videos[self.video[place]], self.paths[self.path[place]], int(self.frame[place]))

    def listed(self, videos: Collection[int]) -> Iterator[tuple[Entry, int]]:
        """The rows of some videos, in order, each with the video's number."""
        for place in np.flatnonzero(self.where(videos)).tolist() if videos else ():
            yield self.entry(place), int(self.video[place])

    def of(self, videos: list[Video]) -> Selection:
        """The same rows, with other things known of the videos."""
        return Selection(videos, self.paths, self.video, self.path, self.frame)

    def take(self, rows: npt.NDArray[np.bool_] | Ints) -> Selection:
        """Some of the rows: a mask, or their places in a new order."""
        return Selection(self.videos, self.paths, self.video[rows], self.path[rows], self.frame[rows])

    def where(self, videos: Iterable[int]) -> npt.NDArray[np.bool_]:
        """A mask of the rows of some videos, by number."""
        chosen = np.zeros(len(self.videos), bool)
        chosen[list(videos)] = True
        mask: npt.NDArray[np.bool_] = chosen[self.video]
        return mask

    @cached_property
    def first(self) -> dict[int, int]:
        """Number of each video that has rows -> place of its first row; in the order of those."""
        numbers, places = np.unique(self.video, return_index=True)
        order = np.argsort(places, kind="stable")
        return dict(zip(numbers[order].tolist(), places[order].tolist(), strict=True))

    @cached_property
    def last(self) -> dict[int, int]:
        """Number of each video that has rows -> place of its last row; in the order of those."""
        numbers, places = np.unique(self.video[::-1], return_index=True)
        order = np.argsort(-places, kind="stable")
        return dict(zip(numbers[order].tolist(), (len(self) - 1 - places[order]).tolist(), strict=True))

    def by_split(self) -> Selection:
        """The rows by split: test, val, train; otherwise in their order."""
        rank = np.array([PRIORITY[video.split] for video in self.videos], np.int64)
        return self.take(np.argsort(rank[self.video], kind="stable")) if len(self) else self

    def in_manifest_order(self) -> Selection:
        """The rows by data set, label, method, compression, video, frame and path."""
        keys = [(v.dataset, v.label, v.method, v.compression, v.video) for v in self.videos]
        return self.take(np.lexsort((_ranks(self.paths)[self.path], self.frame, _ranks(keys)[self.video])))

    def frame_of_rows(self) -> pd.DataFrame:
        """The rows as a manifest."""
        import pandas as pd

        columns: dict[str, Any] = {}
        for name, kind in column_types(dated=any(video.date for video in self.videos)).items():
            if name == "frame":
                columns[name] = self.frame.astype(kind)
                continue
            values = self.paths if name == "path" else [getattr(video, name) for video in self.videos]
            rows = self.path if name == "path" else self.video
            columns[name] = pd.Series(values, dtype=kind).take(rows).reset_index(drop=True)
        return pd.DataFrame(columns, columns=list(columns))


def numbered(values: Iterable[Hashable]) -> Ints:
    """Number values by their first appearance: equal ones have one number."""
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(value, len(numbers)) for value in values], np.int64)


def repeated(values: Ints, frames: Ints) -> npt.NDArray[np.bool_]:
    """A mask of the rows whose value and frame another row has, too."""
    import pandas as pd

    pairs = pd.DataFrame({"value": values, "frame": frames}, copy=False)
    return pairs.duplicated(keep=False).to_numpy(bool)


def _number(value: T, known: dict[T, int], values: list[T]) -> int:
    number = known.get(value)
    if number is None:
        number = known[value] = len(values)
        values.append(value)
    return number


def _ranks(values: Sequence[Any]) -> Ints:
    """Place of each value among the sorted different ones."""
    place = {value: number for number, value in enumerate(sorted(set(values)))}
    return np.array([place[value] for value in values], np.int64)
