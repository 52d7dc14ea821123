"""Damages of CSV files: headers, fields, lines."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Final

from fuzz.damage import HOSTILE, Inapplicable, Random, damages

Rows = list[list[str]]


def _rows(path: Path) -> Rows:
    return list(csv.reader(io.StringIO(path.read_text("utf-8"))))


def _write(path: Path, rows: Rows) -> None:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    path.write_text(out.getvalue(), "utf-8")


def _line(rows: Rows, random: Random) -> int:
    return int(random.integers(1, len(rows)))


def a_column_twice(path: Path, random: Random) -> str:
    rows = _rows(path)
    place = int(random.integers(len(rows[0])))
    other = [rows[0], *rows[:0:-1]]
    for row, again in zip(rows, other, strict=True):
        row.append(again[place])
    _write(path, rows)
    return f"{rows[0][place]} twice, once reversed"


def a_column_less(path: Path, random: Random) -> str:
    rows = _rows(path)
    place = int(random.integers(len(rows[0])))
    name = rows[0][place]
    _write(path, [row[:place] + row[place + 1 :] for row in rows])
    return f"without {name}"


def a_column_more(path: Path, random: Random) -> str:
    rows = _rows(path)
    name = ("fuzz", "Label", "", "labels")[int(random.integers(4))]
    _write(path, [[*row, name if number == 0 else "1"] for number, row in enumerate(rows)])
    return f"with {name!r}"


def headers_swapped(path: Path, random: Random) -> str:
    rows = _rows(path)
    a, b = random.choice(len(rows[0]), 2, replace=False)
    rows[0][a], rows[0][b] = rows[0][b], rows[0][a]
    _write(path, rows)
    return f"{rows[0][a]} and {rows[0][b]} under each other's names"


def no_header(path: Path, random: Random) -> str:
    _write(path, _rows(path)[1:])
    return "without its header"


def a_field_more(path: Path, random: Random) -> str:
    rows = _rows(path)
    line = _line(rows, random)
    rows[line].append("zzz")
    _write(path, rows)
    return f"a field more in line {line + 1}"


def a_field_less(path: Path, random: Random) -> str:
    rows = _rows(path)
    line = _line(rows, random)
    place = int(random.integers(len(rows[line])))
    del rows[line][place]
    _write(path, rows)
    return f"field {place} of line {line + 1} deleted"


def another_field(path: Path, random: Random) -> str:
    rows = _rows(path)
    line, place = _line(rows, random), int(random.integers(len(rows[0])))
    values = (
        *HOSTILE,
        "2",
        "-1",
        "nan",
        "1.0",
        "Real",
        "notfake",
        "surreal",
        "0_fake",
        "1_real",
        "x" * 140_000,
    )
    rows[line][place] = values[int(random.integers(len(values)))]
    _write(path, rows)
    return f"{rows[0][place]} of line {line + 1} is {rows[line][place][:40]!r}"


def a_line_twice(path: Path, random: Random) -> str:
    rows = _rows(path)
    line = _line(rows, random)
    again = list(rows[line])
    flip = {"0": "1", "1": "0", "real": "fake", "fake": "real"}
    if random.random() < 0.7:
        again = [flip.get(field, field) for field in again]
    times = int(random.integers(1, 3))
    _write(path, [*rows, *([again] * times)])
    return f"line {line + 1} again at the end, {times} times{'' if again == rows[line] else ', contradicted'}"


def a_line_less(path: Path, random: Random) -> str:
    rows = _rows(path)
    line = _line(rows, random)
    del rows[line]
    _write(path, rows)
    return f"without line {line + 1}"


def a_quote_left_open(path: Path, random: Random) -> str:
    text = path.read_text("utf-8")
    place = int(random.integers(len(text)))
    path.write_text(text[:place] + '"' + text[place:], "utf-8")
    return f"a quote at character {place}"


def other_separators(path: Path, random: Random) -> str:
    text = path.read_text("utf-8")
    sign = ";\t|"[int(random.integers(3))]
    path.write_text(text.replace(",", sign), "utf-8")
    return f"separated by {sign!r}"


def other_line_ends(path: Path, random: Random) -> str:
    end = ("\r\n", "\r", "\n\n")[int(random.integers(3))]
    path.write_bytes(path.read_text("utf-8").replace("\n", end).encode())
    return f"lines end in {end!r}"


def the_header_alone(path: Path, random: Random) -> str:
    rows = _rows(path)
    if not rows:
        raise Inapplicable
    _write(path, rows[:1])
    return "nothing but its header"


LISTS: Final = damages(
    a_column_twice,
    a_column_less,
    a_column_more,
    headers_swapped,
    no_header,
    a_field_more,
    a_field_less,
    another_field,
    a_line_twice,
    a_line_less,
    a_quote_left_open,
    other_separators,
    other_line_ends,
    the_header_alone,
)
