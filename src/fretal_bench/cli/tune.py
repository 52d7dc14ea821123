"""The ``bench tune`` command: hyperparameters by random search on validation data."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from fretal_bench.cli.options import (
    DataOption,
    DeviceOption,
    GpusOption,
    JobsOption,
    JsonOption,
    PluginOption,
    PoolOption,
    RayOption,
    names_of,
)
from fretal_bench.cli.screen import first_use_bar, print_json, print_line, print_problem

if TYPE_CHECKING:
    from fretal_bench.benchmark.runner.call import Call
    from fretal_bench.benchmark.tuning.judged import Tuned
    from fretal_bench.benchmark.tuning.search import Search

BudgetOption = Annotated[
    int, typer.Option(help="Trials a strategy, the same for all; the first is its defaults.")
]
DomainsOption = Annotated[
    int | None,
    typer.Option(
        help="Domains to learn, the stream's first.  [default: 3, or 2 of a stream of two or three]"
    ),
]
OutOption = Annotated[Path | None, typer.Option(help="Result folder.  [default: results/tune-STREAM-RECIPE]")]
WriteOption = Annotated[
    Path | None, typer.Option(help="The recipe file to write.  [default: tuned.toml in the result folder]")
]


def tune(
    strategies: Annotated[str, typer.Option(help="Names, separated by commas; see `bench list strategies`.")],
    stream: Annotated[str, typer.Option(help="Name, or path of a TOML file.")] = "ffpp-mini",
    budget: BudgetOption = 10,
    domains: DomainsOption = None,
    recipe: Annotated[str, typer.Option(help="Name, or path of a TOML file.")] = "mini",
    seed: Annotated[int, typer.Option(help="Of the draws and of training.")] = 0,
    data: DataOption = None,
    jobs: JobsOption = None,
    ray: RayOption = None,
    gpus_per_step: GpusOption = 1.0,
    device: DeviceOption = None,
    out: OutOption = None,
    write: WriteOption = None,
    pool: PoolOption = None,
    plugin: PluginOption = None,
    json_: JsonOption = False,
) -> None:
    """Find hyperparameters on validation data of the first domains, and write a recipe file with them.

    Goes on where it stopped. Exit code 1 if a trial failed; it counts as a trial and is never chosen.
    """
    from fretal_bench.benchmark.runner.call import Call
    from fretal_bench.benchmark.tuning.search import prepare_search, run_search
    from fretal_bench.benchmark.tuning.trials import plain_search
    from fretal_bench.cli.live import training

    call = Call(
        names_of(strategies),
        stream,
        recipe,
        (seed,),
        device=device,
        jobs=jobs,
        out=out,
        data=data or (),
        pool=pool,
        ray=ray,
        gpus_per_step=gpus_per_step,
    )
    with first_use_bar() as tell:
        search = prepare_search(call, budget=budget, domains=domains, write=write, building=tell)
    ready = search.prepared
    with training(Console(stderr=json_), ready.total, ready.folder.path) as listener:
        results = run_search(search, listener)
    if json_:
        print_json(plain_search(search, results))
    else:
        _print(search, results, _next(call, search.file, plugin or ()))
    _exit_if_failed(results)


def _next(call: Call, recipe: Path, plugins: Sequence[Path]) -> str:
    """The command that runs what was found."""
    words = ["bench", "run", "--strategies", ",".join(call.strategies), "--stream", str(call.stream)]
    words += ["--recipe", str(recipe)]
    words += [word for path in call.data for word in ("--data", str(path))]
    words += [word for path in plugins for word in ("--plugin", str(path))]
    return shlex.join(words)


def _print(search: Search, results: Sequence[Tuned], command: str) -> None:
    from fretal_bench.benchmark.tuning.trials import sentence, trial_table

    tuning, console = search.tuning, Console()
    print_line(f"\nScored by {tuning.objective}: {', '.join(tuning.domains)}. No test data were read.")
    for tuned in results:
        print_line(f"\n{sentence(tuned, tuning.budget, search.metric)}", style="bold")
        if tuned.trials[0].trial.values:
            console.print(trial_table(tuned, search.metric), highlight=False)
    if any(tuned.best is not None for tuned in results):
        print_line(f"\nRecipe: {search.file}  (next: {command})")


def _exit_if_failed(results: Sequence[Tuned]) -> None:
    lost = [tuned for tuned in results if tuned.best is None]
    for tuned in lost:
        print_problem(f"no trial of {tuned.strategy} gave a value; the first: {tuned.trials[0].reason}")
    if len(lost) == len(results):
        print_problem("no recipe file was written")
    if any(scored.reason for tuned in results for scored in tuned.trials):
        sys.exit(1)
