"""The recipe file that a search writes: the values it found, and in the table ``[tuning]`` how it found them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from fretal_bench import files, parsing, records
from fretal_bench.benchmark.recipes.recipe import Recipe, Tuning, open_recipe, toml_of_recipe
from fretal_bench.benchmark.tuning.judged import Tuned
from fretal_bench.errors import BenchError

UNKNOWN: Final = ""
"""The objective of a search whose validation samples have not been looked at yet."""


def tuning_of(recipe: Recipe) -> Tuning | None:
    """Return how a recipe's hyperparameters were found; None if it does not say."""
    return records.read(Tuning, recipe.tuning, f"recipe {recipe.name!r}: [tuning]") if recipe.tuning else None


def write_recipe(path: Path, recipe: Recipe, tuning: Tuning, results: Sequence[Tuned]) -> None:
    """Write the recipe that was tuned with the best values of every strategy; those without any are not named.

    Raises:
        RunError, BenchError: See ``files.refusals``.
    """
    hyperparameters = {name: dict(values) for name, values in recipe.hyperparameters.items()}
    for tuned in results:
        if tuned.best is not None and tuned.best.trial.values:
            hyperparameters.setdefault(tuned.strategy, {}).update(tuned.best.trial.values)
    lost = {tuned.strategy for tuned in results if tuned.best is None}
    kept = tuple(name for name in tuning.strategies if name not in lost)
    tuning = dataclasses.replace(tuning, strategies=kept)
    whole = dataclasses.replace(recipe, hyperparameters=hyperparameters, tuning=parsing.plain(tuning))
    files.write(path, toml_of_recipe(whole), remedy="give another --write")


def check_target(path: Path, recipe: Recipe, tuning: Tuning, option: str = "--write") -> None:
    """Find out before anything is trained whether the recipe file can be written.

    Only what a part of this very search has written is overwritten.

    Args:
        path: The recipe file.
        recipe: What is tuned.
        tuning: How; an objective that is ``UNKNOWN`` is not compared.
        option: What to change where nothing can be written.

    Raises:
        BenchError: A file of another kind, recipe or search is there, or none can be written there.
    """
    files.check_place(path, option)
    if not path.exists():
        if path.suffix != ".toml":
            raise BenchError(f"--write {path}: a recipe file's name ends in .toml; give such a name")
        return
    remedy = "give another --write, or delete it"
    try:
        there = open_recipe(path)
        old = tuning_of(there)
    except BenchError as error:
        raise BenchError(f"{path} exists and is no recipe of this suite ({error}); {remedy}") from error
    if there.content() != recipe.content() or old is None:
        raise BenchError(f"{path} exists and is another recipe, not one tuned from {recipe.name!r}; {remedy}")
    for key in ("stream", "domains", "seed", "objective"):
        theirs, ours = getattr(old, key), getattr(tuning, key)
        if theirs != ours and ours != UNKNOWN:
            raise BenchError(
                f"{path} is of another search: {key} is {theirs!r} there, {ours!r} now; {remedy}"
            )
    if old.budget > tuning.budget or set(old.strategies) - set(tuning.strategies):
        raise BenchError(
            f"{path} is of a larger search ({old.budget} trials of {', '.join(old.strategies)}); {remedy}"
        )
