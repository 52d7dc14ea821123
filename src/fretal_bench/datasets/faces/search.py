"""Search for the face of a video: as few frames as will do, and the choice of one track."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import cv2

from fretal_bench.datasets.faces.boxes import Face, FaceBox, Linker, Track, agree, choose, decided, rivalled
from fretal_bench.datasets.faces.crops import Image
from fretal_bench.datasets.faces.detector import Detector
from fretal_bench.datasets.faces.frames import Source, VideoFile, evenly
from fretal_bench.datasets.faces.looks import Look, look_of, unlike
from fretal_bench.datasets.media.limits import MediaLimits
from fretal_bench.datasets.media.reasons import Reason, Unreadable

# Enough frames of a mask to tell which of a few people it is on.
_MASK_FRAMES: Final = 8
# Bytes of frames kept until it is known whether they must be looked at: 80 of 1080p, 10 of 8K at 33 megapixels.
_HELD: Final = 500_000_000
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


class Choice(NamedTuple):
    """The face that a video is about, None if there is none, and whether another is as prominent."""

    track: Track | None
    rivalled: bool


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
    seen = _Seen(detector)
    between: list[tuple[int, Image]] = []
    held = 0
    last: int | None = None
    for place, frame in enumerate(source.read(numbers)):
        if frame.image is None:
            continue
        if place % every and place < len(numbers) - 1 and held + frame.image.nbytes <= _HELD:
            between.append((frame.number, frame.image))
            held += frame.image.nbytes
            continue
        faces = seen.look(frame.number, frame.image)
        if last is None or not agree(seen.faces[last], faces) or seen.tracks.breaks(frame.number, faces):
            for number, image in between:
                seen.keep(number, seen.look(number, image))
        seen.keep(frame.number, faces)
        between.clear()
        held = 0
        last = frame.number
    for number, image in between:
        seen.keep(number, seen.look(number, image))
    return FaceSearch(seen.faces, source.shape, seen.tracks.tracks)


class _Seen:
    """Faces of the frames that were looked at, their looks, and their tracks so far."""

    def __init__(self, detector: Detector) -> None:
        self.faces: dict[int, list[Face]] = {}
        self.tracks = Linker(self._unlike)
        self._detector = detector
        self._looks: dict[int, list[Look]] = {}

    def look(self, number: int, image: Image) -> list[Face]:
        """Find the faces of a frame."""
        faces = self._detector.detect(image)
        self._looks[number] = [look_of(image, face.box) for face in faces]
        return faces

    def keep(self, number: int, faces: list[Face]) -> None:
        """Keep the faces of the next frame."""
        self.faces[number] = faces
        self.tracks.add(number, faces)

    def _unlike(self, frame: int, place: int, other_frame: int, other_place: int) -> float:
        return unlike(self._looks[frame][place], self._looks[other_frame][other_place])


def choice_of(searched: FaceSearch, masks: Iterable[Source] = ()) -> Choice:
    """Choose the track of the face that a video is about.

    Args:
        searched: The faces of the video.
        masks: Videos of the manipulated pixels, light on black, with the same frames; those of another length are fine.

    Returns:
        The track that the masks cover most, else the longest (``boxes.choose``); None if no face was found.
    """
    if len(searched.tracks) < 2:
        return Choice(choose(searched.tracks), False)
    covered = [0.0] * len(searched.tracks)
    for mask in masks:
        for number, share in enumerate(_covered(searched, mask)):
            covered[number] += share
    track = choose(searched.tracks, covered)
    return Choice(track, track is not None and not decided(covered) and rivalled(searched.tracks, track))


def place_in(searched: FaceSearch, track: Track | None, frame: int) -> FacePlace:
    """Say where the chosen face is in a frame, and whether it was seen there."""
    box = track.at(frame) if track is not None else None
    if track is not None and frame in track.boxes:
        return FacePlace(box)
    if frame not in searched.faces and box is not None:
        return FacePlace(box)
    if frame in searched.faces:
        others = bool(searched.faces[frame])
    else:
        others = any(other.at(frame) is not None for other in searched.tracks)
    return FacePlace(box, Reason.OTHER_FACE if others else Reason.NO_FACE)


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
