"""The ``bench score`` command: finished models judged on further or corrupted test sets, without training."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from fretal_bench.cli.options import (
    DataOption,
    DeviceOption,
    GpusOption,
    JobsOption,
    JsonOption,
    LevelOption,
    MetricOption,
    ModelOption,
    PluginOption,
    PoolOption,
    RayOption,
)
from fretal_bench.cli.report import check_measure, show_report
from fretal_bench.cli.screen import first_use_bar, print_line, print_problem


def score(
    results: Annotated[Path, typer.Argument(help="Result folder of `bench run`.")],
    on: Annotated[
        str,
        typer.Option(help="What to judge on: a stream (name or TOML file), or the folder of a crop store."),
    ] = "",
    corrupt: Annotated[
        str,
        typer.Option(
            help="Or judge the stream's own test sets, corrupted: kinds, or KIND-SEVERITY, separated by commas.",
            metavar="all|jpeg,blur,resize,h264",
        ),
    ] = "",
    data: DataOption = None,
    stream: Annotated[
        str | None,
        typer.Option(help="What opens the stream that was trained on.  [default: what the folder says]"),
    ] = None,
    jobs: JobsOption = None,
    ray: RayOption = None,
    gpus_per_step: GpusOption = 1.0,
    device: DeviceOption = None,
    pool: PoolOption = None,
    model: ModelOption = None,
    metric: MetricOption = None,
    level: LevelOption = "frame",
    plugin: PluginOption = None,
    json_: JsonOption = False,
) -> None:
    """Judge finished models on test sets that were never trained on, or on corrupted ones, and show the report with them.

    Nothing is trained. People and videos that were trained on are refused. Exit code 1 if a cell could not be judged.
    """
    from fretal_bench.benchmark.runner.judging import ScoreCall, execute_scoring, prepare_scoring
    from fretal_bench.benchmark.runner.results import load_results

    check_measure(metric, level)
    call = ScoreCall(
        results, on, data or (), stream, device, jobs, pool, ray, gpus_per_step, corrupt, model or ""
    )
    with first_use_bar() as tell:
        scoring = prepare_scoring(call, tell)
    names = (
        f"their own test sets under {corrupt}"
        if corrupt
        else ", ".join(dict.fromkeys(of.domain.name for of in scoring.sets))
    )
    print_line(
        f"{scoring.agenda.tasks} models to judge on {names}; nothing is trained", Console(stderr=json_)
    )
    execute_scoring(scoring)
    for label, reason in scoring.left_out.items():
        print_problem(f"not judged: {label}: {reason}")
    show_report(load_results(results), metric, level=level, as_json=json_)
    if scoring.left_out:
        sys.exit(1)
