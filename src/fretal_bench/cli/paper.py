"""The ``bench paper`` commands: published tables, and this suite's own numbers beside them."""

from __future__ import annotations

import fnmatch
import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final, TypedDict

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

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


class _Plain(TypedDict):
    markup: bool
    highlight: bool


paper = typer.Typer(
    name="paper",
    help="Published tables, and this suite's own numbers beside them.",
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

    found = find_table(table, published_tables(published))
    if json_:
        print(json.dumps(as_rows(found), indent=1))
        return
    from fretal_bench.papers.published_table import print_published

    print_published(found, Console())


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
    from fretal_bench.papers.comparison import (
        check_report_folder,
        compare,
        print_comparison,
        write_comparison,
    )
    from fretal_bench.papers.file import open_paper
    from fretal_bench.papers.published import find_table, published_tables
    from fretal_bench.papers.run import execute_paper, prepare_paper

    tables = published_tables(published)
    if table.endswith(".toml"):
        how = open_paper(table)
        if how.name not in tables:
            where = published or "the suite's own tables"
            raise BenchError(
                f"{table}: no value of a table {how.name!r} stands in {where}; "
                f"give them with --published CSV, a CSV whose column table says {how.name}"
            )
        found = tables[how.name]
    else:
        found = find_table(table, tables)
        how = open_paper(table)
    name = found.name
    places = [(value.method, value.column) for value in found.values]
    folder = out or Path("results") / (
        f"paper-{name}-as-{Path(stream_as).stem}" if stream_as else f"paper-{name}"
    )
    report = Path("reports") / folder.resolve().name
    check_report_folder(report)
    console = Console(stderr=json_)
    with building(console) as tell:
        ready = prepare_paper(
            how,
            places,
            folder,
            recipe=recipe,
            seeds=seeds_of(seeds),
            stream_as=stream_as,
            data=data or (),
            changes=split_changes(set_ or []),
            jobs=jobs,
            device=device,
            building=tell,
        )
    if ready.total:
        console.print(f"{ready.total} steps to train into {folder}", **PLAIN)
        with Live(console, ready.total) as live:
            measured = execute_paper(ready, places, live)
    else:
        console.print(f"all done already in {folder}: nothing to train", **PLAIN)
        measured = execute_paper(ready, places)
    comparison = compare(found, ready, measured, Path(stream_as).stem if stream_as else "", _command())
    write_comparison(comparison, report)
    if json_:
        print(json.dumps({**comparison.to_dict(), "report": str(report)}, indent=1, allow_nan=False))
    else:
        print_comparison(comparison, console)
        for line in ready.commands:
            console.print(f"  {line}", soft_wrap=True, **PLAIN)
        console.print(f"\nReport: {report / 'summary.md'}  (CSV and LaTeX beside it)", **PLAIN)
    failed = list(dict.fromkeys(one.reason for one in measured.values() if one.failed))
    for reason in failed:
        Console(stderr=True).print(f"bench: {reason}", soft_wrap=True, **PLAIN)
    if failed:
        sys.exit(1)


def table_rows(
    pattern: str = "*", data: Sequence[Path] = (), published: Path | None = None
) -> list[dict[str, Any]]:
    """List the tables whose name fits a pattern: what they are, and whether they can be run here."""
    from fretal_bench.papers.file import open_paper
    from fretal_bench.papers.published import published_tables
    from fretal_bench.papers.streams import TableStreams

    rows = []
    for name, table in published_tables(published).items():
        if not fnmatch.fnmatchcase(name, pattern):
            continue
        how = open_paper(name)
        streams = TableStreams(how, Path("results") / f"paper-{name}", data=data)
        reasons = streams.reasons((value.method, value.column) for value in table.values)
        why = [reason for reason in dict.fromkeys(reasons.values()) if reason]
        able = sum(not reason for reason in reasons.values())
        rows.append(
            {
                "name": name,
                "paper": "; ".join(table.distinct("paper")),
                "protocol": "; ".join(table.distinct("protocol")),
                "quantity": "; ".join(table.distinct("quantity")),
                "values": len(table.values),
                "confidence": "; ".join(table.distinct("confidence")),
                "runs here": _runs_here(able, len(reasons), why, streams.missing),
                "can be run": able,
                "reasons": why,
                "commands": list(streams.commands),
            }
        )
    return rows


def _runs_here(able: int, values: int, reasons: Sequence[str], missing: Sequence[str]) -> str:
    """Say in one line how many values can be run, and what the others lack."""
    from fretal_bench.papers.table import NO_STRATEGY

    if not reasons:
        return "yes"
    absent = [reason.removeprefix(NO_STRATEGY) for reason in reasons if reason.startswith(NO_STRATEGY)]
    others = [reason for reason in reasons if not reason.startswith((NO_STRATEGY, "lacks "))]
    parts = [f"lacks {', '.join(missing)}"] if missing else []
    parts += [f"{NO_STRATEGY}{', '.join(absent)}"] if absent else []
    return f"{able or 'none'} of {values} values: {'; '.join([*parts, *others])}"


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


def _command() -> str:
    """What was typed, to be typed again."""
    return shlex.join(["bench", *sys.argv[1:]])
