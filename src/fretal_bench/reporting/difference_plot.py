"""The plot of differences: what every other strategy has more than one, with intervals, told apart or not."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from fretal_bench.reporting.inference import Comparison
from fretal_bench.reporting.palette import looks
from fretal_bench.reporting.quantities import BACKWARD
from fretal_bench.reporting.summary import StrategySummary, Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def differences_from(summary: Summary, reference: str, quantity: str) -> dict[str, Comparison]:
    """Return what every other strategy has more than one of them, by label, in the order of the ranking.

    Args:
        summary: What ``summarize`` makes of results.
        reference: The label of the one that is subtracted.
        quantity: One that ``summary.inference`` has. Of ``backward_transfer`` it is forgetting (-BWT) that is compared,
            so that what is positive forgets more.
    """
    of = summary.inference[quantity]
    differences = {}
    for label in of.ranked:
        pair = (reference, label) if quantity == BACKWARD else (label, reference)
        if label != reference:
            differences[label] = of.between(*pair)
    return differences


def draw_differences(
    panel: Axes, summary: Summary, reference: str, quantity: str, strategies: Sequence[StrategySummary]
) -> None:
    """One row a strategy, best first: its difference from ``reference`` with the 95% interval over people and seeds.

    Filled marks are told apart from it after Holm's correction over all pairs of the summary, open ones are not.

    Args:
        panel: Where to.
        summary: What ``summarize`` makes of results.
        reference: The label of the one that is subtracted.
        quantity: As for ``differences_from``.
        strategies: Those that are drawn.
    """
    look, labels = looks(summary.strategies), {strategy.label for strategy in strategies}
    differences = differences_from(summary, reference, quantity)
    rows = [(label, of) for label, of in differences.items() if label in labels]
    for row, (label, of) in enumerate(rows):
        effect, own = of.effect, look[label]
        if not math.isnan(effect.low):
            panel.hlines(row, effect.low, effect.high, color=own.colour, linewidth=1.2, zorder=2)
        panel.plot(
            effect.mean,
            row,
            color=own.colour,
            marker=own.marker,
            markersize=7,
            linestyle="none",
            markerfacecolor=own.fill if of.told_apart else "white",
            zorder=3,
        )
    marked = {strategy.label: summary.marked(strategy) for strategy in summary.strategies}
    panel.set_yticks(range(len(rows)), [marked[label] for label, _ in rows])
    panel.set_ylim(max(len(rows), 1) - 0.5, -0.5)
    panel.axvline(0, color="#999999", linewidth=0.8, zorder=0)
    panel.grid(axis="x", color="#e4e4e4", linewidth=0.6)
    panel.set_axisbelow(True)
    panel.tick_params(axis="y", length=0)
    title = "forgetting (-BWT)" if quantity == BACKWARD else summary.quantities[quantity].title
    panel.set_xlabel(f"{title} minus that of {reference}")
    panel.set_title(
        "Filled: told apart (Holm). Lines: 95% intervals.", loc="left", fontsize=8, color="#555555"
    )
