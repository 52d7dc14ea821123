"""The ``bench paper`` commands: published tables, and this suite's own numbers next to them."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypedDict

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from fretal_bench import files
from fretal_bench.cli.options import (
    DataOption,
    DeviceOption,
    JobsOption,
    JsonOption,
    PluginOption,
    SeedsOption,
    SetOption,
    seeds_of,
)
from fretal_bench.errors import BenchError

if TYPE_CHECKING:
    from fretal_bench.papers.comparison import Comparison
    from fretal_bench.papers.file import PaperFile
    from fretal_bench.papers.published import PublishedTable


class _Plain(TypedDict):
    markup: bool
    highlight: bool


paper = typer.Typer(
    name="paper",
    help="Published tables, and this suite's own numbers next to them.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

# Paths and texts of a user's CSV are printed as they are: [red] in them is no colour.
PLAIN: Final[_Plain] = {"markup": False, "highlight": False}

PublishedOption = Annotated[
    Path | None,
    typer.Option("--published", help="A CSV of your own with more rows or tables.", metavar="CSV"),
]
TableArgument = Annotated[
    str, typer.Argument(help="Name of a table; see `bench paper list`.", metavar="TABLE")
]


@paper.command("list")
def list_(
    pattern: Annotated[str, typer.Argument(help="e.g. 'cored*'")] = "*",
    published: PublishedOption = None,
    data: DataOption = None,
    plugin: PluginOption = None,
    json_: JsonOption = False,
) -> None:
    """List the published tables, and whether they can be run here."""
    rows = table_rows(pattern, data or (), published)
    if not rows:
        raise BenchError(f"no table fits {pattern!r}; `bench paper list` shows all")
    if json_:
        print(json.dumps(rows, indent=1))
        return
    print_rows(rows)


@paper.command()
def show(table: TableArgument, published: PublishedOption = None, json_: JsonOption = False) -> None:
    """Show a published table, with the source and confidence of every value."""
    from fretal_bench.papers.published import as_rows, find_table, published_tables

    values = find_table(table, published_tables(published))
    if json_:
        print(json.dumps(as_rows(values), indent=1))
        return
    from fretal_bench.papers.published_table import print_published

    print_published(values, Console())


@paper.command()
def run(
    table: Annotated[
        str, typer.Argument(help="Name of a table, or the TOML file that maps one of yours.", metavar="TABLE")
    ],
    data: DataOption = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            help="Name, TOML file, or paper.  [default: paper: the table's own; mini with --stream-as]"
        ),
    ] = None,
    seeds: SeedsOption = "0",
    stream_as: Annotated[
        str | None,
        typer.Option(help="A stream whose data stand in for the paper's, e.g. ffpp-mini.", metavar="STREAM"),
    ] = None,
    published: PublishedOption = None,
    set_: SetOption = None,
    jobs: JobsOption = None,
    device: DeviceOption = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the results.  [default: results/paper-TABLE]")
    ] = None,
    plugin: PluginOption = None,
    json_: JsonOption = False,
) -> None:
    """Train what a published table needs and print it beside the published values; goes on where it stopped.

    Exit code 1 if a cell failed. Values that cannot be run here are named with the reason.
    """
    from fretal_bench.benchmark.runner.plan import split_changes
    from fretal_bench.cli.live import Live, building
    from fretal_bench.papers.comparison import compare
    from fretal_bench.papers.comparison_output import write_comparison
    from fretal_bench.papers.run import PaperCall, execute_paper, prepare_paper
    from fretal_bench.papers.values import measure

    values, file = _open(table, published)
    places = [(value.method, value.column) for value in values.values]
    lender = Path(stream_as).stem if stream_as else ""
    folder = out or Path("results") / (
        f"paper-{values.name}-as-{lender}" if lender else f"paper-{values.name}"
    )
    report = Path("reports") / folder.resolve().name
    # Before hours are spent on what goes into it.
    files.check_place(report / "summary.md", "--out, or work in another folder")
    call = PaperCall(
        file,
        places,
        folder,
        recipe,
        seeds_of(seeds),
        stream_as,
        data or (),
        split_changes(set_ or []),
        jobs,
        device,
    )
    console = Console(stderr=json_)
    with building(console) as tell:
        ready = prepare_paper(call, tell)
    if ready.total:
        console.print(f"{ready.total} steps to train into {folder}", **PLAIN)
        with Live(console, ready.total) as live:
            execute_paper(ready, live)
    else:
        console.print(f"all done already in {folder}: nothing to train", **PLAIN)
    measured = measure(ready, places)
    comparison = compare(values, ready, measured, lender, shlex.join(["bench", *sys.argv[1:]]))
    write_comparison(comparison, report)
    _print(comparison, report, console, json_)
    failures = dict.fromkeys(value.reason for value in measured.values() if value.failed)
    for reason in failures:
        Console(stderr=True).print(f"bench: {reason}", soft_wrap=True, **PLAIN)
    if failures:
        sys.exit(1)


def _open(table: str, published: Path | None) -> tuple[PublishedTable, PaperFile]:
    """Return a table's published values and its file, of the suite's by name or the user's own by path."""
    from fretal_bench.papers.file import open_paper
    from fretal_bench.papers.published import find_table, published_tables

    tables = published_tables(published)
    if not table.endswith(".toml"):
        return find_table(table, tables), open_paper(table)
    file = open_paper(table)
    if file.name not in tables:
        where = published or "the suite's own tables"
        raise BenchError(
            f"{table}: no value of a table {file.name!r} stands in {where}; "
            f"give its values with --published CSV, a CSV whose column table says {file.name}"
        )
    return tables[file.name], file


def _print(comparison: Comparison, report: Path, console: Console, json_: bool) -> None:
    from fretal_bench.papers.comparison_output import plain_comparison, print_comparison

    if json_:
        plain = {**plain_comparison(comparison), "report": str(report)}
        print(json.dumps(plain, indent=1, allow_nan=False))
        return
    print_comparison(comparison, console)
    for line in comparison.commands:
        console.print(f"  {line}", soft_wrap=True, **PLAIN)
    console.print(f"\nReport: {report / 'summary.md'}  (CSV and LaTeX in the same folder)", **PLAIN)


def table_rows(
    pattern: str = "*", data: Sequence[Path] = (), published: Path | None = None
) -> list[dict[str, Any]]:
    """List the tables whose name fits a pattern: see ``papers.table``, which is imported when it is needed."""
    from fretal_bench.papers import table

    return table.table_rows(pattern, data, published)


def print_rows(rows: Sequence[dict[str, Any]]) -> None:
    """Print a list of tables, a block each: the texts are too long for columns."""
    console = Console()
    for row in rows:
        head = Table.grid(padding=(0, 1))
        head.add_column(no_wrap=True)
        head.add_column()
        console.print(row["name"], style="bold", **PLAIN)
        lines = {key: row[key] for key in ("paper", "protocol", "quantity")}
        lines |= {"values": f"{row['values']}, {row['confidence']}", "runs here": row["runs here"]}
        for key, text in lines.items():
            head.add_row(f"  {key}", Text(text))
        console.print(head, highlight=False)
