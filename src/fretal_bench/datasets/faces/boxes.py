"""Face boxes of a video: overlap, tracks of one face over time, boxes between detections, which of several faces."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

# From one looked-at frame to the next a face moves by less than its own size, and doesn't double it.
_FARTHEST: Final = 1.0
_GROWTH: Final = 2.0
# Boxes that agree this well need no detection between them: the crop would move by a few per cent of its side.
_AGREEMENT: Final = 0.85
# A mask that covers less of a face than this is not taken for that face's.
_COVERED: Final = 0.05


class FaceBox(NamedTuple):
    """A rectangle in pixels; left and top belong to it, right and bottom don't."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def side(self) -> float:
        """Length of the longer side."""
        return max(self.right - self.left, self.bottom - self.top)

    @property
    def area(self) -> float:
        """Number of pixels."""
        return max(0.0, self.right - self.left) * max(0.0, self.bottom - self.top)

    @property
    def centre(self) -> tuple[float, float]:
        """Its middle: x, y."""
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2

    def scaled(self, x: float, y: float) -> FaceBox:
        """The same box in a picture ``x`` times as wide and ``y`` times as high."""
        return FaceBox(self.left * x, self.top * y, self.right * x, self.bottom * y)


class Face(NamedTuple):
    """A face that a detector found: where, and how sure it is (0 to 1)."""

    box: FaceBox
    score: float


FacesByFrame = Mapping[int, Sequence[Face]]
"""Number of a frame that was looked at -> the faces in it, which may be none."""


@dataclass
class Track:
    """One face over time.

    Attributes:
        boxes: Frame number -> box, in ascending order of frames.
    """

    boxes: dict[int, FaceBox] = field(default_factory=dict)

    def at(self, frame: int) -> FaceBox | None:
        """The box in a frame: as found, or linear between the detections before and after; None outside them."""
        if frame in self.boxes:
            return self.boxes[frame]
        frames = list(self.boxes)
        place = bisect_left(frames, frame)
        if place in (0, len(frames)):
            return None
        before, after = frames[place - 1], frames[place]
        share = (frame - before) / (after - before)
        pairs = zip(self.boxes[before], self.boxes[after], strict=True)
        return FaceBox(*(start + share * (end - start) for start, end in pairs))


def overlap(first: FaceBox, second: FaceBox) -> float:
    """Intersection over union of two boxes, 0 to 1."""
    width = min(first.right, second.right) - max(first.left, second.left)
    height = min(first.bottom, second.bottom) - max(first.top, second.top)
    if width <= 0 or height <= 0:
        return 0.0
    common = width * height
    return common / (first.area + second.area - common)


def agree(some: Sequence[Face], others: Sequence[Face]) -> bool:
    """Whether two frames show the same faces in nearly the same places, and any at all."""
    if not some or len(some) != len(others):
        return False
    remaining = [face.box for face in others]
    for face in some:
        best = max(remaining, key=lambda box: overlap(face.box, box))
        if overlap(face.box, best) < _AGREEMENT:
            return False
        remaining.remove(best)
    return True


def link(faces_by_frame: FacesByFrame) -> list[Track]:
    """Link the faces of frames into tracks: from frame to frame each face goes on as the nearest of like size.

    Args:
        faces_by_frame: Faces of every frame that was looked at.

    Returns:
        The tracks, in the order in which they begin; faces of one frame by falling score.
    """
    tracks: list[Track] = []
    for frame in sorted(faces_by_frame):
        faces = sorted(faces_by_frame[frame], key=lambda face: -face.score)
        last = [next(reversed(track.boxes.values())) for track in tracks]
        pairs = sorted(
            (distance, number, place)
            for number, face in enumerate(faces)
            for place, box in enumerate(last)
            if (distance := _distance(face.box, box)) is not None
        )
        home: dict[int, int] = {}
        for _, number, place in pairs:
            if number not in home and place not in home.values():
                home[number] = place
        for number, face in enumerate(faces):
            if number in home:
                tracks[home[number]].boxes[frame] = face.box
            else:
                tracks.append(Track({frame: face.box}))
    return tracks


def choose(tracks: Sequence[Track], covered: Sequence[float] = ()) -> Track | None:
    """Choose among several faces: the one the manipulation's mask covers most, else the longest track.

    Args:
        tracks: The faces.
        covered: For each the mean share of its box that the mask covers; empty if there is no mask.

    Returns:
        The track; of equally long ones the one with the larger boxes; None if there is none.
    """
    if not tracks:
        return None
    if covered and max(covered) >= _COVERED:
        return tracks[max(range(len(tracks)), key=covered.__getitem__)]
    return max(
        tracks,
        key=lambda track: (
            len(track.boxes),
            sum(box.area for box in track.boxes.values()) / len(track.boxes),
        ),
    )


def _distance(first: FaceBox, second: FaceBox) -> float | None:
    """Distance of the centres in sides; None if it can't be the same face."""
    small, large = sorted((first.side, second.side))
    if small <= 0 or large > _GROWTH * small:
        return None
    (x, y), (u, v) = first.centre, second.centre
    distance = ((x - u) ** 2 + (y - v) ** 2) ** 0.5 / ((small + large) / 2)
    return distance if distance <= _FARTHEST else None
