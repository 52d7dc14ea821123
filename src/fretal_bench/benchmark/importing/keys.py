"""Videos and people of a CSV of scores under the names that results have: ``dataset/method/compression/video``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from fretal_bench.benchmark.importing.rows import Group
from fretal_bench.datasets.manifest import COMPRESSIONS, FAKE, REAL
from fretal_bench.errors import BenchError
from fretal_bench.names import shown

OWN: Final = "own"
"""What the data set is called of videos whose names say nothing of it, unless the call names it."""
_REAL: Final = "real"
_FAKE: Final = "fake"
_MOST: Final = {REAL: 1, FAKE: 2}
"""People in a video: the filmed one, and in a fake the one whose face was put there."""


def are_keys(groups: Sequence[Group]) -> bool:
    """Whether all videos are named by keys already."""
    return all(_is_key(group.video) for group in groups)


def video_keys(groups: Sequence[Group], dataset: str, where: str) -> list[str]:
    """Return the key of each video.

    Videos that are named by keys already, all of them, keep them: these are the same videos as those of other results.
    Else a real video is ``DATASET/real/none/VIDEO``, the same one in all domains that have it; a fake one is
    ``DATASET/DOMAIN/none/VIDEO``, of its domain alone.

    Args:
        groups: The videos.
        dataset: What their data set is called; empty if they are named by keys.
        where: The file, for the errors.

    Raises:
        BenchError: Videos are named by keys, and one has another label than its key says.
    """
    if not dataset:
        for group in groups:
            if (group.video.split("/")[1] == _REAL) != (group.label == REAL):
                word = _FAKE if group.label == FAKE else _REAL
                raise BenchError(
                    f"{where}: video {shown(group.video)} is labelled {word}, and its name says otherwise: "
                    "DATASET/real/COMPRESSION/VIDEO is real, all others are fakes"
                )
        return [group.video for group in groups]
    return [f"{dataset}/{_method(group)}/none/{group.video}" for group in groups]


def _is_key(text: str) -> bool:
    parts = text.split("/", 3)
    return len(parts) == 4 and all(parts) and parts[2] in COMPRESSIONS


def _method(group: Group) -> str:
    if group.label == REAL:
        return _REAL
    return group.domain if group.domain != _REAL else _FAKE


def people_of(groups: Sequence[Group], keys: Sequence[str], where: str) -> list[str]:
    """Return who is in each video, as ``manifest.people_key``: ``DATASET/PERSON``, in a fake two joined by ``+``.

    Raises:
        BenchError: A video has more people than it can.
    """
    people = []
    for group, key in zip(groups, keys, strict=True):
        names = [name.strip() for name in group.person.split("+") if name.strip()]
        if len(names) > _MOST[group.label]:
            kind = "a real video has one person" if group.label == REAL else "a fake has two people at most"
            raise BenchError(
                f"{where}: video {shown(group.video)} has people {shown(group.person)}: {kind} (the filmed one first, "
                "joined by '+')"
            )
        owner = key.split("/", 1)[0].replace("%", "%25").replace("+", "%2B")
        whole = [name if name.startswith(f"{owner}/") else f"{owner}/{name}" for name in names]
        people.append("+".join(dict.fromkeys(whole)))
    return people
