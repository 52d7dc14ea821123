"""TOML, JSON and CSV: parsed so that they mean one thing or refused in one line, and written to read back the same."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final

from fretal_bench import files
from fretal_bench.errors import BenchError, nearest
from fretal_bench.names import shown

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

DEEPEST: Final = 40
"""Tables and lists within each other in TOML or JSON."""
_LONGEST_LINE: Final = 4 * 2**20
"""Bytes of a line of CSV."""
_LINE: Final = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
_UNPARSED: Final = (
    f"a quote that is not closed or not doubled, or a field of more than {csv.field_size_limit():,} characters; "
    "correct that line"
)


def parse_toml(text: str, where: str) -> dict[str, Any]:
    """Parse TOML.

    Raises:
        BenchError: It is none, or is nested deeper than ``DEEPEST``; the message names the line.
    """
    try:
        values = tomllib.loads(text)
    except RecursionError as error:
        raise _too_deep(where) from error
    except (ValueError, OverflowError) as error:
        # Besides its own errors, those of numbers and dates that Python can't hold.
        reason = (str(error).splitlines() or ["a value cannot be read"])[0]
        raise BenchError(f"{where}: not valid TOML: {reason}") from error
    _check_depth(values, where)
    return values


def read_toml(path: str | os.PathLike[str], what: str) -> dict[str, Any]:
    """Read a TOML file; ``what`` it is, e.g. ``recipe file``, stands in the errors.

    Raises:
        BenchError: It cannot be read, is not UTF-8, or is no TOML.
    """
    return parse_toml(files.read_text(path, what), os.fspath(path))


def parse_json(text: str, where: str) -> Any:
    """Parse JSON that means one thing: every key once, finite numbers only, no deeper than ``DEEPEST``.

    Raises:
        BenchError: It is none; the message names the line or the key.
    """
    try:
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_number, parse_float=_finite)
    except RecursionError as error:
        raise _too_deep(where) from error
    except ValueError as error:
        raise BenchError(f"{where}: not valid JSON: {(str(error).splitlines() or ['damaged'])[0]}") from error
    _check_depth(value, where)
    return value


def read_json(path: str | os.PathLike[str], what: str, remedy: str = "check the path") -> Any:
    """Read a JSON file; ``what`` it is and what to do (``remedy``) stand in the errors. See ``parse_json``.

    Raises:
        BenchError: It cannot be read, is not UTF-8, or is no JSON.
    """
    text = files.read_text(path, what, remedy)
    try:
        return parse_json(text, os.fspath(path))
    except BenchError as error:
        raise BenchError(f"{error}; {remedy}") from error


def to_json(values: Any) -> str:
    """Write plain data as JSON that ``parse_json`` reads back, one line a value, with a newline at the end.

    Raises:
        ValueError: A number is not finite.
    """
    return json.dumps(values, indent=1, allow_nan=False) + "\n"


def parse_csv(
    text: str, where: str, required: Sequence[str], optional: Sequence[str] | None = ()
) -> Iterator[tuple[int, dict[str, str]]]:
    """Parse CSV that means one thing: a header that names every column once, and as many fields on every line.

    Args:
        text: The whole CSV.
        where: The file, for the errors.
        required: Columns that it must have.
        optional: Columns that it may have as well; any if None.

    Yields:
        The number of a line and its fields by column, blanks around them removed; empty lines are passed over.

    Raises:
        BenchError: A column is unknown, missing or there twice, a line has more or fewer fields, or it is no CSV; the
            message names the line.
    """
    lines = _lines(io.StringIO(text, newline=""), where, required, optional, None)
    _, header = next(lines)
    for number, fields in lines:
        yield number, {column: field.strip() for column, field in zip(header, fields, strict=True)}


def csv_lines(
    path: str | os.PathLike[str],
    what: str,
    required: Sequence[str],
    optional: Sequence[str] | None = (),
    *,
    uneven: Callable[[int, str], None] | None = None,
) -> Iterator[tuple[int, list[str]]]:
    """Read a CSV file line by line, in the memory of one line; the rules are those of ``parse_csv``.

    Args:
        path: The file.
        what: What it is, for the errors.
        required: Columns that it must have.
        optional: Columns that it may have as well; any if None.
        uneven: Takes the number of a line with more or fewer fields than the header, and what is wrong with it; the
            line is then passed over. Without it such a line is an error.

    Yields:
        The number of a line and its fields, as many as there are columns and with the blanks around them; the header
        first, without blanks.

    Raises:
        BenchError: It cannot be read, is no regular file, is not UTF-8, or breaks a rule of ``parse_csv``.
    """
    with files.opened(path, what) as file:
        yield from _lines(_decoded(file), os.fspath(path), required, optional, uneven)


def csv_header(path: str | os.PathLike[str], what: str) -> list[str]:
    """Return the first line's columns of a CSV file, as they are there; see ``check_header``.

    Raises:
        BenchError: It cannot be read, is no regular file, is not UTF-8, or is no CSV.
    """
    with files.opened(path, what) as file:
        try:
            header = [column.strip() for column in next(csv.reader(_decoded(file), strict=True), [])]
        except csv.Error as error:
            raise BenchError(f"{os.fspath(path)}, line 1: not valid CSV: {_UNPARSED}") from error
        except UnicodeDecodeError as error:
            raise BenchError(f"{os.fspath(path)}, line 1: not UTF-8 text; save it as UTF-8") from error
    _drop_blanks(header, 0)
    return header


def _lines(
    source: Iterable[str],
    where: str,
    required: Sequence[str],
    optional: Sequence[str] | None,
    uneven: Callable[[int, str], None] | None,
) -> Iterator[tuple[int, list[str]]]:
    lines = csv.reader(source, strict=True)
    try:
        header = [column.strip() for column in next(lines, [])]
        _drop_blanks(header, 0)
        check_header(header, where, required, optional)
        columns = len(header)
        yield 1, header
        for fields in lines:
            if not any(field.strip() for field in fields):
                continue
            _drop_blanks(fields, columns)
            if len(fields) == columns:
                yield lines.line_num, fields
                continue
            words = f"expected {columns} fields, found {len(fields)}"
            if uneven is None:
                raise BenchError(f"{where}, line {lines.line_num}: {words}; correct that line")
            uneven(lines.line_num, words)
    except csv.Error as error:
        raise BenchError(f"{where}, line {lines.line_num}: not valid CSV: {_UNPARSED}") from error
    except UnicodeDecodeError as error:
        raise BenchError(f"{where}, line {lines.line_num + 1}: not UTF-8 text; save it as UTF-8") from error


def _drop_blanks(fields: list[str], columns: int) -> None:
    """Drop empty fields behind the last column: spreadsheets write them, and they say nothing."""
    while len(fields) > columns and not fields[-1].strip():
        fields.pop()


def _decoded(file: BinaryIO) -> Iterator[str]:
    """The lines of a file, whatever ends them; one after the other, so that the first that is no UTF-8 is known."""
    coding = "utf-8-sig"
    while raw := file.readline(_LONGEST_LINE):
        if len(raw) == _LONGEST_LINE:
            raise csv.Error
        text = raw.decode(coding)
        coding = "utf-8"
        if "\r" in text[:-2]:
            yield from _LINE.findall(text)
        else:
            yield text


def check_header(
    header: list[str], where: str, required: Sequence[str], optional: Sequence[str] | None
) -> None:
    """Refuse a CSV's header that lacks a required column, names one twice, or names one that is unknown.

    Args:
        header: The columns.
        where: The file, for the errors.
        required: Columns that it must have.
        optional: Columns that it may have as well; any if None.

    Raises:
        BenchError: It does.
    """
    for place, column in enumerate(header):
        if column in header[:place]:
            raise BenchError(f"{where}, line 1: the column {shown(column)} is there twice; keep one of them")
        if optional is not None and column not in (*required, *optional):
            raise BenchError(
                f"{where}, line 1: unknown column {shown(column)}{nearest(column, (*required, *optional))}"
            )
    if missing := [column for column in required if column not in header]:
        raise BenchError(
            f"{where}, line 1: expected the columns {', '.join(required)}, found no {', '.join(missing)}; add it"
        )


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {shown(next(key for key in keys if keys.count(key) > 1))} is there twice")
    return values


def _no_number(text: str) -> float:
    raise ValueError(f"expected finite numbers, found {text}")


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _no_number(text[:40])


def _check_depth(value: Any, where: str) -> None:
    holders = [value] if isinstance(value, dict | list) else []
    for _ in range(DEEPEST):
        holders = [
            item
            for holder in holders
            for item in (holder.values() if isinstance(holder, dict) else holder)
            if isinstance(item, dict | list)
        ]
    if holders:
        raise _too_deep(where)


def _too_deep(where: str) -> BenchError:
    return BenchError(f"{where}: expected at most {DEEPEST} tables or lists within each other, found more")


def to_toml(values: Mapping[str, Any]) -> str:
    """Write plain data as TOML that reads back the same; None is left out, records and tuples become tables and lists.

    A record that equals another is written alike. Give a record's values with ``plain``.
    """
    import tomli_w

    return tomli_w.dumps(plain(values))


def plain(value: Any) -> Any:
    """Return nested records, tuples and paths as dicts, lists and texts; None values of tables are left out."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value
