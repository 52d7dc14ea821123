"""Readers of the lists and JSON files that come with data sets: damage becomes a finding, a path outside is refused."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from fretal_bench import files, parsing
from fretal_bench.datasets.importers.rows import Rows
from fretal_bench.datasets.importers.walk import Entry, leaves_root
from fretal_bench.errors import BenchError
from fretal_bench.names import shown

DAMAGED: Final = object()
"""What a JSON file gives that cannot be read."""
_LIST: Final = "list"
_AGAIN: Final = "copy it again, or correct it"


def read_text(rows: Rows, entry: Entry) -> str:
    """The text of a list; "" and a finding if it is no UTF-8 or cannot be read."""
    rows.claimed.add(entry.path)
    path = rows.tree.root / entry.path
    try:
        return files.read_text(path, _LIST)
    except BenchError as error:
        _note_damage(rows, entry.path, path, error)
        return ""


def read_json(rows: Rows, path: Path, listed: str) -> Any:
    """The value of a JSON file; ``DAMAGED``, with a finding about ``listed``, if it can't be read or means two things."""
    rows.claimed.add(listed)
    try:
        return parsing.parse_json(files.read_text(path, _LIST), str(path))
    except BenchError as error:
        _note_damage(rows, listed, path, error)
        return DAMAGED


def read_json_object(rows: Rows, entry: Entry) -> dict[str, Any]:
    """A JSON object; empty, with a finding, if the file is anything else."""
    value = read_json(rows, rows.tree.root / entry.path, entry.path)
    if isinstance(value, dict):
        return value
    if value is not DAMAGED:
        words = f"expected a JSON object, found {kind_of(value)}"
        rows.note(entry.path, "bad-file", "error", words, _AGAIN)
    return {}


def read_csv(
    rows: Rows, entry: Entry, required: Sequence[str], optional: Sequence[str] | None = None
) -> Iterator[tuple[int, dict[str, str]]]:
    """The rows of a CSV with their line numbers, by column; a finding for a line that cannot be read.

    Args:
        rows: Takes the findings.
        entry: The CSV.
        required: Columns that it must have.
        optional: Columns that it may have as well; any if None.
    """
    lines = read_fields(rows, entry, required, optional)
    _, header = next(lines, (0, []))
    for number, fields in lines:
        yield number, {column: field.strip() for column, field in zip(header, fields, strict=True)}


def read_fields(
    rows: Rows, entry: Entry, required: Sequence[str], optional: Sequence[str] | None = None
) -> Iterator[tuple[int, list[str]]]:
    """The same as fields, with the blanks around them; the header first."""
    rows.claimed.add(entry.path)

    def uneven(number: int, words: str) -> None:
        rows.note(entry.path, "bad-file", "error", f"line {number}: {words}", "correct the line")

    path = rows.tree.root / entry.path
    try:
        yield from parsing.csv_lines(path, _LIST, required, optional, uneven=uneven)
    except BenchError as error:
        _note_damage(rows, entry.path, path, error, "; the rest is not read")


def kind_of(value: Any) -> str:
    """What a JSON value is, in words."""
    kinds = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a number")


def refused(rows: Rows, listed_in: str, path: str) -> bool:
    """Whether a listed path leaves the root; it is reported then."""
    if leaves_root(path):
        rows.note(
            listed_in,
            "outside",
            "error",
            f"it lists {shown(path)}, which leads out of the folder; refused",
            "correct it",
        )
        return True
    return False


def _note_damage(rows: Rows, listed: str, path: Path, error: BenchError, more: str = "") -> None:
    words = str(error).removeprefix(f"{_LIST} ").removeprefix(str(path)).removeprefix(": ").removeprefix(", ")
    rows.note(listed, "bad-file", "error", f"{words}{more}", _AGAIN)
