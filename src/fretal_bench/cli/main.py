"""The ``bench`` command: reads the call, calls the suite, prints; no logic of its own."""

from __future__ import annotations

import dataclasses
import json
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from fretal_bench.cli.data import data
from fretal_bench.cli.new import new
from fretal_bench.cli.options import (
    DataOption,
    DeviceOption,
    JobsOption,
    JsonOption,
    PluginOption,
    SeedsOption,
    SetOption,
    names_of,
    seeds_of,
)
from fretal_bench.cli.paper import paper, print_rows, table_rows
from fretal_bench.cli.tune import tune
from fretal_bench.errors import BenchError, BenchWarning, unknown_name

app = typer.Typer(
    name="bench",
    help="Continual-learning benchmark suite for deepfake detection.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

app.add_typer(data)
app.add_typer(paper)
app.add_typer(new)
app.command()(tune)


def main() -> None:
    """Run the command; problems the user can mend are one line on standard error."""
    _say_warnings_in_one_line()
    try:
        app()
    except BenchError as error:
        Console(stderr=True).print(
            f"bench: {error}", style="bold red", markup=False, highlight=False, soft_wrap=True
        )
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        Console(stderr=True).print("bench: stopped; run the same command again to go on where it stopped")
        sys.exit(130)


def _say_warnings_in_one_line() -> None:
    before = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
        if issubclass(category, BenchWarning):
            Console(stderr=True).print(f"bench: {message}", markup=False, highlight=False, soft_wrap=True)
        else:
            before(message, category, *where, **more)

    warnings.showwarning = show


@app.command()
def run(
    strategies: Annotated[str, typer.Option(help="Names, separated by commas; see `bench list strategies`.")],
    stream: Annotated[str, typer.Option(help="Name, or path of a TOML file.")] = "ffpp-mini",
    data: DataOption = None,
    recipe: Annotated[str, typer.Option(help="Name, or path of a TOML file.")] = "mini",
    seeds: SeedsOption = "0",
    set_: SetOption = None,
    jobs: JobsOption = None,
    device: DeviceOption = None,
    out: Annotated[Path | None, typer.Option(help="Result folder.  [default: results/STREAM-RECIPE]")] = None,
    plugin: PluginOption = None,
    json_: JsonOption = False,
) -> None:
    """Train strategies along a stream and show who forgets least; goes on where it stopped."""
    from fretal_bench.benchmark.runner.plan import split_changes
    from fretal_bench.benchmark.runner.run import execute, prepare
    from fretal_bench.cli.live import Live, building

    console = Console(stderr=json_)
    changes = split_changes(set_ or [])
    with building(console) as tell:
        ready = prepare(
            names_of(strategies),
            stream,
            recipe,
            seeds_of(seeds),
            changes,
            jobs=jobs,
            device=device,
            out=out,
            data=data or (),
            building=tell,
        )
    if ready.total:
        console.print(f"{ready.total} steps to train into {ready.folder.path}", markup=False, highlight=False)
        with Live(console, ready.total) as live:
            execute(ready, live)
    else:
        console.print(
            f"all done already in {ready.folder.path}: nothing to train", markup=False, highlight=False
        )
    _report(ready.folder.path, None, json_)


@app.command()
def report(
    results: Annotated[Path, typer.Argument(help="Result folder of `bench run`.")],
    out: Annotated[Path | None, typer.Option(help="Where the report goes.  [default: reports/NAME]")] = None,
    plugin: PluginOption = None,
    json_: JsonOption = False,
) -> None:
    """Make tables (Markdown, CSV, LaTeX), plots (PNG, SVG) and one HTML page from results."""
    _report(results, out, json_)


def _report(path: Path, out: Path | None, as_json: bool) -> None:
    from fretal_bench.benchmark.runner.results import load_results
    from fretal_bench.reporting.report import print_report, write_report

    results = load_results(path)
    where = out if out is not None else Path("reports") / path.resolve().name
    written = write_report(results, where)
    if as_json:
        print(json.dumps(written.to_dict(), indent=1))
    else:
        console = Console()
        print_report(results, console)
        console.print(
            f"\nReport: {where / 'index.html'}  (tables, plots and summary.md beside it)",
            markup=False,
            highlight=False,
        )
    if results.failures:
        for failure in results.failures:
            Console(stderr=True).print(
                f"bench: failed: {failure.label}, seed {failure.seed}: {failure.reason}",
                markup=False,
                soft_wrap=True,
            )
        sys.exit(1)


@app.command("list")
def list_(
    what: Annotated[str, typer.Argument(help="strategies, streams, recipes or tables")],
    pattern: Annotated[str, typer.Argument(help="e.g. 'fre*'")] = "*",
    data: DataOption = None,
    plugin: PluginOption = None,
    json_: JsonOption = False,
) -> None:
    """List what there is."""
    listings = {"strategies": _strategies, "streams": _streams, "recipes": _recipes, "tables": table_rows}
    if what not in listings:
        raise unknown_name("list", what, listings)
    if data and what not in ("streams", "tables"):
        raise BenchError(f"--data tells which streams can run; leave it out of `bench list {what}`")
    if what == "tables":
        rows = table_rows(pattern, data or ())
    else:
        rows = _streams(pattern, data or (), not json_) if what == "streams" else listings[what](pattern)
    if json_:
        print(json.dumps(rows, indent=1))
        return
    if not rows:
        raise BenchError(f"no {what} fit {pattern!r}; `bench list {what}` shows all")
    if what == "tables":
        print_rows(rows)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in rows[0]:
        table.add_column(column, no_wrap=column == "name")
    for row in rows:
        table.add_row(*(Text(str(value)) for value in row.values()))
    Console().print(table, highlight=False)
    if what == "strategies" and pattern == "*":
        Console().print(
            "\nAvalanche's own, as shipped: bench list strategies 'avalanche:*'",
            highlight=False,
            markup=False,
        )


def _strategies(pattern: str) -> list[dict[str, Any]]:
    from fretal_bench.strategies.registry import list_strategies

    return [
        {"name": i.name, "what": i.summary, "paper": i.paper, "old data": i.memory}
        for i in list_strategies(pattern)
    ]


def _streams(pattern: str, data: Sequence[Path] = (), short: bool = False) -> list[dict[str, Any]]:
    from fretal_bench.datasets.streams.data import list_streams

    rows = list_streams(pattern, data=data, grouped=short and pattern == "*")
    # In a terminal the name, what it is and whether it can run; everything in JSON.
    return [{key: row[key] for key in ("name", "what", "data")} for row in rows] if short else rows


def _recipes(pattern: str) -> list[dict[str, Any]]:
    from fretal_bench.benchmark.recipes.recipe import list_recipes

    return [
        {"name": r.name, "what": r.description, "backbone": r.backbone, "epochs": r.epochs}
        for r in list_recipes(pattern)
    ]


@app.command()
def predict(
    checkpoint: Annotated[
        Path, typer.Argument(help="checkpoint.pt of a done cell: results/NAME/cells/ID/checkpoint.pt")
    ],
    files: Annotated[list[Path], typer.Argument(help="Videos and images.")],
    frames: Annotated[int, typer.Option(min=1, help="Frames of a video to look at.")] = 16,
    detector: Annotated[str, typer.Option(help="Finds faces: mtcnn or yunet.")] = "mtcnn",
    detector_model: Annotated[Path | None, typer.Option(help="YuNet's model file.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    plugin: PluginOption = None,
    json_: JsonOption = False,
) -> None:
    """Say of each file how likely it is fake, and which face was looked at; exit code 1 if a file cannot be judged."""
    from fretal_bench.benchmark.runner.predict import FakeDetector
    from fretal_bench.benchmark.runner.predict import predict as judge

    said = list(
        judge(
            FakeDetector(checkpoint, device), files, frames=frames, faces=detector, faces_model=detector_model
        )
    )
    if json_:
        print(json.dumps([dataclasses.asdict(one) for one in said], indent=1))
    else:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in ("file", "P(fake)", "frames", "face in the first (left, top, right, bottom)"):
            table.add_column(column)
        for one in said:
            if one.score is None:
                table.add_row(Text(one.file), "-", "0", Text(one.reason))
            else:
                box = ", ".join(f"{value:.0f}" for value in one.frames[0].box)
                table.add_row(Text(one.file), f"{one.score:.3f}", str(len(one.frames)), box)
        Console().print(table, highlight=False)
    if any(one.score is None for one in said):
        sys.exit(1)


@app.command()
def doctor(json_: JsonOption = False) -> None:
    """Show versions, devices and data, what is missing and how to get it."""
    from fretal_bench.cli.doctor import diagnose

    findings = diagnose()
    if json_:
        print(json.dumps([dataclasses.asdict(finding) for finding in findings], indent=1))
        return
    for finding in findings:
        line = f"{'ok' if finding.ok else '!!'}  {finding.what:<22}  {finding.found}"
        line += f"  ->  {finding.advice}" if finding.advice else ""
        Console().print(line, markup=False, highlight=False, soft_wrap=True)
    if not all(finding.ok for finding in findings):
        sys.exit(1)
