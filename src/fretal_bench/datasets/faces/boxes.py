"""Face boxes of a video: overlap, tracks of one face over time, boxes between detections, which of several faces."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

# From one looked-at frame to the next a face moves by less than its own size, and doesn't double it.
_FARTHEST: Final = 1.0
_GROWTH: Final = 2.0
# Boxes that agree this well need no detection between them: the crop would move by a few per cent of its side.
_AGREEMENT: Final = 0.85
# Two faces have changed places if they look that much more like one another's tracks (sum of two differences, at most 4).
# On ORL's photographs, whose poses vary more than a video's, with eight faces of a track to compare with, this sees 97 of
# 100 swaps and none of 6,000 that are none; with a single one 86 of 100, and 6 of 1,000.
_SWAPPED: Final = 0.2
# The same for one face whose place another may have taken; with eight faces 78 of 100, and none.
_REPLACED: Final = 0.2
# So many faces of a track a new one is compared with.
_REMEMBERED: Final = 8
# Of faces seen in half of the frames one less than half as large as the largest is an inset or stands in the background.
_INSET: Final = 0.5
# A face seen this share as long, and this share as large, is as prominent as the chosen one.
_AS_PROMINENT: Final = 0.75
# A face seen in less than this share of the frames in which the longest is seen may be a detector's mistake.
_BRIEF: Final = 0.25
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

    @property
    def side(self) -> float:
        """Mean length of the longer side of its boxes."""
        return sum(box.side for box in self.boxes.values()) / len(self.boxes)

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


Unlike = Callable[[int, int, int, int], float]
"""How unlike two faces are, each given by its frame and its place among that frame's faces."""


class Linker:
    """Tracks in the making: from frame to frame each face goes on as the nearest of like size.

    Where two people have changed places, or one has taken another's, their tracks end and others begin: a track is of one
    person.

    Attributes:
        tracks: The tracks, in the order in which they begin; faces of one frame by falling score.
    """

    def __init__(self, unlike: Unlike | None = None) -> None:
        """Begin without a face.

        Args:
            unlike: Compares faces by their looks; without it, places alone count.
        """
        self.tracks: list[Track] = []
        self._unlike = unlike
        # Frame and place of each track's last faces.
        self._last: list[list[tuple[int, int]]] = []
        self._ended: set[int] = set()
        self._before = -1

    def add(self, frame: int, faces: Sequence[Face]) -> None:
        """Link the faces of the next frame."""
        home, torn = self._homes(frame, faces)
        self._ended |= {home.pop(place) for place in torn}
        for place in _by_score(faces):
            if place not in home:
                home[place] = len(self.tracks)
                self.tracks.append(Track())
                self._last.append([])
            self.tracks[home[place]].boxes[frame] = faces[place].box
            last = self._last[home[place]]
            last.append((frame, place))
            del last[:-_REMEMBERED]
        self._before = frame

    def breaks(self, frame: int, faces: Sequence[Face]) -> bool:
        """Whether a track would end at these faces because they are of other people."""
        return bool(self._homes(frame, faces)[1])

    def _homes(self, frame: int, faces: Sequence[Face]) -> tuple[dict[int, int], set[int]]:
        """Place of each face -> the track that it goes on by where it is; and the places of other people than that."""
        boxes = [next(reversed(track.boxes.values())) for track in self.tracks]
        pairs = sorted(
            (distance, number, place, track)
            for number, place in enumerate(_by_score(faces))
            for track, box in enumerate(boxes)
            if track not in self._ended and (distance := _distance(faces[place].box, box)) is not None
        )
        home: dict[int, int] = {}
        for _, _, place, track in pairs:
            if place not in home and track not in home.values():
                home[place] = track
        recent = [track for track, last in enumerate(self._last) if last[-1][0] == self._before]
        if self._unlike is None or len(recent) < 2:
            return home, set()
        return home, _torn(home, recent, lambda place, track: self._unlikeness(frame, place, track))

    def _unlikeness(self, frame: int, place: int, track: int) -> float:
        assert self._unlike is not None
        return min(self._unlike(frame, place, *last) for last in self._last[track])


