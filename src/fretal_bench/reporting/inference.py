"""What a table says of other people and other seeds: levels, differences of all pairs of strategies, groups of ties."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from fretal_bench.benchmark.runner.results import CellResult
from fretal_bench.metrics.clusters import VIDEOS, Clusters, find_clusters
from fretal_bench.metrics.inference import (
    Differences,
    Effect,
    SeedVariance,
    effects,
    equivalences,
    half_widths,
    holm,
    people_for,
    pooled_seed_variance,
    sign_flips,
    tie_groups,
    told_apart,
)
from fretal_bench.metrics.numbers import NAN, Floats, or_none
from fretal_bench.reporting.quantities import Quantity, StreamMeasures

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
ONE_CLUSTER: Final = "a single cluster"
OVERLAP: Final = "seeds that share some clusters and not others"
UNDEFINED: Final = "without one cluster the value does not exist"


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

    @property
    def best(self) -> frozenset[str]:
        """The first and those that are not told from it; nobody where that is everybody."""
        return self.best_without(())

    def best_without(self, labels: Collection[str]) -> frozenset[str]:
        """Give the same of the others alone: of those that may be ranked."""
        apart = {frozenset((of.first, of.second)) for of in self.comparisons if of.told_apart}
        ranked = [label for label in self.ranked if label not in labels]
        return _best(ranked, apart) if ranked else frozenset()

    def groups_without(self, labels: Collection[str]) -> Mapping[str, str]:
        """Give the letters of the others alone: ``a`` is that of the best who may be ranked, and none is left out."""
        if not self.groups or not any(label in self.groups for label in labels):
            return self.groups
        ranked = [label for label in self.ranked if label not in labels]
        different = [
            [one != other and self.between(one, other).told_apart for other in ranked] for one in ranked
        ]
        return dict(zip(ranked, tie_groups(different), strict=True)) if ranked else {}


def _best(ranked: Sequence[str], apart: Collection[frozenset[str]]) -> frozenset[str]:
    """Give the first and those that are not told from it; nobody where that is everybody."""
    labels = frozenset(label for label in ranked if {label, ranked[0]} not in apart)
    return labels if len(labels) < len(ranked) else frozenset()


@dataclass(frozen=True, eq=False)
class Seeds:
    """The seeds of one strategy, and which clusters each tests.

    Attributes:
        seeds: Ascending.
        clusters: The clusters that each tests, ``[P_s]``, ascending.
    """

    seeds: tuple[int, ...]
    clusters: tuple[npt.NDArray[np.int64], ...]

    @functools.cached_property
    def folds(self) -> list[list[int]]:
        """The places of seeds, those that test the same clusters together."""
        folds: dict[bytes, list[int]] = {}
        for place, numbers in enumerate(self.clusters):
            folds.setdefault(numbers.tobytes(), []).append(place)
        return list(folds.values())

    @functools.cached_property
    def union(self) -> npt.NDArray[np.int64]:
        """The clusters that any seed tests."""
        return np.unique(np.concatenate(self.clusters)) if self.clusters else np.zeros(0, dtype=np.int64)

    @functools.cached_property
    def weights(self) -> Floats:
        """What each seed counts for, so that every cluster counts alike, ``[S]``."""
        weights = np.empty(len(self.seeds))
        for fold in self.folds:
            weights[fold] = len(self.clusters[fold[0]]) / len(fold)
        return np.asarray(weights / weights.sum(), dtype=np.float64)

    @functools.cached_property
    def reason(self) -> str:
        """Why nothing has an interval, in a few words; empty where there may be one."""
        if sum(len(self.clusters[fold[0]]) for fold in self.folds) > len(self.union):
            return OVERLAP
        return ONE_CLUSTER if len(self.union) < 2 else ""

    @property
    def covers(self) -> str:
        """What the intervals speak of."""
        return "people" if len(self.seeds) < 2 else "people and seeds"

    def mean(self, values: Sequence[Any]) -> Any:
        """Give the mean over seeds, of numbers or arrays, so that every cluster counts alike."""
        stack = np.asarray(values, dtype=np.float64)
        if len(set(self.weights.tolist())) < 2:
            # About the first, so that equal values have exactly that mean.
            return stack[0] + np.mean(stack - stack[0], axis=0)
        return np.tensordot(self.weights, stack, axes=1)

    def table(self, values: Sequence[Floats]) -> Floats:
        """Spread values ``[P_s, ...]`` of each seed over all clusters: ``[S, P, ...]``, NaN where one is not tested."""
        table = np.full((len(self.seeds), len(self.union), *values[0].shape[1:]), NAN)
        for row, (numbers, of_seed) in enumerate(zip(self.clusters, values, strict=True)):
            table[row, np.searchsorted(self.union, numbers)] = of_seed
        return table

    def halves(self, values: Sequence[Floats]) -> Floats:
        """Give half the widths of the intervals of means, ``[...]``, from values ``[P_s, ...]`` of each seed."""
        shape = values[0].shape[1:]
        half = np.full(math.prod(shape), NAN)
        if not self.reason:
            exist = np.all([np.isfinite(of_seed).all(axis=0).ravel() for of_seed in values], axis=0)
            table = self.table(values).reshape(len(self.seeds), len(self.union), -1)[:, :, exist]
            if exist.any():
                half[exist] = half_widths(np.moveaxis(table, 2, 0))
        return half.reshape(shape)


def seeds_of(cells: Sequence[StreamMeasures]) -> Seeds | None:
    """Give the seeds of the cells of one strategy, which are in their order; None where they have no clusters."""
    if not cells or any(cell.clusters is None for cell in cells):
        return None
    numbers = tuple(cell.clusters.numbers for cell in cells if cell.clusters is not None)
    return Seeds(tuple(cell.seed for cell in cells), numbers)


def run_clusters(cells: Sequence[CellResult]) -> Clusters:
    """Find the clusters of the test samples of all cells of a run."""
    samples: dict[tuple[int, bool, str], pd.DataFrame] = {}
    for cell in cells:
        scores = cell.scores
        key = (cell.seed, "people" in scores.columns, cell.source)
        if key not in samples and {"step", "domain", "row", "video"} <= {*scores.columns}:
            samples[key] = scores[scores["step"] == scores["step"].min()].dropna(subset=["domain", "video"])
    return find_clusters(list(samples.values()))


# What is known of a cell, or of its clusters, depends on what was measured of it.
Numbers = Callable[[Any], float]
Parts = Callable[[Any], Floats]


class Family:
    """One number of several strategies: the levels, and the comparisons of all pairs of those that compete."""

    def __init__(
        self, cells: Sequence[StreamMeasures], number: Numbers, parts: Parts, bounds: Collection[str]
    ) -> None:
        """Lay the number out by strategy.

        Args:
            cells: What was measured of each cell, by cluster; cells without clusters are left out.
            number: The number of a cell.
            parts: Its values by cluster, ``[P]``.
            bounds: The labels that are compared with nobody.
        """
        self._by_label: dict[str, list[StreamMeasures]] = {}
        for cell in sorted(cells, key=lambda cell: cell.seed):
            if cell.clusters is not None:
                self._by_label.setdefault(cell.label, []).append(cell)
        order = dict.fromkeys(cell.label for cell in cells)
        self._by_label = {label: self._by_label[label] for label in order if label in self._by_label}
        self._values = {
            label: {cell.seed: number(cell) for cell in of} for label, of in self._by_label.items()
        }
        self._parts = {
            label: {cell.seed: parts(cell.clusters) for cell in of if cell.clusters is not None}
            for label, of in self._by_label.items()
        }
        self._clusters = {
            label: {cell.seed: cell.clusters.numbers for cell in of if cell.clusters is not None}
            for label, of in self._by_label.items()
        }
        self._seeds = {
            label: Seeds(tuple(of), tuple(self._clusters[label].values()))
            for label, of in self._values.items()
        }
        self.means = {
            label: float(self._seeds[label].mean(list(of.values()))) for label, of in self._values.items()
        }
        self.competitors = [
            label for label, mean in self.means.items() if label not in bounds and not math.isnan(mean)
        ]
        self.pairs = list(itertools.combinations(self.competitors, 2))

    @property
    def clusters(self) -> set[bytes]:
        """The sets of clusters that seeds test."""
        return {numbers.tobytes() for of in self._clusters.values() for numbers in of.values()}

    @functools.cached_property
    def reasons(self) -> dict[str, str]:
        """Why strategies have no interval, by label; empty for those that have."""
        return {
            label: of.reason or _undefined(self._values[label].values(), self._parts[label].values())
            for label, of in self._seeds.items()
        }

    @functools.cached_property
    def levels(self) -> dict[str, Effect]:
        """The mean of every strategy with its interval."""
        levels = {label: _without_interval(self.means[label], self._seeds[label]) for label in self._by_label}
        # Those over the same seeds and clusters are computed together.
        alike: dict[tuple[tuple[int, ...], tuple[bytes, ...]], list[str]] = {}
        for label, of in self._seeds.items():
            if not self.reasons[label]:
                key = of.seeds, tuple(numbers.tobytes() for numbers in of.clusters)
                alike.setdefault(key, []).append(label)
        for labels in alike.values():
            tables = np.stack(
                [self._seeds[label].table(list(self._parts[label].values())) for label in labels]
            )
            means = np.array([self.means[label] for label in labels])
            levels |= dict(zip(labels, effects(tables, means), strict=True))
        return levels

    @functools.cached_property
    def _differences(self) -> list[tuple[Seeds, list[int], Floats, Floats]]:
        """Give the differences of all pairs, those over the same seeds together: seeds, pairs, means, ``[k, S, P]``."""
        by_seeds: dict[tuple[tuple[int, bytes], ...], list[int]] = {}
        tested = {
            label: {seed: numbers.tobytes() for seed, numbers in of.items()}
            for label, of in self._clusters.items()
        }
        for place, (first, second) in enumerate(self.pairs):
            theirs = tested[second]
            key = tuple((seed, numbers) for seed, numbers in tested[first].items() if seed in theirs)
            if key and all(theirs[seed] == numbers for seed, numbers in key):
                by_seeds.setdefault(key, []).append(place)
        groups = []
        for key, places in by_seeds.items():
            first = self.pairs[places[0]][0]
            common = [seed for seed, _ in key]
            seeds = Seeds(tuple(common), tuple(self._clusters[first][s] for s in common))
            labels = dict.fromkeys(label for place in places for label in self.pairs[place])
            number = {label: at for at, label in enumerate(labels)}
            tables = np.stack([seeds.table([self._parts[label][s] for s in common]) for label in labels])
            values = np.array([[self._values[label][s] for s in common] for label in labels])
            ends = np.array([[number[label] for label in self.pairs[place]] for place in places])
            between = values[ends[:, 0]] - values[ends[:, 1]]
            groups.append(
                (seeds, places, np.asarray(seeds.mean(between.T)), tables[ends[:, 0]] - tables[ends[:, 1]])
            )
        return groups

    def _estimable(self, seeds: Seeds, tables: Floats) -> npt.NDArray[np.bool_]:
        """Say which of ``[k, S, P]`` have an interval: all values exist where a seed tests a cluster."""
        if seeds.reason:
            return np.zeros(len(tables), dtype=bool)
        tested = ~np.isnan(seeds.table([np.zeros(len(numbers)) for numbers in seeds.clusters]))
        return np.asarray(np.isfinite(tables[:, tested]).all(axis=1), dtype=bool)

    @functools.cached_property
    def pooled(self) -> SeedVariance | None:
        """What seeds add to the variance of a comparison, pooled over all of them."""
        tables = [
            table
            for seeds, _, _, of_pairs in self._differences
            for table in of_pairs[self._estimable(seeds, of_pairs)]
        ]
        return pooled_seed_variance(tables, len(self.competitors))

    @functools.cached_property
    def differences(self) -> list[Effect]:
        """The effect of every pair."""
        nothing = Effect(NAN, NAN, NAN, NAN, 0, 0, NAN, NAN, (NAN, NAN))
        result = [nothing] * len(self.pairs)
        for seeds, places, means, tables in self._differences:
            known = self._estimable(seeds, tables)
            estimated = iter(effects(tables[known], means[known], pooled=self.pooled) if known.any() else ())
            for place, mean, is_known in zip(places, means, known, strict=True):
                result[place] = next(estimated) if is_known else _without_interval(float(mean), seeds)
        return result

    @functools.cached_property
    def corrected(self) -> Floats:
        """The p value of every pair with Holm's correction."""
        return holm([of.p for of in self.differences])

    @functools.cached_property
    def apart(self) -> npt.NDArray[np.bool_]:
        """Which pairs are told apart: where ``corrected`` is ``LEVEL`` at most, without the p values."""
        result = np.zeros(len(self.pairs), dtype=bool)
        known = [self._estimable(seeds, tables) for seeds, _, _, tables in self._differences]
        groups = [of for of in zip(self._differences, known, strict=True) if of[1].any()]
        told = told_apart(
            [Differences(tables[are_known], means[are_known]) for (_, _, means, tables), are_known in groups],
            len(self.pairs),
            LEVEL,
            self.pooled,
        )
        for ((_, places, _, _), are_known), of_group in zip(groups, told, strict=True):
            result[np.asarray(places)[are_known]] = of_group
        return result

    def sign_flips(self) -> list[float]:
        """Test every pair by flipping the signs of clusters."""
        p_values = [NAN] * len(self.pairs)
        for seeds, places, _, tables in self._differences:
            known = np.flatnonzero(self._estimable(seeds, tables))
            if len(known):
                for at, p in zip(known, sign_flips(np.nanmean(tables[known], axis=1)), strict=True):
                    p_values[places[at]] = float(p)
        return p_values

    def ranked(self, *, higher_is_better: bool) -> tuple[str, ...]:
        """Sort competitors, best first: by the mean, or where seeds differ by how many each beats over common ones."""
        sign = 1 if higher_is_better else -1
        # Means of the same numbers in another order differ by rounding.
        by_mean = {label: round(sign * self.means[label], 12) for label in self.competitors}
        if len({frozenset(self._values[label]) for label in self.competitors}) < 2:
            return tuple(sorted(self.competitors, key=lambda label: -by_mean[label]))
        beaten = dict.fromkeys(self.competitors, 0.0)
        gaps = [NAN] * len(self.pairs)
        for _, places, means, _ in self._differences:
            for place, mean in zip(places, means.tolist(), strict=True):
                gaps[place] = mean
        for (first, second), gap in zip(self.pairs, gaps, strict=True):
            beaten[first] += _share(sign * gap)
            beaten[second] += _share(-sign * gap)
        return tuple(sorted(self.competitors, key=lambda label: (-beaten[label], -by_mean[label])))

    def best(self, ranked: Sequence[str]) -> frozenset[str]:
        """Give the first of competitors in their order and those not told from it; nobody where that is everybody."""
        apart = {frozenset(self.pairs[place]) for place in np.flatnonzero(self.apart)}
        return _best(ranked, apart)

    def groups(self, ranked: Sequence[str]) -> dict[str, str]:
        """Give letters to competitors in their order: two that share one were not told apart."""
        place = {label: at for at, label in enumerate(ranked)}
        apart = np.zeros((len(ranked), len(ranked)), dtype=bool)
        for (first, second), are_apart in zip(self.pairs, self.apart, strict=True):
            apart[place[first], place[second]] = apart[place[second], place[first]] = are_apart
        return dict(zip(ranked, tie_groups(apart), strict=True)) if ranked else {}


