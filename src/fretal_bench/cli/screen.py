"""What is printed and how: texts as they are, errors and warnings as one line, JSON, tables, and bars for making data."""

from __future__ import annotations

import contextlib
import shlex
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, Literal, TypedDict

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from fretal_bench import parsing
from fretal_bench.datasets.progress import ProgressCallback
from fretal_bench.errors import BenchWarning
from fretal_bench.names import escaped


class _Plain(TypedDict):
    markup: bool
    highlight: bool


PLAIN: Final[_Plain] = {"markup": False, "highlight": False}
"""For ``Console.print``: paths and texts of a user are printed as they are, ``[red]`` in them is no colour."""
# Longer texts may be wrapped in a narrow terminal.
_SHORT: Final = 24


def print_line(text: str, console: Console | None = None, style: str | None = None) -> None:
    """Print one line as it is: no markup, no colours, no wrapping, so that a path or command in it can be copied."""
    (console or Console()).print(text, style=style, soft_wrap=True, **PLAIN)


def print_problem(text: str, style: str | None = None) -> None:
    """Print what went wrong, or should be known, as one line on standard error that begins with ``bench:``.

    Line ends and what else would move the cursor or turn the text are printed as their codes.
    """
    print_line(f"bench: {escaped(text)}", Console(stderr=True), style)


def print_next(commands: Sequence[str]) -> None:
    """Print the commands to type next."""
    print_line("Next:", style="bold")
    for command in commands:
        print_line(f"  {command}")


def print_json(value: Any) -> None:
    """Print plain data as JSON; a number that is not finite is a fault of the caller, not of what reads it."""
    print(parsing.to_json(value), end="")


def number_of(count: int, one: str, more: str) -> str:
    """Write a count with what is counted, e.g. ``1 strategy`` or ``3 strategies``."""
    return f"{count} {one if count == 1 else more}"


def typed_command() -> str:
    """Return the command as it was typed, to be typed again."""
    return shlex.join(["bench", *sys.argv[1:]])


def print_rows(rows: Sequence[dict[str, Any]]) -> None:
    """Print rows with the same keys as a table; the column ``name`` is never wrapped."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in rows[0]:
        table.add_column(column, no_wrap=column == "name", overflow="fold")
    for row in rows:
        table.add_row(*(Text(str(value)) for value in row.values()))
    Console().print(table, highlight=False)


def print_table(title: str, columns: list[str], rows: list[list[str]]) -> None:
    """Print a table: numbers set to the right, only long texts wrapped, a source that all rows share once below it."""
    console, caption = Console(), None
    if columns[-1] == "source" and len({row[-1] for row in rows}) == 1:
        caption = escape(f"source: {rows[0][-1]}")
        columns, rows = columns[:-1], [row[:-1] for row in rows]
    table = Table(
        title=escape(title),
        title_justify="left",
        title_style="bold",
        caption=caption,
        caption_justify="left",
        box=None,
        pad_edge=False,
        show_header=any(columns),
        header_style="dim",
    )
    for place, column in enumerate(columns):
        cells = [row[place] for row in rows if row[place]]
        numeric = bool(cells) and all(cell.lstrip("+-").replace(",", "").isdigit() for cell in cells)
        longest = max(map(len, cells), default=0)
        justify: Literal["left", "right"] = "right" if numeric else "left"
        min_width = longest if longest <= _SHORT else None
        table.add_column(column, justify=justify, overflow="fold", min_width=min_width)
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table, highlight=False)
    console.print()


@contextlib.contextmanager
def warnings_as_lines() -> Iterator[None]:
    """Print the suite's own warnings as one line inside the block; all others as Python does."""
    before = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
        if issubclass(category, BenchWarning):
            print_problem(str(message))
        else:
            before(message, category, *where, **more)

    warnings.showwarning = show
    try:
        yield
    finally:
        warnings.showwarning = before


@contextlib.contextmanager
def doing() -> Iterator[Callable[[str], None]]:
    """Give what to call with what is being done, in a few words: one line on standard error, in a terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _: None
        return
    with console.status("") as status:
        yield lambda text: status.update(Text(f"{text} ..."))


@contextlib.contextmanager
def bar(doing: str, things: str) -> Iterator[ProgressCallback]:
    """Give what to call with (done, total); a bar on standard error appears at the first call, in a terminal.

    Args:
        doing: What is done, e.g. ``reading``.
        things: What is counted, e.g. ``files``.
    """
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    progress = Progress(
        TextColumn(doing),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn(things),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    task = progress.add_task(doing, total=None)

    def tell(done: int, total: int) -> None:
        if not progress.live.is_started and progress.console.is_terminal:
            progress.start()
        progress.update(task, completed=done, total=total)

    try:
        yield tell
    finally:
        if progress.live.is_started:
            progress.stop()


def first_use_bar() -> contextlib.AbstractContextManager[ProgressCallback]:
    """Give what to call with (done, total) while FF++-mini is made, on first use."""
    return bar("making FF++-mini (first use only)", "people")