def link(faces_by_frame: FacesByFrame, unlike: Unlike | None = None) -> list[Track]:
    """Link the faces of frames into tracks: see ``Linker``.

    Args:
        faces_by_frame: Faces of every frame that was looked at.
        unlike: Compares faces by their looks; without it, places alone count.
    """
    linker = Linker(unlike)
    for frame in sorted(faces_by_frame):
        linker.add(frame, faces_by_frame[frame])
    return linker.tracks


def choose(tracks: Sequence[Track], covered: Sequence[float] = ()) -> Track | None:
    """Choose among several faces: the one the manipulation's mask covers most, else the longest track.

    A small face in a corner or in the background is set aside where a face more than twice as large is there in half of
    the frames.

    Args:
        tracks: The faces.
        covered: For each the mean share of its box that the mask covers; empty if there is no mask.

    Returns:
        The track; of equally long ones the one with the larger boxes; None if there is none.
    """
    if not tracks:
        return None
    if decided(covered):
        return tracks[max(range(len(tracks)), key=covered.__getitem__)]
    frames = len({frame for track in tracks for frame in track.boxes})
    largest = max((track.side for track in tracks if 2 * len(track.boxes) >= frames), default=0.0)
    return max(
        (track for track in tracks if track.side >= _INSET * largest),
        key=lambda track: (
            len(track.boxes),
            sum(box.area for box in track.boxes.values()) / len(track.boxes),
        ),
    )


def decided(covered: Sequence[float]) -> bool:
    """Whether a mask says which face it is."""
    return bool(covered) and max(covered) >= _COVERED


def rivalled(tracks: Sequence[Track], chosen: Track) -> bool:
    """Whether another face is nearly as long in the video and as large as the chosen one."""
    return any(
        len(track.boxes) >= _AS_PROMINENT * len(chosen.boxes) and track.side >= _AS_PROMINENT * chosen.side
        for track in tracks
        if track is not chosen
    )


def prominent(tracks: Sequence[Track]) -> list[Track]:
    """Return the faces that a video is about, the one that ``choose`` chooses first, then the longest.

    Left out are those that are less than half as large as the chosen one, as insets and faces in the background are, and
    those that are seen in less than a quarter as many frames, as what a detector takes for a face by mistake is.

    Returns:
        The tracks; of equally long ones those with larger boxes first; none if there is none.
    """
    chosen = choose(tracks)
    if chosen is None:
        return []
    others = [
        track
        for track in tracks
        if track is not chosen
        and track.side >= _INSET * chosen.side
        and len(track.boxes) >= _BRIEF * len(chosen.boxes)
    ]
    return [chosen, *sorted(others, key=lambda track: (-len(track.boxes), -track.side))]


def _by_score(faces: Sequence[Face]) -> list[int]:
    """Places of faces, by falling score."""
    return sorted(range(len(faces)), key=lambda place: -faces[place].score)


def _torn(home: Mapping[int, int], recent: Sequence[int], unlike: Callable[[int, int], float]) -> set[int]:
    """Find the faces that go on a track by where they are, but look more like that of another track.

    Args:
        home: Place of a face among its frame's -> the track that it goes on by where it is.
        recent: Tracks that were seen in the frame before.
        unlike: (face, track) -> how unlike.
    """
    face_of = {track: face for face, track in home.items()}
    torn: set[int] = set()
    for face, track in home.items():
        for other in recent:
            if other == track or track not in recent:
                continue
            here = unlike(face, track) - unlike(face, other)
            rival = face_of.get(other)
            if rival is None:
                if here > _REPLACED:
                    torn.add(face)
            elif here + unlike(rival, other) - unlike(rival, track) > _SWAPPED:
                torn |= {face, rival}
    return torn


def _distance(first: FaceBox, second: FaceBox) -> float | None:
    """Distance of the centres in sides; None if it can't be the same face."""
    small, large = sorted((first.side, second.side))
    if small <= 0 or large > _GROWTH * small:
        return None
    (x, y), (u, v) = first.centre, second.centre
    distance = ((x - u) ** 2 + (y - v) ** 2) ** 0.5 / ((small + large) / 2)
    return distance if distance <= _FARTHEST else None
