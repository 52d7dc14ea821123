"""The heat maps of a report: R and F of every strategy, one panel each, with the values in the cells.

All panels are drawn into one set of axes whose unit is the inch: axes of their own, laid out by measuring every text,
take seconds for twenty strategies.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from fretal_bench.metrics import registry
from fretal_bench.metrics.numbers import Floats
from fretal_bench.reporting.drawing import style
from fretal_bench.reporting.summary import StrategySummary, Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.figure import Figure

_GAP: Final = 0.2
_TITLE: Final = 0.24
_HEAD: Final = 0.75
"""Inches for the colour bar."""


def accuracy_matrices(summary: Summary, strategies: Sequence[StrategySummary] | None = None) -> Figure:
    """Heat maps of R, one panel a strategy, one colour scale; domains not learned yet are hatched.

    Args:
        summary: What ``summarize`` makes of results.
        strategies: Those that are drawn; all if None. The colours are the same.
    """
    return _heat_maps(summary, _accuracy(summary), strategies)


def forgetting_matrices(summary: Summary, strategies: Sequence[StrategySummary] | None = None) -> Figure:
    """Heat maps of F, one panel a strategy, one colour scale with 0 in its middle; as ``accuracy_matrices``."""
    return _heat_maps(summary, _forgetting(summary), strategies)


def draw_accuracy_matrix(axes: Axes, summary: Summary, strategy: StrategySummary) -> None:
    """Draw one strategy's heat map of R, by the colours of ``accuracy_matrices``."""
    _draw_map(axes, summary, _accuracy(summary), strategy)


def draw_forgetting_matrix(axes: Axes, summary: Summary, strategy: StrategySummary) -> None:
    """Draw one strategy's heat map of F, by the colours of ``forgetting_matrices``."""
    _draw_map(axes, summary, _forgetting(summary), strategy)


@dataclass(frozen=True, eq=False)
class _Maps:
    """What heat maps show.

    Attributes:
        tables: One a strategy, by its label.
        label: Of the colour bar.
        colours: The colour map.
        limits: Of the colours.
        unseen: Whether cells above the diagonal are of domains that are not learned yet.
    """

    tables: Mapping[str, Floats]
    label: str
    colours: str
    limits: tuple[float, float]
    unseen: bool

    def scale(self) -> ScalarMappable:
        """Return the colours by value."""
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import Normalize

        return ScalarMappable(Normalize(*self.limits), self.colours)


def _accuracy(summary: Summary) -> _Maps:
    higher = registry.find(summary.metric).higher_is_better
    tables = {strategy.label: strategy.accuracy.mean for strategy in summary.strategies}
    known = np.concatenate([table[np.isfinite(table)] for table in tables.values()])
    least, greatest = (known.min(), known.max()) if len(known) else (0.5, 0.5)
    # The suite's own metrics lie between 0 and 1; a plugin's may not.
    limits = (min(0.5, least), max(1.0, greatest)) if higher else (min(0.0, least), max(0.5, greatest))
    return _Maps(
        tables,
        label=f"{summary.metric_title} ({'higher' if higher else 'lower'} is better)",
        colours="cividis" if higher else "cividis_r",
        limits=limits,
        unseen=True,
    )


def _forgetting(summary: Summary) -> _Maps:
    tables = [strategy.forgetting.mean for strategy in summary.strategies]
    widest = max(0.05, *(float(np.nanmax(np.abs(t))) for t in tables if not np.isnan(t).all()), 0.0)
    return _Maps(
        {strategy.label: strategy.forgetting.mean[1:, :-1] for strategy in summary.strategies},
        label="forgetting (positive = got worse)",
        colours="PuOr_r",
        limits=(-widest, widest),
        unseen=False,
    )


