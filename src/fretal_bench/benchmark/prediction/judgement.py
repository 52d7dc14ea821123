"""What is said of a file: its faces, each with a score over its frames, and the score that is the file's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np

Average = Literal["mean", "median", "p95"]
"""How the score of a face is made of those of its frames."""
Of = Literal["highest", "main"]
"""Which of several faces has the file's score: the one with the highest, or the one that the file is most about."""
AVERAGES: Final[Mapping[str, Callable[[Any], Any]]] = {
    "mean": np.mean,
    "median": np.median,
    "p95": lambda scores: np.percentile(scores, 95),
}


@dataclass(frozen=True)
class LookedAt:
    """One frame that was judged: its number, the face's box in pixels (left, top, right, bottom), P(fake)."""

    frame: int
    box: tuple[float, float, float, float]
    score: float


@dataclass(frozen=True)
class JudgedFace:
    """One face of a file, over time.

    Attributes:
        score: P(fake), the average over the frames in which it was seen.
        frames: These frames.
        thumbnail: The crop with the highest P(fake), as JPEG; empty where none was asked for.
    """

    score: float
    frames: tuple[LookedAt, ...]
    thumbnail: bytes = field(default=b"", repr=False)


@dataclass(frozen=True)
class Prediction:
    """The judgement of one file.

    Attributes:
        file: The file.
        score: P(fake) of the file, that of the first of its faces; None if no face was judged.
        decision: ``fake`` or ``real``, by the detector's threshold; empty where there is no score.
        faces: Its faces; the first is the one whose score is the file's.
        reason: Why there is no score; empty if there is one.
        notes: What to know of the score, one line each.
        seconds: What judging took.
        duration: Length of a video in seconds; 0 for a picture.
    """

    file: str
    score: float | None
    decision: Literal["fake", "real", ""]
    faces: tuple[JudgedFace, ...]
    reason: str = ""
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    duration: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data, without thumbnails."""
        return {
            "file": self.file,
            "score": self.score,
            "decision": self.decision,
            "faces": [
                {
                    "score": face.score,
                    "frames": [
                        {"frame": at.frame, "box": list(at.box), "score": at.score} for at in face.frames
                    ],
                }
                for face in self.faces
            ],
            "reason": self.reason,
            "notes": list(self.notes),
            "seconds": round(self.seconds, 3),
            "duration": round(self.duration, 3),
        }


@dataclass
class Tally:
    """What a whole call came to: counts and times, of any number of files.

    Attributes:
        files: Files that were looked at.
        judged: Those of them that have a score.
        fakes: Those that were called fake.
        reasons: How many of the others have each reason.
        seconds: What looking at all of them took.
        video_seconds: What looking at videos took.
        video_duration: How long the videos are.
    """

    files: int = 0
    judged: int = 0
    fakes: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    video_seconds: float = 0.0
    video_duration: float = 0.0

    def add(self, prediction: Prediction) -> None:
        """Count a file."""
        self.files += 1
        self.seconds += prediction.seconds
        if prediction.score is None:
            # Details (sizes, names of codecs) differ from file to file.
            reason = prediction.reason.partition(":")[0]
            self.reasons[reason] = self.reasons.get(reason, 0) + 1
            return
        self.judged += 1
        self.fakes += prediction.decision == "fake"
        if prediction.duration:
            self.video_seconds += prediction.seconds
            self.video_duration += prediction.duration

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "files": self.files,
            "judged": self.judged,
            "fakes": self.fakes,
            "reasons": dict(self.reasons),
            "seconds": round(self.seconds, 3),
            "seconds_per_second_of_video": self.pace,
        }

    @property
    def pace(self) -> float | None:
        """Seconds that a second of video took; None where no video was judged."""
        return round(self.video_seconds / self.video_duration, 3) if self.video_duration else None

    @property
    def sentence(self) -> str:
        """All of it in one line."""
        pace = f", {self.pace:g} s a second of video" if self.pace is not None else ""
        judged = f"{self.judged} of {self.files} files" if self.files != 1 else f"{self.judged} of 1 file"
        reasons = "; ".join(f"{count} {reason}" for reason, count in sorted(self.reasons.items()))
        left = f"; not judged: {reasons}" if reasons else ""
        return f"judged {judged} in {self.seconds:.1f} s{pace}: {self.fakes} fake, {self.judged - self.fakes} real{left}"
