"""The videos of a unit, opened: as file, extracted frames or members of an archive, with a choice of their frames."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fretal_bench.datasets.faces.frames import ImageFiles, Source, VideoFile, evenly
from fretal_bench.datasets.faces.groups import Video
from fretal_bench.datasets.importers.archives import is_member
from fretal_bench.datasets.media.limits import MediaLimits
from fretal_bench.datasets.media.reasons import Cause, Reason, Unreadable

_VIDEO_SUFFIX: Final = ".mp4"


@dataclass(frozen=True)
class Opened:
    """A video that can be read.

    Attributes:
        video: Which it is.
        source: Its frames.
        wanted: Those that are wanted, ascending.
        short: Why there are fewer than asked for; None if there aren't.
    """

    video: Video
    source: Source
    wanted: list[int]
    short: Cause | None


def archived_paths(video: Video, frames: int) -> list[str]:
    """The wanted members of archives among a video's files."""
    if not is_member(video.path):
        return []
    numbered = _numbered(video)
    return [numbered[number] for number in evenly(sorted(numbered), frames)]


def open_video(
    video: Video, frames: int, root: Path, unpacked: Mapping[str, Path], limits: MediaLimits
) -> Opened:
    """Open a video and choose its frames.

    Args:
        video: Its files.
        frames: How many are wanted, evenly spaced; 0 for all.
        root: The data set's root.
        unpacked: Files of the members of archives.
        limits: What one file may ask for.

    Raises:
        Unreadable: It gives no frame, is beyond the limits, or has more than 8 bits a channel.
    """
    if video.path.lower().endswith(_VIDEO_SUFFIX):
        if len({path for path, _ in video.files}) > 1:
            raise Unreadable(Cause(Reason.UNDECODABLE, "several video files under one name"))
        clip = VideoFile(root / video.path, limits)
        if clip.facts.deep is not None:
            raise Unreadable(clip.facts.deep)
        source: Source = clip
        listed = [number for _, number in video.files]
        present = source.numbers if listed == [-1] else [n for n in sorted(listed) if n in source.numbers]
        expected = frames if listed == [-1] else min(frames or len(listed), len(listed))
    else:
        numbered = _numbered(video)
        present, expected = sorted(numbered), frames if len(numbered) > 1 else 1
        # Of an archive only the wanted members were unpacked.
        kept = evenly(present, frames) if is_member(video.path) else present
        source = ImageFiles({n: unpacked.get(numbered[n], root / numbered[n]) for n in kept}, limits)
    short = None
    if source.declared > len(source.numbers):
        short = Cause(Reason.CUT, f"{len(source.numbers)} of {source.declared} frames are there")
    elif len(present) < expected:
        short = Cause(Reason.SHORT, f"{len(present)} of {expected}")
    return Opened(video, source, evenly(present, frames), short)


def path_of(video: Video, number: int) -> str:
    """Path of a frame: of its own file, or of the video's."""
    return video.path if video.path.lower().endswith(_VIDEO_SUFFIX) else _numbered(video)[number]


def _numbered(video: Video) -> dict[int, str]:
    """Frame number -> path; where a set that is no sequence repeats a number, places number the files."""
    numbers = [number for _, number in video.files]
    places = numbers if len(set(numbers)) == len(numbers) else range(len(numbers))
    return {number: path for number, (path, _) in zip(places, video.files, strict=True)}
