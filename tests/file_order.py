"""Longest test files first, so that no process is at work alone in the end; the seconds that say which those are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from fretal_bench.parsing import read_toml

TABLE: Final = Path(__file__).with_name("seconds.toml")
_HEAD: Final = (
    "# Seconds that test files took, the longest first; renewed by `pytest --renew-seconds`. "
    "Files that are not here are short.\n"
)
_LEAST: Final = 5
"""A file that takes fewer seconds is not in the table."""


def seconds(table: Path = TABLE) -> dict[str, float]:
    """Read the table: seconds by file."""
    return read_toml(table, "table of seconds")


def file_of(nodeid: str) -> str:
    """The file of a test, as pytest names it."""
    return nodeid.partition("::")[0]


def longest_first(items: list[Any], taken: Mapping[str, float]) -> None:
    """Sort tests by the seconds of their files; tests of a file stay beside each other and in their order."""
    items.sort(key=lambda item: -taken.get(file_of(item.nodeid), 0))


def renew(taken: Mapping[str, float], table: Path = TABLE) -> None:
    """Write what files took into the table; those that were not run keep their seconds."""
    both = {**(seconds(table) if table.exists() else {}), **taken}
    kept = sorted((file for file in both if both[file] >= _LEAST), key=lambda file: (-both[file], file))
    table.write_text(_HEAD + "".join(f'"{file}" = {both[file]:.0f}\n' for file in kept), "utf-8")


class Clock:
    """A plugin of pytest that adds up what each file took and renews the table in the end.

    Of several processes the one that hands out the tests hears of them all.
    """

    def __init__(self) -> None:
        self.taken: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: Any) -> None:
        self.taken[file_of(report.nodeid)] += report.duration

    def pytest_sessionfinish(self) -> None:
        renew(self.taken)
