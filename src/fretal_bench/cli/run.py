"""The ``bench run`` command: strategies trained along a stream, then their report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from fretal_bench.cli.options import (
    BackboneOption,
    DataOption,
    DeviceOption,
    FakeOption,
    FullOption,
    GpusOption,
    JobsOption,
    JsonOption,
    LevelOption,
    MeanOption,
    MetricOption,
    ModelOption,
    PluginOption,
    PoolOption,
    RayOption,
    SeedsOption,
    SetOption,
    SizeOption,
    StdOption,
    WeightsOption,
    check_names,
    keep_of,
    names_of,
    seeds_of,
    source_of,
    strategies_of,
    strategy_completions,
)
from fretal_bench.cli.report import check_measure, show_report
from fretal_bench.cli.screen import first_use_bar, number_of, print_line, print_problem


def run(
    strategy: Annotated[
        list[str] | None,
        typer.Argument(
            help="Names, patterns such as '*ewc*', all, or groups such as @replay, @keeps-none; see `bench list "
            "strategies`.",
            metavar="[STRATEGY]...",
            autocompletion=strategy_completions,
        ),
    ] = None,
    strategies: Annotated[
        str | None, typer.Option(help="The same, separated by commas.", metavar="STRATEGY,...")
    ] = None,
    stream: Annotated[str, typer.Option(help="Name, or path of a TOML file.")] = "ffpp-mini",
    data: DataOption = None,
    recipe: Annotated[str, typer.Option(help="Name, or path of a TOML file.")] = "mini",
    seeds: SeedsOption = "0",
    set_: SetOption = None,
    jobs: JobsOption = None,
    ray: RayOption = None,
    gpus_per_step: GpusOption = 1.0,
    device: DeviceOption = None,
    out: Annotated[Path | None, typer.Option(help="Result folder.  [default: results/STREAM-RECIPE]")] = None,
    orders: Annotated[
        str | None,
        typer.Option(
            help="Orders in which the domains are learned: all, a number, or names, e.g. 'A,B,C;B,A,C'.  "
            "[default: the stream's own]"
        ),
    ] = None,
    weights: WeightsOption = None,
    backbone: BackboneOption = None,
    model: ModelOption = None,
    fake: FakeOption = None,
    mean: MeanOption = None,
    std: StdOption = None,
    size: SizeOption = None,
    pool: PoolOption = None,
    keep: Annotated[
        str,
        typer.Option(help="States that are kept: all, or only the last of every cell.", metavar="all|last"),
    ] = "all",
    watch: Annotated[
        int | None,
        typer.Option(
            help="Judge validation people every so many updates while a domain is trained, for anytime measures.",
            metavar="UPDATES",
        ),
    ] = None,
    metric: MetricOption = None,
    level: LevelOption = "frame",
    full: FullOption = False,
    plugin: PluginOption = None,
    json_: JsonOption = False,
) -> None:
    """Train strategies along a stream and show who forgets least; goes on where it stopped.

    Exit code 1 if a cell failed or diverged; the others are kept and reported.
    """
    words = [*(strategy or ()), *names_of(strategies or "")]
    # What can be wrong with names is said before PyTorch is imported, which takes seconds.
    chosen, unnamed = strategies_of(words)
    numbers, kept = seeds_of(seeds), keep_of(keep)
    check_measure(metric, level)
    check_names(stream, recipe)
    screen = Console(stderr=json_)
    if screen.is_terminal:
        print_line(
            f"{number_of(len(chosen), 'strategy', 'strategies')} on {stream}, recipe {recipe}; loading PyTorch ...",
            screen,
        )
    from fretal_bench.benchmark.runner.call import Call, fitting, prepare
    from fretal_bench.benchmark.runner.plan import split_changes
    from fretal_bench.benchmark.runner.run import execute
    from fretal_bench.cli.grid import Grid
    from fretal_bench.cli.interim import Interim
    from fretal_bench.cli.live import training

    changes = split_changes(set_ or [])
    source = source_of(weights, backbone, model, fake, mean, std, size)
    chosen, left_out = fitting(chosen, unnamed, recipe, changes, brought=source is not None)
    for name, reason in left_out.items():
        print_problem(f"{name} is left out: {reason}")
    call = Call(
        chosen,
        stream,
        recipe,
        numbers,
        changes,
        device=device,
        jobs=jobs,
        out=out,
        data=data or (),
        orders=orders,
        pool=pool,
        keep=kept,
        ray=ray,
        gpus_per_step=gpus_per_step,
        watch=watch,
        source=source,
    )
    with first_use_bar() as tell:
        ready = prepare(call, building=tell)
    if ready.brought:
        Console(stderr=True).print(
            f"Source model: {ready.brought}", markup=False, highlight=False, soft_wrap=True
        )
    grid = Grid(ready.agenda.cells, ready.agenda.trained)
    with training(screen, ready.total, ready.folder.path, again=ready.again, grid=grid) as listener:
        interim = Interim(listener, ready.agenda.cells, ready.folder, screen, metric, level)
        results = execute(ready, interim)
    show_report(results, metric, level=level, full=full, as_json=json_)
