"""How often a report tells strategies apart whose names were drawn: ``python -m permutation_check RESULTS``.

Within every cluster of people the values of the competitors change places at random, in each seed on its own or in all
seeds alike, which keeps what people and strategies have of their own: no strategy differs from another then, whatever was
learned. A family has an error where Holm's correction over all pairs tells any two apart.
"""

from __future__ import annotations

import sys

import numpy as np
import numpy.typing as npt

from fretal_bench.benchmark.runner.results import load_results
from fretal_bench.metrics.inference import effects, holm, pooled_seed_variance
from fretal_bench.reporting.inference import seeds_of
from fretal_bench.reporting.quantities import BACKWARD
from fretal_bench.reporting.summary import Summary, summarize


def values_by_cluster(summary: Summary, quantity: str) -> npt.NDArray[np.float64]:
    """Give a quantity of the competitors that have every seed, ``[L, S, P]``; NaN where it is not tested."""
    tables = []
    for strategy in summary.competitors:
        cells = sorted((c for c in summary.cells if c.label == strategy.label), key=lambda cell: cell.seed)
        seeds = seeds_of(cells)
        if len(cells) == len(summary.seeds) and seeds is not None:
            parts = [cell.clusters.values[quantity] for cell in cells if cell.clusters is not None]
            tables.append(seeds.table(parts))
    return np.array(tables)


def permuted(
    values: npt.NDArray[np.float64], generator: np.random.Generator, *, alike: bool = False
) -> npt.NDArray[np.float64]:
    """Let the strategies change places within every cluster, ``[L, S, P]``: in each seed, or in all seeds alike."""
    if not alike:
        return generator.permuted(values, axis=0)
    count, _, clusters = values.shape
    order = generator.permuted(np.tile(np.arange(count)[:, None], clusters), axis=0)
    return np.take_along_axis(values, order[:, None], axis=0)


def any_told_apart(values: npt.NDArray[np.float64]) -> bool:
    """Whether any pair of ``[L, S, P]`` is told apart as a report does."""
    first, second = np.triu_indices(len(values), 1)
    pairs = values[first] - values[second]
    pooled = pooled_seed_variance(list(pairs), len(values))
    return bool((holm([of.p for of in effects(pairs, pooled=pooled)]) <= 0.05).any())


def share_of_errors(
    values: npt.NDArray[np.float64], count: int, seed: int = 0, *, alike: bool = False
) -> float:
    """Return the share of ``count`` permutations in which any pair is told apart."""
    generator = np.random.default_rng(seed)
    return float(np.mean([any_told_apart(permuted(values, generator, alike=alike)) for _ in range(count)]))


def main(results: str, count: int = 1000) -> None:
    """Print the share for BWT."""
    values = values_by_cluster(summarize(load_results(results)), BACKWARD)
    strategies, seeds, clusters = values.shape
    print(f"{strategies} strategies, {seeds} seeds, {clusters} clusters, {count} permutations")
    for alike, words in ((False, "each seed on its own"), (True, "all seeds alike")):
        print(f"{words}: {100 * share_of_errors(values, count, alike=alike):.1f}%", flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