def _share(gap: float) -> float:
    """Give what a win counts for: half for a tie."""
    return 1.0 if gap > 0 else 0.5 if gap == 0 else 0.0


def _undefined(values: Iterable[float], parts: Iterable[Floats]) -> str:
    if not all(math.isfinite(value) for value in values):
        return "a value does not exist"
    return "" if all(np.isfinite(of_seed).all() for of_seed in parts) else UNDEFINED


def _without_interval(mean: float, seeds: Seeds) -> Effect:
    return Effect(mean, NAN, NAN, NAN, len(seeds.seeds), len(seeds.union), NAN, NAN, (NAN, NAN))


def infer(
    cells: Sequence[StreamMeasures], quantity: Quantity, clusters: Clusters, bounds: Collection[str]
) -> Inference:
    """Say what one quantity tells of the strategies: a family of all pairs of competitors.

    Args:
        cells: What was measured of each cell, by cluster.
        quantity: The quantity.
        clusters: The clusters of the run's test samples.
        bounds: The labels that are no competitors: they have levels, and are compared with nobody.
    """
    return infer_levels(cells, quantity, clusters, bounds, with_pairs=True)[0]


def infer_levels(
    cells: Sequence[StreamMeasures],
    quantity: Quantity,
    clusters: Clusters | None,
    bounds: Collection[str],
    *,
    with_pairs: bool,
    with_sign_flips: bool = True,
) -> tuple[Inference, frozenset[str]]:
    """Say what one quantity tells, as ``infer``, and which strategies are not told from the best of it.

    Args:
        cells: What was measured of each cell, by cluster.
        quantity: The quantity.
        clusters: The clusters of the run's test samples.
        bounds: The labels that are no competitors.
        with_pairs: Whether every pair is described; without, ``comparisons`` is empty.
        with_sign_flips: Whether pairs have the p value of their sign-flip test; without it is NaN.
    """
    family = Family(
        cells, lambda cell: cell.values[quantity.name], lambda of: of.values[quantity.name], bounds
    )
    ranked = family.ranked(higher_is_better=quantity.better == "higher")
    clusters = clusters or Clusters(VIDEOS, 0, 0, "", {})
    matrix = cells[0].matrix
    margin = NAN if matrix.metric in _OTHER_SCALES else MARGIN
    reasons = list(family.reasons.values())
    tested = [cell.clusters.numbers for cell in cells if cell.clusters is not None]
    inference = Inference(
        quantity.name,
        matrix.metric,
        matrix.level,
        margin,
        len(np.unique(np.concatenate(tested))) if tested else 0,
        clusters.unit,
        clusters.people,
        len(family.clusters),
        tuple(sorted({cell.seed for cell in cells})),
        family.levels,
        _comparisons(family, margin, clusters, with_sign_flips) if with_pairs else (),
        family.groups(ranked) if with_pairs else {},
        ranked,
        "" if "" in reasons else next(iter(reasons), "no values by cluster"),
    )
    return inference, family.best(ranked)


