"""The ``bench tune`` command: hyperparameters by random search on validation data."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from fretal_bench.cli.options import DataOption, DeviceOption, JobsOption, JsonOption, PluginOption


def tune(
    strategies: Annotated[str, typer.Option(help="Names, separated by commas; see `bench list strategies`.")],
    stream: Annotated[str, typer.Option(help="Name, or path of a TOML file.")] = "ffpp-mini",
    budget: Annotated[
        int, typer.Option(help="Trials a strategy, the same for all; the first is its defaults.")
    ] = 10,
    domains: Annotated[
        int | None,
        typer.Option(
            help="Domains to learn, the stream's first.  [default: 3, or 2 of a stream of two or three]"
        ),
    ] = None,
    recipe: Annotated[str, typer.Option(help="Name, or path of a TOML file.")] = "mini",
    seed: Annotated[int, typer.Option(help="Of the draws and of training.")] = 0,
    data: DataOption = None,
    jobs: JobsOption = None,
    device: DeviceOption = None,
    out: Annotated[
        Path | None, typer.Option(help="Result folder.  [default: results/tune-STREAM-RECIPE]")
    ] = None,
    write: Annotated[
        Path | None,
        typer.Option(help="The recipe file to write.  [default: tuned.toml in the result folder]"),
    ] = None,
    plugin: PluginOption = None,
    json_: JsonOption = False,
) -> None:
    """Find hyperparameters on validation data of the first domains, and write a recipe file with them.

    Goes on where it stopped. Exit code 1 if a trial failed; it counts as a trial and is never chosen.
    """
    from fretal_bench.benchmark.tuning.search import prepare_search, run_search
    from fretal_bench.benchmark.tuning.trials import sentence, to_plain, trial_table
    from fretal_bench.cli.live import Live, building

    console = Console(stderr=json_)
    with building(console) as tell:
        search = prepare_search(
            [name.strip() for name in strategies.split(",") if name.strip()],
            stream,
            recipe,
            budget=budget,
            domains=domains,
            seed=seed,
            jobs=jobs,
            device=device,
            out=out,
            write=write,
            data=data or (),
            building=tell,
        )
    ready = search.prepared
    if ready.total:
        console.print(f"{ready.total} steps to train into {ready.folder.path}", markup=False, highlight=False)
        with Live(console, ready.total) as live:
            found = run_search(search, live)
    else:
        console.print(
            f"all done already in {ready.folder.path}: nothing to train", markup=False, highlight=False
        )
        found = run_search(search)
    if json_:
        print(json.dumps(to_plain(search, found), indent=1))
    else:
        learnt = ", ".join(search.tuning["domains"])
        console.print(
            f"\nScored by {search.tuning['objective']}: {learnt}. No test data were read.",
            highlight=False,
            soft_wrap=True,
            markup=False,
        )
        for one in found:
            console.print(
                f"\n{sentence(one, budget)}", style="bold", highlight=False, soft_wrap=True, markup=False
            )
            if one.best.trial.values:
                console.print(trial_table(one), highlight=False)
        call = ["bench", "run", "--strategies", strategies, "--stream", stream, "--recipe", str(search.file)]
        call += [word for path in data or () for word in ("--data", str(path))]
        call += [word for path in plugin or () for word in ("--plugin", str(path))]
        console.print(
            f"\nRecipe: {search.file}  (next: {shlex.join(call)})",
            highlight=False,
            soft_wrap=True,
            markup=False,
        )
    if any(scored.reason for one in found for scored in one.trials):
        sys.exit(1)
