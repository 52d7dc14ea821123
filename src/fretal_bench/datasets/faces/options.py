"""Options of face preparation."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from fretal_bench.datasets.importers.options import OPTION, Options
from fretal_bench.datasets.manifest import Compression
from fretal_bench.datasets.media.limits import MAX_FRAMES, MAX_MEGAPIXELS, MAX_MINUTES, MediaLimits
from fretal_bench.records import limited


@dataclass(frozen=True)
class PrepareOptions(Options):
    """What to make of a data set.

    Attributes:
        frames: Wanted frames of each video, evenly spaced; 0 for all.
        size: Height and width of a crop, pixels.
        compression: Which compression to take; None for the only one there is.
        margin: Side of the square crop over the longer side of the face box.
        detector: ``mtcnn``, ``yunet`` or ``none`` (faces are cut out already); None for ``none`` where the
            family says so, else ``mtcnn``.
        detector_model: YuNet's model file.
        every: Look for faces in every ``every``-th frame, and between only where they move.
        on_missing: What to do where the face isn't found: ``interpolate`` its place from the frames around, cut out the
            picture's ``centre``, ``skip`` the frame, or stop with an ``error``.
        jpeg: 25 re-encodes every crop as a JPEG of that quality; None leaves it.
        max_megapixels: A picture, or a video's frame, that is larger is left out and counted.
        max_frames: A video of more frames is left out and counted.
        max_minutes: A video that is longer is left out and counted.
    """

    frames: int = limited(32, at_least=0)
    size: int = limited(128, at_least=8)
    compression: Literal[Compression, "c0"] | None = None
    margin: float = limited(1.3, at_least=1, at_most=4)
    detector: Literal["mtcnn", "yunet", "none"] | None = None
    detector_model: Path | None = None
    every: int = limited(2, at_least=1, metadata={OPTION: "--detect-every"})
    on_missing: Literal["interpolate", "centre", "skip", "error"] = "interpolate"
    # The one quality the manifest has a name for.
    jpeg: Literal[25] | None = None
    max_megapixels: float = limited(MAX_MEGAPIXELS, above=0)
    max_frames: int = limited(MAX_FRAMES, at_least=1)
    max_minutes: float = limited(MAX_MINUTES, above=0)

    def __post_init__(self) -> None:
        """Check every value, and that a model is given where the detector needs one and nowhere else.

        Raises:
            BenchError: An option is out of its range or unknown.
        """
        super().__post_init__()
        if self.detector == "yunet" and self.detector_model is None:
            raise self.wrong("detector_model", "YuNet's model file (ONNX; nothing is downloaded)", None)
        if self.detector_model is not None and self.detector != "yunet":
            raise self.wrong(
                "detector_model", "no model, or --detector yunet with it", str(self.detector_model)
            )
        if self.compression == "c0":
            object.__setattr__(self, "compression", "raw")

    @property
    def limits(self) -> MediaLimits:
        """What one file may ask for."""
        return MediaLimits(self.max_megapixels, self.max_frames, self.max_minutes)

    def settled(self, compression: str, detector: str) -> PrepareOptions:
        """The same with compression and detector decided."""
        return replace(self, compression=compression, detector=detector)  # type: ignore[arg-type]

    def to_dict(self) -> dict[str, Any]:
        """Plain data, without machine paths."""
        return {name: value for name, value in asdict(self).items() if name != "detector_model"}
