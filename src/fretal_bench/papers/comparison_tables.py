"""The tables of a comparison: a row a value, and the published shape with both numbers in a cell."""

from __future__ import annotations

import math

from fretal_bench.papers.comparison import CHANCE_MARK, Comparison
from fretal_bench.papers.published import PublishedValue
from fretal_bench.reporting.tables import NOTHING, Column, Number, Row, Table, decimal


def difference_table(comparison: Comparison) -> Table:
    """Make the long table, a row a value: published, measured with its 95% interval over seeds, difference."""
    digits = max(value.digits for value in comparison.table.values)
    rows = []
    for value in comparison.table.values:
        interval = comparison.interval(value)
        rows.append(
            Row(
                (
                    value.method,
                    value.column,
                    Number(value.number),
                    Number(interval.mean, interval.half, mark=_mark(comparison, value)),
                    Number(comparison.difference(value)),
                )
            )
        )
    return Table(
        name=f"paper-{comparison.table.name}",
        title=comparison.title,
        columns=(
            Column("method", "method"),
            Column("column", "column"),
            Column("published", "published", digits=digits),
            Column("measured", "measured", digits=digits),
            Column("difference", "difference", digits=digits, signed=True),
        ),
        rows=tuple(rows),
        notes=(
            f"Published: {'; '.join(comparison.table.distinct('quantity'))}. {_measured_note(comparison)} "
            "Difference: measured - published.",
            *comparison.chance_words(),
            *comparison.notes,
        ),
    )


def side_by_side(comparison: Comparison, intervals: bool = True) -> Table:
    """Make the table in its published shape, each cell ``published | measured``."""
    table = comparison.table

    def cell(method: str, column: str) -> str:
        value = table.get(method, column)
        return "" if value is None else published_and_measured(comparison, value, intervals)

    return Table(
        name=f"paper-{table.name}-side-by-side",
        title=f"{comparison.title} Each cell: published | measured.",
        columns=(Column("method", "method"), *(Column(column, column) for column in table.columns)),
        rows=tuple(
            Row((method, *(cell(method, column) for column in table.columns))) for method in table.methods
        ),
        notes=(_measured_note(comparison, intervals), *comparison.chance_words()),
    )


def published_and_measured(comparison: Comparison, value: PublishedValue, intervals: bool = True) -> str:
    """Write a cell of the published shape: ``published | measured``, with half of the interval if asked for."""
    digits = max(each.digits for each in comparison.table.values)
    interval = comparison.interval(value)
    measured = NOTHING if math.isnan(interval.mean) else decimal(interval.mean, digits)
    if intervals and not math.isnan(interval.half):
        measured += f"±{decimal(interval.half, digits)}"
    return f"{decimal(value.number, digits)} | {measured}{_mark(comparison, value)}"


def _mark(comparison: Comparison, value: PublishedValue) -> str:
    return CHANCE_MARK if comparison.is_at_chance(value) else ""


def _measured_note(comparison: Comparison, intervals: bool = True) -> str:
    """Say what stands under "measured"; one seed has no interval."""
    seeds = list(map(str, comparison.seeds))
    if len(seeds) == 1:
        over = f"seed {seeds[0]}"
    else:
        over = f"mean over seeds {', '.join(seeds)}"
        over += ", ± half of its 95% interval by Student's t" if intervals else ""
    what = f"the suite's {comparison.measures}; " if comparison.measures else ""
    return f"Measured: {what}{over}; recipe {comparison.recipe}."
