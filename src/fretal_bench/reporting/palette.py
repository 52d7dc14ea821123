"""Colours, markers and line styles of plots: one look a strategy, by its name and what it keeps, wherever it is drawn."""

from __future__ import annotations

import functools
import math
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from fretal_bench.strategies.families import BUILT_IN

Kind = Literal["none", "samples", "bound"]
"""What a strategy is: it keeps no old samples, it keeps some, or it is a bound."""

KINDS: Final[Mapping[Kind, str]] = {"none": "keeps none", "samples": "keeps samples", "bound": "bound"}
# Each has at least 3:1 against white and against the page's dark paper. What is most often compared, fine-tuning, FReTAL,
# KD, LwF and EWC, has hues of its own each; the kind is told by the marker.
COLOURS: Final[Mapping[Kind, tuple[str, ...]]] = {
    "none": ("#d55e00", "#b3428f", "#a8761a", "#2a8a9e", "#d1495b", "#4d8b31", "#4f74d9"),
    "samples": ("#0072b2", "#00865f", "#6a63c4", "#2a8a9e", "#4d8b31", "#4f74d9", "#7d7f1f"),
    "bound": ("#737373",),
}
MARKERS: Final[Mapping[Kind, tuple[str, ...]]] = {
    "none": ("^", "v", "D", ">", "<", "d"),
    "samples": ("o", "p", "h", "P", "*", "8"),
    "bound": ("s",),
}
DOMAIN_COLOURS: Final = ("#0072b2", "#d55e00", "#00865f", "#b3428f", "#a8761a", "#2a8a9e", "#737373")
"""Of domains, where lines are domains and not strategies."""
DASHES: Final[tuple[str | tuple[int, tuple[int, ...]], ...]] = (
    "solid",
    (0, (5, 2)),
    (0, (1, 1)),
    (0, (6, 2, 1, 2)),
    (0, (3, 1, 1, 1, 1, 1)),
)


class Drawn(Protocol):
    """What has a look: a strategy of a report."""

    @property
    def label(self) -> str:
        """What the report calls it."""

    @property
    def strategy(self) -> str:
        """The strategy's name."""

    @property
    def bound(self) -> bool:
        """Whether it is a bound."""

    @property
    def old_samples(self) -> str:
        """How many old samples it keeps, in words."""


@dataclass(frozen=True)
class Look:
    """How a strategy is drawn; ``fill`` is the colour of its marks."""

    colour: str
    marker: str
    dashes: str | tuple[int, tuple[int, ...]]
    fill: str


def kind_of(strategy: Drawn) -> Kind:
    """Tell of which kind a strategy is."""
    if strategy.bound:
        return "bound"
    return "none" if strategy.old_samples in ("none", "unknown") else "samples"


def looks(strategies: Iterable[Drawn]) -> dict[str, Look]:
    """Give every strategy its look, the same whatever other strategies are in a report.

    A strategy of the suite has it by its place among those of its kind, one of a plugin by its name. The kind is seen
    without colour too: triangles and diamonds keep no old samples, round and starred marks keep some, bounds are open
    squares. Several values of a hyperparameter, each with its own label, go on from the strategy's own look.

    Returns:
        Label -> look; no two of the first 42 strategies of a kind share colour and marker.
    """
    chosen: dict[str, Look] = {}
    variants: dict[str, int] = {}
    for strategy in strategies:
        variant = variants[strategy.strategy] = variants.get(strategy.strategy, -1) + 1
        kind = kind_of(strategy)
        number = _number(strategy.strategy, kind) + variant
        colours, markers = COLOURS[kind], MARKERS[kind]
        colour = colours[number % len(colours)]
        # The numbers of colours and markers have no common factor, so pairs come again late.
        marker, dashes = markers[number % len(markers)], DASHES[number % len(DASHES)]
        chosen[strategy.label] = Look(colour, marker, dashes, "white" if kind == "bound" else colour)
    return chosen


def _number(name: str, kind: Kind) -> int:
    """Number a strategy: its place among the suite's own of its kind, or its name's checksum."""
    own = _own(kind)
    return own[name] if name in own else zlib.crc32(name.encode()) % 1000


@functools.cache
def _own(kind: Kind) -> Mapping[str, int]:
    kinds: dict[str, Kind] = {
        info.name: "bound" if info.bound else "none" if info.memory == "none" else "samples"
        for info in BUILT_IN
    }
    return {name: number for number, name in enumerate(name for name, of in kinds.items() if of == kind)}


def mark_path(marker: str) -> str:
    """Return a marker's outline as the ``d`` of an SVG path, 10 units wide about the origin."""
    if marker == "o":
        return "M-4.6 0A4.6 4.6 0 1 0 4.6 0A4.6 4.6 0 1 0 -4.6 0Z"
    points = _OUTLINES[marker]
    return "M" + "L".join(f"{x:.2f} {y:.2f}" for x, y in points) + "Z"


def _polygon(corners: int, radius: float, turn: float = 0.0, inner: float = 1.0) -> list[tuple[float, float]]:
    """Return the corners of a regular polygon, the first on top; with ``inner`` below 1 of a star."""
    count = corners if inner == 1 else 2 * corners
    radii = [radius if inner == 1 or not place % 2 else radius * inner for place in range(count)]
    angles = [math.radians(turn) + 2 * math.pi * place / count for place in range(count)]
    return [(r * math.sin(angle), -r * math.cos(angle)) for r, angle in zip(radii, angles, strict=True)]


_PLUS: Final = [
    (x, y)
    for x, y in (
        (-1.7, -5.0), (1.7, -5.0), (1.7, -1.7), (5.0, -1.7), (5.0, 1.7), (1.7, 1.7),
        (1.7, 5.0), (-1.7, 5.0), (-1.7, 1.7), (-5.0, 1.7), (-5.0, -1.7), (-1.7, -1.7),
    )
]  # fmt: skip
_OUTLINES: Final[Mapping[str, list[tuple[float, float]]]] = {
    "^": _polygon(3, 5.6),
    "v": _polygon(3, 5.6, 180),
    ">": _polygon(3, 5.6, 90),
    "<": _polygon(3, 5.6, 270),
    "D": _polygon(4, 5.2),
    "d": [(0.0, -5.6), (3.2, 0.0), (0.0, 5.6), (-3.2, 0.0)],
    "s": [(-4.2, -4.2), (4.2, -4.2), (4.2, 4.2), (-4.2, 4.2)],
    "p": _polygon(5, 5.2),
    "h": _polygon(6, 5.2),
    "8": _polygon(8, 5.2, 22.5),
    "*": _polygon(5, 6.0, 0, 0.45),
    "P": _PLUS,
}
