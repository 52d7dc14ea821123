"""The rows and columns of tables that a call chooses: strategies by name, columns by their names in CSV."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from fretal_bench.errors import unknown_name
from fretal_bench.reporting.tables import Column, Row, Table

CHOSEN: Final = "chosen"
"""The name of the table of all columns that were chosen."""
_PAIRS: Final = ("less", "more")
_NAMES: Final = ("strategy", "seeds", "after")
"""Columns that say what a row is of: they stay."""


@dataclass(frozen=True)
class Choice:
    """What tables show.

    Attributes:
        strategies: Labels of rows, in the order of the call; empty for all.
        columns: Names of columns as in CSV, in the order of the call; empty for all.
    """

    strategies: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.strategies or self.columns)


def words_of(text: str) -> tuple[str, ...]:
    """Read names separated by commas; commas within parentheses or brackets belong to a name."""
    parts = re.findall(r"(?:\([^()]*\)|\[[^\[\]]*\]|[^,])+", text)
    return tuple(dict.fromkeys(part.strip() for part in parts if part.strip()))


def labels_of(words: Sequence[str], names: Mapping[str, str]) -> tuple[str, ...]:
    """Find the rows that words choose: a label, a strategy (all its rows) or a pattern of labels.

    Args:
        words: What the call names.
        names: The strategy of every label.

    Raises:
        BenchError: A word chooses nothing; the error has the nearest names.
    """
    labels: list[str] = []
    for word in words:
        of_word = [word] if word in names else [label for label, name in names.items() if name == word]
        if not of_word and re.search(r"[*?]", word):
            of_word = fnmatch.filter(names, word)
        if not of_word:
            raise unknown_name("strategy", word, {*names, *names.values()})
        labels += of_word
    return tuple(dict.fromkeys(labels))


def chosen(tables: Iterable[Table], choice: Choice) -> tuple[Table, ...]:
    """Keep the chosen rows and columns of tables, and put all chosen columns into one table in front of them.

    Bold, intervals and corrected p values stay those of all strategies: nothing is computed again, and a note says so.
    Rows stand in the order of the call, bounds below; of pairs those of two chosen strategies stay. A table that has no
    chosen column stays whole.

    Raises:
        BenchError: No table has a column of this name; the error has the nearest names.
    """
    whole = tuple(tables)
    known = {column.key: None for table in whole for column in _values(table)}
    for name in choice.columns:
        if name not in known:
            raise unknown_name("column", name, known)
    kept = tuple(_with_columns(_with_rows(table, choice.strategies), choice.columns) for table in whole)
    if not choice.columns:
        return kept
    together = _together([_with_rows(table, choice.strategies) for table in whole], choice.columns)
    return (*(() if together is None else (together,)), *kept)


def _values(table: Table) -> list[Column]:
    return [column for column in table.columns if column.key not in (*_NAMES, *_PAIRS)]


def _with_rows(table: Table, labels: Sequence[str]) -> Table:
    if not labels:
        return table
    place = {label: at for at, label in enumerate(labels)}
    heads = tuple(column.key for column in table.columns[:2])
    if heads == _PAIRS:
        rows = [row for row in table.rows if str(row.cells[0]) in place and str(row.cells[1]) in place]
    elif heads[0] == "strategy":
        rows = [row for row in table.rows if _name(row) in place]
        rows.sort(key=lambda row: (row.apart, place[_name(row)]))
    else:
        return table
    left = len({_name(row) for row in table.rows}) - len({_name(row) for row in rows})
    if not left:
        return replace(table, rows=tuple(rows))
    note = "Rows are chosen; bold and corrected p values are those of all strategies of the report"
    return replace(table, rows=tuple(rows), notes=(*table.notes, f"{note}."))


def _name(row: Row) -> str:
    return str(row.cells[0])


def _with_columns(table: Table, names: Sequence[str]) -> Table:
    """Keep the chosen columns and those that say what a row is of, in the order of the call."""
    place = {name: at for at, name in enumerate(names)}
    values = [at for at, column in enumerate(table.columns) if column.key in place]
    if not values:
        return table
    values.sort(key=lambda at: place[table.columns[at].key])
    heads = [at for at, column in enumerate(table.columns) if column.key in (*_NAMES, *_PAIRS)]
    return _part(table, [*heads, *(at for at in values if at not in heads)])


def _together(tables: Sequence[Table], names: Sequence[str]) -> Table | None:
    """Put columns of several tables into one, with a row a strategy; None where no such table has any."""
    by_strategy = [
        table
        for table in tables
        if table.columns[0].key == "strategy" and len({_name(row) for row in table.rows}) == len(table.rows)
    ]
    source = {
        name: next((t for t in by_strategy if name in (column.key for column in _values(t))), None)
        for name in names
    }
    columns = [(name, table) for name, table in source.items() if table is not None]
    if not columns:
        return None
    parts = [_with_columns(table, [name]) for name, table in columns]
    first = parts[0]
    labels = [_name(row) for row in first.rows if all(_row(part, _name(row)) for part in parts)]
    rows = tuple(
        Row(
            (*_row(first, label).cells[:-1], *(_row(part, label).cells[-1] for part in parts)),  # type: ignore[union-attr]
            apart=_row(first, label).apart,  # type: ignore[union-attr]
        )
        for label in labels
    )
    heads = (*first.columns[:-1], *(part.columns[-1] for part in parts))
    notes = tuple(dict.fromkeys(note for part in parts for note in part.notes))
    return Table(CHOSEN, "Results", heads, rows, notes)


def _row(table: Table, label: str) -> Row | None:
    return next((row for row in table.rows if _name(row) == label), None)


def _part(table: Table, places: Sequence[int]) -> Table:
    rows = tuple(replace(row, cells=tuple(row.cells[at] for at in places)) for row in table.rows)
    return replace(table, columns=tuple(table.columns[at] for at in places), rows=rows)
