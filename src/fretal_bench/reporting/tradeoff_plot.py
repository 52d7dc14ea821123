"""The plot of forgetting against learning: one point a strategy, with the intervals of both."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from fretal_bench.metrics import registry
from fretal_bench.metrics.inference import Effect
from fretal_bench.reporting.chance import at_chance
from fretal_bench.reporting.drawing import empty_figure, style
from fretal_bench.reporting.palette import Look, kind_of, looks
from fretal_bench.reporting.placement import Rectangle, place
from fretal_bench.reporting.quantities import BACKWARD, LEARNING
from fretal_bench.reporting.summary import StrategySummary, Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAME_SIZE = 8.5
CROWD: Final = 8
"""Of more strategies than these intervals are thin lines behind the points, and names may cross them."""
_LABEL: Final = 0.12
"""Width of the label of a line of equal average, as a share of the panel's."""


def forgetting_against_learning(
    summary: Summary, strategies: Sequence[StrategySummary] | None = None
) -> Figure:
    """Draw ``draw_tradeoff`` into a figure of its own; arguments as there."""
    with style():
        figure = empty_figure(*((8.6, 6.2) if _crowded(summary.strategies, strategies) else (6.4, 4.6)))
        draw_tradeoff(figure.subplots(), summary, strategies)
        # It was laid out for the names; written with an engine it would be drawn twice.
        figure.set_layout_engine(None)
        return figure


def draw_tradeoff(panel: Axes, summary: Summary, strategies: Sequence[StrategySummary] | None = None) -> None:
    """One point a strategy: forgetting (-BWT) to the right, learning upwards; the best corner is the upper left.

    Bars are 95% intervals of ``reporting.inference``. The average at the end is ``learning - (T - 1) / T forgetting``, so
    that strategies on one of the slanted lines end alike. Names in bold: the one that forgets least and those not told
    apart from it, where any is. The figure is laid out, since names are put where no name covers another.

    Args:
        panel: Where to.
        summary: What ``summarize`` makes of results.
        strategies: Those that are drawn; all if None.
    """
    higher = registry.find(summary.metric).higher_is_better
    shown = summary.strategies if strategies is None else strategies
    crowded = _crowded(summary.strategies, strategies)
    points = _points(summary, shown)
    look = looks(summary.strategies)
    for point in points:
        _draw_point(panel, point, look[point.label], faint=crowded)
    panel.axvline(0, color="#999999", linewidth=0.8, zorder=0)
    panel.grid(color="#e4e4e4", linewidth=0.6)
    panel.set_axisbelow(True)
    panel.margins(0.14)
    if crowded and points:
        _limit_to_points(panel, points)
    _limit_to_rates(panel, [point.y.mean for point in points])
    panel.set_xlabel("forgetting (-BWT; ← lower is better)")
    panel.set_ylabel(
        f"learning {summary.metric_title} ({'higher is better →' if higher else '← lower is better'})"
    )
    present = dict.fromkeys(kind_of(s) for s in shown)
    marks = {
        "none": "▲ ◆ keep no old samples",
        "samples": "● ★ keep some",
        "bound": "□ bounds, not ranked",
    }
    legend = "    ".join(words for kind, words in marks.items() if kind in present)
    panel.set_title(legend, loc="left", fontsize=8, color="#555555")
    if points:
        _draw_averages(panel, len(summary.domains), higher, _are_rates([point.y.mean for point in points]))
    # A figure in a figure is laid out with the whole.
    whole: Any = panel.figure.figure
    whole.draw_without_rendering()
    _name_points(whole, panel, points, bars=not crowded)


def _crowded(every: Sequence[StrategySummary], shown: Sequence[StrategySummary] | None) -> bool:
    """Whether intervals are faint lines, so that points and names are seen."""
    return sum(not strategy.bound for strategy in (every if shown is None else shown)) > CROWD


@dataclass(frozen=True)
class _Point:
    """A strategy in a plot: its name there, and its place with intervals."""

    label: str
    name: str
    x: Effect
    y: Effect
    bold: bool


def _points(summary: Summary, shown: Sequence[StrategySummary]) -> list[_Point]:
    """Give the strategies that have both, forgetting as -BWT."""
    forgetting, learning = (summary.inference[name].levels for name in (BACKWARD, LEARNING))
    first = summary.inference[BACKWARD].best_without(at_chance(summary))
    points = []
    for strategy in shown:
        x, y = forgetting.get(strategy.label), learning.get(strategy.label)
        if x is None or y is None or math.isnan(x.mean) or math.isnan(y.mean):
            continue
        around = replace(x, mean=-x.mean, low=-x.high, high=-x.low)
        points.append(_Point(strategy.label, summary.marked(strategy), around, y, strategy.label in first))
    return points


