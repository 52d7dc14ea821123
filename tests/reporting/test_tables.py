"""One table in every format: numbers, marks, escapes, widths."""

from __future__ import annotations

import csv
import io
import math
import re

import pytest
from rich.console import Console

from fretal_bench.metrics.numbers import NAN
from fretal_bench.reporting.formats import to_csv, to_markdown
from fretal_bench.reporting.tables import (
    DIGITS,
    Column,
    Number,
    Row,
    Table,
    decimal,
    drawn_width,
    fitted,
    mark_best,
    to_rich,
)


@pytest.fixture
def table() -> Table:
    columns = (
        Column("strategy", "strategy"),
        Column("forgetting", "forgetting", "lower"),
        Column("bwt", "BWT", "higher", signed=True),
    )
    rows = (
        Row(("a_b & 50%", Number(0.12345678901234567, 0.01), Number(-0.1))),
        Row(("<c|d> [x]", Number(0.2, 0.02), Number(0.05))),
        Row(("broken", Number(NAN), Number(NAN))),
        Row(("joint", Number(0.0, 0.0), Number(0.0)), apart=True),
    )
    return mark_best(Table("demo", "A title", columns, rows, ("A note with R[i,j] < 1 & 50%.",)))


def drawn(table: Table, width: int = 100) -> str:
    """As on a terminal, with its codes for bold."""
    console = Console(width=width, file=io.StringIO(), force_terminal=True, color_system="standard")
    console.print(to_rich(table))
    return console.file.getvalue()


def plain(table: Table, width: int = 200) -> str:
    """As in a file."""
    console = Console(width=width, file=io.StringIO(), color_system=None)
    console.print(to_rich(table))
    return console.file.getvalue()


def test_the_best_is_marked_by_the_columns_direction_and_never_a_row_apart(table):
    marks = [[cell.best for cell in row.cells[1:]] for row in table.rows]
    assert marks == [[True, False], [False, True], [False, False], [False, False]]


def test_values_that_read_the_same_are_marked_together():
    column = (Column("x", "x", "higher"),)
    rows = tuple(Row((Number(value),)) for value in (0.90001, 0.90002, 0.5))
    assert [row.cells[0].best for row in mark_best(Table("t", "t", column, rows)).rows] == [True, True, False]
    same = mark_best(Table("t", "t", column, rows[:2]))
    assert not any(row.cells[0].best for row in same.rows)


@pytest.mark.parametrize(
    ("value", "digits", "signed", "text"),
    [
        (-0.0001, 3, False, "0.000"),
        (-0.0001, 3, True, "0.000"),
        (0.05, 3, True, "+0.050"),
        (812.4, 0, False, "812"),
    ],
)
def test_numbers_are_written_without_a_minus_zero(value, digits, signed, text):
    assert decimal(value, digits, signed) == text


def test_terminal_shows_bold_best_values_and_a_dash_for_none(table):
    text = drawn(table)
    bold = [part.strip() for part in re.findall(r"\x1b\[1m(.*?)\x1b\[0m", text)]
    assert [part for part in bold if "0." in part] == ["0.123±0.010", "+0.050"]
    assert "0.200±0.020" in text
    assert text.count("–") == 2
    assert "forgetting ↓" in text.replace("\u00a0", " ")


def test_markdown_has_one_line_a_row_and_escapes_markup(table):
    lines = to_markdown(table).splitlines()
    assert lines[2] == "| strategy | forgetting ↓ | BWT ↑ |"
    assert lines[3] == "|---|---:|---:|"
    assert lines[4] == "| a\\_b & 50% | **0.123±0.010** | -0.100 |"
    assert lines[5] == "| &lt;c\\|d> [x] | 0.200±0.020 | **+0.050** |"


def test_csv_brings_every_float_back_exactly(table):
    rows = list(csv.DictReader(io.StringIO(to_csv(table))))
    assert list(rows[0]) == ["strategy", "forgetting", "forgetting_low", "forgetting_high", "bwt"]
    assert float(rows[0]["forgetting"]) == 0.12345678901234567
    assert float(rows[0]["forgetting_high"]) == 0.12345678901234567 + 0.01
    assert rows[1]["strategy"] == "<c|d> [x]"
    assert rows[2]["forgetting"] == ""


def test_a_table_that_is_too_wide_first_loses_its_intervals():
    columns = (Column("s", "s"), Column("x", "x"), Column("y", "y"))
    table = Table("t", "t", columns, (Row(("ewc", Number(0.5, 0.1), Number(0.25, 0.1))),))
    width = drawn_width(table) - 1
    (piece,) = fitted(table, width)
    assert drawn_width(piece) <= width
    assert "±" not in plain(piece, width)
    assert "±" in piece.notes[-1]
    assert fitted(table, width + 1) == (table,)


@pytest.mark.parametrize("width", [40, 60, 80, 100])
def test_a_table_of_many_columns_is_cut_and_keeps_every_value_and_its_first_column(width):
    columns = (Column("after", "after"), *(Column(f"c{k}", f"Domain{k}") for k in range(12)))
    rows = tuple(
        Row((f"Domain{i}", *(Number((i * 12 + k) / 1000, 0.1) for k in range(12)))) for i in range(12)
    )
    pieces = fitted(Table("t", "t", columns, rows), width)
    assert [c for piece in pieces for c in piece.columns[1:]] == list(columns[1:])
    for piece in pieces:
        lines = plain(piece, width).splitlines()
        assert max(len(line.rstrip()) for line in lines) <= width
        for row in piece.rows:
            line = next(line for line in lines if line.startswith(f"{row.cells[0]} "))
            assert [float(x) for x in line.split()[1:]] == [cell.value for cell in row.cells[1:]]


def test_the_width_reckoned_is_the_width_drawn(table):
    assert max(len(line) for line in plain(table).splitlines()) == drawn_width(table)


def test_a_row_of_the_wrong_length_is_refused():
    with pytest.raises(ValueError, match="a row of 1 cells, 2 columns"):
        Table("t", "t", (Column("a", "a"), Column("b", "b")), (Row(("x",)),))


def test_nan_is_not_a_number_that_can_be_best():
    table = mark_best(
        Table("t", "t", (Column("x", "x", "lower"),), tuple(Row((Number(v),)) for v in (math.nan, 0.5, 0.6)))
    )
    assert [row.cells[0].best for row in table.rows] == [False, True, False]


def test_ties_but_for_rounding_are_written_alike():
    # A page writes what it holds, rounded to DIGITS, and a terminal the value itself.
    for value in (-0.022500000000000006, -0.02249999999999999, 0.0574999999999999):
        assert decimal(value, 3) == decimal(round(value, DIGITS), 3)
