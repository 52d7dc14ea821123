"""The ``bench paper`` commands: published tables, and this suite's own numbers next to them."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from fretal_bench import files
from fretal_bench.cli.options import (
    DataOption,
    DeviceOption,
    GpusOption,
    JobsOption,
    JsonOption,
    PluginOption,
    PoolOption,
    RayOption,
    SeedsOption,
    SetOption,
    seeds_of,
)
from fretal_bench.cli.screen import (
    PLAIN,
    first_use_bar,
    print_json,
    print_line,
    print_problem,
    typed_command,
)
from fretal_bench.errors import BenchError

if TYPE_CHECKING:
    from fretal_bench.papers.comparison import Comparison
    from fretal_bench.papers.file import PaperFile
    from fretal_bench.papers.published import PublishedTable
    from fretal_bench.papers.run import PaperCall
    from fretal_bench.papers.values import Measured

paper = typer.Typer(
    name="paper",
    help="Published tables, and this suite's own numbers next to them.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

PublishedOption = Annotated[
    Path | None,
    typer.Option("--published", help="A CSV of your own with more rows or tables.", metavar="CSV"),
]
TableOrFileArgument = Annotated[
    str, typer.Argument(help="Name of a table, or the TOML file that maps one of yours.", metavar="TABLE")
]
RecipeOption = Annotated[
    str | None,
    typer.Option(help="Name, TOML file, or paper.  [default: paper: the table's own; mini with --stream-as]"),
]
StreamAsOption = Annotated[
    str | None,
    typer.Option(help="A stream whose data stand in for the paper's, e.g. ffpp-mini.", metavar="STREAM"),
]
WithinOption = Annotated[
    float | None,
    typer.Option(
        help="How near a measured value must be to the published one to agree, in the table's unit.  "
        "[default: 1 in percent, 0.01 in shares]",
        min=0.0,
    ),
]
PaperFullOption = Annotated[
    bool, typer.Option("--full", help="Print a row for every value too, with its difference.")
]
OutOption = Annotated[
    Path | None, typer.Option(help="Folder of the results.  [default: results/paper-TABLE]")
]


@paper.command("list")
def list_(
    pattern: Annotated[str, typer.Argument(help="e.g. 'cored*'")] = "*",
    published: PublishedOption = None,
    data: DataOption = None,
    plugin: PluginOption = None,
    json_: JsonOption = False,
) -> None:
    """List the published tables, those first that need least to run here, and count what can run."""
    from fretal_bench.papers.table import table_rows

    rows = table_rows(pattern, data or (), published)
    if not rows:
        raise BenchError(f"no table fits {pattern!r}; `bench paper list` shows all")
    if json_:
        print_json(rows)
    else:
        print_tables(rows)
        whole = sum(row["can be run"] == row["values"] for row in rows)
        able, values = (sum(row[key] for row in rows) for key in ("can be run", "values"))
        print_line(
            f"\n{len(rows)} {'table' if len(rows) == 1 else 'tables'}, {whole} of them can run here whole: {able} of "
            f"{values} values"
        )


@paper.command()
def show(
    table: TableOrFileArgument,
    published: PublishedOption = None,
    plugin: PluginOption = None,
    json_: JsonOption = False,
) -> None:
    """Show a published table: the source and confidence of every value, and which strategy of the suite each row is.

    Averages are computed again from the table's cells; where one is printed otherwise, a line says so.
    """
    from fretal_bench.papers.published_table import print_published, rows_with_strategies

    values, file = _open(table, published)
    if json_:
        print_json(rows_with_strategies(values, file))
    else:
        print_published(values, file, Console())


@paper.command()
def run(
    table: TableOrFileArgument,
    data: DataOption = None,
    recipe: RecipeOption = None,
    seeds: SeedsOption = "0",
    stream_as: StreamAsOption = None,
    published: PublishedOption = None,
    set_: SetOption = None,
    jobs: JobsOption = None,
    ray: RayOption = None,
    gpus_per_step: GpusOption = 1.0,
    device: DeviceOption = None,
    out: OutOption = None,
    pool: PoolOption = None,
    within: WithinOption = None,
    full: PaperFullOption = False,
    plugin: PluginOption = None,
    json_: JsonOption = False,
) -> None:
    """Train what a published table needs and print it next to the published values; goes on where it stopped.

    Exit code 1 if a cell failed. Values that cannot be run here are named with the reason.
    """
    from fretal_bench.benchmark.runner.plan import split_changes
    from fretal_bench.papers.run import PaperCall

    values, file = _open(table, published)
    lender = Path(stream_as).stem if stream_as else ""
    folder = out or Path("results") / f"paper-{values.name}{'-as-' + lender if lender else ''}"
    report = Path("reports") / folder.resolve().name
    # Before hours are spent on what goes into it.
    files.check_place(report / "summary.md", "--out, or work in another folder")
    places = [(value.method, value.column) for value in values.values]
    changes = split_changes(set_ or [])
    call = PaperCall(
        file,
        places,
        folder,
        recipe,
        seeds_of(seeds),
        stream_as,
        data or (),
        changes,
        jobs=jobs,
        device=device,
        pool=pool,
        ray=ray,
        gpus_per_step=gpus_per_step,
    )
    comparison = _run(call, values, lender, within, Console(stderr=json_))
    _write(comparison, report, json_, full)
    _exit_if_failed(comparison.measured)


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


def _run(
    call: PaperCall, values: PublishedTable, lender: str, within: float | None, console: Console
) -> Comparison:
    """Train what is missing, and put what was measured next to the published values."""
    from fretal_bench.cli.live import training
    from fretal_bench.papers.comparison import compare
    from fretal_bench.papers.run import execute_paper, prepare_paper
    from fretal_bench.papers.values import measure

    with first_use_bar() as tell:
        ready = prepare_paper(call, tell)
    with training(console, ready.total, call.out) as listener:
        execute_paper(ready, listener)
    return compare(values, ready, measure(ready, call.places), lender, typed_command(), within)


def _write(comparison: Comparison, report: Path, json_: bool, full: bool) -> None:
    from fretal_bench.papers.comparison_output import plain_comparison, print_comparison, write_comparison

    write_comparison(comparison, report)
    if json_:
        print_json({**plain_comparison(comparison), "report": str(report)})
        return
    print_comparison(comparison, Console(), full)
    for command in comparison.commands:
        print_line(f"  {command}")
    rest = "" if full else "; a row for every value: --full"
    print_line(f"\nReport: {report / 'index.html'}  (Markdown, CSV and LaTeX in the same folder{rest})")


def _exit_if_failed(measured: Mapping[tuple[str, str], Measured]) -> None:
    failures = dict.fromkeys(value.reason for value in measured.values() if value.failed)
    for reason in failures:
        print_problem(reason)
    if failures:
        sys.exit(1)


def print_tables(rows: Sequence[dict[str, Any]]) -> None:
    """Print a list of tables, a block each: the texts are too long for columns."""
    console = Console()
    for row in rows:
        head = Table.grid(padding=(0, 1))
        head.add_column(no_wrap=True)
        head.add_column()
        console.print(row["name"], style="bold", **PLAIN)
        lines = {key: row[key] for key in ("paper", "protocol", "quantity")}
        lines |= {"values": f"{row['values']}, {row['confidence']}", "runs here": row["runs here"]}
        lines |= {"differs": "; ".join(row["differences"])} if row["differences"] else {}
        for key, text in lines.items():
            head.add_row(f"  {key}", Text(text))
        console.print(head, highlight=False)
