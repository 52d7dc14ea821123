"""The values of the HTML page: verdict, views, tables, plots, protocol; the templates beside it draw them."""

from __future__ import annotations

import datetime
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from fretal_bench.benchmark.runner.environment import installed_version
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
from fretal_bench.reporting.faces import faces_data, faces_of_all, faces_table
from fretal_bench.reporting.further_tables import further_tables
from fretal_bench.reporting.inputs import left_out, shortcut_words
from fretal_bench.reporting.order_tables import order_tables
from fretal_bench.reporting.page.command import recipe_title, run_commands
from fretal_bench.reporting.page.data import embedded, page_data
from fretal_bench.reporting.page.inline import inline_svg
from fretal_bench.reporting.plots import Plot
from fretal_bench.reporting.progress import problem_table, progress_table
from fretal_bench.reporting.robustness_tables import robustness_tables
from fretal_bench.reporting.several import folder_tables
from fretal_bench.reporting.summary import Summary
from fretal_bench.reporting.tables import ARROWS, Column, Number, Table, decimal, number_text
from fretal_bench.reporting.verdict import Verdict

if TYPE_CHECKING:
    from jinja2 import Template

    from fretal_bench.datasets.store.store import CropStore

MOST_BYTES: Final = 3_000_000
"""Of a page with its pictures of faces."""
_SCRIPTS: Final = ("core", "leaderboard", "tradeoff", "charts", "strategy", "pairs", "faces", "main")
_STYLES: Final = ("base", "views", "print")


@dataclass(frozen=True)
class Picture:
    """A plot in the page.

    Attributes:
        name: Of its file.
        title: Caption.
        svg: An element, with what a reader who cannot see it should know.
    """

    name: str
    title: str
    svg: str


@dataclass(frozen=True)
class CellsEnvironment:
    """What some cells were made with.

    Attributes:
        cells: Which cells, in a sentence.
        content: Versions, machine, commit.
    """

    cells: str
    content: Mapping[str, Any]


@dataclass(frozen=True)
class Faces:
    """The section of faces: what is shown, in a sentence, and the frames of every strategy counted."""

    words: str
    table: Table


def page(
    results: Results,
    summary: Summary,
    conclusion: Verdict,
    images: Sequence[tuple[Plot, bytes]],
    stores: Mapping[str, CropStore] | None = None,
) -> str:
    """Write the page.

    Args:
        results: Where protocol, recipe, environments and scores come from.
        summary: What the tables show.
        conclusion: The verdict, which comes first.
        images: Plots with their SVG.
        stores: The crop stores whose faces are shown, by checksum; None leaves faces out altogether.

    Returns:
        HTML with its style, script, data and pictures inside; it loads nothing.
    """
    data = page_data(results, summary)
    values = _values(results, summary, conclusion, images, data)
    template = _template()
    faces_known = faces_of_all(results, summary) if stores is not None else None
    if stores is None or (counted := faces_data(results, summary, {}, 0, faces_known)) is None:
        return template.render(values, faces=None, embedded=embedded(data))
    table = faces_table(summary, counted["counts"])

    def drawn(faces: Mapping[str, Any]) -> str:
        return template.render(
            values, faces=Faces(faces["words"], table), embedded=embedded({**data, "faces": faces})
        )

    if not stores:
        return drawn(counted)
    # The sentence above the pictures may grow.
    budget = MOST_BYTES - 1000 - len(drawn(counted).encode("utf-8"))
    pictured = faces_data(results, summary, stores, budget, faces_known)
    return drawn(counted if pictured is None else pictured)


def _values(
    results: Results,
    summary: Summary,
    conclusion: Verdict,
    images: Sequence[tuple[Plot, bytes]],
    data: Mapping[str, Any],
) -> dict[str, Any]:
    """Give what the template draws, but the faces and the data as text."""
    matrices = [
        (summary.marked(strategy), tables)
        for strategy, tables in zip(summary.strategies, matrices_of_all(summary), strict=True)
    ]

    def pictures(section: str) -> list[Picture]:
        return [
            Picture(plot.name, plot.title, inline_svg(plot.name, plot.words(summary), svg))
            for plot, svg in images
            if plot.section == section
        ]

    return {
        "style": style_sheet(*_STYLES),
        "script": _script(),
        "data": data,
        "has_forgetting": len(summary.domains) > 1,
        "rows": _rows(data),
        "kicker": kicker(results, summary),
        "commands": run_commands(results.plan),
        "stream": {k: v for k, v in results.plan["stream"].items() if k != "shortcuts"},
        "shortcuts": shortcut_words(results),
        "verdict": conclusion,
        "quantity_tables": (*folder_tables(summary), *quantity_tables(summary)[1:]),
        "folded_tables": (quantity_tables(summary)[0], metric_table(summary)),
        "folded_pairs": comparison_tables(summary),
        "calibration_tables": calibration_tables(summary),
        "further_tables": further_tables(summary),
        "robustness_tables": robustness_tables(summary),
        "further_plots": pictures("further"),
        "anytime_tables": anytime_tables(summary),
        "anytime_plots": pictures("anytime"),
        "order_tables": order_tables(summary),
        "order_plots": pictures("orders"),
        "scatter": pictures("tradeoff"),
        "plots": pictures("plots"),
        "matrices": matrices,
        "strategy_table": strategy_table(summary),
        "progress_table": progress_table(summary.progress) if summary.problems else None,
        "problem_table": problem_table(summary.problems) if summary.problems else None,
        "lists": {"Data left out": left_out(results), "Values that do not exist": summary.undefined},
        "size_table": size_table(summary),
        "recipe": results.plan["recipe"],
        "environments": environments(results),
        "formula_table": formula_table(summary),
    }


