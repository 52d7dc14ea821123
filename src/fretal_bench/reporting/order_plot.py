"""The plot of orders of the domains: every strategy's forgetting and average in each of them, as dots in a row."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Final

import numpy as np

from fretal_bench.reporting.drawing import empty_figure, laid_out, style
from fretal_bench.reporting.orders import COMPARED, Orders, Spread
from fretal_bench.reporting.palette import Look, looks
from fretal_bench.reporting.quantities import FORGETTING, Quantity
from fretal_bench.reporting.summary import Summary
from fretal_bench.reporting.tables import ARROWS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_HALF_ROW: Final = 0.3
"""How far from the middle of its row a dot may lie."""
_MOST_VECTORS: Final = 2000
"""Dots of a panel up to which an SVG holds each of them; more are one picture."""


def spread_over_orders(summary: Summary, labels: Collection[str] | None = None) -> Figure:
    """One row a strategy, one dot an order; the stream's own order is a diamond, the mean an upright line.

    An order lies at the same height in every row, so that a cloud of dots can be followed from row to row.

    Args:
        summary: What ``summarize`` makes of results.
        labels: The strategies that are drawn; all if None.
    """
    orders = summary.orders
    if orders is None:
        raise ValueError("a run in one order of the domains has no spread over orders")
    with style():
        count = len(_shown(orders, COMPARED[0], labels))
        figure = empty_figure(9.2, 1.15 + 0.38 * max(count, 2))
        panels = figure.subplots(1, len(COMPARED), sharey=True)
        look = looks(summary.strategies)
        for panel, name in zip(panels, COMPARED, strict=True):
            _draw(panel, orders, _shown(orders, name, labels), summary.quantities[name], look)
        _name_rows(panels[0], orders, _shown(orders, COMPARED[0], labels))
        return laid_out(figure)


def draw_orders(panel: Axes, summary: Summary, quantity: str, labels: Collection[str] | None = None) -> None:
    """Draw the panel of one of the quantities that are compared; other arguments as ``spread_over_orders``."""
    orders = summary.orders
    if orders is None:
        raise ValueError("a run in one order of the domains has no spread over orders")
    spreads = _shown(orders, quantity, labels)
    _draw(panel, orders, spreads, summary.quantities[quantity], looks(summary.strategies))
    _name_rows(panel, orders, spreads)


def _shown(orders: Orders, quantity: str, labels: Collection[str] | None) -> tuple[Spread, ...]:
    return tuple(of for of in orders.spreads[quantity] if labels is None or of.label in labels)


def _name_rows(panel: Axes, orders: Orders, spreads: tuple[Spread, ...]) -> None:
    panel.set_yticks(range(len(spreads)), [spread.label for spread in spreads])
    panel.set_ylim(len(spreads) - 0.5, -0.5)
    panel.set_title(
        f"A dot: one of {len(orders.orders)} orders. Diamond: the stream's own. Line: mean.",
        loc="left",
        fontsize=8,
        color="#555555",
    )


def _draw(
    panel: Axes, orders: Orders, spreads: tuple[Spread, ...], quantity: Quantity, look: Mapping[str, Look]
) -> None:
    """Draw one quantity."""
    heights = dict(zip((order.name for order in orders.orders), _heights(len(orders.orders)), strict=True))
    for row, spread in enumerate(spreads):
        _draw_row(panel, row, spread, heights, orders.own.name, look[spread.label])
    if quantity.name == FORGETTING:
        panel.axvline(0, color="#999999", linewidth=0.8, zorder=0)
    panel.grid(axis="x", color="#e4e4e4", linewidth=0.6)
    panel.set_axisbelow(True)
    panel.tick_params(axis="y", length=0)
    panel.set_xlabel(f"{quantity.title} {ARROWS[quantity.better]} ({quantity.better} is better)")


def _draw_row(panel: Axes, row: int, spread: Spread, heights: dict[str, float], own: str, look: Look) -> None:
    """Draw the dots of one strategy, its mean, and its own order above them."""
    names = [name for name in spread.values if name != own]
    panel.plot(
        [spread.values[name] for name in names],
        [row + heights[name] for name in names],
        color=look.colour,
        marker="o",
        linestyle="none",
        markersize=4 if len(names) <= 150 else 2,
        markerfacecolor=look.fill,
        alpha=0.6,
        rasterized=len(names) > _MOST_VECTORS,
        zorder=2,
    )
    if not math.isnan(spread.mean):
        panel.vlines(spread.mean, row - 0.38, row + 0.38, color=look.colour, linewidth=1.6, zorder=3)
    if own in spread.values:
        panel.plot(
            spread.values[own],
            row + heights[own],
            color="black",
            marker="D",
            linestyle="none",
            markersize=5,
            markerfacecolor=look.fill,
            zorder=4,
        )


def _heights(count: int) -> list[float]:
    """Spread orders evenly over a row, neighbours far apart: the golden ratio's multiples."""
    parts = (np.arange(count) * (math.sqrt(5) - 1) / 2 + 0.5) % 1
    return [float(height) for height in (2 * parts - 1) * _HALF_ROW]
