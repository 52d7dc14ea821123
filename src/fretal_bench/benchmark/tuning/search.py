"""Hyperparameters by random search, the same number of trials for every strategy, on validation data alone.

The search is a run like any other: a trial is a cell. Its stream ends after the first domains and has no test rows, so
test data cannot be read, and no cell of a search can be taken for one of a benchmark.
"""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from fretal_bench.benchmark.recipes.recipe import Recipe, open_recipe, toml_of_recipe
from fretal_bench.benchmark.runner.call import STREAM_FILE, BuildProgress, Prepared, earlier_stores
from fretal_bench.benchmark.runner.plan import Cell, Plan, make_plan
from fretal_bench.benchmark.runner.progress import Listener
from fretal_bench.benchmark.runner.results import ResultFolder, Results, write_file
from fretal_bench.benchmark.runner.run import execute
from fretal_bench.benchmark.tuning.space import search_space, trials
from fretal_bench.benchmark.tuning.tuned import read_tuning
from fretal_bench.errors import BenchError, RunError
from fretal_bench.metrics.continual import average_accuracy, forgetting
from fretal_bench.metrics.matrices import accuracy_matrix
from fretal_bench.strategies.registry import find_strategy
from fretal_bench.workers import default_jobs

OBJECTIVE: Final = "average validation accuracy (macro, frames) on the domains learnt, after the last of them"
RECIPE_FILE: Final = "tuned.toml"
_NAME_MAX: Final = 200
"""Bytes of a file's name; file systems allow 255, of which the temporary file beside it needs some."""
DOMAINS: Final = 3
"""Domains by default: with three, what a strategy does from one update to the next can tell."""


@dataclass(frozen=True)
class Trial:
    """One set of hyperparameters of one strategy.

    Attributes:
        strategy: The strategy's name.
        number: From 1; trial 1 is the defaults.
        values: The values of what is tuned.
        cell: What is trained.
    """

    strategy: str
    number: int
    values: Mapping[str, Any]
    cell: Cell


@dataclass(frozen=True)
class Scored:
    """A trial with what it reached on validation data.

    Attributes:
        trial: The trial.
        accuracy: ``mean_j R[T-1, j]`` over the T domains of the search, R of validation samples; NaN if it failed.
        forgetting: Max-based, of the same R; NaN if it failed.
        reason: Why it has no values; empty if it has.
    """

    trial: Trial
    accuracy: float
    forgetting: float
    reason: str = ""


@dataclass(frozen=True)
class Tuned:
    """The trials of one strategy, judged.

    Attributes:
        strategy: Its name.
        trials: In the order of their numbers.
        best: The trial of the highest accuracy, the first of equals: the defaults stay unless something beats them.
        rank: Place of the defaults among the trials, 1 = the best; equals share a place. None if they failed.
    """

    strategy: str
    trials: tuple[Scored, ...]
    best: Scored
    rank: int | None


@dataclass(frozen=True)
class Search:
    """A search that is ready to run.

    Attributes:
        prepared: The run: one cell a trial.
        trials: Every trial, by strategy in the order of the call.
        recipe: The recipe that is searched for, its device as the recipe says.
        tuning: What the recipe file will say of the search.
        file: Where the recipe file goes.
    """

    prepared: Prepared
    trials: Mapping[str, tuple[Trial, ...]]
    recipe: Recipe
    tuning: Mapping[str, Any]
    file: Path


