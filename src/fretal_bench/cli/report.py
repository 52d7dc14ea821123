"""The ``bench report`` command: tables, plots and a page from results."""

from __future__ import annotations

import contextlib
import gc
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.console import Console

from fretal_bench.cli.options import (
    FprOption,
    FullOption,
    JsonOption,
    LevelOption,
    MetricOption,
    PluginOption,
)
from fretal_bench.cli.screen import doing, print_json, print_line, print_problem
from fretal_bench.errors import RunError, unknown_name

if TYPE_CHECKING:
    from fretal_bench.benchmark.runner.results import Results
    from fretal_bench.reporting.summary import Summary

_OBJECTS: Final = 200_000
"""So many new objects are made before cycles among them are looked for."""


def report(
    results: Annotated[
        list[Path],
        typer.Argument(
            help="Result folder of `bench run` or `bench import`; several are compared in one table."
        ),
    ],
    metric: MetricOption = None,
    level: LevelOption = "frame",
    video: Annotated[
        str,
        typer.Option(
            help="The score of a video, of its frames': their mean, median, max, or mean logit.",
            metavar="mean|median|max|logit",
        ),
    ] = "mean",
    fpr: FprOption = None,
    out: Annotated[Path | None, typer.Option(help="Where the report goes.  [default: reports/NAME]")] = None,
    faces: Annotated[
        bool,
        typer.Option(
            "--faces/--no-faces", help="Embed pictures of the faces that were forgotten in the page."
        ),
    ] = True,
    strategies: Annotated[
        str | None,
        typer.Option(
            help="Rows of the tables in files: strategies, labels or patterns, separated by commas.  [default: all]",
            metavar="NAMES",
        ),
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(
            help="Columns of the tables in files, separated by commas, as the first lines of tables/*.csv list them; "
            "all of them together stand in tables/chosen.tex and .csv.  [default: all]",
            metavar="NAMES",
        ),
    ] = None,
    full: FullOption = False,
    plugin: PluginOption = None,
    json_: JsonOption = False,
) -> None:
    """Make tables (Markdown, CSV, LaTeX), plots (PNG, SVG) and one HTML page from results.

    Several folders (other recipes, other backbones, imported scores) stand in one table, with their differences.
    """
    check_measure(metric, level)
    with doing() as tell, _few_collections():
        tell(f"reading {', '.join(map(str, results))}")
        from fretal_bench.benchmark.runner.results import load_results
        from fretal_bench.reporting.choice import words_of
        from fretal_bench.reporting.several import together

        read = together([load_results(folder) for folder in results])
    show_report(
        read,
        metric,
        out,
        level=level,
        video=video,
        fpr=fpr,
        faces=faces,
        strategies=words_of(strategies or ""),
        columns=words_of(columns or ""),
        full=full,
        as_json=json_,
    )


@contextlib.contextmanager
def _few_collections() -> Iterator[None]:
    """Look for cycles of unused objects seldom.

    Measures, tables and figures are millions of small objects, of which almost all are kept until the report is written:
    looking through them again and again takes a tenth of its time and frees a few megabytes.
    """
    thresholds = gc.get_threshold()
    gc.set_threshold(_OBJECTS, *thresholds[1:])
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)


def _folders(results: Results) -> tuple[str, ...]:
    """Return the result folders of a report, as they are given again."""
    compared = results.plan.get("compared")
    return tuple(str(of["path"]) for of in compared) if compared else (str(results.path),)


def check_measure(metric: str | None, level: str) -> None:
    """Check what a report is asked for before hours are spent on what it is of; ``BenchError`` for an unknown name."""
    from fretal_bench.metrics import registry
    from fretal_bench.metrics.matrices import LEVELS

    if metric is not None:
        registry.find(metric)
    if level not in LEVELS:
        raise unknown_name("level", level, LEVELS)


def show_report(
    results: Results,
    metric: str | None = None,
    out: Path | None = None,
    *,
    level: str = "frame",
    video: str = "mean",
    fpr: float | None = None,
    faces: bool = True,
    strategies: Sequence[str] = (),
    columns: Sequence[str] = (),
    full: bool = False,
    as_json: bool = False,
) -> None:
    """Write the report of a result folder and print it; exit code 1 if a cell failed or has no usable scores.

    Args:
        results: The result folder, read.
        metric: What the matrices hold; by default accuracy, or balanced accuracy where a class is far larger.
        out: Where the report goes; default ``reports/NAME``.
        level: ``frame`` or ``video``, of the matrices.
        video: How videos are scored.
        fpr: A share of reals that may be called fake, for one more threshold.
        faces: Whether the page shows the faces that were forgotten.
        strategies: The rows of the tables in files; empty for all.
        columns: The columns of the tables in files; empty for all.
        full: Print all tables, the matrices among them; else one table and the answer.
        as_json: Print it as JSON.

    Raises:
        RunError: All cells failed.
    """
    from fretal_bench.reporting.report import print_summary, write_report
    from fretal_bench.reporting.short import print_short, rest_words

    without = (*results.failures, *results.unusable)
    if without and not results.cells:
        first = f"{without[0].label}, seed {without[0].seed}: {without[0].reason}{without[0].place}"
        raise RunError(f"{results.path}: no cell has numbers, {len(without)} failed; the first: {first}")
    folder = out if out is not None else Path("reports") / results.path.resolve().name
    with doing() as tell, _few_collections():
        written = write_report(
            results,
            folder,
            metric,
            level,
            video,
            fpr,
            faces=faces,
            strategies=strategies,
            columns=columns,
            tell=tell,
        )
    for doubt in written.summary.doubts:
        print_problem(doubt)
    if as_json:
        print_json(written.to_dict())
    elif full:
        print_summary(results, written.summary, written.verdict, Console())
        print_line(f"\nReport: {folder / 'index.html'}  (tables, plots and summary.md next to it)")
    else:
        where = rest_words(str(folder / "index.html"), *_folders(results))
        print_short(written.summary, written.verdict, Console(), where)
    exit_if_failed(written.summary)


def exit_if_failed(summary: Summary) -> None:
    """Name the cells that failed, or whose scores cannot be used, and end with exit code 1 if there is any."""
    problems = [problem for problem in summary.problems if problem.kind != "missing"]
    for problem in problems:
        order = f", order {problem.order}" if problem.order else ""
        print_problem(
            f"{problem.kind}: {problem.label}, seed {problem.seed}{order}: {problem.reason}{problem.place}"
        )
    if problems:
        sys.exit(1)
