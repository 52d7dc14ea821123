"""Why a frame or a whole video gave no crop: the fixed words that failures are counted by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

MISSING: Final = "the file is missing"
UNDECODABLE: Final = "it cannot be decoded"
BAD_FRAME: Final = "the frame cannot be decoded"
NO_FACE: Final = "no face found"
OTHER_FACE: Final = "only another face than the chosen one"
SHORT: Final = "fewer frames than asked for"
CUT: Final = "cut short"
LEFT_OUT: Final = "left out when the data set was read"
REASONS: Final = (MISSING, UNDECODABLE, BAD_FRAME, NO_FACE, OTHER_FACE, CUT, SHORT, LEFT_OUT)
# These lose nothing that is there.
_HARMLESS: Final = (SHORT, CUT, LEFT_OUT)


@dataclass(frozen=True)
class ReasonCount:
    """How often a reason came up.

    Attributes:
        reason: One of ``REASONS``.
        videos: Whole videos (or files) it holds for.
        frames: Single frames besides.
        example: Path of the first.
    """

    reason: str
    videos: int
    frames: int
    example: str


def count_reasons(failures: Iterable[Mapping[str, Any]]) -> list[ReasonCount]:
    """Count failures by reason, what stands behind a colon left aside; in the order of ``REASONS``."""
    kinds: dict[str, list[Mapping[str, Any]]] = {}
    for failure in failures:
        kinds.setdefault(failure["reason"].partition(":")[0], []).append(failure)
    counts = []
    for reason in sorted(kinds, key=lambda reason: (*REASONS, reason).index(reason)):
        those = kinds[reason]
        videos = sum(failure["frame"] < 0 for failure in those)
        counts.append(ReasonCount(reason, videos, len(those) - videos, those[0]["path"]))
    return counts


def lost_videos(counts: Iterable[ReasonCount]) -> int:
    """Number of videos that gave no crop at all."""
    return sum(count.videos for count in counts if count.reason not in _HARMLESS)
