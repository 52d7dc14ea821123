"""The plots of a report: matrices, the course of each domain, forgetting against learning.

Every function returns a matplotlib figure; nothing touches pyplot or its global state, so plots can be made
in any process.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from fretal_bench.metrics import registry
from fretal_bench.metrics.inference import Effect
from fretal_bench.metrics.numbers import Floats
from fretal_bench.reporting.anytime_plot import courses, watched_labels
from fretal_bench.reporting.drawing import empty_figure, laid_out, style
from fretal_bench.reporting.further_plot import further_sets
from fretal_bench.reporting.order_plot import spread_over_orders
from fretal_bench.reporting.palette import Look, looks
from fretal_bench.reporting.placement import Rectangle, place
from fretal_bench.reporting.quantities import BACKWARD, LEARNING
from fretal_bench.reporting.summary import StrategySummary, Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.figure import Figure

NAME_SIZE = 8.5
MOST_BANDS = 6
# More lines than these in one panel look alike: then only a few are coloured, bars are left to the tables.
MOST_COLOURED = 8
COLOURED_OF_MANY = 5
OTHERS = "#c9c9c9"
# With two seeds Student's t makes an interval 12.7 standard errors wide on either side: bands would fill the panels.
WITHOUT_BANDS = 2
_LABEL: Final = 0.12
"""Width of the label of a line of equal average, as a share of the panel's."""


@dataclass(frozen=True)
class Plot:
    """A plot as a report writes it.

    Attributes:
        name: Short name for files.
        title: Caption.
        text: What a reader who cannot see it should know.
        draw: Makes the figure.
        section: Which section of the page it stands in.
    """

    name: str
    title: str
    text: str
    draw: Callable[[Summary], Figure]
    section: str = "plots"


def accuracy_matrices(summary: Summary) -> Figure:
    """Heat maps of R, one panel a strategy, one colour scale; domains not learned yet are hatched."""
    higher = registry.find(summary.metric).higher_is_better
    tables = [strategy.accuracy.mean for strategy in summary.strategies]
    least, greatest = _least(tables), -_least([-table for table in tables])
    # The suite's own metrics lie between 0 and 1; a plugin's may not.
    limits = (min(0.5, least), max(1.0, greatest)) if higher else (min(0.0, least), max(0.5, greatest))
    return _heat_maps(
        summary,
        tables,
        label=f"{summary.metric_title} ({'higher' if higher else 'lower'} is better)",
        colours="cividis" if higher else "cividis_r",
        limits=limits,
        unseen=True,
    )


def forgetting_matrices(summary: Summary) -> Figure:
    """Heat maps of F, one panel a strategy, one colour scale with 0 in its middle."""
    tables = [strategy.forgetting.mean for strategy in summary.strategies]
    widest = max(0.05, *(float(np.nanmax(np.abs(t))) for t in tables if not np.isnan(t).all()), 0.0)
    return _heat_maps(
        summary,
        [table[1:, :-1] for table in tables],
        label="forgetting (positive = got worse)",
        colours="PuOr_r",
        limits=(-widest, widest),
        unseen=False,
    )


def domain_courses(summary: Summary) -> Figure:
    """The metric on each domain along the stream: one panel a domain, one line a strategy.

    Bands are 95% intervals over people and seeds (not of two seeds, which would fill the panels), where there are at most
    six strategies; the upright line marks the step at which the domain is learned, steps before it are shaded. Of more
    than eight competitors the five that forget least are coloured, the others grey.
    """
    with style():
        coloured = _coloured(summary)
        count = len(summary.domains)
        columns = min(4, count)
        rows = math.ceil(count / columns)
        legend_rows = math.ceil(len(coloured) / 4)
        height = 2.35 * rows + 0.6 + 0.2 * legend_rows
        figure = empty_figure(max(5.2, 2.7 * columns + 0.4), height)
        axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        look = looks([(s.label, s.bound) for s in coloured])
        for j, panel in enumerate(axes.flat):
            if j >= count:
                panel.set_visible(False)
                continue
            _draw_course(panel, summary, j, look)
            if j + columns >= count:
                panel.tick_params(labelbottom=True)
            if j % columns == 0:
                panel.set_ylabel(summary.metric_title)
        _limit_to_means(axes[0][0], summary)
        handles, labels = axes[0][0].get_legend_handles_labels()
        figure.legend(
            handles, labels, loc="outside upper left", ncols=min(4, len(labels)), frameon=False, fontsize=8.5
        )
        figure.supxlabel("after training on", fontsize=9)
        return laid_out(figure)


