"""Failures: what gave no crop, counted by reason and stored with the crops."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from fretal_bench.datasets.media.reasons import Cause, Reason

_HARMLESS: Final = frozenset({Reason.SEVERAL, Reason.SHORT, Reason.CUT, Reason.LEFT_OUT})
"""These lose nothing that is there."""


class Failure(NamedTuple):
    """Something that gave no crop: the path of a file, one of its frames (-1 for all of it), and why."""

    path: str
    frame: int
    cause: Cause

    def entry(self) -> dict[str, Any]:
        """How ``store.json`` lists it."""
        return {"path": self.path, "frame": self.frame, "reason": str(self.cause)}

    @classmethod
    def read(cls, entry: Mapping[str, Any]) -> Failure:
        """Read what ``entry`` gave."""
        return cls(entry["path"], entry["frame"], Cause.read(entry["reason"]))


@dataclass(frozen=True)
class ReasonCount:
    """How often a reason occurred.

    Attributes:
        reason: The words of a ``Reason``.
        videos: Whole videos (or files) it holds for.
        frames: Single frames in addition.
        example: Path of the first.
    """

    reason: str
    videos: int
    frames: int
    example: str


def count_reasons(failures: Iterable[Failure]) -> list[ReasonCount]:
    """Count failures by reason, in the order of ``Reason``; details are left aside."""
    by_reason: dict[Reason, list[Failure]] = {reason: [] for reason in Reason}
    for failure in failures:
        by_reason[failure.cause.reason].append(failure)
    counts = []
    for reason, alike in by_reason.items():
        if alike:
            videos = sum(failure.frame < 0 for failure in alike)
            counts.append(ReasonCount(reason.value, videos, len(alike) - videos, alike[0].path))
    return counts


def lost_videos(counts: Iterable[ReasonCount]) -> int:
    """Number of videos that gave no crop at all."""
    return sum(count.videos for count in counts if Reason(count.reason) not in _HARMLESS)