def _comparisons(
    family: Family, margin: float, clusters: Clusters, with_sign_flips: bool
) -> tuple[Comparison, ...]:
    """Compare all pairs of a family."""
    effects, corrected = family.differences, family.corrected
    flips = family.sign_flips() if with_sign_flips else [NAN] * len(family.pairs)
    within = holm(equivalences(effects, margin))
    left = max(1, int(np.sum(~(corrected <= LEVEL))))
    per_unit = clusters.people / clusters.count if clusters.people else 1.0
    most = math.floor(MOST_PEOPLE / per_unit)
    needed = people_for(effects, LEVEL / left, most=most)
    comparisons = []
    for place, (first, second) in enumerate(family.pairs):
        p, clusters_needed = float(corrected[place]), needed[place]
        people = None if p <= LEVEL or clusters_needed is None else math.ceil(clusters_needed * per_unit)
        same = bool(within[place] <= LEVEL)
        comparisons.append(Comparison(first, second, effects[place], p, flips[place], same, people))
    return tuple(comparisons)


def best_labels(
    cells: Sequence[StreamMeasures],
    number: Numbers,
    parts: Parts,
    bounds: Collection[str],
    *,
    higher_is_better: bool,
) -> frozenset[str]:
    """Give the best of a column: those not told from the first, or nobody where nothing is told apart from anything."""
    family = Family(cells, number, parts, bounds)
    if not family.apart.any():
        return frozenset()
    return family.best(family.ranked(higher_is_better=higher_is_better))


