"""The plot of courses along the stream: the metric on every domain after every step, one line a strategy."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from fretal_bench.metrics.numbers import Floats
from fretal_bench.reporting.drawing import empty_figure, laid_out, style
from fretal_bench.reporting.palette import Look, looks
from fretal_bench.reporting.quantities import BACKWARD
from fretal_bench.reporting.summary import StrategySummary, Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_COLOURED: Final = 8
"""Of more competitors than these only some are coloured: more lines in one panel look alike."""
LEAST_OF_MANY: Final = 4
BASELINE: Final = "finetuning"
OTHERS: Final = "#c9c9c9"
WITHOUT_BANDS: Final = 2
"""With so many seeds Student's t makes an interval 12.7 standard errors wide: bands would fill the panels."""
MOST_BANDS: Final = 6


def domain_courses(summary: Summary, strategies: Sequence[StrategySummary] | None = None) -> Figure:
    """The metric on each domain along the stream: one panel a domain, one line a strategy.

    Bands are 95% intervals over people and seeds, from when the domain is learned (not of two seeds, which would fill the
    panels); the upright line marks that step, steps before it are shaded. Of more than eight competitors the four that
    forget least and fine-tuning are coloured and have bands, the others are grey.

    Args:
        summary: What ``summarize`` makes of results.
        strategies: Those that are drawn, all of them coloured; all if None.
    """
    with style():
        shown = summary.strategies if strategies is None else strategies
        coloured = _coloured(summary) if strategies is None else strategies
        count = len(summary.domains)
        columns = min(4, count)
        rows = math.ceil(count / columns)
        legend_rows = math.ceil(len(coloured) / 4)
        height = 2.35 * rows + 0.6 + 0.2 * legend_rows
        figure = empty_figure(max(5.2, 2.7 * columns + 0.4), height)
        axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        look = looks(summary.strategies)
        for j, panel in enumerate(axes.flat):
            if j >= count:
                panel.set_visible(False)
                continue
            _draw_course(panel, summary, j, shown, {s.label: look[s.label] for s in coloured})
            if j + columns >= count:
                panel.tick_params(labelbottom=True)
            if j % columns == 0:
                panel.set_ylabel(summary.metric_title)
        _limit_to_means(axes[0][0], shown)
        handles, labels = axes[0][0].get_legend_handles_labels()
        figure.legend(
            handles, labels, loc="outside upper left", ncols=min(4, len(labels)), frameon=False, fontsize=8.5
        )
        figure.supxlabel("after training on", fontsize=9)
        return laid_out(figure)


def draw_domain_course(
    panel: Axes, summary: Summary, domain: int, strategies: Sequence[StrategySummary] | None = None
) -> None:
    """Draw the panel of one domain, with its legend and limits of its own; arguments as ``domain_courses``."""
    shown = summary.strategies if strategies is None else strategies
    coloured = _coloured(summary) if strategies is None else strategies
    look = looks(summary.strategies)
    _draw_course(panel, summary, domain, shown, {s.label: look[s.label] for s in coloured})
    _limit_to_means(panel, shown)
    panel.set_xlabel("after training on")
    panel.set_ylabel(summary.metric_title)
    panel.legend(frameon=False, fontsize=8)


def _draw_course(
    panel: Axes, summary: Summary, j: int, shown: Sequence[StrategySummary], look: Mapping[str, Look]
) -> None:
    """Draw the lines of strategies on domain ``j``; those without a look are grey."""
    count = len(summary.domains)
    others = Look(OTHERS, "", "solid", OTHERS)
    steps = np.arange(-1, count)
    panel.axvspan(-1.3, j, color="#f1f1f1", linewidth=0, zorder=0)
    panel.axvline(j, color="#888888", linewidth=1, zorder=1)
    for strategy in shown:
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
        banded = strategy.label in look and (len(look) <= MOST_BANDS or not strategy.bound)
        if banded and len(look) <= MOST_COLOURED and len(strategy.seeds) != WITHOUT_BANDS:
            alpha = 0.15 if len(look) <= MOST_BANDS else 0.1
            # Before a domain is learned all strategies lie on one another, and so would their bands.
            known = slice(j + 1, None)
            ends = (mean - half)[known], (mean + half)[known]
            panel.fill_between(steps[known], *ends, color=of.colour, alpha=alpha, linewidth=0)
    panel.set_title(summary.domains[j], loc="left", fontweight="bold")
    panel.grid(axis="y", color="#dddddd", linewidth=0.6)
    panel.set_axisbelow(True)
    panel.set_xlim(-1.3, count - 0.7)
    panel.set_xticks(
        steps, [summary.before, *summary.domains], rotation=45, ha="right", rotation_mode="anchor"
    )
    panel.tick_params(labelsize=7.5)


def _coloured(summary: Summary) -> list[StrategySummary]:
    """Give the strategies that are coloured: all, or of too many the bounds, fine-tuning, and those that forget least."""
    competitors = [s for s in summary.strategies if not s.bound]
    if len(competitors) <= MOST_COLOURED:
        return list(summary.strategies)
    of = summary.inference.get(BACKWARD)
    ranked = () if of is None else of.ranked
    least = {*[label for label in ranked if label != BASELINE][:LEAST_OF_MANY], BASELINE}
    return [s for s in summary.strategies if s.bound or s.label in least]


def _limit_to_means(panel: Axes, shown: Sequence[StrategySummary]) -> None:
    """Let the means choose the axis: with two or three seeds an interval can reach far beyond 0 and 1."""
    means = [part for s in shown for part in (s.accuracy.mean.ravel(), s.baseline.mean)]
    low, high = _least(means), -_least([-part for part in means])
    margin = 0.06 * max(high - low, 0.1)
    panel.set_ylim(low - margin, high + margin)


def _least(tables: list[Floats]) -> float:
    """Lowest value of all; 0.5 if there is none."""
    values = np.concatenate([table.ravel() for table in tables])
    return float(np.nanmin(values)) if not np.isnan(values).all() else 0.5
