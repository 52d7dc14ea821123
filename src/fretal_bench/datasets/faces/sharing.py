"""The place of the face in each video of a group: looked for in the real one, shared by the fakes made of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from fretal_bench.datasets.faces.detector import Detector
from fretal_bench.datasets.faces.frames import Source
from fretal_bench.datasets.faces.groups import Video
from fretal_bench.datasets.faces.opening import Opened
from fretal_bench.datasets.faces.options import PrepareOptions
from fretal_bench.datasets.faces.search import (
    FacePlace,
    FaceSearch,
    choice_of,
    mask_of,
    open_mask,
    place_in,
    search,
)
from fretal_bench.datasets.media.limits import MediaLimits

# Pictures of a fake and of its original whose proportions differ by more don't show the same part of the scene.
_PROPORTIONS: Final = 0.02

Where = Callable[[int], FacePlace]
"""Frame number -> where the face is in it."""


class Whereabouts(NamedTuple):
    """Where a video's face is.

    Attributes:
        boxes: ``own`` if it was looked for in the video, ``shared`` if it is its original's.
        where: Where it is in each frame.
        rivalled: Whether another face is as prominent, and no mask says which is meant.
    """

    boxes: str
    where: Where
    rivalled: bool


def whereabouts(
    opened: Sequence[Opened], leader: Video, detector: Detector, options: PrepareOptions, root: Path
) -> dict[int, Whereabouts]:
    """Find the face of each video of a group.

    A fake takes the boxes of its original, the leader, frame by frame. It is looked through itself if the original cannot
    be read, lacks some of its frames, or is of other proportions.

    Args:
        opened: The videos that can be read, the leader first if it is among them.
        leader: The real video, or a single one.
        detector: Finds faces.
        options: In which frames to look, and the limits of what is read.
        root: The data set's root, for the masks.

    Returns:
        Number of each video -> where its face is.
    """
    where: dict[int, Whereabouts] = {}
    if opened and opened[0].video is leader:
        first = opened[0]
        sharing = [other for other in opened[1:] if _fits(other, first)]
        numbers = sorted({number for video in (first, *sharing) for number in video.wanted})
        searched = search(first.source, numbers, detector, options.every)
        masks = {fake.video.number: _masks(fake.video, searched, root, options.limits) for fake in sharing}
        all_masks = [mask for of_fake in masks.values() for mask in of_fake]
        where[leader.number] = _places_in("own", first, searched, all_masks)
        for fake in sharing:
            own_masks = masks[fake.video.number] or all_masks
            where[fake.video.number] = _places_in("shared", fake, searched, own_masks)
    for single in opened:
        if single.video.number not in where:
            searched = search(single.source, single.wanted, detector, options.every)
            own_masks = _masks(single.video, searched, root, options.limits)
            where[single.video.number] = _places_in("own", single, searched, own_masks)
    return where


def _fits(fake: Opened, first: Opened) -> bool:
    """Whether the boxes of one video are good for another."""
    (height, width), (from_height, from_width) = fake.source.shape, first.source.shape
    alike = abs((width / height) / (from_width / from_height) - 1) <= _PROPORTIONS
    return alike and set(fake.wanted) <= set(first.source.numbers)


def _masks(video: Video, searched: FaceSearch, root: Path, limits: MediaLimits) -> list[Source]:
    """The mask of a fake, if there is one and several faces to choose among."""
    path = mask_of(video.path) if video.fake and len(searched.tracks) > 1 else None
    mask = open_mask(root / path, limits) if path is not None else None
    return [] if mask is None else [mask]


def _places_in(boxes: str, opened: Opened, searched: FaceSearch, masks: Iterable[Source]) -> Whereabouts:
    """Where the chosen face is in the frames of a video, in that video's own pixels."""
    track, several = choice_of(searched, masks)
    (height, width), (from_height, from_width) = opened.source.shape, searched.shape

    def place(frame: int) -> FacePlace:
        there = place_in(searched, track, frame)
        box = there.box.scaled(width / from_width, height / from_height) if there.box is not None else None
        return FacePlace(box, there.unseen)

    return Whereabouts(boxes, place, several)
