"""How faces are prepared: the options, and their check."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

from fretal_bench.datasets.manifest import COMPRESSIONS
from fretal_bench.errors import BenchError, unknown_name

OnMissing = Literal["interpolate", "centre", "skip", "error"]
ON_MISSING: Final = ("interpolate", "centre", "skip", "error")
DETECTORS: Final = ("mtcnn", "yunet", "none")
# The one quality the manifest has a name for.
_JPEG: Final = 25


@dataclass(frozen=True)
class PrepareOptions:
    """What to make of a data set.

    Attributes:
        frames: Wanted frames of each video, evenly spaced; 0 for all.
        size: Height and width of a crop, pixels.
        compression: Which compression to take; None for the only one there is.
        margin: Side of the square crop over the longer side of the face box.
        detector: ``mtcnn``, ``yunet`` or ``none`` (faces are cut out already); None for ``none`` where the
            family says so, else ``mtcnn``.
        detector_model: YuNet's model file.
        every: Look for faces in every so-many-th wanted frame, and between only where they move.
        on_missing: What to do where the face isn't found: ``interpolate`` its place from the frames around, cut out the
            picture's ``centre``, ``skip`` the frame, or stop with an ``error``.
        jpeg: 25 re-encodes every crop as a JPEG of that quality; None leaves it.
    """

    frames: int = 32
    size: int = 128
    compression: str | None = None
    margin: float = 1.3
    detector: str | None = None
    detector_model: Path | None = None
    every: int = 2
    on_missing: OnMissing = "interpolate"
    jpeg: int | None = None

    def __post_init__(self) -> None:
        """Refuse what makes no sense.

        Raises:
            BenchError: An option is out of its range or unknown.
        """
        for name, value, least, hint in (
            ("--frames", self.frames, 0, "e.g. 32, or 0 for all"),
            ("--size", self.size, 8, "e.g. 128"),
            ("--detect-every", self.every, 1, "1 looks at every frame"),
        ):
            if value < least:
                raise BenchError(f"{name} {value}: expected a whole number of at least {least}; {hint}")
        if not (math.isfinite(self.margin) and 1 <= self.margin <= 4):
            raise BenchError(f"--margin {self.margin}: expected a number from 1 to 4; 1.3 is usual")
        if self.jpeg not in (None, _JPEG):
            raise BenchError(
                f"--jpeg {self.jpeg}: only quality {_JPEG} has a compression's name (jpeg{_JPEG}); use --jpeg {_JPEG}"
            )
        for kind, chosen, known in (
            ("detector", self.detector, DETECTORS),
            ("way for missing faces", self.on_missing, ON_MISSING),
            ("compression", self.compression, (*COMPRESSIONS, "c0")),
        ):
            if chosen is not None and chosen not in known:
                raise unknown_name(kind, chosen, known)
        if self.detector == "yunet" and self.detector_model is None:
            raise BenchError(
                "--detector yunet needs its model file: --detector-model FILE.onnx (nothing is downloaded)"
            )
        if self.detector_model is not None and self.detector != "yunet":
            raise BenchError("--detector-model is for YuNet alone; add --detector yunet, or leave it out")
        if self.compression == "c0":
            object.__setattr__(self, "compression", "raw")

    def settled(self, compression: str, detector: str) -> PrepareOptions:
        """The same with compression and detector decided."""
        return replace(self, compression=compression, detector=detector)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, without machine paths."""
        return {name: value for name, value in asdict(self).items() if name != "detector_model"}
