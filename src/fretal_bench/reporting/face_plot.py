"""The picture of faces that were forgotten: their crops side by side, with P(fake) then and now."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from fretal_bench.reporting.heat_maps import cell_text

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

ACROSS: Final = 6
"""Faces in a line."""
_GAP: Final = 0.08
_WORDS: Final = 0.24
"""Room for the words below a face, of its side."""


def lines_of(count: int) -> int:
    """Return in how many lines so many faces stand."""
    return math.ceil(count / ACROSS)


def draw_faces(panel: Axes, frames: pd.DataFrame, crops: Sequence[Any], title: str) -> None:
    """Draw the crops of frames in lines of six, each with its P(fake) right after learning and at the end.

    Args:
        panel: Where to; a face is one unit wide.
        frames: As ``Results.forgotten`` gives them.
        crops: Their pictures, uint8 [H, W, 3].
        title: Above them.
    """
    places = [divmod(number, ACROSS) for number in range(len(frames))]
    values = (frames[name].tolist() for name in ("then", "now", "seed"))
    for (line, across), crop, then, now, seed in zip(places, crops, *values, strict=True):
        x, y = across * (1 + _GAP), line * (1 + _WORDS)
        panel.imshow(np.asarray(crop), extent=(x, x + 1, y + 1, y), interpolation="nearest", zorder=1)
        words = f"{cell_text(then)} → {cell_text(now)}, seed {seed}"
        panel.text(x + 0.5, y + 1.03, words, ha="center", va="top", fontsize=7)
    width = min(ACROSS, len(frames)) * (1 + _GAP) - _GAP
    panel.set_xlim(0, width)
    panel.set_ylim(lines_of(len(frames)) * (1 + _WORDS), 0)
    panel.set_aspect("equal")
    panel.set_axis_off()
    panel.set_title(title, loc="left", fontsize=9)
