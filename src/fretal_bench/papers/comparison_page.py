"""A comparison as one HTML file: the published shape, each cell shaded by how far what was measured lies from it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from fretal_bench.benchmark.runner.environment import installed_version
from fretal_bench.papers.comparison import Comparison
from fretal_bench.papers.comparison_tables import published_and_measured, side_by_side
from fretal_bench.papers.published import PublishedValue
from fretal_bench.papers.published_table import published_notes
from fretal_bench.reporting.page.page import style_sheet

_LIGHTEST: Final = 12
_DEEPEST: Final = 45
"""Shares of colour in a shaded cell, percent: text on the deepest keeps a contrast of 4.5:1 and more."""


@dataclass(frozen=True)
class Cell:
    """A cell of the table.

    Attributes:
        text: ``published | measured``; empty where the paper has no value.
        difference: Measured minus published, with its sign; empty where nothing was measured.
        mark: ``near`` within the tolerance, else ``above`` or ``below``; empty where no difference means anything.
        depth: How deep the shading of what lies beyond is, percent.
    """

    text: str = ""
    difference: str = ""
    mark: str = ""
    depth: int = 0


def comparison_page(comparison: Comparison) -> str:
    """Write the page; it has no script and loads nothing, and the same comparison gives the same bytes."""
    import jinja2

    table = comparison.table
    loader = jinja2.PackageLoader("fretal_bench.papers", ".")
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
    return environment.get_template("comparison.html.j2").render(
        style=style_sheet("base", "print"),
        name=table.name,
        kicker=_kicker(comparison),
        command=comparison.command,
        answer=comparison.label or comparison.agreement() or "Nothing of it was measured here.",
        legend=_legend(comparison),
        columns=table.columns,
        rows=[
            (method, [_cell(comparison, table.get(method, column)) for column in table.columns])
            for method in table.methods
        ],
        sections=(
            ("Not measured", comparison.reasons()),
            ("What is compared", [*side_by_side(comparison).notes, *comparison.notes]),
            ("The published values", published_notes(table)),
            ("To get the data", comparison.commands),
        ),
    )


def _kicker(comparison: Comparison) -> str:
    papers = "; ".join(comparison.table.distinct("paper"))
    seeds = ", ".join(map(str, comparison.seeds))
    made_by = f"fretal-bench {installed_version() or 'that is not installed'}"
    return " · ".join((papers, f"recipe {comparison.recipe}", f"seeds {seeds}", made_by))


def _legend(comparison: Comparison) -> str:
    if comparison.stand_in:
        return "Nothing is shaded: the data are not the paper's."
    return (
        f"Blue: within {comparison.within:g} of the published value. Orange: farther away, the deeper the farther; the "
        "sign says whether above or below."
    )


def _cell(comparison: Comparison, value: PublishedValue | None) -> Cell:
    if value is None:
        return Cell()
    text = published_and_measured(comparison, value)
    difference = comparison.difference(value)
    if math.isnan(difference):
        return Cell(text)
    words = f"{difference:+.{value.digits}f}".replace("-", "−")
    if comparison.stand_in:
        return Cell(text, words)
    if comparison.agrees(value):
        return Cell(text, words, "near")
    # Ten times the tolerance is as far as it gets.
    share = min(1.0, abs(difference) / (10 * comparison.within)) if comparison.within else 1.0
    depth = round(_LIGHTEST + (_DEEPEST - _LIGHTEST) * share)
    return Cell(text, words, "above" if difference > 0 else "below", depth)
