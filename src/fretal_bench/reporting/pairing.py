"""Strategies compared with one another: over the seeds that both have, never a mean over these with one over those."""

from __future__ import annotations

from collections.abc import Sequence

from fretal_bench.metrics.intervals import mean_interval
from fretal_bench.reporting.inputs import seed_words
from fretal_bench.reporting.quantities import FORGETTING
from fretal_bench.reporting.summary import StrategySummary


def have_same_seeds(strategies: Sequence[StrategySummary], quantity: str = FORGETTING) -> bool:
    """Tell whether all have a quantity for the same seeds, so that their means can be compared as they are."""
    return len({frozenset(strategy.by_seed[quantity]) for strategy in strategies}) < 2


def means_in_common(strategy: StrategySummary, other: StrategySummary, quantity: str) -> tuple[float, float]:
    """Give the means of a quantity of two strategies over the seeds that both have; NaN where there is none."""
    if have_same_seeds((strategy, other), quantity):
        return strategy.values[quantity].mean, other.values[quantity].mean
    common = sorted(strategy.by_seed[quantity].keys() & other.by_seed[quantity].keys())
    first, second = (
        mean_interval([of.by_seed[quantity][s] for s in common]).mean for of in (strategy, other)
    )
    return first, second


def different_seeds(strategies: Sequence[StrategySummary]) -> list[str]:
    """Say which strategies have which seeds, where not all have the same."""
    by_seeds: dict[tuple[int, ...], list[str]] = {}
    for strategy in strategies:
        by_seeds.setdefault(strategy.seeds, []).append(strategy.label)
    if len(by_seeds) < 2:
        return []
    named = [f"{', '.join(labels)}: {seed_words(seeds)}" for seeds, labels in by_seeds.items()]
    return [
        f"Not all strategies have the same seeds ({'; '.join(named)}): two are compared over the seeds that both have."
    ]
