"""Published results: tables of papers read from a CSV, a row a value, each with its source and how sure it is."""

from __future__ import annotations

import csv
import io
import math
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import astuple, dataclass, fields
from importlib import resources
from typing import Any

from fretal_bench import files
from fretal_bench.errors import BenchError, unknown_name
from fretal_bench.names import check_name, hidden_fault, shown

BUILT_IN = "published.csv"
# A table's name is that of folders and files too.
_NAME = re.compile(r"[A-Za-z0-9][\w-]*", re.ASCII)
# float() takes more than a table should hold: 1_000, nan, digits of other scripts.
_NUMBER = re.compile(r"[-+]?[0-9]+(\.[0-9]+)?")


@dataclass(frozen=True)
class PublishedValue:
    """One number of a table, and where it was read.

    Attributes:
        table: Name of the table.
        paper: The paper, and which of its tables.
        protocol: Domains, order, backbone and whatever else the source says.
        quantity: What the number is, with its unit and its sign.
        method: The row.
        column: The column.
        value: The number as it is written in the CSV.
        source: Where it was read.
        confidence: ``printed``, ``read from figure``, ``second-hand`` and so on.
    """

    table: str
    paper: str
    protocol: str
    quantity: str
    method: str
    column: str
    value: str
    source: str
    confidence: str

    @property
    def number(self) -> float:
        """The value as a number."""
        return float(self.value)

    @property
    def digits(self) -> int:
        """Decimals as written."""
        return len(self.value.partition(".")[2])


COLUMNS = tuple(field.name for field in fields(PublishedValue))


@dataclass(frozen=True)
class PublishedTable:
    """A table: its values in the order of the CSV.

    Attributes:
        name: Short name, e.g. ``cored-task2``.
        values: At least one.
    """

    name: str
    values: tuple[PublishedValue, ...]

    @property
    def methods(self) -> tuple[str, ...]:
        """Rows, in the order in which they first appear."""
        return self.distinct("method")

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns, in the order in which they first appear."""
        return self.distinct("column")

    def distinct(self, field: str) -> tuple[str, ...]:
        """Return the distinct texts of one field of the values, in the order in which they first appear."""
        return tuple(dict.fromkeys(str(getattr(value, field)) for value in self.values))

    def get(self, method: str, column: str) -> PublishedValue | None:
        """Return one value; None where the table has a gap."""
        return next((v for v in self.values if (v.method, v.column) == (method, column)), None)


def published_tables(own: str | os.PathLike[str] | None = None) -> dict[str, PublishedTable]:
    """Return the tables that come with the suite, by name, with the rows of the user's own CSV added.

    Args:
        own: A CSV with the columns of ``PublishedValue``, in any order; it may add rows to a table, or tables.

    Raises:
        BenchError: The file cannot be read, lacks a column or has an unknown one, a field is empty, a table's name
            cannot be that of a folder, a value is no number, or a (table, method, column) stands there twice or is one
            of the suite's; with line numbers.
    """
    text = resources.files(__package__).joinpath(BUILT_IN).read_text("utf-8")
    values = _read(BUILT_IN, text, {})
    if own is not None:
        text = files.read_text(own, "CSV of published values", "check --published")
        # A spreadsheet may begin its CSV with a byte order mark.
        values |= _read(os.fspath(own), text.removeprefix("\ufeff"), values)
    tables: dict[str, list[PublishedValue]] = {}
    for value, _ in values.values():
        tables.setdefault(value.table, []).append(value)
    return {name: PublishedTable(name, tuple(values)) for name, values in tables.items()}


def find_table(name: str, tables: Mapping[str, PublishedTable]) -> PublishedTable:
    """Return one of ``tables``; ``BenchError`` with the nearest names if there is none of that name."""
    if name not in tables:
        raise unknown_name("table", name, tables)
    return tables[name]


Key = tuple[str, str, str]
Values = dict[Key, tuple[PublishedValue, int]]
"""By (table, method, column) a value, and the line on which it stands."""


def _read(path: str, text: str, known: Values) -> Values:
    """Read a CSV; ``known`` are the suite's own values, which none of it may repeat."""
    reader = csv.reader(io.StringIO(text), strict=True)
    head = _head(path, reader)
    values: Values = {}
    for line, cells in _lines(path, reader):
        value = _value(f"{path}, line {line}", head, cells)
        key = (value.table, value.method, value.column)
        if key in values:
            raise BenchError(
                f"{path}, line {line}: {' / '.join(key)} stands on line {values[key][1]} already; "
                "keep one of them"
            )
        if key in known:
            raise BenchError(
                f"{path}, line {line}: {' / '.join(key)} is {known[key][0].value} in the suite's own tables; "
                "give your row another table or method name"
            )
        values[key] = (value, line)
    if not values:
        raise BenchError(
            f"{path}: holds no value; expected the columns {', '.join(COLUMNS)} and a row for every value"
        )
    return values


def _value(where: str, head: list[str], cells: list[str]) -> PublishedValue:
    """Check one row."""
    if len(cells) != len(head):
        raise BenchError(f"{where}: expected {len(head)} fields, found {len(cells)}; correct that line")
    # A cell of a spreadsheet may have several lines.
    row = {name: " ".join(cell.strip().splitlines()) for name, cell in zip(head, cells, strict=True)}
    empty = next((name for name in COLUMNS if not row[name]), None)
    if empty:
        raise BenchError(f"{where}: {empty} is empty; every value needs it")
    for name, cell in row.items():
        if fault := hidden_fault(cell):
            raise BenchError(f"{where}: {name} {shown(cell)}: {fault}; correct that line")
    value = PublishedValue(**row)
    if not _NAME.fullmatch(value.table):
        raise BenchError(
            f"{where}: table {value.table!r} must be of letters, digits, - and _, "
            "and begin with a letter or digit; rename it"
        )
    check_name(value.table, f"{where}: table")
    if not _is_number(value.value):
        raise BenchError(f"{where}: value must be a finite number, found {value.value!r}")
    return value


def _head(path: str, reader: Iterator[list[str]]) -> list[str]:
    head = [name.strip() for name in next(reader, [])]
    for name in head:
        if name not in COLUMNS:
            raise BenchError(f"{path}, line 1: {unknown_name('column', name, COLUMNS)}")
    missing = [name for name in COLUMNS if name not in head]
    if missing:
        raise BenchError(f"{path}, line 1: lacks the column {missing[0]!r}; expected {', '.join(COLUMNS)}")
    if len(set(head)) < len(head):
        raise BenchError(f"{path}, line 1: a column stands there twice; expected {', '.join(COLUMNS)}")
    return head


def _lines(path: str, reader: Any) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows that are not blank, each with the line on which it ends."""
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise BenchError(
                f"{path}, line {reader.line_num}: not valid CSV ({error}); correct that line"
            ) from error
        if any(cell.strip() for cell in cells):
            yield reader.line_num, cells


def _is_number(text: str) -> bool:
    # So many digits that it is no finite number are caught too.
    return bool(_NUMBER.fullmatch(text)) and math.isfinite(float(text))


def as_rows(table: PublishedTable) -> list[dict[str, str | float]]:
    """Return the values as plain data, a dict a value, the value itself as a number."""
    return [
        {**dict(zip(COLUMNS, astuple(value), strict=True)), "value": value.number} for value in table.values
    ]
