"""One HTML page with everything in it: verdict, tables, plots, protocol, recipe, environment. No file beside it."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib import resources
from typing import Any

from fretal_bench.reporting.contents import (
    formula_table,
    matrix_tables,
    problem_table,
    quantity_tables,
    size_table,
    strategy_table,
)
from fretal_bench.reporting.formats import to_html
from fretal_bench.reporting.inputs import ResultsLike, one_line
from fretal_bench.reporting.plots import Plot
from fretal_bench.reporting.summary import Summary
from fretal_bench.reporting.verdict import Verdict

SECTIONS = {
    "result": "Result",
    "plots": "Plots",
    "matrices": "Matrices",
    "cells": "Cells, and what is missing",
    "protocol": "Protocol",
    "recipe": "Recipe",
    "environment": "Environment",
    "formulas": "Formulas",
}


def page(results: ResultsLike, summary: Summary, said: Verdict, images: Sequence[tuple[Plot, bytes]]) -> str:
    """Write the page.

    Args:
        results: Where protocol, recipe and environment come from.
        summary: What the tables show.
        said: The verdict, which comes first.
        images: Plots with their SVG.

    Returns:
        HTML with its style and pictures inside; it loads nothing and runs nothing.
    """
    stream = str(results.plan.get("stream", {}).get("name", "stream"))
    bodies = {
        "result": "".join(to_html(table) for table in quantity_tables(summary)),
        "plots": "".join(_plot(plot, image) for plot, image in images),
        "matrices": _matrices(summary),
        "cells": _cells(results, summary),
        "protocol": to_html(size_table(summary)) + _values(results.plan.get("stream", {})),
        "recipe": _values(results.plan.get("recipe", {})),
        "environment": environments(results),
        "formulas": to_html(formula_table(summary)),
    }
    links = "".join(f'<a href="#{key}">{html.escape(title)}</a>' for key, title in SECTIONS.items())
    sections = "".join(
        f'<section id="{key}"><h2>{html.escape(SECTIONS[key])}</h2>\n{body}</section>\n'
        for key, body in bodies.items()
    )
    notes = "".join(f"<li>{html.escape(note)}</li>" for note in said.notes)
    style = resources.files(__package__).joinpath("report.css").read_text("utf-8")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>fretal-bench: {html.escape(stream)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
        f'<header><p class="kicker">fretal-bench · {html.escape(stream)} · {_size(summary)}</p>\n'
        "<h1>Which strategy forgets least?</h1>\n"
        f'<div class="verdict"><p>{html.escape(said.sentence)}</p>{f"<ul>{notes}</ul>" if notes else ""}</div>\n'
        f"<nav>{links}</nav></header>\n<main>\n{sections}</main>\n</body>\n</html>\n"
    )


def left_out(plan: Mapping[str, Any]) -> list[str]:
    """Say how many videos, frames or faces the stream's stores left out, by reason.

    Looks for lists or counts called ``failures``, ``left_out`` or ``skipped`` in the plan's stream and in its
    domains.
    """
    stream = plan.get("stream", {})
    domains = [entry for entry in stream.get("domains", ()) if isinstance(entry, Mapping)]
    lines: list[str] = []
    for owner in (stream, *domains):
        for key in ("failures", "left_out", "skipped"):
            found = owner.get(key)
            if not found:
                continue
            counts: dict[str, int] = {}
            if isinstance(found, Mapping):
                counts = {str(reason): int(count) for reason, count in found.items()}
            elif isinstance(found, int):
                counts = {key.replace("_", " "): found}
            else:
                for entry in found:
                    reason = entry.get("reason", "no reason") if isinstance(entry, Mapping) else entry
                    counts[one_line(reason)] = counts.get(one_line(reason), 0) + 1
            name = owner.get("name", "stream")
            lines.extend(f"{name}: {count} left out: {reason}" for reason, count in sorted(counts.items()))
    return lines


def environments(results: ResultsLike) -> str:
    """Write the environments of the cells, each once, with the cells that it made."""
    made: dict[str, list[str]] = {}
    for cell in results.cells:
        shown = {key: value for key, value in cell.environment.items() if key not in ("phases", "seed")}
        made.setdefault(_values(shown), []).append(f"{cell.label}, seed {cell.seed}")
    parts = []
    for text, cells in made.items():
        whose = (
            "All cells."
            if len(made) == 1
            else f"{len(cells)} of {len(results.cells)} cells: {'; '.join(cells)}."
        )
        parts.append(f"<p>{html.escape(whose)}</p>{text}")
    return "".join(parts)


def _size(summary: Summary) -> str:
    """Say how large the benchmark is."""
    seeds = "1 seed" if len(summary.seeds) == 1 else f"{len(summary.seeds)} seeds"
    domains = "1 domain" if len(summary.domains) == 1 else f"{len(summary.domains)} domains"
    metric = html.escape(f"{summary.metric_title} at {summary.level} level")
    return f"{domains} · {seeds} · {metric}"


def _plot(plot: Plot, svg: bytes) -> str:
    """Embed a picture; as an image of its own, the names inside it cannot clash with those of another."""
    data = base64.b64encode(svg).decode("ascii")
    return (
        f'<figure class="plot"><img src="data:image/svg+xml;base64,{data}" alt="{html.escape(plot.text)}">\n'
        f"<figcaption>{html.escape(plot.title)}</figcaption></figure>\n"
    )


def _matrices(summary: Summary) -> str:
    """Write both matrices of each strategy side by side."""
    parts = []
    for number, strategy in enumerate(summary.strategies):
        pair = matrix_tables(summary, strategy)
        drawn = "".join(to_html(table if number == 0 else replace(table, notes=())) for table in pair)
        parts.append(f'<div class="pair">{drawn}</div>')
    return "".join(parts)


def _cells(results: ResultsLike, summary: Summary) -> str:
    """Write which cells there are, which are not and why, and what data and values are missing."""
    parts = [to_html(strategy_table(summary))]
    if summary.problems:
        parts.append(f'<div class="alert">{to_html(problem_table(summary))}</div>')
    else:
        parts.append("<p>No cell failed or is missing.</p>")
    for title, lines in (
        ("Data left out", left_out(results.plan)),
        ("Values that do not exist", list(summary.undefined)),
    ):
        if lines:
            items = "".join(f"<li>{html.escape(line)}</li>" for line in lines)
            parts.append(f"<p>{title}:</p><ul>{items}</ul>")
    return "".join(parts)


def _values(value: Any) -> str:
    """Write plain data as nested lists of keys and values."""
    if isinstance(value, Mapping):
        rows = "".join(
            f"<dt>{html.escape(str(key))}</dt><dd>{_values(item)}</dd>" for key, item in value.items()
        )
        return f"<dl>{rows}</dl>"
    if isinstance(value, (list, tuple)):
        if any(isinstance(item, Mapping) for item in value):
            return "".join(
                f"<details><summary>{_name(item, n)}</summary>{_values(item)}</details>"
                for n, item in enumerate(value, 1)
            )
        return html.escape(", ".join(str(item) for item in value))
    return html.escape("none" if value is None else str(value))


def _name(item: Any, number: int) -> str:
    """Name an entry of a list."""
    return html.escape(str(item.get("name", number)) if isinstance(item, Mapping) else str(number))
