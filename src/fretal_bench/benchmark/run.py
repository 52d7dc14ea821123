"""One run from strategies' names to results: open the stream, make the plan, train what is missing, read it back."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fretal_bench.benchmark.plan import Changes, Plan, make_plan
from fretal_bench.benchmark.plugins import Listener
from fretal_bench.benchmark.recipe import Recipe, open_recipe
from fretal_bench.benchmark.results import ResultFolder, Results, load_results
from fretal_bench.errors import BenchError

BuildProgress = Callable[[int, int], None]


@dataclass(frozen=True)
class Prepared:
    """A run that is ready: its plan, where it goes, and how many steps are to be trained."""

    plan: Plan
    folder: ResultFolder
    steps: int
    jobs: int
    total: int


def prepare(
    strategies: Sequence[str],
    stream: str = "ffpp-mini",
    recipe: str | os.PathLike[str] | Recipe = "mini",
    seeds: Sequence[int] = (0,),
    changes: Changes | None = None,
    *,
    jobs: int | None = None,
    device: str | None = None,
    out: str | os.PathLike[str] | None = None,
    building: BuildProgress | None = None,
) -> Prepared:
    """Check everything that can be wrong with a run and write its plan down; train nothing.

    Args:
        strategies: Names of strategies.
        stream: Name of a stream, or path of a TOML file.
        recipe: Name of a recipe, path of a TOML file, or a recipe.
        seeds: Seeds.
        changes: Values by owner (a strategy, or ``recipe``) and key.
        jobs: Processes; default one a core. Results don't depend on it.
        device: Overrides the recipe's device.
        out: Result folder; default ``results/STREAM-RECIPE``.
        building: Told (done, total) while a built-in data set is made on first use.

    Raises:
        BenchError: Something in the call is wrong; the message says what to do.
    """
    from fretal_bench.benchmark.models import resolve_device
    from fretal_bench.datasets.stream import open_stream

    if jobs is not None and jobs < 1:
        raise BenchError(f"--jobs must be at least 1, found {jobs}")
    changes = dict(changes or {})
    chosen = recipe if isinstance(recipe, Recipe) else open_recipe(recipe)
    chosen = chosen.changed(changes.pop("recipe", {}))
    chosen = chosen.changed({"device": resolve_device(device or chosen.device)})
    # Names and keys are checked before the stream is opened, which may take a minute when it is made for the first time.
    make_plan(strategies, stream, {}, chosen, seeds, changes)
    opened = open_stream(stream, progress=building)
    plan = make_plan(strategies, stream, opened.fingerprint(), chosen, seeds, changes)
    plan = dataclasses.replace(plan, left_out=opened.left_out())
    folder = ResultFolder(out if out is not None else Path("results") / f"{opened.name}-{chosen.name}")
    folder.create(plan)
    from fretal_bench.benchmark.executors import Schedule

    total = Schedule(plan, folder, len(opened)).total
    return Prepared(plan, folder, len(opened), jobs or os.cpu_count() or 1, total)


def execute(prepared: Prepared, listener: Listener = lambda _: None) -> Results:
    """Train what is missing and return everything in the folder.

    Raises:
        RunError: The disk is full, or a worker process was killed; what is finished is kept.
    """
    from fretal_bench.benchmark.executors import Schedule, run_processes, run_serial

    schedule = Schedule(prepared.plan, prepared.folder, prepared.steps)
    jobs = min(prepared.jobs, len(schedule.work))
    if jobs > 1:
        run_processes(schedule, prepared.folder.path, listener, jobs)
    elif jobs == 1:
        run_serial(schedule, prepared.folder.path, listener)
    return load_results(prepared.folder.path)


def run(
    strategies: Sequence[str],
    stream: str = "ffpp-mini",
    recipe: str | os.PathLike[str] | Recipe = "mini",
    seeds: Sequence[int] = (0,),
    changes: Changes | None = None,
    *,
    jobs: int | None = 1,
    device: str | None = None,
    out: str | os.PathLike[str] | None = None,
    listener: Listener = lambda _: None,
) -> Results:
    """Run strategies along a stream and return the results; ``bench run`` from Python. Arguments as ``prepare``.

    ``jobs`` above 1 starts processes, which needs the caller's script to be importable (an
    ``if __name__ == "__main__":`` around the call).
    """
    ready = prepare(strategies, stream, recipe, seeds, changes, jobs=jobs, device=device, out=out)
    return execute(ready, listener)