def prepare_search(
    strategies: Sequence[str],
    stream: str = "ffpp-mini",
    recipe: str | os.PathLike[str] | Recipe = "mini",
    *,
    budget: int = 10,
    domains: int | None = None,
    seed: int = 0,
    jobs: int | None = None,
    device: str | None = None,
    out: str | os.PathLike[str] | None = None,
    write: str | os.PathLike[str] | None = None,
    data: Sequence[str | os.PathLike[str]] = (),
    building: BuildProgress | None = None,
) -> Search:
    """Check everything that can be wrong with a search and write its plan down; train nothing.

    Args:
        strategies: Names; one given twice counts once.
        stream: Name of a stream, or path of a TOML file.
        recipe: Name of a recipe, path of a TOML file, or a recipe.
        budget: Trials a strategy, the defaults included.
        domains: Domains learnt in a trial, the stream's first; default 3, or as many as leave one for the test of the
            result, but at least 2.
        seed: Seed of the draws and of training.
        jobs: Processes; default one a core. Results don't depend on it.
        device: Overrides the recipe's device.
        out: Result folder; default ``results/tune-STREAM-RECIPE``.
        write: The recipe file to write; default ``tuned.toml`` in the result folder.
        data: Stores, or folders of stores, for a stream that doesn't name its own.
        building: Told (done, total) while a built-in data set is made on first use.

    Raises:
        BenchError: Something in the call is wrong; the message says what to do.
    """
    from fretal_bench.benchmark.recipes.model import check_backbone, resolve_device
    from fretal_bench.benchmark.runner.engine import Agenda
    from fretal_bench.datasets.streams.data import absolute_stores, locate
    from fretal_bench.datasets.streams.file import toml_of_stream
    from fretal_bench.datasets.streams.stream import find_stream, open_located

    if budget < 1:
        raise BenchError(f"--budget must be at least 1 trial a strategy, found {budget}")
    if jobs is not None and jobs < 1:
        raise BenchError(f"--jobs must be at least 1, found {jobs}")
    names = list(dict.fromkeys(find_strategy(name).name for name in strategies))
    chosen = recipe if isinstance(recipe, Recipe) else open_recipe(recipe)
    draws = {
        name: trials(find_strategy(name), budget, seed, chosen.hyperparameters.get(name, {}))
        for name in names
    }
    file = find_stream(stream)
    first = _domains(domains, file.name, len(file.domains))
    folder = ResultFolder(out if out is not None else Path("results") / f"tune-{file.name}-{chosen.name}")
    tuning = {
        "stream": file.name,
        "domains": [domain.name for domain in file.domains[:first]],
        "budget": budget,
        "seed": seed,
        "objective": OBJECTIVE,
        "strategies": [name for name in names if search_space(find_strategy(name))],
    }
    target = Path(write) if write is not None else folder.path / RECIPE_FILE
    if not isinstance(recipe, Recipe) and target.resolve() == Path(recipe).resolve():
        raise BenchError(f"--write {target}: this is the recipe that is tuned; give another name")
    if write is not None:
        _check_place(target)
    _check_target(target, chosen, tuning)
    if file.protocol.shared_reals:
        # Where reals are dealt out among the domains, the later ones still have to have their part.
        file = dataclasses.replace(file, domains=file.domains[:first])
    written = folder.path / STREAM_FILE
    located = absolute_stores(locate(file, data, earlier_stores(written)))
    located = dataclasses.replace(located, first=first, withhold_test=True)
    opened = open_located(located, building)
    for domain in opened:
        if not len(domain.rows["val"]):
            raise BenchError(
                f"domain {domain.name!r} of stream {file.name!r} has no validation rows, which tuning is judged by; "
                "prepare a store that has them, or give fewer --domains"
            )
    resolved = chosen.changed({"device": resolve_device(device or chosen.device)})
    reference = str(written.absolute())
    tried: dict[str, tuple[Trial, ...]] = {}
    for name, values in draws.items():
        plans = [
            make_plan([name], reference, opened.fingerprint(), resolved, [seed], {name: one})
            for one in values
        ]
        tried[name] = tuple(
            Trial(name, number, _of_space(name, plan.cells[0]), plan.cells[0])
            for number, plan in enumerate(plans, 1)
        )
    cells = tuple(trial.cell for of_strategy in tried.values() for trial in of_strategy)
    if not cells:
        raise BenchError("nothing to tune: name at least one strategy")
    plan = Plan(opened.fingerprint(), resolved, cells, opened.left_out())
    agenda = Agenda(plan, folder, first)
    if agenda.total:
        check_backbone(resolved)
    folder.create(plan)
    write_file(written, toml_of_stream(located))
    prepared = Prepared(plan, folder, agenda, jobs or default_jobs(resolved.device))
    return Search(prepared, tried, chosen, tuning, target)


