"""One run from strategies' names to results: open the stream, make the plan, train what is missing, read it back."""

from __future__ import annotations

import dataclasses
import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fretal_bench.benchmark.recipes.progress import Listener
from fretal_bench.benchmark.recipes.recipe import Recipe, open_recipe
from fretal_bench.benchmark.runner.plan import Changes, Plan, make_plan
from fretal_bench.benchmark.runner.results import ResultFolder, Results, load_results, write_file
from fretal_bench.errors import BenchError, BenchWarning
from fretal_bench.strategies.registry import find_strategy

if TYPE_CHECKING:
    from fretal_bench.datasets.streams.stream import Stream

BuildProgress = Callable[[int, int], None]
STREAM_FILE = "stream.toml"
"""In a result folder: the stream with the store of every domain, where the call left open which store it is in."""


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
    data: Sequence[str | os.PathLike[str]] = (),
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
        data: Stores, or folders of stores, for a stream that doesn't name its own. What was chosen is written to
            ``stream.toml`` in the result folder: processes open that, and a run that goes on doesn't need ``data`` again.
        building: Told (done, total) while a built-in data set is made on first use.

    Raises:
        BenchError: Something in the call is wrong; the message says what to do.
    """
    from fretal_bench.benchmark.recipes.model import check_backbone, resolve_device
    from fretal_bench.benchmark.runner.engine import Schedule
    from fretal_bench.datasets.streams.data import locate
    from fretal_bench.datasets.streams.file import toml_of_stream
    from fretal_bench.datasets.streams.stream import find_stream, open_located

    if jobs is not None and jobs < 1:
        raise BenchError(f"--jobs must be at least 1, found {jobs}")
    changes = dict(changes or {})
    chosen = recipe if isinstance(recipe, Recipe) else open_recipe(recipe)
    chosen = chosen.changed(changes.pop("recipe", {}))
    chosen = chosen.changed({"device": resolve_device(device or chosen.device)})
    # Names and keys are checked before the stream is opened, which may take a minute when it is made for the first time.
    make_plan(strategies, stream, {}, chosen, seeds, changes)
    file = find_stream(stream)
    folder = ResultFolder(out if out is not None else Path("results") / f"{file.name}-{chosen.name}")
    written = folder.path / STREAM_FILE
    located = locate(file, data, earlier_stores(written))
    opened = open_located(located, building)
    if chosen.select != "last":
        _check_validation(opened, chosen)
    reference = str(written.absolute()) if file.needs_data else stream
    plan = make_plan(strategies, reference, opened.fingerprint(), chosen, seeds, changes)
    plan = dataclasses.replace(plan, left_out=opened.left_out())
    total = Schedule(plan, folder, len(opened)).total
    if total:
        check_backbone(chosen)
    folder.create(plan)
    for info in {cell.strategy: find_strategy(cell.strategy) for cell in plan.cells}.values():
        if info.caution:
            # Here, so that it is said before anything trains, and not again by every worker.
            warnings.warn(f"{info.name}: {info.caution}", BenchWarning, stacklevel=2)
    if file.needs_data:
        write_file(written, toml_of_stream(located))
    return Prepared(plan, folder, len(opened), jobs or os.cpu_count() or 1, total)


def _check_validation(stream: Stream, recipe: Recipe) -> None:
    """Refuse a recipe that chooses an epoch by validation data where there are none."""
    for domain in stream:
        if not len(domain.rows["val"]):
            raise BenchError(
                f"recipe {recipe.name!r} keeps the epoch that is best on validation data, and domain {domain.name!r} has "
                "none; prepare a store that has them, or use --set recipe.select=last"
            )


def earlier_stores(path: Path) -> dict[str, Path]:
    """Return the store of every domain in the stream file of an earlier run; none if there was none."""
    from fretal_bench.datasets.streams.file import read_stream_file

    if not path.exists():
        return {}
    return {domain.name: Path(domain.store) for domain in read_stream_file(path).domains}


def execute(prepared: Prepared, listener: Listener = lambda _: None) -> Results:
    """Train what is missing and return everything in the folder.

    Raises:
        RunError: The disk is full, or a worker process was killed; what is finished is kept.
    """
    from fretal_bench.benchmark.runner.engine import Schedule, run_processes, run_serial
    from fretal_bench.benchmark.runner.step import experiences, the_stream

    schedule = Schedule(prepared.plan, prepared.folder, prepared.steps)
    jobs = min(prepared.jobs, len(schedule.work))
    if jobs > 1:
        run_processes(schedule, prepared.folder.path, listener, jobs)
    elif jobs == 1:
        # The same path may stand for other stores than when this process last opened it.
        for opened in (the_stream, experiences):
            opened.cache_clear()
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
    data: Sequence[str | os.PathLike[str]] = (),
    listener: Listener = lambda _: None,
) -> Results:
    """Run strategies along a stream and return the results; ``bench run`` from Python. Arguments as ``prepare``.

    ``jobs`` above 1 starts processes, which needs the caller's script to be importable (an
    ``if __name__ == "__main__":`` around the call).
    """
    ready = prepare(strategies, stream, recipe, seeds, changes, jobs=jobs, device=device, out=out, data=data)
    return execute(ready, listener)
