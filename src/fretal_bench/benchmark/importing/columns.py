"""The columns of a CSV of scores: which of the file's are which, and what is wrong with its rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from fretal_bench.errors import BenchError, unknown_name
from fretal_bench.names import shown

NEEDED: Final = ("step", "domain", "video", "label", "score")
FURTHER: Final = ("frame", "person", "seed", "strategy")
"""Columns that may be there: without ``frame`` a row is a video, without ``person`` nobody is known, without ``seed`` it
is 0, without ``strategy`` the call names it."""
OTHER_NAMES: Final[Mapping[str, tuple[str, ...]]] = {"person": ("people", "cluster")}
"""What a column may be called as well, without being mapped."""
_MARKS: Final[Mapping[str, str]] = {";": "';'", "\t": "tabs", "|": "'|'"}
"""What may stand between fields in place of commas."""
_LISTED: Final = 10
"""Columns that are named of those that are not read."""


def columns_of(header: Sequence[str], mapped: Mapping[str, str], where: str) -> dict[str, str]:
    """Find the columns of a CSV of scores.

    Args:
        header: The file's columns.
        mapped: The file's column by the name that it has here, as ``--map`` says.
        where: The file, for the errors.

    Returns:
        The file's column by its name here, of all that are there.

    Raises:
        BenchError: A needed column is missing, a mapped one does not exist, or the header names one twice.
    """
    twice = [name for place, name in enumerate(header) if name in header[:place]]
    if twice:
        raise BenchError(f"{where}, line 1: column {shown(twice[0])} is there twice; rename one")
    for name, column in mapped.items():
        if name not in (*NEEDED, *FURTHER):
            raise _unknown(name, column, header)
        if column not in header:
            raise BenchError(f"--map {name}={column}: {where}: {unknown_name('column', column, header)}")
    found: dict[str, str] = {}
    for name in (*NEEDED, *FURTHER):
        called = [of for of in (name, *OTHER_NAMES.get(name, ())) if of in header]
        column = mapped.get(name, called[0] if called else "")
        if column:
            found[name] = column
    lacking = [name for name in NEEDED if name not in found]
    if lacking:
        raise BenchError(f"{where}, line 1: {_lacking(lacking, header, mapped)}")
    return found


def _lacking(names: Sequence[str], header: Sequence[str], mapped: Mapping[str, str]) -> str:
    """Say that columns are missing, and which call names them."""
    listed = shown(", ".join(header) or "none", 200)
    what = f"a column {names[0]!r}" if len(names) == 1 else f"columns {', '.join(map(repr, names))}"
    mark = next((name for mark, name in _MARKS.items() if len(header) == 1 and mark in header[0]), "")
    if mark:
        return f"expected {what}, found {listed}; the file seems to be separated by {mark}: write commas"
    which = "which it is" if len(names) == 1 else "which they are"
    columns = [f"{name}={column}" for name, column in mapped.items()] + [f"{name}=COLUMN" for name in names]
    return f"expected {what}, found {listed}; say {which}: --map {','.join(columns)}"


def _unknown(name: str, column: str, header: Sequence[str]) -> BenchError:
    """Build the error for a column of ``--map`` that the suite does not know."""
    error = unknown_name("column in --map", name, (*NEEDED, *FURTHER))
    if column in (*NEEDED, *FURTHER) and name in header:
        return BenchError(f"{error}; write the suite's name first: --map {column}={name}")
    return error


def unread(columns: Sequence[str]) -> str:
    """Name the columns that are not read."""
    more = f" and {len(columns) - _LISTED} more" if len(columns) > _LISTED else ""
    return f"columns not read: {', '.join(columns[:_LISTED])}{more}"


def mapping_of(text: str | None) -> dict[str, str]:
    """Read ``--map``: ``step=task,domain=dataset``.

    Raises:
        BenchError: A part is not of that form, or names a column twice.
    """
    mapped: dict[str, str] = {}
    for part in text.split(",") if text else ():
        name, equals, column = (word.strip() for word in part.partition("="))
        name = next((of for of, others in OTHER_NAMES.items() if name in others), name)
        if not (name and equals and column):
            raise BenchError(f"--map {shown(part)}: expected NAME=COLUMN, e.g. step=task,domain=dataset")
        if name in mapped:
            raise BenchError(f"--map names {name!r} twice; give it once")
        mapped[name] = column
    return mapped


@dataclass
class Fault:
    """One thing that is wrong with some rows.

    Attributes:
        words: What, in words that follow the count: ``rows have a score that is no number``.
        remedy: What to do about it; empty if that is plain.
        count: How many rows.
        line: The first of them, by its line in the file.
        found: What stands there.
    """

    words: str
    remedy: str = ""
    count: int = 0
    line: int = 0
    found: str = ""

    def __str__(self) -> str:
        rows = "1 row has" if self.count == 1 else f"{self.count:,} rows have"
        first = "in" if self.count == 1 else "the first in"
        remedy = f"; {self.remedy}" if self.remedy else ""
        return f"{rows} {self.words}, {first} line {self.line} ({self.found}){remedy}"


@dataclass
class Faults:
    """What is wrong with the rows of a file, each kind counted.

    Attributes:
        kinds: Each kind by its words.
        others: Faults of another form, each in words.
    """

    kinds: dict[str, Fault] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)

    def add(self, words: str, count: int, line: int, found: str, remedy: str = "") -> None:
        """Count rows of one kind; lines come in their order."""
        fault = self.kinds.setdefault(words, Fault(words, remedy, 0, line, found))
        fault.count += count

    def check(self, where: str) -> None:
        """Raise what was counted, in one line; nothing if all is right."""
        words = [*map(str, self.kinds.values()), *self.others]
        if words:
            raise BenchError(f"{where}: {'; '.join(words)}; nothing was imported")