def style_sheet(*names: str) -> str:
    """Return style sheets of the page as one text: ``base``, ``views``, ``print``."""
    return "".join(_file("style", f"{name}.css") for name in names)


def _script() -> str:
    """Put the scripts into one, in a scope of its own."""
    parts = [_file("script", f"{name}.js") for name in _SCRIPTS]
    return '(() => {\n"use strict";\n' + "".join(parts) + "})();\n"


def _file(folder: str, name: str) -> str:
    return resources.files(__package__).joinpath(folder, name).read_text("utf-8")


def _rows(data: Mapping[str, Any]) -> list[int]:
    """Give the places of strategies as the leaderboard has them: by what is forgotten, bounds below."""
    view = data["views"][f"{data['metric']}/{data['level']}"]
    bounds = [at for at, strategy in enumerate(data["strategies"]) if strategy["kind"] == "bound"]
    ranked = [*view["ranked"]]
    others = [at for at in range(len(data["strategies"])) if at not in ranked and at not in bounds]
    return [*ranked, *others, *bounds]


def kicker(results: Results, summary: Summary) -> str:
    """Say of what the report is, how large that is, what made the results, and when the report was written."""
    seeds = "1 seed" if len(summary.seeds) == 1 else f"{len(summary.seeds)} seeds"
    domains = "1 domain" if len(summary.domains) == 1 else f"{len(summary.domains)} domains"
    orders = [] if summary.orders is None else [f"{len(summary.orders.orders)} orders"]
    made_by = {
        (environment.get("versions", {}).get("fretal-bench", "?"), environment.get("commit") or "")
        for cell in results.cells
        for environment in cell.environment.get("environments", [cell.environment])
    }
    first = " at ".join(filter(None, sorted(made_by)[0])) if made_by else "?"
    more = f" and {len(made_by) - 1} more versions" if len(made_by) > 1 else ""
    parts = (
        str(results.plan["stream"]["name"]),
        domains,
        *orders,
        seeds,
        f"recipe {recipe_title(results.plan['recipe'])}",
        f"made by fretal-bench {first}{more}",
        f"report of {_today()} by {installed_version() or 'a version that is not installed'}",
    )
    return " · ".join(parts)


def _today() -> str:
    """Return the date of the report; ``SOURCE_DATE_EPOCH`` stands for it where builds must be alike."""
    fixed = os.environ.get("SOURCE_DATE_EPOCH", "")
    utc = datetime.timezone.utc
    now = (
        datetime.datetime.fromtimestamp(int(fixed), utc) if fixed.isdecimal() else datetime.datetime.now(utc)
    )
    return now.date().isoformat()


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
    """Load the page's template; every value in it is escaped but style, script, data and plots."""
    import jinja2

    loader = jinja2.PackageLoader("fretal_bench.reporting.page", "templates")
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
    environment.filters["number"] = _number
    environment.filters["written"] = _written
    environment.filters["arrow"] = lambda better: f" {ARROWS[better]}".rstrip()
    environment.filters["placed"] = _placed
    return environment.get_template("page.html.j2")


def _number(number: Number, column: Column) -> str:
    """Write a number with a real minus sign."""
    return number_text(number, column).replace("-", "−")


def _written(value: float, digits: int) -> str:
    """Write a value with a real minus sign."""
    return decimal(value, digits).replace("-", "−")


def _placed(value: float, reach: Sequence[float]) -> float:
    """Place a value on an axis of 0 to 100 between two ends, at an end where it lies beyond."""
    low, high = reach
    return round(100 * (min(max(value, low), high) - low) / ((high - low) or 1.0), 1)