def run_search(search: Search, listener: Listener = lambda _: None) -> tuple[Tuned, ...]:
    """Train the trials that are missing, write the recipe file, and return what was found, a strategy each.

    Raises:
        RunError: No trial of a strategy gave a value, the disk is full, or a worker was killed; what is finished is kept.
    """
    found = judge(search, execute(search.prepared, listener))
    hyperparameters = {name: dict(values) for name, values in search.recipe.hyperparameters.items()}
    for one in found:
        if one.best.trial.values:
            hyperparameters.setdefault(one.strategy, {}).update(one.best.trial.values)
    recipe = dataclasses.replace(search.recipe, hyperparameters=hyperparameters, tuning=search.tuning)
    write_file(search.file, toml_of_recipe(recipe))
    return found


def judge(search: Search, results: Results) -> tuple[Tuned, ...]:
    """Score every trial by its validation samples and choose the best of each strategy.

    Raises:
        RunError: No trial of a strategy gave a value.
    """
    cells = {cell.id: cell for cell in results.cells}
    reasons = {failure.id: failure.reason for failure in results.failures}
    names = [domain["name"] for domain in search.prepared.plan.stream["domains"]]
    found = []
    for strategy, of_strategy in search.trials.items():
        scored = []
        for trial in of_strategy:
            if trial.cell.id not in cells:
                scored.append(Scored(trial, math.nan, math.nan, reasons.get(trial.cell.id, "not finished")))
                continue
            values = accuracy_matrix(cells[trial.cell.id].validation(), "accuracy", domains=names).values
            accuracy = average_accuracy(values)
            reason = "" if math.isfinite(accuracy) else "its scores are not finite: training diverged"
            scored.append(Scored(trial, accuracy, forgetting(values), reason))
        whole = [one for one in scored if not one.reason]
        if not whole:
            raise RunError(f"no trial of {strategy} gave a value; the first: {scored[0].reason}")
        default = scored[0]
        rank = None if default.reason else 1 + sum(one.accuracy > default.accuracy for one in whole)
        # max keeps the first of equals.
        found.append(Tuned(strategy, tuple(scored), max(whole, key=lambda one: one.accuracy), rank))
    return tuple(found)


def _domains(wanted: int | None, stream: str, length: int) -> int:
    if wanted is None:
        wanted = max(2, min(DOMAINS, length - 1))
        if length < 2:
            raise BenchError(
                f"stream {stream!r} has {length} domain; tuning against forgetting needs at least 2"
            )
    if not 2 <= wanted <= length:
        raise BenchError(f"--domains must be 2 to {length}, the domains of stream {stream!r}, found {wanted}")
    return wanted


def _of_space(name: str, cell: Cell) -> dict[str, Any]:
    return {key: cell.hyperparameters[key] for key in search_space(find_strategy(name))}


def _check_place(path: Path) -> None:
    """Find out now, not after hours of training, whether a file can be written at ``--write``; nothing is made."""
    place = path.absolute().parent
    while not os.path.lexists(place):
        place = place.parent
    if not place.is_dir():
        reason = f"{place} is no folder"
    elif not os.access(place, os.W_OK | os.X_OK):
        reason = f"{place} is read-only"
    elif len(os.fsencode(path.name)) > _NAME_MAX:
        reason = "its name is too long"
    else:
        return
    raise BenchError(f"--write {path}: cannot be written ({reason}); give another --write")


def _check_target(path: Path, recipe: Recipe, tuning: Mapping[str, Any]) -> None:
    """Refuse to overwrite anything but what a part of this very search has written."""
    if not path.exists():
        if path.suffix != ".toml":
            raise BenchError(f"--write {path}: a recipe file's name ends in .toml; give such a name")
        return
    advice = "give another --write, or delete it"
    try:
        there = open_recipe(path)
    except BenchError as error:
        raise BenchError(f"{path} exists and is no recipe of this suite ({error}); {advice}") from error
    old = read_tuning(there.tuning)
    if there.content() != recipe.content() or not old:
        raise BenchError(f"{path} exists and is another recipe, not one tuned from {recipe.name!r}; {advice}")
    for key in ("stream", "domains", "seed", "objective"):
        if old[key] != tuning[key]:
            raise BenchError(
                f"{path} is of another search: {key} is {old[key]!r} there, {tuning[key]!r} now; {advice}"
            )
    if old["budget"] > tuning["budget"] or set(old["strategies"]) - set(tuning["strategies"]):
        raise BenchError(
            f"{path} is of a larger search ({old['budget']} trials of {', '.join(old['strategies'])}); {advice}"
        )
