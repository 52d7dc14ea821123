"""The one table of all reports: numbers, columns, rows, and drawing it in a terminal; the rest is in ``formats``."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from fretal_bench.metrics.numbers import NAN

if TYPE_CHECKING:
    from rich.table import Table as RichTable

ARROWS = {"higher": "↑", "lower": "↓", "": ""}
NOTHING = "–"
INTERVAL = "Mean ± half of the 95% interval over"
"""How a note begins that says what stands after the "±"."""
GAP = 2
DIGITS = 8
"""Decimals that numbers are rounded to before they are written, and that a page holds."""
TOO_NARROW = (
    "The ± is left out here, as the terminal is too narrow for it (COLUMNS=150 shows it, as the page does)."
)


@dataclass(frozen=True)
class Number:
    """A value in a table.

    Attributes:
        value: The value; NaN = it does not exist (a dash).
        half: Half the width of its 95% interval; NaN = none.
        best: The best of its column: bold, wherever the table is written.
        aside: Written in parentheses: a value on a domain that is not learned yet.
        empty: An empty cell, where not even a dash belongs.
        over: The seeds, and what else must be the same, that it is a mean over: others are not compared with it.
        mark: A sign after the number that a note explains; not in CSV.
    """

    value: float
    half: float = NAN
    best: bool = False
    aside: bool = False
    empty: bool = False
    over: tuple[object, ...] = ()
    mark: str = ""


@dataclass(frozen=True)
class Column:
    """A column.

    Attributes:
        key: Its name in CSV.
        title: Its name elsewhere.
        better: ``higher`` or ``lower`` if a best value is to be marked, else empty.
        digits: Decimals.
        signed: Whether positive values get a plus sign.
    """

    key: str
    title: str
    better: str = ""
    digits: int = 3
    signed: bool = False

    @property
    def head(self) -> str:
        """The title with an arrow towards the better side."""
        return f"{self.title} {ARROWS[self.better]}".rstrip()


@dataclass(frozen=True)
class Row:
    """A row: texts and numbers, one a column; ``apart`` rows (bounds) stand under a rule and are never the best."""

    cells: tuple[str | Number, ...]
    apart: bool = False


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        name: Short name for files and LaTeX labels.
        title: Caption.
        columns: The columns.
        rows: The rows; those apart come last.
        notes: Sentences under the table: formulas, signs, what parentheses mean.
    """

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()

    @property
    def numeric(self) -> tuple[bool, ...]:
        """Whether each column holds numbers, which stand on its right."""
        return tuple(
            any(isinstance(row.cells[at], Number) for row in self.rows) for at in range(len(self.columns))
        )

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row.cells) != len(self.columns):
                raise ValueError(
                    f"table {self.name}: a row of {len(row.cells)} cells, {len(self.columns)} columns"
                )


def mark(table: Table, best: Mapping[str, Collection[str]]) -> Table:
    """Mark the numbers of each column whose row is of one of these labels, by the column's key.

    Args:
        table: Its first column holds the labels.
        best: What is bold, and nothing else: strategies that are not told from the best of their column.
    """
    rows = []
    for row in table.rows:
        cells = [
            replace(cell, best=not row.apart and row.cells[0] in best.get(column.key, ()))
            if isinstance(cell, Number)
            else cell
            for cell, column in zip(row.cells, table.columns, strict=True)
        ]
        rows.append(replace(row, cells=tuple(cells)))
    return replace(table, rows=tuple(rows))


def mark_best(table: Table) -> Table:
    """Mark the best numbers of each column that has a better side, among the rows that are not apart: of what costs.

    What is measured on people is marked by what can be told of them (``mark``). Numbers that read the same (at the
    column's decimals) are marked together; a lone competitor is not marked. Where numbers are means over different
    seeds, those over the seeds that most of them have are compared.
    """
    best: dict[int, tuple[str, tuple[object, ...]]] = {}
    for at, column in enumerate(table.columns):
        numbers = _compared([row.cells[at] for row in table.rows if not row.apart])
        values = [number.value for number in numbers]
        if column.better and len({decimal(value, column.digits) for value in values}) > 1:
            best_value = max(values) if column.better == "higher" else min(values)
            best[at] = decimal(best_value, column.digits), numbers[0].over
    rows = []
    for row in table.rows:
        cells = [
            replace(cell, best=True)
            if isinstance(cell, Number)
            and not row.apart
            and not math.isnan(cell.value)
            and (decimal(cell.value, table.columns[at].digits), cell.over) == best.get(at)
            else cell
            for at, cell in enumerate(row.cells)
        ]
        rows.append(replace(row, cells=tuple(cells)))
    return replace(table, rows=tuple(rows))