@dataclass(frozen=True)
class _Layout:
    """Where panels stand, in inches from the upper left corner.

    Attributes:
        width: Of a cell.
        height: Of a cell.
        rows: Of a panel.
        columns: Of a panel.
        across: Panels in a line.
        lines: Lines of panels.
        names: Width of the domains' names beside the panels, and their height below them.
    """

    width: float
    height: float
    rows: int
    columns: int
    across: int
    lines: int
    names: float

    @classmethod
    def of(cls, count: int, rows: int, columns: int, longest: int) -> _Layout:
        """Lay out so many panels of so many rows and columns; names have ``longest`` characters at most."""
        cell = 0.52 if columns <= 6 else 0.42 if columns <= 8 else 0.34
        panel = min(12.0, max(1.9, cell * columns))
        lines = math.ceil(count / max(1, min(4, int(13 // (panel + 0.25)))))
        height = max(1.2, cell * rows) / rows
        return cls(
            panel / columns, height, rows, columns, math.ceil(count / lines), lines, 0.062 * longest + 0.1
        )

    def corner(self, at: int) -> tuple[float, float]:
        """Give the upper left corner of a panel's cells."""
        x = 0.35 + self.names + at % self.across * (self.width * self.columns + _GAP)
        return x, _HEAD + _TITLE + at // self.across * (self.height * self.rows + _GAP + _TITLE)

    @property
    def size(self) -> tuple[float, float]:
        """Width and height of the figure."""
        x, y = self.corner(self.across * self.lines - 1)
        right, bottom = x + self.width * self.columns, y + self.height * self.rows
        return max(right + 0.15, 4.2), bottom + 0.75 * self.names + 0.4


def _heat_maps(summary: Summary, maps: _Maps, strategies: Sequence[StrategySummary] | None) -> Figure:
    """Draw one heat map a strategy with its values in the cells and one colour bar for all."""
    from matplotlib.figure import Figure

    shown = summary.strategies if strategies is None else strategies
    tables = [maps.tables[strategy.label] for strategy in shown]
    rows, columns = tables[0].shape
    names = summary.domains[-rows:], summary.domains[:columns]
    with style():
        layout = _Layout.of(len(tables), rows, columns, max(map(len, summary.domains)))
        width, height = layout.size
        figure = Figure(figsize=(width, height))
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        axes.set_xlim(0, width)
        axes.set_ylim(height, 0)
        scale = maps.scale()
        corners = [layout.corner(at) for at in range(len(tables))]
        _draw_cells(axes, tables, corners, (layout.width, layout.height), scale, maps.unseen)
        for at, strategy in enumerate(shown):
            x, y = layout.corner(at)
            axes.text(x, y - 0.07, summary.marked(strategy), fontweight="bold", fontsize=9, gid=f"title-{at}")
            _draw_names(axes, layout, at, len(tables), names)
        axes.text(width / 2, height - 0.1, "tested on", ha="center", fontsize=8)
        bar = figure.add_axes((0.2 / width, 1 - 0.5 / height, min(3.2, width - 0.4) / width, 0.12 / height))
        figure.colorbar(scale, cax=bar, orientation="horizontal", ticklocation="top")
        bar.tick_params(labelsize=7.5)
        axes.text(0.2 + min(3.2, width - 0.4) + 0.15, 0.46, maps.label, fontsize=8.5)
        return figure


def _draw_map(axes: Axes, summary: Summary, maps: _Maps, strategy: StrategySummary) -> None:
    """Draw one heat map; a cell is one unit wide and high."""
    table = maps.tables[strategy.label]
    rows, columns = table.shape
    _draw_cells(axes, [table], [(0.0, 0.0)], (1.0, 1.0), maps.scale(), maps.unseen)
    axes.set_xlim(0, columns)
    axes.set_ylim(rows, 0)
    names = summary.domains[:columns]
    axes.set_xticks(np.arange(columns) + 0.5, names, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(np.arange(rows) + 0.5, summary.domains[-rows:])
    axes.tick_params(length=0)
    axes.set_xlabel("tested on")
    axes.set_ylabel("after training on")
    axes.set_title(summary.marked(strategy), loc="left", fontweight="bold")


def _draw_names(
    axes: Axes, layout: _Layout, at: int, count: int, names: tuple[Sequence[str], Sequence[str]]
) -> None:
    """Write the names of domains beside a panel on the left and below one that has none under it."""
    x, y = layout.corner(at)
    if at % layout.across == 0:
        for row, name in enumerate(names[0]):
            axes.text(x - 0.06, y + (row + 0.5) * layout.height, name, ha="right", va="center", fontsize=7.5)
        middle = y + layout.rows * layout.height / 2
        axes.text(0.2, middle, "after training on", rotation=90, ha="center", va="center", fontsize=8)
    if at + layout.across >= count:
        below = y + layout.rows * layout.height + 0.06
        for column, name in enumerate(names[1]):
            axes.text(
                x + (column + 0.5) * layout.width,
                below,
                name,
                rotation=45,
                ha="right",
                va="top",
                rotation_mode="anchor",
                fontsize=7.5,
            )


def _draw_cells(
    axes: Axes,
    tables: Sequence[Floats],
    corners: Sequence[tuple[float, float]],
    size: tuple[float, float],
    scale: ScalarMappable,
    unseen: bool,
) -> None:
    """Colour the cells and write each value, dark on light or light on dark; hatch the cells above the diagonal.

    Args:
        axes: Where to; y goes down.
        tables: The values, a panel each.
        corners: The upper left corner of each panel.
        size: Width and height of a cell.
        scale: The colours.
        unseen: Whether cells above the diagonal are of domains that are not learned yet.
    """
    from matplotlib.collections import PolyCollection

    squares, fills = [], []
    width, height = size
    for table, (left, top) in zip(tables, corners, strict=True):
        colours = scale.to_rgba(np.ma.masked_invalid(table))
        colours[np.isnan(table)] = 1.0
        early = np.triu(np.ones(table.shape, dtype=bool), k=1) & unseen
        colours[early] = 0.28 * colours[early] + 0.72
        for i, j in np.ndindex(*table.shape):
            x, y = left + j * width, top + i * height
            right, bottom = x + width, y + height
            squares.append([(x, y), (right, y), (right, bottom), (x, bottom)])
            fills.append(colours[i, j])
            _write(
                axes,
                (x + right) / 2,
                (y + bottom) / 2,
                float(table[i, j]),
                colours[i, j],
                bool(early[i, j]),
                unseen,
            )
        if early.any():
            _hatch(axes, (left, top), size, len(table))
    axes.add_collection(PolyCollection(squares, facecolors=fills, edgecolors="none", zorder=0.5))


def _hatch(axes: Axes, corner: tuple[float, float], size: tuple[float, float], count: int) -> None:
    """Hatch the stairs above the diagonal, as one outline."""
    stairs = [(i + 1.0, i + side) for i in range(count - 1) for side in (0.0, 1.0)]
    stairs += [(float(count), count - 1.0), (float(count), 0.0)]
    x, y = zip(*((corner[0] + a * size[0], corner[1] + b * size[1]) for a, b in stairs), strict=True)
    axes.fill(x, y, fill=False, hatch="////", edgecolor="#9aa3ad", linewidth=0, zorder=0.7)


def _write(
    axes: Axes,
    x: float,
    y: float,
    value: float,
    colour: npt.NDArray[np.float64],
    early: bool,
    unseen: bool,
) -> None:
    """Write a value in its cell."""
    if math.isnan(value) and not unseen:
        # F is not defined here; an undefined R is a dash.
        return
    light = float(colour[:3] @ (0.299, 0.587, 0.114)) > 0.5
    axes.text(
        x,
        y,
        cell_text(value),
        ha="center",
        va="center",
        fontsize=7.5,
        color="#444444" if early else "black" if light else "white",
        fontstyle="italic" if early else "normal",
    )


def cell_text(value: float) -> str:
    """Write a value with two decimals in little room: ``.93``, ``-.07``, ``1.0``, ``0``; a dash for NaN."""
    if math.isnan(value):
        return "–"
    text = f"{value:.2f}".replace("0.", ".", 1) if abs(value) < 0.995 else f"{value:.1f}"
    return text.replace("-", "−") if text.strip("-.0") else "0"
