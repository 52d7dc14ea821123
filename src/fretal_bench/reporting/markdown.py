"""A whole report as Markdown."""

from __future__ import annotations

from fretal_bench.benchmark.runner.results import Results
from fretal_bench.reporting.anytime_tables import anytime_tables
from fretal_bench.reporting.calibration_tables import calibration_tables
from fretal_bench.reporting.comparison_words import comparison_tables
from fretal_bench.reporting.contents import (
    formula_table,
    matrices_of_all,
    quantity_tables,
    size_table,
    strategy_table,
)
from fretal_bench.reporting.formats import bullet, prose, to_markdown
from fretal_bench.reporting.further_tables import further_tables
from fretal_bench.reporting.inputs import left_out, shortcut_words
from fretal_bench.reporting.order_tables import order_tables
from fretal_bench.reporting.page.command import recipe_title
from fretal_bench.reporting.plots import plots
from fretal_bench.reporting.progress import problem_table, progress_table
from fretal_bench.reporting.robustness_tables import robustness_tables
from fretal_bench.reporting.several import folder_tables
from fretal_bench.reporting.summary import Summary
from fretal_bench.reporting.tables import Table
from fretal_bench.reporting.verdict import Verdict


def markdown(results: Results, summary: Summary, conclusion: Verdict) -> str:
    """Write the report as Markdown: verdict, tables, plots, matrices, protocol and what is missing."""
    stream, recipe = results.plan["stream"]["name"], recipe_title(results.plan["recipe"])
    seeds = ", ".join(map(str, summary.seeds))
    parts = [
        prose(f"# Which strategy forgets least? Stream {stream}, recipe {recipe}"),
        f"**{prose(conclusion.sentence)}**",
        "\n".join(map(bullet, conclusion.notes)),
        prose(
            f"Stream {summary.stream}. Domains in the order in which they are learned: "
            f"{', '.join(summary.domains)}. Seeds: {seeds}."
        ),
        "\n".join(bullet(f"Shortcut in {line}") for line in shortcut_words(results)),
        *(to_markdown(table) for table in (*quantity_tables(summary), *folder_tables(summary))),
        *(_folded(table) for table in comparison_tables(summary)),
        *(to_markdown(table) for table in calibration_tables(summary)),
        *(to_markdown(table) for table in (*further_tables(summary), *robustness_tables(summary))),
        *(to_markdown(table) for table in (*anytime_tables(summary), *order_tables(summary))),
        *(f"![{prose(plot.title)}](plots/{plot.name}.png)" for plot in plots(summary)),
    ]
    parts.extend(to_markdown(table) for pair in matrices_of_all(summary) for table in pair)
    parts.append(to_markdown(size_table(summary)))
    parts.append(to_markdown(strategy_table(summary)))
    if summary.problems:
        parts += [to_markdown(progress_table(summary.progress)), to_markdown(problem_table(summary.problems))]
    else:
        parts.append("No cell failed or is missing.")
    parts.append("\n".join(map(bullet, (*left_out(results), *summary.undefined))))
    parts.append(to_markdown(formula_table(summary)))
    return "\n\n".join(part.strip("\n") for part in parts if part) + "\n"


def _folded(table: Table) -> str:
    """Write a table that a reader opens, where Markdown is shown as GitHub shows it."""
    return f"<details><summary>{prose(table.title)}</summary>\n\n{to_markdown(table)}\n</details>"