def _draw_course(panel: Axes, summary: Summary, j: int, look: Mapping[str, Look]) -> None:
    """Draw the lines of all strategies on domain ``j``; those without a look are grey."""
    count = len(summary.domains)
    others = Look(OTHERS, "", "solid", OTHERS)
    steps = np.arange(-1, count)
    panel.axvspan(-1.3, j, color="#f1f1f1", linewidth=0, zorder=0)
    panel.axvline(j, color="#888888", linewidth=1, zorder=1)
    for strategy in summary.strategies:
        of = look.get(strategy.label, others)
        mean = np.append(strategy.baseline.mean[j], strategy.accuracy.mean[:, j])
        half = np.append(strategy.baseline.half[j], strategy.accuracy.half[:, j])
        panel.plot(
            steps,
            mean,
            color=of.colour,
            marker=of.marker,
            linestyle=of.dashes,
            markersize=4.5,
            markerfacecolor=of.fill,
            linewidth=1.4 if strategy.label in look else 0.8,
            label=summary.marked(strategy) if strategy.label in look else "_",
            zorder=1.5 if strategy.label not in look else 2 if strategy.bound else 3,
        )
        if len(summary.strategies) <= MOST_BANDS and len(strategy.seeds) != WITHOUT_BANDS:
            panel.fill_between(steps, mean - half, mean + half, color=of.colour, alpha=0.15, linewidth=0)
    panel.set_title(summary.domains[j], loc="left", fontweight="bold")
    panel.grid(axis="y", color="#dddddd", linewidth=0.6)
    panel.set_axisbelow(True)
    panel.set_xlim(-1.3, count - 0.7)
    panel.set_xticks(
        steps, [summary.before, *summary.domains], rotation=45, ha="right", rotation_mode="anchor"
    )
    panel.tick_params(labelsize=7.5)


def forgetting_against_learning(summary: Summary) -> Figure:
    """One point a strategy: forgetting (-BWT) to the right, learning upwards; the best corner is the upper left.

    Bars are 95% intervals of ``reporting.inference``. The average at the end is ``learning - (T - 1) / T forgetting``, so
    that strategies on one of the slanted lines end alike. Names in bold: the one that forgets least and those not told
    apart from it, where any is.
    """
    higher = registry.find(summary.metric).higher_is_better
    with style():
        crowded = len(_coloured(summary)) < len(summary.strategies)
        figure = empty_figure(*((8.6, 6.2) if crowded else (6.4, 4.6)))
        panel = figure.subplots()
        points = _points(summary)
        look = looks([(s.label, s.bound) for s in summary.strategies])
        for point in points:
            _draw_point(panel, point, look[point.label], bars=not crowded)
        panel.axvline(0, color="#999999", linewidth=0.8, zorder=0)
        panel.grid(color="#e4e4e4", linewidth=0.6)
        panel.set_axisbelow(True)
        panel.margins(0.14)
        _limit_to_rates(panel, [point.y.mean for point in points])
        panel.set_xlabel("forgetting (-BWT; ← lower is better)")
        panel.set_ylabel(
            f"learning {summary.metric_title} ({'higher is better →' if higher else '← lower is better'})"
        )
        if any(s.bound for s in summary.strategies):
            panel.set_title(
                "Open marks: bounds, which are not ranked.", loc="left", fontsize=8, color="#555555"
            )
        if points:
            _draw_averages(
                panel, len(summary.domains), higher, _are_rates([point.y.mean for point in points])
            )
            _name_points(figure, panel, points, bars=not crowded)
        return figure


@dataclass(frozen=True)
class _Point:
    """A strategy in a plot: its name there, and its place with intervals."""

    label: str
    name: str
    x: Effect
    y: Effect
    bold: bool


def _points(summary: Summary) -> list[_Point]:
    """Give the strategies that have both, forgetting as -BWT."""
    forgetting, learning = (summary.inference[name].levels for name in (BACKWARD, LEARNING))
    first = summary.inference[BACKWARD].best
    points = []
    for strategy in summary.strategies:
        x, y = forgetting.get(strategy.label), learning.get(strategy.label)
        if x is None or y is None or math.isnan(x.mean) or math.isnan(y.mean):
            continue
        around = replace(x, mean=-x.mean, low=-x.high, high=-x.low)
        points.append(_Point(strategy.label, summary.marked(strategy), around, y, strategy.label in first))
    return points


