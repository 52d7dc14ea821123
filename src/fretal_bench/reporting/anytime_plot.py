"""The plot of courses: every domain's validation accuracy over the updates of the stream, a panel a strategy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from fretal_bench.reporting.anytime import Anytime
from fretal_bench.reporting.drawing import empty_figure, laid_out, style
from fretal_bench.reporting.palette import DASHES, DOMAIN_COLOURS
from fretal_bench.reporting.summary import Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_METRIC: Final = "accuracy"
_FEW: Final = 4
"""Panels up to which each is as wide as the page."""


def courses(summary: Summary, labels: Sequence[str] | None = None) -> Figure:
    """One panel a strategy, one line a domain; upright lines where a domain ends and the next one begins.

    Thin lines are seeds; the thick one is their mean, where all were judged at the same updates. A line that falls
    behind an upright one and comes back is a stability gap, one that stays down is forgetting.

    Args:
        summary: What ``summarize`` makes of results.
        labels: The strategies that are drawn; all that were watched if None.
    """
    anytime = summary.anytime
    if anytime is None:
        raise ValueError("no cell was watched while it was trained")
    labels = watched_labels(anytime) if labels is None else labels
    with style():
        columns = 1 if len(labels) <= _FEW else 2
        rows = math.ceil(len(labels) / columns)
        figure = empty_figure(8.6 if columns == 1 else 12.0, 0.9 + 1.75 * rows)
        axes = figure.subplots(rows, columns, sharey=True, squeeze=False)
        for at, panel in enumerate(axes.flat):
            if at >= len(labels):
                panel.set_visible(False)
                continue
            _draw(panel, anytime, labels[at], summary.domains, named=at < columns)
            panel.set_title(labels[at], loc="left", fontweight="bold", fontsize=9)
        handles, names = axes[0][0].get_legend_handles_labels()
        figure.legend(
            handles, names, loc="outside upper left", ncols=min(6, len(names)), fontsize=8, frameon=False
        )
        figure.supxlabel("updates of the stream", fontsize=9)
        figure.supylabel("validation accuracy", fontsize=9)
        return laid_out(figure)


def draw_watched(panel: Axes, summary: Summary, label: str) -> None:
    """Draw the panel of one strategy, with its legend; as ``courses``."""
    if summary.anytime is None:
        raise ValueError("no cell was watched while it was trained")
    _draw(panel, summary.anytime, label, summary.domains, named=False)
    panel.set_title(label, loc="left", fontweight="bold", fontsize=9)
    panel.set_xlabel("updates of the stream")
    panel.set_ylabel("validation accuracy")
    panel.legend(frameon=False, fontsize=8)


def watched_labels(anytime: Anytime) -> list[str]:
    """Return the strategies whose courses are more than the ends of domains."""
    return list(dict.fromkeys(cell.label for cell in anytime.cells if cell.of_cell.about.watched))


def _draw(panel: Axes, anytime: Anytime, label: str, domains: tuple[str, ...], *, named: bool) -> None:
    of_seeds = [cell.courses[_METRIC] for cell in anytime.cells if cell.label == label]
    first = of_seeds[0]
    alike = all(np.array_equal(course.updates, first.updates) for course in of_seeds)
    for domain, name in enumerate(domains):
        colour, dashes = (
            DOMAIN_COLOURS[domain % len(DOMAIN_COLOURS)],
            DASHES[domain // len(DOMAIN_COLOURS) % len(DASHES)],
        )
        if len(of_seeds) > 1:
            for course in of_seeds:
                panel.plot(
                    course.updates,
                    course.values[domain],
                    color=colour,
                    linestyle=dashes,
                    linewidth=0.6,
                    alpha=0.35,
                )
        values = (
            np.mean([course.values[domain] for course in of_seeds], axis=0) if alike else first.values[domain]
        )
        panel.plot(first.updates, values, color=colour, linestyle=dashes, linewidth=1.4, label=name)
    begun = 0
    for number, end in enumerate(first.ends):
        if number < len(first.ends) - 1:
            panel.axvline(end, color="#888888", linewidth=0.8, linestyle=(0, (4, 3)), zorder=0)
        if named:
            panel.annotate(
                f"learns {domains[number]}",
                ((begun + end) / 2, 1.0),
                xycoords=("data", "axes fraction"),
                ha="center",
                va="bottom",
                fontsize=7,
                color="#666666",
                annotation_clip=False,
            )
        begun = int(end)
    panel.set_xlim(0, int(first.ends[-1]))
    panel.grid(axis="y", color="#e4e4e4", linewidth=0.6)
    panel.set_axisbelow(True)
