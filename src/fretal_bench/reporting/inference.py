"""What a table says of other people and other seeds: levels, differences of all pairs of strategies, groups of ties."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from fretal_bench.benchmark.runner.results import CellResult
from fretal_bench.metrics.clusters import Clusters, find_clusters
from fretal_bench.metrics.inference import (
    Effect,
    SeedVariance,
    effect,
    equivalence,
    holm,
    people_needed,
    pooled_seed_variance,
    sign_flips,
    tie_groups,
)
from fretal_bench.metrics.intervals import mean_interval
from fretal_bench.metrics.numbers import NAN, Floats
from fretal_bench.reporting.quantities import CellMeasures, Quantity

if TYPE_CHECKING:
    import pandas as pd

LEVEL: Final = 0.05
"""Share of families in which anything may be told apart by chance."""
MARGIN: Final = 0.05
"""Differences that are shown to be smaller count as none, of metrics that are shares of right or wrong answers."""
MOST_PEOPLE: Final = 100_000
"""The largest number of people that is named as what it would take."""
_OTHER_SCALES: Final = frozenset({"brier", "ece", "nll"})
"""Metrics of the suite that are no shares of answers: for these no margin is stated."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """The difference ``first - second`` of one quantity of two strategies, over the seeds that both have.

    Attributes:
        first: Label.
        second: Label.
        effect: The difference, its interval and its own p value.
        p_corrected: The p value with Holm's correction over all pairs of the family; NaN where there is no interval.
        sign_flip: The p value of the sign-flip test over clusters, uncorrected; NaN below ten clusters.
        equivalent: Whether the difference is shown to be within the margin (two one-sided tests, Holm's correction over
            all pairs, .05).
        people_needed: How many people it would take to tell the two apart with the same number of seeds (of clusters
            where nobody is known); None where they are told apart already, where 100,000 would not be enough, or where
            there is no interval.
    """

    first: str
    second: str
    effect: Effect
    p_corrected: float
    sign_flip: float
    equivalent: bool
    people_needed: int | None

    @property
    def told_apart(self) -> bool:
        """Whether the difference is told from 0 with the correction for the whole family."""
        return self.p_corrected <= LEVEL

    def turned(self) -> Comparison:
        """Return the difference the other way round."""
        of = self.effect
        around = replace(of, mean=-of.mean, low=-of.high, high=-of.low)
        return replace(self, first=self.second, second=self.first, effect=around)


@dataclass(frozen=True, eq=False)
class Inference:
    """What one quantity of a table says of other people and other seeds.

    Attributes:
        quantity: Its name.
        metric: The metric of the matrices.
        level: ``frame`` or ``video``.
        margin: Within which a difference counts as none; NaN where none is stated.
        clusters: How many clusters are tested in all.
        unit: What a cluster is, in words: ``Clusters.unit``.
        people: How many people are tested in all; 0 where nobody is known.
        folds: How many sets of clusters the seeds test: 1 where all test the same.
        seeds: All seeds that any strategy has.
        levels: The mean of every strategy, bounds too, with its interval.
        comparisons: Every pair of competitors, in the order of the table.
        groups: Letters of every competitor that has a value: two that share one were not told apart, ``a`` is the best's.
        ranked: The competitors that have a value, best first.
        reason: Why no strategy has an interval, in a few words; empty where any has.
    """

    quantity: str
    metric: str
    level: str
    margin: float
    clusters: int
    unit: str
    people: int
    folds: int
    seeds: tuple[int, ...]
    levels: Mapping[str, Effect]
    comparisons: tuple[Comparison, ...]
    groups: Mapping[str, str]
    ranked: tuple[str, ...]
    reason: str = ""

    @functools.cached_property
    def _pairs(self) -> dict[tuple[str, str], Comparison]:
        pairs = {}
        for comparison in self.comparisons:
            pairs[comparison.first, comparison.second] = comparison
            pairs[comparison.second, comparison.first] = comparison.turned()
        return pairs

    def between(self, first: str, second: str) -> Comparison:
        """Return the comparison ``first - second``, whichever way round it was made.

        Raises:
            KeyError: One of the two is no competitor.
        """
        return self._pairs[first, second]


@dataclass(frozen=True, eq=False)
class PerCluster:
    """One number of several seeds, with its values by cluster.

    Attributes:
        by_seed: Seed -> the number.
        clusters: Seed -> the clusters that it tests, ``[P]``, ascending.
        values: Seed -> their values, ``[P]``.
    """

    by_seed: Mapping[int, float]
    clusters: Mapping[int, npt.NDArray[np.int64]]
    values: Mapping[int, Floats]

    def minus(self, other: PerCluster) -> PerCluster:
        """Return the paired difference over the seeds that both have."""
        seeds = sorted(self.by_seed.keys() & other.by_seed.keys())
        same = {s: np.array_equal(self.clusters[s], other.clusters[s]) for s in seeds}
        nothing = np.full(0, NAN)
        return PerCluster(
            {s: self.by_seed[s] - other.by_seed[s] for s in seeds},
            {s: self.clusters[s] if same[s] else np.zeros(0, dtype=np.int64) for s in seeds},
            {s: self.values[s] - other.values[s] if same[s] else nothing for s in seeds},
        )

    @functools.cached_property
    def folds(self) -> list[list[int]]:
        """The seeds, those that test the same clusters together."""
        folds: dict[bytes, list[int]] = {}
        for seed in sorted(self.by_seed):
            folds.setdefault(self.clusters[seed].tobytes(), []).append(seed)
        return list(folds.values())

    @functools.cached_property
    def mean(self) -> float:
        """The mean over seeds; of seeds that test other clusters, so that every cluster counts alike."""
        sizes = [len(self.clusters[seeds[0]]) for seeds in self.folds]
        means = [mean_interval([self.by_seed[seed] for seed in seeds]).mean for seeds in self.folds]
        return (
            float(np.average(means, weights=sizes))
            if sum(sizes)
            else mean_interval([*self.by_seed.values()]).mean
        )

    @functools.cached_property
    def table(self) -> Floats:
        """``[S, P]``: a row a seed, a column a cluster that any seed tests; NaN where a seed does not test it."""
        seeds = sorted(self.by_seed)
        tested = np.unique(np.concatenate([self.clusters[s] for s in seeds])) if seeds else np.zeros(0)
        table = np.full((len(seeds), len(tested)), NAN)
        for row, seed in enumerate(seeds):
            table[row, np.searchsorted(tested, self.clusters[seed])] = self.values[seed]
        return table

    @functools.cached_property
    def reason(self) -> str:
        """Why there is no interval, in a few words; empty where there may be one."""
        if not self.by_seed:
            return "no seed in common"
        if any(not math.isfinite(value) for value in self.by_seed.values()):
            return "a value does not exist"
        if any(not np.isfinite(values).all() for values in self.values.values()):
            return "without one cluster the value does not exist"
        if self.table.shape[1] < 2:
            return "a single cluster"
        counts = sum(len(self.clusters[seeds[0]]) for seeds in self.folds)
        return "" if counts == self.table.shape[1] else "seeds that share some clusters and not others"

    def effect(self, pooled: SeedVariance | None = None) -> Effect:
        """Estimate the mean and its interval."""
        if self.reason:
            seeds, clusters = len(self.by_seed), self.table.shape[1]
            mean = self.mean if self.by_seed else NAN
            return Effect(mean, NAN, NAN, NAN, seeds, clusters, NAN, NAN, (NAN, NAN))
        return effect(self.table, self.mean, pooled=pooled)


def run_clusters(cells: Sequence[CellResult]) -> Clusters:
    """Find the clusters of the test samples of all cells of a run."""
    samples: dict[tuple[int, bool], pd.DataFrame] = {}
    for cell in cells:
        scores = cell.scores
        if (key := (cell.seed, "people" in scores.columns)) not in samples and {"step", "video"} <= {
            *scores.columns
        }:
            samples[key] = scores[scores["step"] == scores["step"].min()].dropna(subset=["domain", "video"])
    return find_clusters(list(samples.values()))


def per_cluster(cells: Sequence[CellMeasures], quantity: str) -> dict[str, PerCluster]:
    """Give one quantity of every strategy, by label; no strategy that lacks it or its values by cluster."""
    by_label: dict[str, list[CellMeasures]] = {}
    for cell in cells:
        if cell.clusters is not None and quantity in cell.clusters.values:
            by_label.setdefault(cell.label, []).append(cell)
    return {
        label: PerCluster(
            {cell.seed: cell.values[quantity] for cell in of},
            {cell.seed: cell.clusters.numbers for cell in of if cell.clusters is not None},
            {cell.seed: cell.clusters.values[quantity] for cell in of if cell.clusters is not None},
        )
        for label, of in by_label.items()
    }


def infer(
    cells: Sequence[CellMeasures], quantity: Quantity, clusters: Clusters, bounds: Collection[str]
) -> Inference:
    """Say what one quantity tells of the strategies: a family of all pairs of competitors.

    Args:
        cells: What was measured of each cell, by cluster.
        quantity: The quantity.
        clusters: The clusters of the run's test samples.
        bounds: The labels that are no competitors: they have levels, and are compared with nobody.
    """
    of_labels = per_cluster(cells, quantity.name)
    levels = {label: of.effect() for label, of in of_labels.items()}
    known = [label for label in of_labels if label not in bounds and not math.isnan(levels[label].mean)]
    pairs = list(itertools.combinations(known, 2))
    differences = [of_labels[first].minus(of_labels[second]) for first, second in pairs]
    margin = MARGIN if cells and cells[0].matrix.metric not in _OTHER_SCALES else NAN
    comparisons = _comparisons(pairs, differences, len(known), margin, clusters)
    ranked = _ranked(known, of_labels, comparisons, higher_is_better=quantity.better == "higher")
    tested = [of.clusters[seed] for of in of_labels.values() for seed in of.by_seed]
    reasons = [of.reason for of in of_labels.values()]
    return Inference(
        quantity.name,
        cells[0].matrix.metric,
        cells[0].matrix.level,
        margin,
        len(np.unique(np.concatenate(tested))) if tested else 0,
        clusters.unit,
        clusters.people,
        len({numbers.tobytes() for numbers in tested}),
        tuple(sorted({cell.seed for cell in cells})),
        levels,
        comparisons,
        _groups(ranked, comparisons),
        ranked,
        "" if "" in reasons else next(iter(reasons), "no values by cluster"),
    )


def _comparisons(
    pairs: Sequence[tuple[str, str]],
    differences: Sequence[PerCluster],
    strategies: int,
    margin: float,
    clusters: Clusters,
) -> tuple[Comparison, ...]:
    """Compare all pairs of a family."""
    pooled = pooled_seed_variance([of.table for of in differences if not of.reason], strategies)
    effects = [of.effect(pooled) for of in differences]
    corrected = holm([of.p for of in effects])
    within = holm([equivalence(of, margin) if margin > 0 else NAN for of in effects])
    left = int(np.sum(~(corrected <= LEVEL)))
    per_unit = clusters.people / clusters.count if clusters.people else 1.0
    flipped = _sign_flips(differences)
    comparisons = []
    for (first, second), of, p, flip, same in zip(pairs, effects, corrected, flipped, within, strict=True):
        needed = None if p <= LEVEL else people_needed(of, LEVEL / max(1, left), most=MOST_PEOPLE)
        people = None if needed is None else math.ceil(needed * per_unit)
        comparisons.append(
            Comparison(
                first,
                second,
                of,
                float(p),
                flip,
                bool(same <= LEVEL),
                people if people is not None and people <= MOST_PEOPLE else None,
            )
        )
    return tuple(comparisons)


def _sign_flips(differences: Sequence[PerCluster]) -> list[float]:
    """Test every difference by flipping signs, those over equally many clusters together."""
    p_values = [NAN] * len(differences)
    by_count: dict[int, list[int]] = {}
    for place, difference in enumerate(differences):
        if not difference.reason:
            by_count.setdefault(difference.table.shape[1], []).append(place)
    for places in by_count.values():
        tables = np.stack([np.nanmean(differences[place].table, axis=0) for place in places])
        for place, p in zip(places, sign_flips(tables), strict=True):
            p_values[place] = float(p)
    return p_values


def _ranked(
    labels: Sequence[str],
    of_labels: Mapping[str, PerCluster],
    comparisons: Sequence[Comparison],
    *,
    higher_is_better: bool,
) -> tuple[str, ...]:
    """Sort strategies, best first: by the mean, or where seeds differ by how many others each beats over common ones."""
    sign = 1 if higher_is_better else -1
    by_mean = {label: sign * of_labels[label].mean for label in labels}
    if len({frozenset(of_labels[label].by_seed) for label in labels}) < 2:
        return tuple(sorted(labels, key=lambda label: -by_mean[label]))
    beaten = dict.fromkeys(labels, 0.0)
    for of in comparisons:
        gap = sign * of.effect.mean
        beaten[of.first] += 1.0 if gap > 0 else 0.5 if gap == 0 else 0.0
        beaten[of.second] += 1.0 if gap < 0 else 0.5 if gap == 0 else 0.0
    return tuple(sorted(labels, key=lambda label: (-beaten[label], -by_mean[label])))


def _groups(ranked: Sequence[str], comparisons: Sequence[Comparison]) -> dict[str, str]:
    """Give letters: two strategies that share one were not told apart."""
    place = {label: at for at, label in enumerate(ranked)}
    apart = np.zeros((len(ranked), len(ranked)), dtype=bool)
    for of in comparisons:
        first, second = place[of.first], place[of.second]
        apart[first, second] = apart[second, first] = of.told_apart
    return dict(zip(ranked, tie_groups(apart), strict=True)) if ranked else {}