def _compared(cells: Sequence[str | Number]) -> list[Number]:
    """Give the numbers that may be compared: the largest group over the same, of two the one over more."""
    groups: dict[tuple[object, ...], list[Number]] = {}
    for cell in cells:
        if isinstance(cell, Number) and not math.isnan(cell.value):
            groups.setdefault(cell.over, []).append(cell)
    return max(groups.values(), key=lambda group: (len(group), len(group[0].over)), default=[])


def decimal(value: float, digits: int, signed: bool = False) -> str:
    """Write a number with so many decimals, never as minus zero.

    Sums of the same numbers in another order differ by rounding: what is a tie but for that is written alike everywhere.
    """
    text = f"{round(value, DIGITS):{'+' if signed else ''}.{digits}f}"
    return text if text.strip("+-0.") else f"{0.0:.{digits}f}"


def number_text(number: Number, column: Column) -> str:
    """Write a number as tables do: ``0.712``, ``0.712±0.031``, ``(0.512)``, a dash, or nothing."""
    if number.empty:
        return ""
    if math.isnan(number.value):
        return NOTHING
    text = decimal(number.value, column.digits, column.signed)
    if not math.isnan(number.half):
        text += f"±{decimal(number.half, column.digits)}"
    text += number.mark
    return f"({text})" if number.aside else text


def without_intervals(table: Table) -> Table:
    """Drop the intervals of all numbers."""
    rows = [
        replace(row, cells=tuple(replace(c, half=NAN) if isinstance(c, Number) else c for c in row.cells))
        for row in table.rows
    ]
    return replace(table, rows=tuple(rows))


def fitted(table: Table, width: int) -> tuple[Table, ...]:
    """Make a table fit so many columns of a terminal; the files of a report keep everything.

    Where it is wider, first the intervals go, then it is cut into several tables, each with the first column.
    """
    if drawn_width(table) <= width:
        return (table,)
    if any(has_interval(table, at) for at in range(len(table.columns))):
        table = replace(without_intervals(table), notes=(*table.notes, TOO_NARROW))
    parts: list[list[int]] = [[]]
    for at in range(1, len(table.columns)):
        if parts[-1] and drawn_width(_part(table, [0, *parts[-1], at])) > width:
            parts.append([])
        parts[-1].append(at)
    pieces = [_part(table, [0, *part]) for part in parts]
    return (*(replace(piece, notes=()) for piece in pieces[:-1]), pieces[-1])


def drawn_width(table: Table) -> int:
    """Columns of the terminal that a table takes without its title and notes."""
    total = -GAP
    for at, column in enumerate(table.columns):
        cells = (row.cells[at] for row in table.rows)
        texts = [cell if isinstance(cell, str) else number_text(cell, column) for cell in cells]
        total += max(map(len, (*stacked(column.head).split("\n"), *texts))) + GAP
    return total


def to_rich(table: Table) -> RichTable:
    """Make a table for the terminal, without its notes: they would be squeezed into its width."""
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    drawn = RichTable(
        title=Text(table.title, style="bold"),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, GAP - 1, 0, 0),  # the box adds one
        show_edge=False,
        pad_edge=False,
    )
    for column, numeric in zip(table.columns, table.numeric, strict=True):
        justify: Literal["left", "right"] = "right" if numeric else "left"
        head = Text(stacked(column.head))
        drawn.add_column(head, justify=justify, vertical="bottom", overflow="fold", no_wrap=numeric)
    for row, following in zip(table.rows, (*table.rows[1:], None), strict=True):
        cells = []
        for cell, column in zip(row.cells, table.columns, strict=True):
            if isinstance(cell, str):
                cells.append(Text(cell))
            else:
                style = "bold" if cell.best else "dim" if cell.aside else ""
                cells.append(Text(number_text(cell, column), style=style))
        drawn.add_row(*cells, end_section=following is not None and following.apart and not row.apart)
    return drawn


def has_interval(table: Table, at: int) -> bool:
    """Tell whether any number of a column has an interval."""
    cells = [row.cells[at] for row in table.rows]
    return any(isinstance(cell, Number) and not math.isnan(cell.half) for cell in cells)


def stacked(head: str) -> str:
    """Put each word of a title on a line of its own; an arrow stays with its word."""
    return re.sub(r" (?![↑↓])", "\n", head)


def _part(table: Table, columns: list[int]) -> Table:
    """Keep some columns."""
    rows = [replace(row, cells=tuple(row.cells[at] for at in columns)) for row in table.rows]
    return replace(table, columns=tuple(table.columns[at] for at in columns), rows=tuple(rows))
