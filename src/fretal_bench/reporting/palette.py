"""Colours, markers and line styles of plots: one look a strategy, distinct without colour too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

# Okabe and Ito's colours, which colour-blind readers tell apart; their yellow is too pale for lines on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = (
    "o",
    "s",
    "^",
    "D",
    "v",
    "P",
    "X",
    "<",
    ">",
    "h",
    "*",
    "p",
    "d",
    "8",
    "H",
    "1",
    "2",
    "3",
    "4",
    "+",
    "x",
)
DASHES: tuple[str | tuple[int, tuple[int, ...]], ...] = (
    "solid",
    (0, (5, 2)),
    (0, (1, 1)),
    (0, (6, 2, 1, 2)),
    (0, (3, 1, 1, 1, 1, 1)),
)
BOUND_COLOURS = ("#6b6b6b", "#9a9a9a")
BOUND_MARKERS = ("o", "s")


@dataclass(frozen=True)
class Look:
    """How a strategy is drawn; ``fill`` is the colour of its marks."""

    colour: str
    marker: str
    dashes: str | tuple[int, tuple[int, ...]]
    fill: str


def looks(strategies: Sequence[tuple[str, bool]]) -> dict[str, Look]:
    """Give every strategy its look.

    Args:
        strategies: Label and whether it is a bound, in the report's order. Bounds are grey, with open marks.

    Returns:
        Label -> look; no two competitors share colour and line style, and no two of the first 21 share a
        marker.
    """
    chosen: dict[str, Look] = {}
    competitors = bounds = 0
    for label, bound in strategies:
        if bound:
            dashes = DASHES[(1 + bounds) % len(DASHES)]
            chosen[label] = Look(BOUND_COLOURS[bounds % 2], BOUND_MARKERS[bounds % 2], dashes, "white")
            bounds += 1
        else:
            colour = COLOURS[competitors % len(COLOURS)]
            dashes = DASHES[competitors // len(COLOURS) % len(DASHES)]
            chosen[label] = Look(colour, MARKERS[competitors % len(MARKERS)], dashes, colour)
            competitors += 1
    return chosen
