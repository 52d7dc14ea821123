"""Search for the face of a video: as few frames as will do, and the choice of one track."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2

from fretal_bench.datasets.faces.boxes import Face, FaceBox, Track, agree, choose, link
from fretal_bench.datasets.faces.crops import Image
from fretal_bench.datasets.faces.detector import Detector
from fretal_bench.datasets.faces.frames import Source, VideoFile, evenly
from fretal_bench.datasets.media.limits import MediaLimits
from fretal_bench.datasets.media.reasons import Reason, Unreadable

# Enough frames of a mask to tell which of a few people it is on.
_MASK_FRAMES: Final = 8
# FaceForensics++ paints manipulated pixels light on black; coding leaves the black a little grey.
_MASKED: Final = 32


@dataclass
class FaceSearch:
    """The faces found in a video.

    Attributes:
        faces: Faces of every frame that was looked at.
        shape: Height and width of the video's picture.
        tracks: The faces over time.
    """

    faces: dict[int, list[Face]]
    shape: tuple[int, int]
    tracks: list[Track]


@dataclass(frozen=True)
class FacePlace:
    """Where the chosen face is in one frame.

    Attributes:
        box: The box, or None.
        unseen: Why a detector didn't find it there; None if it did, or needn't look since the frames around it agree.
    """

    box: FaceBox | None
    unseen: Reason | None = None

    @property
    def seen(self) -> bool:
        """Whether the face was seen there."""
        return self.unseen is None


def search(source: Source, numbers: Sequence[int], detector: Detector, every: int) -> FaceSearch:
    """Find the faces in a video, in one pass and with a frame or two in memory.

    Every ``every``-th of these frames and the last one are looked at; those between only if the faces on both sides of
    them don't agree. A frame that cannot be decoded is not looked at.

    Args:
        source: The video.
        numbers: Frames whose boxes are needed, ascending.
        detector: Finds faces in one picture.
        every: 1 looks at every one.
    """
    faces: dict[int, list[Face]] = {}
    between: list[tuple[int, Image]] = []
    last: int | None = None
    for place, frame in enumerate(source.read(numbers)):
        if frame.image is None:
            continue
        if place % every and place < len(numbers) - 1:
            between.append((frame.number, frame.image))
            continue
        faces[frame.number] = detector.detect(frame.image)
        if last is None or not agree(faces[last], faces[frame.number]):
            faces.update((number, detector.detect(image)) for number, image in between)
        between.clear()
        last = frame.number
    faces.update((number, detector.detect(image)) for number, image in between)
    faces = dict(sorted(faces.items()))
    return FaceSearch(faces, source.shape, link(faces))


def face_of(searched: FaceSearch, masks: Iterable[Source] = ()) -> Track | None:
    """Choose the track of the face that a video is about.

    Args:
        searched: The faces of the video.
        masks: Videos of the manipulated pixels, light on black, with the same frames; those of another length are fine.

    Returns:
        The track that the masks cover most, else the longest; None if no face was found.
    """
    if len(searched.tracks) < 2:
        return choose(searched.tracks)
    covered = [0.0] * len(searched.tracks)
    for mask in masks:
        for number, share in enumerate(_covered(searched, mask)):
            covered[number] += share
    return choose(searched.tracks, covered)


def place_in(searched: FaceSearch, track: Track | None, frame: int) -> FacePlace:
    """Say where the chosen face is in a frame, and whether it was seen there."""
    box = track.at(frame) if track is not None else None
    if track is not None and frame in track.boxes:
        return FacePlace(box)
    if frame not in searched.faces and box is not None:
        return FacePlace(box)
    return FacePlace(box, Reason.OTHER_FACE if searched.faces.get(frame) else Reason.NO_FACE)


def mask_of(path: str) -> str | None:
    """Name the mask video of a fake in a FaceForensics++ tree, given its path there; None for any other path.

    ``manipulated_sequences/<method>/<compression>/videos/X.mp4`` has its mask in
    ``manipulated_sequences/<method>/masks/videos/X.mp4``, for every compression.
    """
    parts = path.split("/")
    if len(parts) < 5 or parts[-5] != "manipulated_sequences" or parts[-2] != "videos":
        return None
    return "/".join([*parts[:-3], "masks", *parts[-2:]])


def open_mask(path: Path, limits: MediaLimits | None = None) -> Source | None:
    """Open a mask video; None if there is none that can be read."""
    try:
        return VideoFile(path, limits)
    except Unreadable:
        return None


def _covered(searched: FaceSearch, mask: Source) -> list[float]:
    """Mean share of each track's boxes that the mask covers."""
    both = {number: faces for number, faces in searched.faces.items() if number in mask.numbers}
    several = [number for number, faces in both.items() if len(faces) > 1]
    frames = evenly(several or list(both), _MASK_FRAMES)
    shares: list[list[float]] = [[] for _ in searched.tracks]
    for frame in mask.read(frames):
        if frame.image is None:
            continue
        height, width = frame.image.shape[:2]
        light = cv2.cvtColor(frame.image, cv2.COLOR_RGB2GRAY) > _MASKED
        for track, values in zip(searched.tracks, shares, strict=True):
            if (box := track.at(frame.number)) is not None:
                box = box.scaled(width / searched.shape[1], height / searched.shape[0])
                left, top = max(0, round(box.left)), max(0, round(box.top))
                part = light[top : round(box.bottom), left : round(box.right)]
                values.append(float(part.mean()) if part.size else 0.0)
    return [sum(values) / len(values) if values else 0.0 for values in shares]
