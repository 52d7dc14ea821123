"""The plot of test sets that were never trained on: every strategy at the end, and after the first domain."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from fretal_bench.metrics import registry
from fretal_bench.metrics.intervals import mean_interval
from fretal_bench.reporting.drawing import empty_figure, laid_out, style
from fretal_bench.reporting.further import Further
from fretal_bench.reporting.palette import Look, looks
from fretal_bench.reporting.summary import StrategySummary, Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def further_sets(summary: Summary, strategies: Sequence[StrategySummary] | None = None) -> Figure:
    """One panel a set, one row a strategy: the end with its interval, and a ring after the first domain.

    A line joins the two where both are means over the same seeds.

    Args:
        summary: What ``summarize`` makes of results.
        strategies: Those that are drawn; all if None.
    """
    further = summary.further
    if further is None:
        raise ValueError("no cell was judged on a test set that was never trained on")
    with style():
        look = looks(summary.strategies)
        shown = summary.strategies if strategies is None else strategies
        count = len(further.sets)
        rows = math.ceil(count / 3)
        columns = math.ceil(count / rows)
        height = 0.75 + 0.27 * max(len(shown), 2)
        figure = empty_figure(1.6 + 2.7 * columns, 0.35 + height * rows)
        axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for at, panel in enumerate(axes.flat):
            if at >= count:
                panel.set_visible(False)
                continue
            _draw(panel, summary, further, further.sets[at].name, shown, look)
            panel.tick_params(labelbottom=at + columns >= count)
        _name_rows(axes[0][0], summary, shown)
        figure.supxlabel(_axis_words(summary), fontsize=9)
        return laid_out(figure)


def draw_further_set(
    panel: Axes, summary: Summary, name: str, strategies: Sequence[StrategySummary] | None = None
) -> None:
    """Draw the panel of the set of that name; other arguments as ``further_sets``."""
    if summary.further is None:
        raise ValueError("no cell was judged on a test set that was never trained on")
    shown = summary.strategies if strategies is None else strategies
    _draw(panel, summary, summary.further, name, shown, looks(summary.strategies))
    _name_rows(panel, summary, shown)
    panel.set_xlabel(_axis_words(summary))


def _name_rows(panel: Axes, summary: Summary, shown: Sequence[StrategySummary]) -> None:
    panel.set_yticks(range(len(shown)), [summary.marked(s) for s in shown])
    panel.set_ylim(len(shown) - 0.5, -0.5)


def _axis_words(summary: Summary) -> str:
    better = "higher" if registry.find(summary.metric).higher_is_better else "lower"
    return f"{summary.metric_title} at {summary.level_words} ({better} is better)"


def _draw(
    panel: Axes,
    summary: Summary,
    further: Further,
    name: str,
    shown: Sequence[StrategySummary],
    look: Mapping[str, Look],
) -> None:
    """Draw one set."""
    for row, strategy in enumerate(shown):
        of = look[strategy.label]
        end, first = (
            further.by_seed(name, strategy.label, summary.metric, summary.level, when)
            for when in ("end", "first")
        )
        at_end, at_first = mean_interval(list(end.values())), mean_interval(list(first.values()))
        if end.keys() == first.keys():
            panel.plot(
                [at_first.mean, at_end.mean], [row, row], color=of.colour, linewidth=1, alpha=0.5, zorder=1
            )
        panel.plot(
            at_first.mean,
            row,
            color=of.colour,
            marker="o",
            linestyle="none",
            markersize=4,
            markerfacecolor="white",
            zorder=2,
        )
        if at_end.n > 2 and not math.isnan(at_end.mean):
            panel.errorbar(
                at_end.mean, row, xerr=at_end.half, color=of.colour, linewidth=1, capsize=2.5, alpha=0.6
            )
        panel.plot(
            at_end.mean,
            row,
            color=of.colour,
            marker=of.marker,
            linestyle="none",
            markersize=7,
            markerfacecolor=of.fill,
            zorder=3,
        )
    panel.set_title(name, loc="left", fontweight="bold")
    panel.grid(axis="x", color="#e4e4e4", linewidth=0.6)
    panel.set_axisbelow(True)
    panel.tick_params(axis="y", length=0)
