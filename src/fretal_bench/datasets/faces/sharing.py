"""Where the face is in each video of a group: looked for in the real one, and shared by the fakes made of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

from fretal_bench.datasets.faces.detector import Detector
from fretal_bench.datasets.faces.frames import Source
from fretal_bench.datasets.faces.groups import Video
from fretal_bench.datasets.faces.opening import Opened
from fretal_bench.datasets.faces.search import Place, Search, face_of, mask_of, open_mask, place_in, search

# Pictures of a fake and of its original whose proportions differ by more don't show the same part of the scene.
_PROPORTIONS: Final = 0.02

Where = Callable[[int], Place]
"""Frame number -> where the face is in it."""


def whereabouts(
    opened: Sequence[Opened], leader: Video, detector: Detector, every: int, root: Path
) -> dict[int, tuple[str, Where]]:
    """Find the face of each video of a group.

    A fake takes the boxes of its original, the leader, frame by frame. It is looked through itself if the original cannot
    be read, lacks some of its frames, or is of other proportions.

    Args:
        opened: The videos that can be read, the leader first if it is among them.
        leader: The real video, or a single one.
        detector: Finds faces.
        every: Look in every so-many-th frame.
        root: The data set's root, for the masks.

    Returns:
        Number of each video -> ``own`` or ``shared``, and where its face is.
    """
    where: dict[int, tuple[str, Where]] = {}
    if opened and opened[0].video is leader:
        first = opened[0]
        sharing = [one for one in opened[1:] if _fits(one, first)]
        wanted = sorted({number for one in (first, *sharing) for number in one.wanted})
        found = search(first.source, wanted, detector, every)
        masks = {one.video.number: _masks(one.video, found, root) for one in sharing}
        together = [mask for of_one in masks.values() for mask in of_one]
        where[leader.number] = "own", _at(found, together, first)
        for one in sharing:
            where[one.video.number] = "shared", _at(found, masks[one.video.number] or together, one)
    for one in opened:
        if one.video.number not in where:
            found = search(one.source, one.wanted, detector, every)
            where[one.video.number] = "own", _at(found, _masks(one.video, found, root), one)
    return where


def _fits(one: Opened, first: Opened) -> bool:
    """Whether the boxes of one video are good for another."""
    (height, width), (from_height, from_width) = one.source.shape, first.source.shape
    alike = abs((width / height) / (from_width / from_height) - 1) <= _PROPORTIONS
    return alike and set(one.wanted) <= set(first.source.numbers)


def _masks(video: Video, found: Search, root: Path) -> list[Source]:
    """The mask of a fake, if there is one and several faces to choose among."""
    path = mask_of(video.path) if video.fake and len(found.tracks) > 1 else None
    mask = open_mask(root / path) if path is not None else None
    return [] if mask is None else [mask]


def _at(found: Search, masks: Iterable[Source], one: Opened) -> Where:
    """Where the chosen face is in the frames of a video, in that video's own pixels."""
    track = face_of(found, masks)
    (height, width), (from_height, from_width) = one.source.shape, found.shape

    def at(frame: int) -> Place:
        place = place_in(found, track, frame)
        box = place.box.scaled(width / from_width, height / from_height) if place.box is not None else None
        return Place(box, place.seen, place.reason)

    return at
