"""Corruptions of test crops: JPEG, Gaussian blur, resizing and H.264, each at named severities.

A corruption is written ``KIND-SEVERITY``: ``jpeg-30``, ``blur-2``, ``resize-0.25``, ``h264-40``. The name is part of the
id of the test set (``graph.set_id``), so what a name means must never change: another meaning is another name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from fretal_bench.errors import BenchError, unknown_name

if TYPE_CHECKING:
    from fretal_bench.datasets.corruptions.pixels import Crops

ALL: Final = "all"


@dataclass(frozen=True)
class Kind:
    """A kind of corruption.

    Attributes:
        severities: Those of ``--corrupt KIND``, the mildest first.
        low: The least severity that can be asked for.
        high: The greatest.
        whole: Whether it is a whole number.
        of_clips: Whether it is of the crops of a video together.
        meaning: What the severity is, in words.
    """

    severities: tuple[float, ...]
    low: float
    high: float
    whole: bool
    of_clips: bool
    meaning: str


KINDS: Final[dict[str, Kind]] = {
    "jpeg": Kind((70, 30), 1, 100, True, False, "JPEG quality"),
    "blur": Kind((1, 2), 0, 50, False, False, "Gaussian blur, sigma in pixels of the crop"),
    "resize": Kind((0.5, 0.25), 0.01, 1, False, False, "shrunk by this factor and enlarged again"),
    "h264": Kind((30, 40), 0, 51, True, True, "H.264, constant rate factor"),
}
"""The severities of a default are the suite's choice: one that platforms apply, and one that hurts."""


@dataclass(frozen=True)
class Corruption:
    """A kind of corruption at a severity."""

    kind: str
    severity: float

    @property
    def name(self) -> str:
        """``KIND-SEVERITY``."""
        return f"{self.kind}-{self.severity:g}"

    @property
    def of_clips(self) -> bool:
        """Whether it is of the crops of a video together, in the order of their frames."""
        return KINDS[self.kind].of_clips

    def apply(self, crops: Crops) -> Crops:
        """Corrupt crops; of ``of_clips`` they must be those of one video. The same crops give the same bytes.

        Args:
            crops: uint8 [n, H, W, 3], RGB, n > 0.

        Returns:
            uint8 [n, H, W, 3].
        """
        # Names alone are read by reports, which need no codec.
        from fretal_bench.datasets.corruptions.pixels import FUNCTIONS

        return FUNCTIONS[self.kind](crops, self.severity)


def corrupted_name(domain: str, name: str) -> str:
    """Name the test set of a domain under a corruption: ``Deepfakes (jpeg-30)``."""
    return f"{domain} ({name})"


def corruption(name: str) -> Corruption:
    """Return the corruption of a name.

    Raises:
        BenchError: There is no such kind, or no such severity of it.
    """
    kind, _, text = name.partition("-")
    if kind not in KINDS:
        raise unknown_name("corruption", kind, (ALL, *KINDS))
    of = KINDS[kind]
    try:
        severity = float(text)
    except ValueError:
        severity = float("nan")
    # One name for one severity, so that it has one id.
    if (
        not of.low <= severity <= of.high
        or (of.whole and severity != int(severity))
        or f"{severity:g}" != text
    ):
        raise BenchError(
            f"corruption {name!r}: expected {kind}-SEVERITY, a {'whole ' if of.whole else ''}number from {of.low:g} to "
            f"{of.high:g} ({of.meaning}), written as in {kind}-{of.severities[0]:g}, found {text!r}"
        )
    return Corruption(kind, severity)


def corruptions(text: str) -> tuple[Corruption, ...]:
    """Read ``--corrupt``: ``all``, or kinds and names separated by commas; a kind stands for its default severities.

    Returns:
        Each once, in the order in which they are named.

    Raises:
        BenchError: Nothing is named, or something that is no corruption.
    """
    chosen: dict[Corruption, None] = {}
    for name in (part.strip() for part in text.split(",")):
        kinds = KINDS if name == ALL else {name: KINDS[name]} if name in KINDS else {}
        if not kinds:
            chosen[corruption(name)] = None
        for kind, of in kinds.items():
            chosen.update(dict.fromkeys(Corruption(kind, severity) for severity in of.severities))
    return tuple(chosen)
