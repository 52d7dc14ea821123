"""A published table in its published shape, with the source and confidence of every value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fretal_bench.metrics.numbers import NAN
from fretal_bench.papers.averages import differences
from fretal_bench.papers.file import PaperFile
from fretal_bench.papers.published import PublishedTable, PublishedValue, as_rows
from fretal_bench.papers.table import strategy_of_row
from fretal_bench.reporting.tables import Column, Number, Row, Table, fitted, to_rich

if TYPE_CHECKING:
    from rich.console import Console


def published_table(table: PublishedTable, paper: PaperFile) -> Table:
    """Make the table as it was published: methods by columns, with source and confidence of every value as notes.

    Args:
        table: The table.
        paper: Its file. It says which strategy of the suite a row is, and how averages come from the cells: one that is
            printed otherwise than its cells say is noted.
    """
    digits = {c: max(v.digits for v in table.values if v.column == c) for c in table.columns}
    rows = []
    for method in table.methods:
        values = [table.get(method, column) for column in table.columns]
        strategy = strategy_of_row(paper, method) or "none"
        rows.append(
            Row((method, strategy, *(Number(v.number if v else NAN, empty=v is None) for v in values)))
        )
    return Table(
        name=table.name,
        title=f"{table.name}: {'; '.join(table.distinct('paper'))}",
        columns=(
            Column("method", "method"),
            Column("strategy", "strategy here"),
            *(Column(column, column, digits=digits[column]) for column in table.columns),
        ),
        rows=tuple(rows),
        notes=(*published_notes(table), *map("{}.".format, differences(table, paper))),
    )


def published_notes(table: PublishedTable) -> list[str]:
    """Say quantity, protocol, source and confidence of every value: one line where all have the same."""
    notes = []
    for field, title in (
        ("quantity", "Quantity"),
        ("protocol", "Protocol"),
        ("source", "Source"),
        ("confidence", "Confidence"),
    ):
        texts = table.distinct(field)
        if len(texts) == 1:
            notes.append(f"{title} of every value: {texts[0]}.")
            continue
        for text in texts:
            having = [value for value in table.values if getattr(value, field) == text]
            notes.append(f"{title} of {_whose(table, having)}: {text}.")
    return notes


def _whose(table: PublishedTable, values: Sequence[PublishedValue]) -> str:
    """Name values as shortly as can be: whole columns, whole rows, or one by one."""
    places = {(value.method, value.column) for value in values}
    return where(places, [(value.method, value.column) for value in table.values])


def where(places: set[tuple[str, str]], all_places: Sequence[tuple[str, str]]) -> str:
    """Name some places of a table as shortly as can be: whole columns, then whole rows, the rest one by one."""
    columns, rows = (
        [
            name
            for name in dict.fromkeys(place[axis] for place in all_places)
            if _is_whole(name, axis, places, all_places)
        ]
        for axis in (1, 0)
    )
    if places <= {place for place in all_places if place[0] in rows}:
        columns = []
    elif places <= {place for place in all_places if place[1] in columns}:
        rows = []
    rest = [p for p in all_places if p in places and p[0] not in rows and p[1] not in columns]
    return ", ".join([*columns, *rows, *(" / ".join(place) for place in rest)])


def _is_whole(
    name: str, axis: int, places: set[tuple[str, str]], all_places: Sequence[tuple[str, str]]
) -> bool:
    return all(place in places for place in all_places if place[axis] == name)


def rows_with_strategies(table: PublishedTable, paper: PaperFile) -> list[dict[str, Any]]:
    """Give the values as plain data, each with the strategy of the suite that its row is; None if it is none."""
    strategies = {method: strategy_of_row(paper, method) or None for method in table.methods}
    return [{**row, "strategy": strategies[str(row["method"])]} for row in as_rows(table)]


def print_published(table: PublishedTable, paper: PaperFile, console: Console) -> None:
    """Print a published table with its sources."""
    print_table(published_table(table, paper), console)


def print_table(table: Table, console: Console) -> None:
    """Print title, table and notes; a title inside a narrow table would be squeezed into its width."""
    from rich.text import Text

    console.print()
    console.print(Text(table.title, style="bold"))
    for piece in fitted(replace(table, title=""), console.width):
        console.print(to_rich(piece))
        for note in piece.notes:
            console.print(Text(note, style="dim"))
