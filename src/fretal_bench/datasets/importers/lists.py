"""Readers of the lists and JSON files that come with data sets: damage becomes a finding, a path outside is refused."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from itertools import zip_longest
from typing import Any, Final

from fretal_bench.datasets.importers.rows import Rows
from fretal_bench.datasets.importers.walk import Entry, leaves_root

_LINE: Final = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")


def read_text(rows: Rows, entry: Entry) -> str:
    """The text of a list; "" and a finding if it is no UTF-8 or cannot be read."""
    rows.claimed.add(entry.path)
    try:
        return (rows.tree.root / entry.path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        rows.note(entry.path, "bad-file", "error", f"expected UTF-8 text, found {error}", "copy it again")
        return ""


def read_json_object(rows: Rows, entry: Entry) -> dict[str, Any]:
    """A JSON object; empty, with a finding, if the file is anything else."""
    text = read_text(rows, entry)
    try:
        data = json.loads(text) if text else {}
    except (json.JSONDecodeError, RecursionError) as error:
        rows.note(entry.path, "bad-file", "error", f"expected JSON, found {error}", "copy it again")
        return {}
    if not isinstance(data, dict):
        rows.note(
            entry.path,
            "bad-file",
            "error",
            f"expected a JSON object, found a {type(data).__name__}",
            "copy it again",
        )
        return {}
    return data


def read_csv(rows: Rows, entry: Entry) -> Iterator[tuple[int, dict[str, str]]]:
    """The rows of a CSV with their line numbers, by column; a finding where a line cannot be parsed."""
    header: list[str] | None = None
    for number, fields in read_fields(rows, entry):
        if header is None:
            header = fields
        else:
            yield number, dict(zip_longest(header, fields[: len(header)], fillvalue=""))


def read_fields(rows: Rows, entry: Entry) -> Iterator[tuple[int, list[str]]]:
    """The lines of a CSV that are not empty, header and all, with their numbers; a finding where one cannot be parsed.

    One line after the other: a list of a million files is not held in memory twice.
    """
    text = read_text(rows, entry)
    lines = csv.reader((match.group() for match in _LINE.finditer(text)), skipinitialspace=True)
    try:
        for fields in lines:
            if fields:
                yield lines.line_num, fields
    except csv.Error as error:
        words = f"line {lines.line_num}: expected comma-separated values, found {error}; the rest is not read"
        rows.note(entry.path, "bad-file", "error", words, "correct the line")


def refused(rows: Rows, listed_in: str, path: str) -> bool:
    """Whether a listed path leaves the root; it is reported then."""
    if leaves_root(path):
        rows.note(
            listed_in,
            "outside",
            "error",
            f"it lists {path!r}, which leads out of the folder; refused",
            "correct it",
        )
        return True
    return False
