"""The report on one screen of a terminal: one table, the best strategy first, and the answer as the last line."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Final

from fretal_bench.metrics.numbers import NAN
from fretal_bench.reporting.anytime_tables import anytime_tables
from fretal_bench.reporting.chance import at_chance, chance_words, letters
from fretal_bench.reporting.contents import name_cells, name_columns
from fretal_bench.reporting.further_tables import further_tables
from fretal_bench.reporting.order_tables import order_tables
from fretal_bench.reporting.progress import progress_table
from fretal_bench.reporting.quantities import AVERAGE, BACKWARD, LEARNING
from fretal_bench.reporting.robustness_tables import robustness_tables
from fretal_bench.reporting.several import folder_tables
from fretal_bench.reporting.summary import StrategySummary, Summary
from fretal_bench.reporting.tables import Column, Number, Row, Table, fitted, to_rich
from fretal_bench.reporting.verdict import Verdict

if TYPE_CHECKING:
    from rich.console import Console

_COLUMNS: Final = (
    Column("forgetting", "forgetting", "lower"),
    Column("learning", "learned", "higher"),
    Column("average", "at the end", "higher"),
    Column("missed_fakes", "missed fakes", "lower"),
    Column("false_alarms", "false alarms", "lower"),
)


def short_table(summary: Summary) -> Table:
    """Make the table: the strategies from the one that forgets least on, then those that are not ranked, then bounds.

    Forgetting is -BWT; missed fakes and false alarms are 1 minus the accuracy on fakes and on reals at the end, mean over
    domains at frame level. Strategies that share a letter are not told apart.
    """
    of = summary.inference.get(BACKWARD)
    luckless = at_chance(summary)
    ranked = [] if of is None else [label for label in of.ranked if label not in luckless]
    groups = {} if of is None or not of.comparisons else letters(summary)
    places = {label: place for place, label in enumerate(ranked)}
    strategies = sorted(summary.strategies, key=lambda s: (s.bound, places.get(s.label, len(places))))
    tied = (Column("ties", "ties"),) if groups else ()
    rows = []
    for strategy in strategies:
        group = (groups.get(strategy.label, ""),) if groups else ()
        rows.append(Row((*name_cells(summary, strategy), *group, *_numbers(strategy)), apart=strategy.bound))
    notes: tuple[str, ...] = (f"{summary.metric_title} at {summary.level_words}; forgetting: -BWT.",)
    if groups:
        notes += ("Strategies that share a letter are not told apart.",)
    notes += chance_words(summary)
    columns = (*name_columns(summary), *tied, *_COLUMNS)
    return Table("short", summary.stream, columns, tuple(rows), notes)


def _numbers(strategy: StrategySummary) -> tuple[Number, ...]:
    backward = strategy.values.get(BACKWARD)
    forgetting = Number(NAN) if backward is None else Number(-backward.mean, backward.half)
    numbers = [strategy.values.get(name) for name in (LEARNING, AVERAGE)]
    errors = [strategy.values.get(name) for name in ("final_fakes", "final_reals")]
    return (
        forgetting,
        *(Number(NAN) if value is None else Number(value.mean) for value in numbers),
        *(Number(NAN) if value is None else Number(1 - value.mean) for value in errors),
    )


def rest_words(page: str, *results: str) -> str:
    """Say where all tables are: the page of a report, and the command that prints them."""
    return f"every table: {page}, or bench report {shlex.join(results)} --full"


def print_short(summary: Summary, conclusion: Verdict, console: Console, where: str) -> None:
    """Print the table, after those of what was asked for besides, where the rest is, and the answer.

    Args:
        summary: What ``summarize`` makes of results.
        conclusion: What ``verdict`` says of it.
        console: Where to.
        where: Where everything else is, as ``rest_words`` says it.
    """
    from rich.text import Text

    # What only some results have was asked for: folders, further test sets, corruptions, courses, orders.
    asked = (
        *folder_tables(summary),
        *further_tables(summary),
        *robustness_tables(summary),
        *anytime_tables(summary),
        *order_tables(summary),
    )
    there = (progress_table(summary.progress),) if summary.problems else ()
    for table in (*asked, *there, short_table(summary)):
        pieces = fitted(table, console.width)
        for piece in pieces:
            console.print()
            console.print(to_rich(piece))
        console.print(Text(" ".join(pieces[-1].notes), style="dim"))
    console.print()
    count = len(conclusion.notes)
    notes = f"{count} note{'s' if count > 1 else ''} and " if count else ""
    console.print(Text(f"{notes}{where}"), soft_wrap=True)
    console.print(Text(conclusion.sentence, style="bold"))
