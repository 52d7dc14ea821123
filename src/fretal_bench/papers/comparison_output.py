"""A comparison in a terminal, in the files of a report, and as plain data for programs."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fretal_bench import files
from fretal_bench.metrics.numbers import or_none
from fretal_bench.papers.comparison import Comparison
from fretal_bench.papers.comparison_page import comparison_page
from fretal_bench.papers.comparison_tables import difference_table, side_by_side
from fretal_bench.papers.published import as_rows
from fretal_bench.papers.published_table import print_table, published_notes
from fretal_bench.reporting.formats import bullet, code, prose, to_csv, to_markdown
from fretal_bench.reporting.latex import to_latex
from fretal_bench.reporting.tables import Column, Row, Table, drawn_width

if TYPE_CHECKING:
    from rich.console import Console


def plain_comparison(comparison: Comparison) -> dict[str, Any]:
    """Give a comparison as plain data for ``json.dumps``; a value that does not exist is None."""
    rows = []
    for value, row in zip(comparison.table.values, as_rows(comparison.table), strict=True):
        measured, interval = comparison.measured[(value.method, value.column)], comparison.interval(value)
        del row["value"]
        rows.append(
            {
                **row,
                "published": value.number,
                "measured": or_none(interval.mean),
                "low": or_none(interval.low),
                "high": or_none(interval.high),
                "difference": or_none(comparison.difference(value)),
                "agrees": None if measured.reason else comparison.agrees(value),
                "by_seed": {str(seed): or_none(number) for seed, number in measured.values.items()},
                "at_chance": measured.at_chance,
                "reason": measured.reason,
            }
        )
    return {
        "table": comparison.table.name,
        "label": comparison.label,
        "stand_in": comparison.stand_in or None,
        "recipe": comparison.recipe,
        "seeds": list(comparison.seeds),
        "measures": comparison.measures,
        "within": comparison.within,
        "agreement": comparison.agreement() or None,
        "notes": list(comparison.notes),
        "commands": list(comparison.commands),
        "values": rows,
    }


def write_comparison(comparison: Comparison, out: str | os.PathLike[str]) -> tuple[Path, ...]:
    """Write ``index.html``, ``summary.md``, ``comparison.csv`` and, for a page and for a column, both tables as LaTeX.

    The same comparison gives the same bytes.

    Returns:
        The files.

    Raises:
        BenchError: The folder cannot be written.
        RunError: There is no space left.
    """
    folder, long = Path(out), difference_table(comparison)
    contents = {
        "index.html": comparison_page(comparison),
        "summary.md": markdown(comparison),
        "comparison.csv": _labelled_csv(comparison, long),
        "comparison.tex": to_latex(long),
        "comparison-narrow.tex": to_latex(long, narrow=True),
        "side-by-side.tex": to_latex(side_by_side(comparison)),
        "side-by-side-narrow.tex": to_latex(side_by_side(comparison, intervals=False), narrow=True),
    }
    for name, content in contents.items():
        files.write(folder / name, content, remedy="move what is in the way, or work in another folder")
    return tuple(folder / name for name in contents)


def markdown(comparison: Comparison) -> str:
    """Write the comparison as Markdown: the label, both tables, what was not measured, sources, how to make it again."""
    parts = [
        prose(f"# {comparison.table.name}: published and measured"),
        f"**{prose(comparison.label)}**" if comparison.label else "",
        prose(comparison.agreement()),
        to_markdown(side_by_side(comparison)),
        to_markdown(difference_table(comparison)),
        "\n".join(map(bullet, comparison.reasons())),
        "\n".join(map(bullet, published_notes(comparison.table))),
        f"Made by {code(comparison.command)}." if comparison.command else "",
    ]
    return "\n\n".join(part.strip("\n") for part in parts if part) + "\n"


def print_comparison(comparison: Comparison, console: Console, full: bool = False) -> None:
    """Print the comparison in its published shape, or a row a value where that has one row or column.

    Args:
        comparison: The comparison.
        console: Where to; too narrow for the published shape, its intervals are left out.
        full: Both shapes.
    """
    from rich.text import Text

    if comparison.label:
        console.print(Text(comparison.label, style="bold yellow"))
    has_shape = len(comparison.table.columns) > 1 and len(comparison.table.methods) > 1
    if has_shape:
        wide = side_by_side(comparison)
        fits = drawn_width(wide) <= console.width
        shaped = wide if fits else side_by_side(comparison, intervals=False)
        print_table(replace(shaped, notes=() if full else (*shaped.notes, *comparison.notes)), console)
    if full or not has_shape:
        print_table(difference_table(comparison), console)
    for line in comparison.reasons():
        console.print(Text(f"- {line}"))
    if comparison.agreement():
        console.print(Text(comparison.agreement(), style="bold"))


def _labelled_csv(comparison: Comparison, table: Table) -> str:
    """The long table as CSV; every line says on what data it was measured, since lines are copied without heads."""
    values = comparison.table.values
    more = (
        Column("recipe", "recipe"),
        Column("measured_on", "measured on"),
        Column("not_measured", "not measured"),
    )
    data = f"{comparison.stand_in}, not the paper's data" if comparison.stand_in else "the paper's data"
    rows = tuple(
        Row((*row.cells, comparison.recipe, data, comparison.measured[(value.method, value.column)].reason))
        for row, value in zip(table.rows, values, strict=True)
    )
    return to_csv(Table(table.name, table.title, (*table.columns, *more), rows))
