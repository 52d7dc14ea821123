"""The values of the HTML page: verdict, tables, plots, protocol, recipe, environments; ``page.html.j2`` draws them."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any

from fretal_bench.benchmark.runner.results import Results
from fretal_bench.reporting.anytime_tables import anytime_tables
from fretal_bench.reporting.calibration_tables import calibration_tables
from fretal_bench.reporting.comparison_words import comparison_tables
from fretal_bench.reporting.contents import (
    formula_table,
    matrices_of_all,
    metric_table,
    quantity_tables,
    size_table,
    strategy_table,
)
from fretal_bench.reporting.further_tables import further_tables
from fretal_bench.reporting.inputs import left_out, shortcut_words
from fretal_bench.reporting.order_tables import order_tables
from fretal_bench.reporting.plots import Plot
from fretal_bench.reporting.progress import problem_table, progress_table
from fretal_bench.reporting.robustness_tables import robustness_tables
from fretal_bench.reporting.summary import Summary
from fretal_bench.reporting.tables import Column, Number, number_text
from fretal_bench.reporting.verdict import Verdict

if TYPE_CHECKING:
    from jinja2 import Template


@dataclass(frozen=True)
class Picture:
    """A plot in the page.

    Attributes:
        title: Caption.
        text: What a reader who cannot see it should know.
        data: The SVG in base64. As an image of its own, its names cannot clash with those of another.
    """

    title: str
    text: str
    data: str


@dataclass(frozen=True)
class CellsEnvironment:
    """What some cells were made with.

    Attributes:
        cells: Which cells, in a sentence.
        content: Versions, machine, commit.
    """

    cells: str
    content: Mapping[str, Any]


def page(
    results: Results, summary: Summary, conclusion: Verdict, images: Sequence[tuple[Plot, bytes]]
) -> str:
    """Write the page.

    Args:
        results: Where protocol, recipe and environments come from.
        summary: What the tables show.
        conclusion: The verdict, which comes first.
        images: Plots with their SVG.

    Returns:
        HTML with its style and pictures inside; it loads nothing and runs nothing.
    """
    return _template().render(
        style=resources.files(__package__).joinpath("report.css").read_text("utf-8"),
        stream={key: value for key, value in results.plan["stream"].items() if key != "shortcuts"},
        shortcuts=shortcut_words(results),
        size=_size(summary),
        verdict=conclusion,
        quantity_tables=quantity_tables(summary),
        folded_tables=(*comparison_tables(summary), metric_table(summary)),
        calibration_tables=calibration_tables(summary),
        further_tables=further_tables(summary),
        robustness_tables=robustness_tables(summary),
        further_plots=_pictures(images, "further"),
        anytime_tables=anytime_tables(summary),
        anytime_plots=_pictures(images, "anytime"),
        order_tables=order_tables(summary),
        plots=_pictures(images, "plots"),
        order_plots=_pictures(images, "orders"),
        matrices=matrices_of_all(summary),
        strategy_table=strategy_table(summary),
        progress_table=progress_table(summary.progress) if summary.problems else None,
        problem_table=problem_table(summary.problems) if summary.problems else None,
        lists={"Data left out": left_out(results), "Values that do not exist": summary.undefined},
        size_table=size_table(summary),
        recipe=results.plan["recipe"],
        environments=environments(results),
        formula_table=formula_table(summary),
    )


def _pictures(images: Sequence[tuple[Plot, bytes]], section: str) -> list[Picture]:
    """Give the plots of a section of the page."""
    return [
        Picture(plot.title, plot.text, base64.b64encode(svg).decode("ascii"))
        for plot, svg in images
        if plot.section == section
    ]


def environments(results: Results) -> tuple[CellsEnvironment, ...]:
    """Give the environments of the cells, each once, with the cells that it made."""
    contents: list[dict[str, Any]] = []
    cells: list[list[str]] = []
    for cell in results.cells:
        content = {key: value for key, value in cell.environment.items() if key not in ("phases", "seed")}
        if content not in contents:
            contents.append(content)
            cells.append([])
        cells[contents.index(content)].append(f"{cell.label}, seed {cell.seed}")
    if len(contents) == 1:
        return (CellsEnvironment("All cells.", contents[0]),)
    return tuple(
        CellsEnvironment(f"{len(names)} of {len(results.cells)} cells: {'; '.join(names)}.", content)
        for content, names in zip(contents, cells, strict=True)
    )


def _template() -> Template:
    """Load the page's template; every value in it is escaped but the style sheet."""
    import jinja2

    loader = jinja2.PackageLoader("fretal_bench.reporting", "")
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
    environment.filters["number"] = _number
    return environment.get_template("page.html.j2")


def _number(number: Number, column: Column) -> str:
    """Write a number with a real minus sign."""
    return number_text(number, column).replace("-", "−")


def _size(summary: Summary) -> str:
    """Say how large the benchmark is."""
    seeds = "1 seed" if len(summary.seeds) == 1 else f"{len(summary.seeds)} seeds"
    domains = "1 domain" if len(summary.domains) == 1 else f"{len(summary.domains)} domains"
    orders = "" if summary.orders is None else f"{len(summary.orders.orders)} orders · "
    return f"{domains} · {orders}{seeds} · {summary.metric_title} at {summary.level_words}"
