"""The strategies that can adapt a detector without its old training data, and those of them that are taken by default."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from fretal_bench.benchmark.recipes.recipe import Recipe
from fretal_bench.strategies.record import StrategyInfo
from fretal_bench.strategies.registry import list_strategies

ALL: Final = "all"
USUAL: Final = ("finetuning", "lwf", "kd", "fretal", "feature-distillation", "weight-averaging")
"""Those taken by default, as far as they can: what forgets, distillation in its forms, an average with old weights."""
_UNTRAINED: Final = "zero-shot"
"""Adapts nothing: what it does is in the rows before."""


def able(recipe: Recipe) -> tuple[StrategyInfo, ...]:
    """Return the strategies that adapt a detector whose training data are not there, asked of each one's record.

    Those that need a certain kind of backbone are run where they are named.

    Args:
        recipe: One that a strategy does not train with leaves it out.
    """
    return tuple(
        info
        for info in list_strategies()
        if not (info.without_old_data or info.backbone)
        and info.name != _UNTRAINED
        and not {recipe.trainable, recipe.effort} & {value for value, _ in info.refuses}
    )


def chosen(named: Sequence[str], recipe: Recipe) -> tuple[str, ...]:
    """Return the names of the strategies of a call.

    Args:
        named: What it names: strategies, ``all`` for all that can, or nothing for the usual ones.
        recipe: The recipe.
    """
    names = [info.name for info in able(recipe)]
    if not named:
        return tuple(name for name in USUAL if name in names)
    return tuple(names) if list(named) == [ALL] else tuple(named)