def _draw_point(panel: Axes, point: _Point, look: Look, bars: bool) -> None:
    """Draw the point of a strategy, with its intervals as bars if asked."""
    x, y = point.x, point.y
    for of in (x, y):
        if bars and not math.isnan(of.low):
            reach = [[of.mean - of.low], [of.high - of.mean]]
            panel.errorbar(
                x.mean,
                y.mean,
                xerr=reach if of is x else None,
                yerr=reach if of is y else None,
                color=look.colour,
                linewidth=1,
                capsize=2.5,
                alpha=0.55,
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


PLOTS = (
    Plot(
        "forgetting-against-learning",
        "Forgetting (-BWT) against learning; bars (up to 8 strategies): 95% intervals. Bold: not told apart from the one "
        "that forgets least. Dotted: the same average at the end of the stream.",
        "One point a strategy; the numbers are in the first table.",
        forgetting_against_learning,
    ),
    Plot(
        "domain-courses",
        "Each domain along the stream, shaded until it is learned; bands (up to 6 strategies, not of 2 seeds): 95% "
        "intervals. Of more than 8 strategies the 5 that forget least are coloured.",
        "One panel a domain, one line a strategy; the numbers are in the matrices.",
        domain_courses,
    ),
    Plot(
        "accuracy-matrices",
        "Row: after training on; column: tested on. Hatched, in italics: domains not learned yet.",
        "One heat map a strategy; the numbers are in the matrices.",
        accuracy_matrices,
    ),
    Plot(
        "forgetting-matrices",
        "Row: after training on; column: tested on. Positive: worse than the best since it was learned.",
        "One heat map a strategy; the numbers are in the matrices.",
        forgetting_matrices,
    ),
)
FURTHER = Plot(
    "further",
    "Test sets that were never trained on, at the end of the stream; a ring: after the first domain alone. Bars (3 seeds "
    "or more): 95% intervals over seeds.",
    "One panel a test set, one row a strategy; the numbers are in the tables.",
    further_sets,
    section="further",
)
ORDERS = Plot(
    "orders",
    "Every order of the domains: one row a strategy, one dot an order, the mean over seeds.",
    "One row a strategy, one dot an order; the numbers are in orders.csv.",
    spread_over_orders,
    section="orders",
)


ANYTIME = Plot(
    "courses",
    "Validation people of every domain while the stream is learned; an upright line where a domain ends. A line that "
    "falls there and comes back is a stability gap, one that stays down is forgetting. Thin lines: seeds.",
    "One panel a strategy, one line a domain; the numbers are in courses.csv.",
    courses,
    section="anytime",
)


def plots(summary: Summary) -> tuple[Plot, ...]:
    """Give the plots that the summary has something for: one domain has no forgetting."""
    further = (FURTHER,) if summary.further is not None else ()
    orders = (ORDERS,) if summary.orders is not None and summary.orders.comparable else ()
    anytime = (ANYTIME,) if summary.anytime is not None and watched_labels(summary.anytime) else ()
    return (*(PLOTS if len(summary.domains) > 1 else PLOTS[1:3]), *further, *anytime, *orders)


def _heat_maps(
    summary: Summary,
    tables: list[Floats],
    label: str,
    colours: str,
    limits: tuple[float, float],
    unseen: bool,
) -> Figure:
    """Draw one heat map a strategy with its values in the cells and one colour bar for all."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    with style():
        rows_of, columns_of = tables[0].shape
        names = summary.domains[-rows_of:], summary.domains[:columns_of]
        cell = 0.52 if columns_of <= 6 else 0.42 if columns_of <= 8 else 0.34
        panel_width = min(12.0, max(1.9, cell * columns_of))
        most = min(4, int(13 // (panel_width + 0.25)))
        rows = math.ceil(len(tables) / most)
        columns = math.ceil(len(tables) / rows)
        longest = 0.062 * max(map(len, summary.domains))
        figure = empty_figure(
            columns * (panel_width + 0.2) + longest + 1.3,
            rows * (max(1.2, cell * rows_of) + 0.35) + longest + 0.25,
        )
        # All have the same limits and ticks; shared axes would look one another up at every turn.
        axes = figure.subplots(rows, columns, squeeze=False)
        scale = ScalarMappable(Normalize(*limits), colours)
        for at, panel in enumerate(axes.flat):
            if at >= len(tables):
                panel.set_visible(False)
                continue
            _draw_cells(panel, tables[at], scale, unseen)
            panel.set_title(summary.marked(summary.strategies[at]), loc="left", fontweight="bold", fontsize=9)
            panel.set_xticks(range(columns_of), names[1], rotation=45, ha="right", rotation_mode="anchor")
            panel.set_yticks(range(rows_of), names[0])
            lowest, first = at + columns >= len(tables), at % columns == 0
            panel.tick_params(labelsize=7.5, length=0, labelbottom=lowest, labelleft=first)
            panel.spines[:].set_visible(False)
            if first:
                panel.set_ylabel("after training on", fontsize=8)
        figure.supxlabel("tested on", fontsize=8)
        figure.colorbar(
            scale,
            ax=axes.ravel().tolist(),
            label=label,
            location="top",
            shrink=min(1.0, 3.2 / figure.get_figwidth()),
            aspect=28,
            anchor=(0.0, 0.0),
            pad=0.02,
        )
        return laid_out(figure)


def _draw_cells(panel: Axes, table: Floats, scale: ScalarMappable, unseen: bool) -> None:
    """Colour the cells and write each value, dark on light or light on dark; hatch the cells above the diagonal."""
    colours = scale.to_rgba(np.ma.masked_invalid(table))
    colours[np.isnan(table)] = 1.0
    early = np.triu(np.ones(table.shape, dtype=bool), k=1) if unseen else np.zeros(table.shape, dtype=bool)
    colours[early] = 0.28 * colours[early] + 0.72
    panel.imshow(colours, aspect="auto", interpolation="none")
    if early.any():
        count = len(table)
        # The stairs above the diagonal, as one outline.
        stairs = [(i + 0.5, i + side) for i in range(count - 1) for side in (-0.5, 0.5)]
        stairs += [(count - 0.5, count - 1.5), (count - 0.5, -0.5)]
        panel.fill(*zip(*stairs, strict=True), fill=False, hatch="////", edgecolor="#9aa3ad", linewidth=0)
    size = 7.5 if table.shape[1] <= 8 else 6.5
    for i, j in np.ndindex(*table.shape):
        value = float(table[i, j])
        if math.isnan(value) and not unseen:
            # F is not defined here; an undefined R is a dash.
            continue
        light = float(colours[i, j, :3] @ (0.299, 0.587, 0.114)) > 0.5
        panel.text(
            j,
            i,
            _cell_text(value),
            ha="center",
            va="center",
            fontsize=size,
            color="#444444" if early[i, j] else "black" if light else "white",
            fontstyle="italic" if early[i, j] else "normal",
            # Never wider than its cell: measuring it would only make the layout slow.
            in_layout=False,
        )


def _cell_text(value: float) -> str:
    """Write a value with two decimals in little room: ``.93``, ``-.07``, ``1.0``, ``0``; a dash for NaN."""
    if math.isnan(value):
        return "–"
    text = f"{value:.2f}".replace("0.", ".", 1) if abs(value) < 0.995 else f"{value:.1f}"
    return text.replace("-", "−") if text.strip("-.0") else "0"


def _coloured(summary: Summary) -> list[StrategySummary]:
    """Give the strategies that get a colour of their own: all, or of too many the bounds and those that forget least."""
    competitors = [s for s in summary.strategies if not s.bound]
    if len(competitors) <= MOST_COLOURED:
        return list(summary.strategies)
    of = summary.inference.get(BACKWARD)
    least = () if of is None else of.ranked[:COLOURED_OF_MANY]
    return [s for s in summary.strategies if s.bound or s.label in least]


def _name_points(figure: Figure, panel: Axes, points: Sequence[_Point], bars: bool) -> None:
    """Write each strategy's name next to its point, with a thin line where it is far away."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    laid_out(figure)
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


def _limit_to_means(panel: Axes, summary: Summary) -> None:
    """Let the means choose the axis: with two or three seeds an interval can reach far beyond 0 and 1."""
    means = [part for s in summary.strategies for part in (s.accuracy.mean.ravel(), s.baseline.mean)]
    low, high = _least(means), -_least([-part for part in means])
    margin = 0.06 * max(high - low, 0.1)
    panel.set_ylim(low - margin, high + margin)


def _least(tables: list[Floats]) -> float:
    """Lowest value of all; 0.5 if there is none."""
    values = np.concatenate([table.ravel() for table in tables])
    return float(np.nanmin(values)) if not np.isnan(values).all() else 0.5