def _draw_point(panel: Axes, point: _Point, look: Look, faint: bool) -> None:
    """Draw the point of a strategy with its intervals as bars, of many strategies as faint ones behind all points."""
    x, y = point.x, point.y
    for of in (x, y):
        if not math.isnan(of.low):
            reach = [[of.mean - of.low], [of.high - of.mean]]
            panel.errorbar(
                x.mean,
                y.mean,
                xerr=reach if of is x else None,
                yerr=reach if of is y else None,
                color=look.colour,
                linewidth=0.7 if faint else 1,
                capsize=0 if faint else 2.5,
                alpha=0.4 if faint else 0.55,
                zorder=1,
            )
    panel.plot(
        x.mean,
        y.mean,
        color=look.colour,
        marker=look.marker,
        markersize=7.5,
        linestyle="none",
        markerfacecolor=look.fill,
        zorder=3,
    )


def _draw_averages(panel: Axes, domains: int, higher: bool, are_rates: bool) -> None:
    """Draw lines of equal average at the end of the stream, each with its value where it leaves the panel.

    Args:
        panel: Where to.
        domains: T.
        higher: Whether a higher value of the metric is better.
        are_rates: Whether values are rates, so that there is no average outside of [0, 1].
    """
    from matplotlib.ticker import MaxNLocator

    (left, right), (bottom, top) = panel.get_xlim(), panel.get_ylim()
    slope = (domains - 1) / domains * (1 if higher else -1)
    ends = [y - slope * x for x in (left, right) for y in (bottom, top)]
    for value in MaxNLocator(6).tick_values(min(ends), max(ends)):
        if are_rates and not 0 <= value <= 1:
            continue
        panel.axline((0, float(value)), slope=slope, color="#c3cbd3", linewidth=0.7, linestyle=":", zorder=0)
        y = float(value) + slope * right
        x = right if bottom < y < top else (top - float(value)) / slope
        # A label ends where its line leaves the panel; one that would begin outside is left out.
        if left + _LABEL * (right - left) < x <= right and bottom < value + slope * x <= top:
            panel.annotate(
                f"average {value:.2f}",
                xy=(x, float(value) + slope * x),
                xytext=(-3, -8),
                textcoords="offset points",
                ha="right",
                fontsize=6.5,
                color="#8a949e",
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
                zorder=0.5,
            )
    panel.set_xlim(left, right)
    panel.set_ylim(bottom, top)


def _name_points(figure: Figure, panel: Axes, points: Sequence[_Point], bars: bool) -> None:
    """Write each strategy's name next to its point, with a thin line where it is far away."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    to_points = 72 / figure.dpi

    def at(x: float, y: float) -> tuple[float, float]:
        spot = panel.transData.transform((x, y)) * to_points
        return float(spot[0]), float(spot[1])

    centres, sizes, obstacles = [], [], []
    for point in points:
        centres.append(at(point.x.mean, point.y.mean))
        font = FontProperties(weight="bold" if point.bold else "normal")
        width = TextPath((0, 0), point.name, size=NAME_SIZE, prop=font).get_extents().width
        sizes.append((width + 2, NAME_SIZE + 3))
        if bars and not math.isnan(point.x.low):
            (left, middle), (right, _) = at(point.x.low, point.y.mean), at(point.x.high, point.y.mean)
            obstacles.append(Rectangle(left, middle - 1, right, middle + 1))
        if bars and not math.isnan(point.y.low):
            (centre, bottom), (_, top) = at(point.x.mean, point.y.low), at(point.x.mean, point.y.high)
            obstacles.append(Rectangle(centre - 1, bottom, centre + 1, top))
    area = panel.get_window_extent()
    frame = Rectangle(area.x0 * to_points, area.y0 * to_points, area.x1 * to_points, area.y1 * to_points)
    for point, (x0, y0), where in zip(
        points, centres, place(centres, sizes, frame, 10.0, obstacles), strict=True
    ):
        box = where.box
        panel.annotate(
            point.name,
            xy=(point.x.mean, point.y.mean),
            xytext=(box.left + 1 - x0, (box.bottom + box.top) / 2 - y0),
            textcoords="offset points",
            va="center",
            fontsize=NAME_SIZE,
            fontweight="bold" if point.bold else "normal",
            arrowprops={"arrowstyle": "-", "color": "#888888", "linewidth": 0.6} if where.led else None,
            zorder=4,
        )


def _limit_to_rates(panel: Axes, means: Sequence[float]) -> None:
    """Cut the axis at 0 and 1 if all means lie there: with two seeds an interval can reach far beyond."""
    low, high = panel.get_ylim()
    if _are_rates(means):
        panel.set_ylim(max(low, -0.03), min(high, 1.03))


def _are_rates(means: Sequence[float]) -> bool:
    """Whether all means lie between 0 and 1."""
    return all(0 <= mean <= 1 for mean in means)


def _limit_to_points(panel: Axes, points: Sequence[_Point]) -> None:
    """Let the points choose the axes, where the intervals of many strategies would push them together."""
    for means, limit in (
        ([p.x.mean for p in points], panel.set_xlim),
        ([p.y.mean for p in points], panel.set_ylim),
    ):
        low, high = min(means), max(means)
        margin = 0.14 * max(high - low, 0.02)
        limit(low - margin, high + margin)
