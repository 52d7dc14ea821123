"""The strategies that can adapt a detector without its old training data, and those of them that are taken by default."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from fretal_bench.benchmark.recipes.recipe import Recipe
from fretal_bench.benchmark.runner.plan import refused_key
from fretal_bench.errors import BenchError
from fretal_bench.strategies import registry
from fretal_bench.strategies.record import StrategyInfo
from fretal_bench.strategies.registry import list_strategies

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
        and refused_key(info, recipe) is None
    )


def chosen(named: Sequence[str], recipe: Recipe) -> tuple[str, ...]:
    """Return the names of the strategies of a call.

    Args:
        named: What it names (``registry.chosen``): strategies, patterns, groups, ``all``; or nothing for the usual ones.
            What nobody named, and that cannot, is left out.
        recipe: The recipe.

    Raises:
        BenchError: A name or group is unknown, or nothing that fits can adapt.
    """
    can = [info.name for info in able(recipe)]
    if not named:
        return tuple(name for name in USUAL if name in can)
    names, unnamed = registry.chosen(named)
    left = tuple(name for name in names if name in can or name not in unnamed)
    if not left:
        raise BenchError(
            f"--strategies {','.join(named)}: none of them adapts a detector without its old training data; `bench show "
            "strategy NAME` says what one needs"
        )
    return left
