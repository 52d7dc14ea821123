"""Hyperparameters by random search, the same number of trials for every strategy, on validation data alone.

The search is a run like any other: a trial is a cell. Its stream ends after the first domains and has no test rows, so
test data cannot be read, and no cell of a search can be taken for one of a benchmark.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from fretal_bench.benchmark.recipes.recipe import Recipe, Tuning, open_recipe
from fretal_bench.benchmark.runner.call import (
    Call,
    Opened,
    Prepared,
    check_names,
    check_validation,
    prepare,
)
from fretal_bench.benchmark.runner.plan import Cell
from fretal_bench.benchmark.runner.progress import Listener
from fretal_bench.benchmark.runner.run import execute
from fretal_bench.benchmark.tuning.judged import Trial, Tuned, judge
from fretal_bench.benchmark.tuning.space import search_space, trials
from fretal_bench.benchmark.tuning.tuned import UNKNOWN, check_target, write_recipe
from fretal_bench.datasets.progress import ProgressCallback
from fretal_bench.datasets.streams.file import StreamFile
from fretal_bench.datasets.streams.stream import Stream, find_stream
from fretal_bench.errors import BenchError
from fretal_bench.metrics.imbalance import ACCURACY, BALANCED, accuracy_for
from fretal_bench.strategies.registry import find_strategy

OBJECTIVES: Final = {
    ACCURACY: "average validation accuracy (macro, frames) on the domains learnt, after the last of them",
    BALANCED: "average balanced validation accuracy (macro, frames) on the domains learnt, after the last of them",
}
"""By metric. Recipe files name it, and a search goes on with those of its own objective only: another text is another
search."""
RECIPE_FILE: Final = "tuned.toml"
DOMAINS: Final = 3
"""Domains by default: with three, what a strategy does from one update to the next can tell."""


@dataclass(frozen=True)
class Search:
    """A search that is ready to run.

    Attributes:
        prepared: The run: one cell a trial.
        trials: Every trial, by strategy in the order of the call.
        recipe: The recipe that is searched for, its device as the recipe says.
        tuning: What the recipe file will say of the search.
        file: Where the recipe file goes.
        metric: What trials are scored by: ``accuracy``, or ``balanced_accuracy`` where the larger class of some domain's
            validation samples is more than 0.6 of them.
    """

    prepared: Prepared
    trials: Mapping[str, tuple[Trial, ...]]
    recipe: Recipe
    tuning: Tuning
    file: Path
    metric: str = ACCURACY


def prepare_search(
    call: Call,
    *,
    budget: int = 10,
    domains: int | None = None,
    write: str | os.PathLike[str] | None = None,
    building: ProgressCallback | None = None,
) -> Search:
    """Check everything that can be wrong with a search and write its plan down; train nothing.

    Args:
        call: Strategies, stream, recipe and so on, without ``changes``; its one seed is that of the draws and of
            training; results go to ``results/tune-STREAM-RECIPE`` if it names no folder.
        budget: Trials a strategy, the defaults included.
        domains: Domains learned in a trial, the stream's first; default 3, or as many as leave one for the test of the
            result, but at least 2.
        write: The recipe file to write; default ``tuned.toml`` in the result folder.
        building: Told (done, total) while a built-in data set is made on first use.

    Raises:
        BenchError: Something in the call is wrong; the message says what to do.
    """
    if budget < 1:
        raise BenchError(f"--budget must be at least 1 trial a strategy, found {budget}")
    check_names(call)
    (seed,) = call.seeds
    infos = tuple(dict.fromkeys(find_strategy(name) for name in call.strategies))
    recipe = call.recipe if isinstance(call.recipe, Recipe) else open_recipe(call.recipe)
    file = find_stream(call.stream)
    if file.order:
        raise BenchError(
            f"{file.path}: key 'order': tuning takes the first domains as they stand in the file, found "
            f"order = {file.order!r}; leave it out and write the domains in their order"
        )
    first = _domains(domains, file)
    folder = Path(call.out) if call.out is not None else Path("results") / f"tune-{file.name}-{recipe.name}"
    tuning = Tuning(
        stream=file.name,
        domains=tuple(domain.name for domain in file.domains[:first]),
        budget=budget,
        seed=seed,
        objective=UNKNOWN,
        strategies=tuple(info.name for info in infos if search_space(info)),
    )
    target = Path(write) if write is not None else folder / RECIPE_FILE
    if not isinstance(call.recipe, Recipe) and target.resolve() == Path(call.recipe).resolve():
        raise BenchError(f"--write {target}: this is the recipe that is tuned; give another name")
    option = "--out" if write is None else "--write"
    # What needs no open stream first: opening a large one takes a while.
    check_target(target, recipe, tuning, option)
    draws = {
        info.name: trials(info, budget, seed, recipe.hyperparameters.get(info.name, {})) for info in infos
    }

    def cells(opened: Opened) -> list[Cell]:
        made = _cells(opened, draws, seed)
        # Nothing is written before this.
        check_target(target, recipe, _with_objective(tuning, opened.stream_of(seed)), option)
        return made

    prepared = prepare(
        dataclasses.replace(call, out=folder),
        cells=cells,
        stream=lambda whole: _shortened(whole, first),
        building=building,
    )
    stream = prepared.opened.stream_of(seed)
    return Search(
        prepared, _trials(prepared), recipe, _with_objective(tuning, stream), target, _metric(stream)
    )


def run_search(search: Search, listener: Listener = lambda _: None) -> tuple[Tuned, ...]:
    """Train the trials that are missing and return what was found, a result for every strategy.

    The recipe file is written where some strategy has a trial with values, with what was found for these.

    Raises:
        RunError: The disk is full, or a worker was killed; what is finished is kept.
    """
    results = execute(search.prepared, listener)
    tuned = judge(search.trials, results, search.tuning.domains, search.metric)
    if any(of_strategy.best is not None for of_strategy in tuned):
        write_recipe(search.file, search.recipe, search.tuning, tuned)
    return tuned


def _metric(stream: Stream) -> str:
    """Name what trials are scored by."""
    return accuracy_for(
        {domain.name: domain.store.index["label"].to_numpy()[domain.rows["val"]] for domain in stream}
    )


def _with_objective(tuning: Tuning, stream: Stream) -> Tuning:
    """Say what trials are scored by, which the validation samples decide."""
    return dataclasses.replace(tuning, objective=OBJECTIVES[_metric(stream)])


def _domains(asked: int | None, file: StreamFile) -> int:
    length = len(file.domains)
    if length < 2:
        raise BenchError(
            f"stream {file.name!r} has {length} domain; tuning against forgetting needs at least 2"
        )
    if asked is None:
        return max(2, min(DOMAINS, length - 1))
    if not 2 <= asked <= length:
        raise BenchError(
            f"--domains must be 2 to {length}, the domains of stream {file.name!r}, found {asked}"
        )
    return asked


def _shortened(file: StreamFile, first: int) -> StreamFile:
    """The first domains of a stream without test rows."""
    if file.protocol.shared_reals:
        # Where reals are dealt out among the domains, the later ones still have to have their part.
        file = dataclasses.replace(file, domains=file.domains[:first])
    return dataclasses.replace(file, first=first, withhold_test=True)


def _cells(opened: Opened, draws: Mapping[str, Sequence[Mapping[str, Any]]], seed: int) -> list[Cell]:
    """Make the cell of every draw, by strategy."""
    remedy = (
        "give fewer --domains" if opened.stream.protocol.later_reals else "tune on a stream without that key"
    )
    check_validation(opened.stream_of(seed), "tuning is judged by", remedy)
    return [
        cell
        for name, draws_of in draws.items()
        for values in draws_of
        for cell in opened.cells([name], [seed], {name: values})
    ]


def _trials(prepared: Prepared) -> dict[str, tuple[Trial, ...]]:
    """Number the cells of every strategy; trial 1 is its defaults."""
    by_strategy: dict[str, list[Cell]] = {}
    for cell in prepared.plan.cells:
        by_strategy.setdefault(cell.strategy, []).append(cell)
    return {
        name: tuple(Trial(name, number, _of_space(cell), cell) for number, cell in enumerate(cells, 1))
        for name, cells in by_strategy.items()
    }


def _of_space(cell: Cell) -> dict[str, Any]:
    return {key: cell.hyperparameters[key] for key in search_space(find_strategy(cell.strategy))}