def comparisons_frame(inferences: Iterable[Inference]) -> pd.DataFrame:
    """Give every comparison, a row a quantity and pair: the difference, its interval and what is told of it."""
    import pandas as pd

    rows = [{"quantity": of.quantity, **_record(pair)} for of in inferences for pair in of.comparisons]
    columns = ["quantity", "first", "second", *_COLUMNS]
    return pd.DataFrame(rows, columns=columns)


_COLUMNS: Final = (
    "difference",
    "low",
    "high",
    "p",
    "p_corrected",
    "sign_flip",
    "told_apart",
    "equivalent",
    "people_needed",
)


def _record(of: Comparison) -> dict[str, Any]:
    values = (
        of.effect.mean,
        of.effect.low,
        of.effect.high,
        of.effect.p,
        of.p_corrected,
        of.sign_flip,
        of.told_apart,
        of.equivalent,
        of.people_needed,
    )
    return {"first": of.first, "second": of.second, **dict(zip(_COLUMNS, values, strict=True))}


def inference_record(of: Inference) -> dict[str, Any]:
    """Give an inference as plain data for ``json.dumps``; a value that does not exist is None."""
    return {
        "metric": of.metric,
        "level": of.level,
        "margin": or_none(of.margin),
        "clusters": of.clusters,
        "unit": of.unit,
        "people": of.people,
        "folds": of.folds,
        "seeds": list(of.seeds),
        "reason": of.reason,
        "ranked": list(of.ranked),
        "groups": dict(of.groups),
        "levels": {
            label: {
                "mean": or_none(level.mean),
                "low": or_none(level.low),
                "high": or_none(level.high),
                "covers": level.covers,
            }
            for label, level in of.levels.items()
        },
        "comparisons": [
            {
                key: or_none(value) if isinstance(value, float) else value
                for key, value in _record(pair).items()
            }
            for pair in of.comparisons
        ],
    }
