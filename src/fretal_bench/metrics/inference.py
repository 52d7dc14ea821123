"""What a difference between two strategies says of other people and other seeds: its interval, p value and reach.

The unit is a value for each seed and each cluster of test data (a person, people joined by a fake, or a video), such
that the mean over clusters is the metric of that seed: ``pseudo_values``. Two designs occur. *Crossed*: every seed tests
the same people. *Nested*: every fold of people is tested by seeds of its own. With one seed an interval speaks of people
alone.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from fretal_bench.metrics.intervals import CONFIDENCE, ROUNDING
from fretal_bench.metrics.numbers import NAN, Floats

SIGN_FLIP_CLUSTERS: Final = 10
"""Fewest clusters for ``sign_flip``: below, its least p value, 2 / 2^P, is too large to survive a correction."""
_ENUMERATED: Final = 16
_FLIPS: Final = 9_999
_FLIPPED: Final = 64
"""Differences whose signs are flipped at once, so that their sums stay in the cache of a processor."""
_STEPS: Final = 60
_LEAST_P: Final = 1e-280
"""No smaller p value is looked for."""
_POOLED_ABOVE: Final = 0.4
"""Nested: between and within are pooled where their F test has a p value above this."""


@dataclass(frozen=True)
class Effect:
    """A mean over seeds and clusters with its interval.

    Attributes:
        mean: NaN if a value is.
        low: Lower end; NaN where there are fewer than two clusters, or where nothing varies: no spread is no certainty.
        high: Upper end.
        p: Two-sided p value of the hypothesis that the mean is 0; NaN where there is no interval.
        seeds: How many seeds.
        clusters: How many clusters.
        of_seeds: Variance of the mean that is due to seeds; 0 with one seed, of which nothing is known then.
        of_clusters: Variance of the mean over seeds from one cluster to the next.
        freedoms: Degrees of freedom of these two.
    """

    mean: float
    low: float
    high: float
    p: float
    seeds: int
    clusters: int
    of_seeds: float
    of_clusters: float
    freedoms: tuple[float, float]

    @property
    def resolved(self) -> bool:
        """Whether the interval exists and leaves out 0."""
        return self.low > 0 or self.high < 0

    @property
    def error(self) -> float:
        """Standard error of the mean; NaN where there is no interval."""
        return math.sqrt(self.of_seeds + self.of_clusters / self.clusters) if math.isfinite(self.p) else NAN

    def reach(self, confidence: float) -> float:
        """Half the width of an interval: ``sqrt(t_seeds^2 of_seeds + t_clusters^2 of_clusters / P)``."""
        return _reach(self.of_seeds, self.of_clusters / self.clusters, self.freedoms, 1 - confidence)

    @property
    def covers(self) -> Literal["people", "people and seeds"]:
        """What the interval speaks of."""
        return "people" if self.seeds < 2 else "people and seeds"


def pseudo_values(whole: npt.ArrayLike, without: npt.ArrayLike) -> Floats:
    """Return the jackknife's pseudo-values ``P theta - (P - 1) theta_(-p)`` of one seed.

    For a metric that is a mean over clusters of equal size, such as accuracy, they are the clusters' own values; for one
    that is no mean (max-based forgetting, AUC, EER) they behave like such values.

    Args:
        whole: theta, the metric of all clusters; a number, or an array of several metrics.
        without: theta_(-p), ``[P]``, or ``[P, ...]`` of several: the metric without cluster p.

    Returns:
        The shape of ``without``.

    Source: Tukey, "Bias and confidence in not-quite large samples", Annals of Mathematical Statistics 1958; Efron and
    Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 11.
    """
    left_out = np.asarray(without, dtype=np.float64)
    count = len(left_out)
    return np.asarray(count * np.asarray(whole) - (count - 1) * left_out, dtype=np.float64)


@dataclass(frozen=True)
class SeedVariance:
    """Variance of a mean that is due to seeds, pooled over the comparisons of a table.

    Attributes:
        variance: 0 or more.
        freedom: Its degrees of freedom.
    """

    variance: float
    freedom: float


def pooled_seed_variance(tables: Sequence[npt.ArrayLike], strategies: int) -> SeedVariance | None:
    """Pool what seeds add to the variance of every comparison of a table.

    With three seeds a comparison's own estimate has two degrees of freedom and is 0 in a third of cases: too little to
    bear a correction for many comparisons. The mean over all comparisons (those below 0 as they are) has
    ``(strategies - 1)(S - 1)``, or ``(strategies - 1)(F - 1)`` of F folds.

    Args:
        tables: ``[S, P]`` of every pair of strategies, as ``effect`` takes them.
        strategies: How many strategies they are of.

    Returns:
        None where there is one seed, or nothing to pool.
    """
    raw, freedoms = [], []
    for stack in _alike([np.asarray(table, dtype=np.float64) for table in tables]):
        parts = _parts_of(stack)
        known = parts.raw[np.isfinite(parts.raw)]
        if parts.freedom_of_seeds >= 1 and len(known):
            raw.append(known)
            freedoms.append(parts.freedom_of_seeds)
    if not raw or strategies < 2:
        return None
    return SeedVariance(max(0.0, float(np.mean(np.concatenate(raw)))), (strategies - 1) * min(freedoms))


def _alike(tables: Sequence[Floats]) -> list[Floats]:
    """Stack tables that have the same seeds and clusters: ``[k, S, P]`` each."""
    stacks: dict[tuple[tuple[int, ...], bytes], list[Floats]] = {}
    for table in tables:
        stacks.setdefault((table.shape, np.isnan(table).tobytes()), []).append(table)
    return [np.stack(stack) for stack in stacks.values()]


def effect(
    values: npt.ArrayLike,
    mean: float | None = None,
    confidence: float = CONFIDENCE,
    pooled: SeedVariance | None = None,
) -> Effect:
    """Estimate a mean over people and seeds, and its interval.

    Crossed, with S seeds, P people and the mean squares of a two-way layout without repetition, the variance of the mean
    is ``V_seeds + V_people``, ``V_seeds = max(MS_seed - MS_rest, 0) / (S P)``, ``V_people = MS_person / (S P)``. Each has
    a quantile of Student's t of its own: the interval is ``mean -+ sqrt(t_{S-1}^2 V_seeds + t_{P-1}^2 V_people)``. One
    quantile for the sum, with Satterthwaite's degrees of freedom, covers too little with three seeds.

    Nested, F folds of people, the seeds of one fold averaged first: where the F test of between against within has a p
    value of at most 0.4, ``MS_between / P`` with ``F - 1`` degrees of freedom; else both pooled, with ``P - 1``.
    One fold and one seed: the people alone, ``P - 1``.

    The p value is 1 - the confidence at which the interval ends at 0.

    Args:
        values: ``[S, P]``, a row a seed, a column a cluster; NaN where a seed does not test a cluster.
        mean: The estimate, where it is not the mean of the values (a jackknife's pseudo-values are centred on another).
        confidence: Coverage of the interval.
        pooled: ``pooled_seed_variance`` of the table that this is one comparison of: ``V_seeds`` is at least that. Needed
            wherever many comparisons are corrected for.

    Raises:
        ValueError: Two seeds share some clusters and not others, or a cluster is tested by no seed.

    Source: variance components by analysis of variance, Searle, Casella, McCulloch, "Variance Components", 1992,
    chapters 3 and 4; a quantile for each component, as in Howe, "Approximate confidence limits on the mean of X + Y where
    X and Y are two tabled independent random variables", JASA 1974; pooling unless they differ, Bancroft, Annals of
    Mathematical Statistics 1944, where 0.4 is the suite's choice.
    """
    table = np.asarray(values, dtype=np.float64)
    return effects(table[None], None if mean is None else np.array([mean]), confidence, pooled)[0]


def effects(
    values: npt.ArrayLike,
    means: npt.ArrayLike | None = None,
    confidence: float = CONFIDENCE,
    pooled: SeedVariance | None = None,
) -> list[Effect]:
    """Estimate several means over the same people and seeds, ``[k, S, P]``, as ``effect`` does one."""
    tables = np.asarray(values, dtype=np.float64)
    _, seeds, clusters = tables.shape
    parts = _with_pooled(_parts_of(tables), pooled)
    centres = parts.mean if means is None else np.asarray(means, dtype=np.float64)
    known = _known(parts, centres, clusters)
    of_means = parts.of_seeds, parts.of_clusters / clusters
    half = np.where(known, _reaches(*of_means, parts.freedoms, 1 - confidence), NAN)
    p = np.full(len(tables), NAN)
    of_seeds, of_people = of_means
    p[known] = _p_values(of_seeds[known], of_people[known], parts.freedoms[:, known], np.abs(centres[known]))
    return [
        Effect(
            centre,
            centre - reach,
            centre + reach,
            of_p,
            seeds,
            clusters,
            own_seeds,
            own_clusters,
            (first, second),
        )
        for centre, reach, of_p, own_seeds, own_clusters, first, second in zip(
            *(
                part.tolist()
                for part in (centres, half, p, parts.of_seeds, parts.of_clusters, *parts.freedoms)
            ),
            strict=True,
        )
    ]


def half_widths(values: npt.ArrayLike, confidence: float = CONFIDENCE) -> Floats:
    """Half the widths of the intervals of several means over the same people and seeds, ``[k, S, P] -> [k]``."""
    tables = np.asarray(values, dtype=np.float64)
    parts, clusters = _parts_of(tables), tables.shape[2]
    half = _reaches(parts.of_seeds, parts.of_clusters / clusters, parts.freedoms, 1 - confidence)
    return np.where(_known(parts, parts.mean, clusters), half, NAN)


class _Parts(NamedTuple):
    """What the variances of k means are made of.

    Attributes:
        mean: The means over clusters of their means over seeds, ``[k]``.
        of_seeds: Their parts due to seeds, ``[k]``.
        of_clusters: The variances between clusters, ``[k]``.
        freedoms: The degrees of freedom of these two, ``[2, k]``.
        raw: Unbiased estimates of the parts due to seeds, below 0 too, ``[k]``; NaN where there is none.
        freedom_of_seeds: Their degrees of freedom.
        within: Unbiased estimates of the variances between clusters, ``[k]``.
        freedom_within: Their degrees of freedom.
    """

    mean: Floats
    of_seeds: Floats
    of_clusters: Floats
    freedoms: Floats
    raw: Floats
    freedom_of_seeds: float
    within: Floats
    freedom_within: float


def _with_pooled(parts: _Parts, pooled: SeedVariance | None) -> _Parts:
    """Give every mean at least the pooled part of seeds."""
    if pooled is None:
        return parts
    more = pooled.variance > parts.of_seeds
    of_table = np.array([[pooled.freedom], [parts.freedom_within]])
    return parts._replace(
        of_seeds=np.where(more, pooled.variance, parts.of_seeds),
        of_clusters=np.where(more, parts.within, parts.of_clusters),
        freedoms=np.where(more, of_table, parts.freedoms),
    )


def _known(parts: _Parts, centres: Floats, clusters: int) -> npt.NDArray[np.bool_]:
    """Say which means have an interval."""
    # Sums of the same numbers in another order differ by rounding, always alike: no effect, and no spread either.
    varies = parts.of_seeds + parts.of_clusters / clusters > ROUNDING**2
    return np.asarray(varies & np.isfinite(centres) & (clusters > 1), dtype=bool)


def _reaches(of_seeds: Floats, of_people: Floats, freedoms: Floats, p: npt.ArrayLike) -> Floats:
    """Half the widths of intervals of two independent parts at 1 - p; freedoms ``[2, k]``, the others ``[k]``."""
    # scipy.special, not scipy.stats: that one takes half a second to import.
    from scipy.special import stdtrit  # type: ignore[import-untyped,unused-ignore]

    total = np.zeros(len(of_seeds))
    with np.errstate(over="ignore", invalid="ignore"):
        for variance, freedom in zip((of_seeds, of_people), freedoms, strict=True):
            total += np.where(variance > 0, variance * np.square(stdtrit(freedom, np.asarray(p) / 2)), 0.0)
    return np.sqrt(total)


def _reach(of_seeds: float, of_people: float, freedoms: tuple[float, float], p: float) -> float:
    """Half the width of one interval at 1 - p."""
    parts = np.array([of_seeds]), np.array([of_people]), np.array(freedoms)[:, None]
    return float(_reaches(*parts, p)[0])


def _p_values(of_seeds: Floats, of_people: Floats, freedoms: Floats, distances: Floats) -> Floats:
    """1 - the confidences at which ``_reaches`` are ``distances``, all ``[k]``."""
    from scipy.special import stdtr

    error = np.sqrt(of_seeds + of_people)
    # With the degrees of freedom of either part alone it would be these two: it lies between them.
    freedoms = np.where(np.stack([of_seeds, of_people]) > 0, freedoms, freedoms[::-1])
    ends = np.maximum(2 * stdtr(freedoms, -distances / error), _LEAST_P)
    low, high = np.log(ends.min(axis=0)), np.log(ends.max(axis=0))
    level = np.log(np.maximum(distances, _LEAST_P))

    def beyond(log_p: Floats) -> Floats:
        reach = _reaches(of_seeds, of_people, freedoms, np.exp(log_p))
        return np.asarray(np.log(np.maximum(reach, _LEAST_P)) - level, dtype=np.float64)

    # False position (the Illinois form): the logarithm of a reach is almost linear in that of p.
    at_low, at_high = beyond(low), beyond(high)
    before: npt.NDArray[np.bool_] | None = None
    for _ in range(_STEPS):
        with np.errstate(invalid="ignore"):
            steep = at_low - at_high
        with np.errstate(invalid="ignore", divide="ignore"):
            share = at_low / steep
        # At p values that are almost 0 a reach may be infinite.
        share = np.where(np.isfinite(share), share, 0.5)
        middle = low + np.clip(share, 0.0, 1.0) * (high - low)
        at_middle = beyond(middle)
        above = at_middle > 0
        # An end that stays a second time counts half, or it would never move.
        stays = np.ones(len(above)) if before is None else np.where(above == before, 0.5, 1.0)
        at_high, at_low = (
            np.where(above, stays * at_high, at_middle),
            np.where(above, at_middle, stays * at_low),
        )
        before = above
        low, high = np.where(above, middle, low), np.where(above, high, middle)
        if not (np.abs(at_middle) > 1e-12).any():
            break
    return np.where(distances > 0, np.exp(middle), 1.0)


def _folds(tested: npt.NDArray[np.bool_]) -> list[tuple[list[int], npt.NDArray[np.bool_]]]:
    """Give the seeds of each fold, and which clusters it tests, from ``[S, P]``."""
    if not tested.any(axis=0).all():
        raise ValueError("a cluster is tested by no seed")
    folds: dict[bytes, list[int]] = {}
    for seed, row in enumerate(tested):
        folds.setdefault(row.tobytes(), []).append(seed)
    if (np.stack([tested[rows[0]] for rows in folds.values()]).sum(axis=0) > 1).any():
        raise ValueError("two seeds share some of their test clusters and not others")
    return [(rows, tested[rows[0]]) for rows in folds.values()]


def _parts_of(tables: Floats) -> _Parts:
    """Split the variance of the means of ``[k, S, P]``, crossed or nested, all with the same NaN."""
    folds = _folds(~np.isnan(tables[0]))
    if len(folds) == 1:
        return _crossed(tables)
    return _nested([tables[:, rows][:, :, columns].mean(axis=1) for rows, columns in folds])


def _crossed(tables: Floats) -> _Parts:
    """Of ``[k, S, P]`` without NaN."""
    k, seeds, clusters = tables.shape
    mean, of_seed, of_person = tables.mean(axis=(1, 2)), tables.mean(axis=2), tables.mean(axis=1)
    nothing, none = np.zeros(k), np.full(k, NAN)
    if clusters < 2:
        return _Parts(mean, nothing, none, np.full((2, k), NAN), none, seeds - 1.0, none, NAN)
    freedoms = np.tile([[seeds - 1.0], [clusters - 1.0]], k)
    of_people = ((of_person - mean[:, None]) ** 2).sum(axis=1) / (clusters - 1)
    if seeds < 2:
        return _Parts(mean, nothing, of_people, freedoms, none, 0.0, of_people, clusters - 1.0)
    ms_seed = clusters * ((of_seed - mean[:, None]) ** 2).sum(axis=1) / (seeds - 1)
    rest = tables - of_seed[:, :, None] - of_person[:, None] + mean[:, None, None]
    ms_rest = (rest**2).sum(axis=(1, 2)) / ((seeds - 1) * (clusters - 1))
    raw = (ms_seed - ms_rest) / (seeds * clusters)
    return _Parts(
        mean, np.maximum(raw, 0.0), of_people, freedoms, raw, seeds - 1.0, of_people, clusters - 1.0
    )


def _nested(people: list[Floats]) -> _Parts:
    """Of the clusters' means over seeds, ``[k, P_f]`` of each fold."""
    from scipy.special import fdtrc  # type: ignore[import-untyped,unused-ignore]

    k, clusters, between = len(people[0]), sum(part.shape[1] for part in people), len(people) - 1
    mean = np.concatenate(people, axis=1).mean(axis=1)
    squares_between = sum(part.shape[1] * (part.mean(axis=1) - mean) ** 2 for part in people)
    squares_within = sum(((part - part.mean(axis=1)[:, None]) ** 2).sum(axis=1) for part in people)
    within = clusters - len(people)
    both = np.asarray((squares_between + squares_within) / (clusters - 1))
    nothing, none = np.zeros(k), np.full(k, NAN)
    if within < 1:
        # A cluster a fold: folds and people cannot be told apart.
        freedoms = np.tile([[NAN], [clusters - 1.0]], k)
        return _Parts(mean, nothing, both, freedoms, none, 0.0, both, clusters - 1.0)
    ms_between, ms_within = np.asarray(squares_between / between), np.asarray(squares_within / within)
    with np.errstate(divide="ignore", invalid="ignore"):
        alike = (ms_within > 0) & (fdtrc(between, within, ms_between / ms_within) > _POOLED_ABOVE)
    # Where folds differ, their sum is MS_between / P, and has its degrees of freedom.
    of_clusters = np.minimum(ms_within, ms_between)
    apart = (ms_between - of_clusters) / clusters
    freedoms = np.where(alike, [[NAN], [clusters - 1.0]], float(between))
    return _Parts(
        mean,
        np.where(alike, 0.0, apart),
        np.where(alike, both, of_clusters),
        freedoms,
        (ms_between - ms_within) / clusters,
        float(between),
        ms_within,
        float(within),
    )


def holm(p_values: npt.ArrayLike) -> Floats:
    """Return p values corrected for being a family: below 0.05 with at most 5% of families having any such by chance.

    ``p~_(i) = max_{j <= i} min(1, (m - j + 1) p_(j))`` over the m values in ascending order. A NaN stays NaN, and counts
    as a member of the family: it was asked for.

    Args:
        p_values: ``[m]``.

    Source: Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 1979.
    """
    given = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(given)  # NaN last
    factors = np.arange(len(given), 0, -1)
    corrected = np.empty_like(given)
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(factors * given[order]))
    return corrected


class Differences(NamedTuple):
    """Differences over the same people and seeds, some of a family.

    Attributes:
        values: ``[k, S, P]``, as ``effects`` takes them.
        means: ``[k]``, likewise.
    """

    values: Floats
    means: Floats


def told_apart(
    differences: Sequence[Differences], count: int, level: float, pooled: SeedVariance | None = None
) -> list[npt.NDArray[np.bool_]]:
    """Say which differences of a family are told from 0: where ``holm`` of their p values is ``level`` at most.

    Without these p values, each of which takes tens of intervals to find: one is at most p where the interval at 1 - p
    leaves out 0. Of m differences those are told apart whose interval at ``1 - level / m`` does, then, r of them being
    known, all whose interval at ``1 - level / (m - r)`` does, until there are no more.

    Args:
        differences: Of every set of people and seeds.
        count: m, how many are in the family, those without an interval too.
        level: Significance level.
        pooled: As of ``effects``.

    Returns:
        ``[k]`` of each of ``differences``.
    """
    parts = [_with_pooled(_parts_of(of.values), pooled) for of in differences]
    distances = [np.abs(of.means) for of in differences]
    clusters = [of.values.shape[2] for of in differences]
    known = [_known(*of) for of in zip(parts, (of.means for of in differences), clusters, strict=True)]
    told, number = [np.zeros(len(of), dtype=bool) for of in known], 0
    while number < count:
        p = level / (count - number)
        for of, distance, size, is_known, is_told in zip(
            parts, distances, clusters, known, told, strict=True
        ):
            open_ = np.flatnonzero(is_known & ~is_told)
            reach = _reaches(of.of_seeds[open_], of.of_clusters[open_] / size, of.freedoms[:, open_], p)
            is_told[open_] = reach <= distance[open_]
        now = sum(int(np.count_nonzero(of)) for of in told)
        if now == number:
            break
        number = now
    return told


def sign_flip(values: npt.ArrayLike) -> float:
    """Two-sided p value of the test that clusters' values are as likely to have either sign: ``sign_flips`` of one."""
    return float(sign_flips(np.asarray(values, dtype=np.float64)[None])[0])


def sign_flips(values: npt.ArrayLike) -> Floats:
    """Two-sided p values of the test that clusters' values are as likely to have either sign.

    The share of sign patterns whose mean is as far from 0 as the one found: all of them for up to 16 clusters, else
    9,999 drawn ones and the one found (a valid test whatever is drawn). It assumes symmetry instead of Student's t.

    Args:
        values: ``[k, P]``, a row a difference, a column a cluster: means over seeds.

    Returns:
        ``[k]``; NaN for fewer than ``SIGN_FLIP_CLUSTERS`` clusters, for a NaN, or where all are 0.

    Source: Fisher, "The Design of Experiments", 1935, section 21; Phipson and Smyth, "Permutation P-values should never
    be zero", Statistical Applications in Genetics and Molecular Biology 2010.
    """
    given = np.asarray(values, dtype=np.float64)
    count = given.shape[1]
    if count < SIGN_FLIP_CLUSTERS:
        return np.full(len(given), NAN)
    signs, own = _signs(count)
    # Values are shares on a grid: many patterns are exactly as far from 0, and rounding must not part them.
    observed = np.abs(given.sum(axis=1)) - 1e-9 * np.abs(given).sum(axis=1)
    # A row a difference: counting along rows is several times faster than along columns.
    extreme = np.empty(len(given), dtype=np.int64)
    sums = np.empty((min(len(given), _FLIPPED), len(signs)))
    for start in range(0, len(given), _FLIPPED):
        part = slice(start, start + _FLIPPED)
        of_part = np.matmul(given[part], signs.T, out=sums[: len(given[part])])
        extreme[part] = np.count_nonzero(np.abs(of_part, out=of_part) >= observed[part, None], axis=1)
    p = np.asarray((extreme + own) / (len(signs) + own), dtype=np.float64)
    return np.where(np.isnan(given).any(axis=1) | ~given.any(axis=1), NAN, p)


@functools.lru_cache(maxsize=2)
def _signs(count: int) -> tuple[Floats, int]:
    """Give the sign patterns of so many clusters, ``[m, P]``, and how many more count as being extreme."""
    if count <= _ENUMERATED:
        bits = np.arange(2 ** (count - 1), dtype=np.int64)[:, None] >> np.arange(count)
        return np.asarray(1.0 - 2.0 * (bits & 1), dtype=np.float64), 0
    return np.random.default_rng(0).choice([-1.0, 1.0], (_FLIPS, count)), 1


def equivalence(of: Effect, margin: float) -> float:
    """Return the p value of a difference of at least ``margin`` either way: ``equivalences`` of one."""
    return float(equivalences([of], margin)[0])


def equivalences(of: Sequence[Effect], margin: float) -> Floats:
    """Return p values of differences of at least ``margin`` either way; below 0.05 one is shown to be smaller.

    Two one-sided t tests, the larger of their p values. NaN where there is no interval.

    Args:
        of: The differences.
        margin: Above 0.

    Source: Schuirmann, Journal of Pharmacokinetics and Biopharmaceutics 1987.
    """
    result = np.full(len(of), NAN)
    known = [place for place, effect in enumerate(of) if math.isfinite(effect.p)]
    if known:
        means = np.abs([of[place].mean for place in known])
        one_sided = _p_values(*_components([of[place] for place in known]), np.abs(margin - means)) / 2
        result[known] = np.where(means < margin, one_sided, 1 - one_sided)
    return result


def _components(of: Sequence[Effect]) -> tuple[Floats, Floats, Floats]:
    """Give the parts of the variances of means, due to seeds and to people, and their degrees of freedom."""
    of_people = np.array([effect.of_clusters / effect.clusters for effect in of])
    return np.array([effect.of_seeds for effect in of]), of_people, np.array([e.freedoms for e in of]).T


def people_needed(
    of: Effect, level: float = 1 - CONFIDENCE, power: float = 0.8, most: int = 1_000_000
) -> int | None:
    """How many people it would take to tell a difference of this size from 0: ``people_for`` of one."""
    return people_for([of], level, power, most)[0]


def people_for(
    of: Sequence[Effect], level: float = 1 - CONFIDENCE, power: float = 0.8, most: int = 1_000_000
) -> list[int | None]:
    """How many people it would take to tell each difference from 0, with the same number of seeds.

    The least P with ``|mean| >= reach(1 - level) + reach(2 power - 1)``, the reach being that of P people: half an
    interval's width, see ``Effect.reach``. The mean found is itself uncertain, and so is this.

    Args:
        of: The differences.
        level: Significance level; for the strictest of m comparisons of Holm's correction, 0.05 / m.
        power: Probability of telling it.
        most: Largest number that is worth naming.

    Returns:
        None if ``most`` would not be enough, as where seeds alone vary too much, or if nothing is known.
    """
    needed: list[int | None] = [None] * len(of)
    known = [place for place, one in enumerate(of) if math.isfinite(one.p) and one.mean != 0]
    if not known:
        return needed
    of_seeds, _, freedoms = _components([of[place] for place in known])
    of_clusters = np.array([of[place].of_clusters for place in known])
    means = np.abs([of[place].mean for place in known])

    def enough(people: Floats) -> npt.NDArray[np.bool_]:
        parts = of_seeds, of_clusters / people, np.stack([freedoms[0], people - 1.0])
        return np.asarray(means >= _reaches(*parts, level) + _reaches(*parts, 2 - 2 * power), dtype=bool)

    # One person is never enough.
    low, high = np.ones(len(known)), np.full(len(known), float(most))
    reachable = enough(high)
    while (high - low > 1).any():
        middle = np.floor((low + high) / 2)
        open_ = high - low > 1
        yes = enough(np.where(open_, middle, high))
        low, high = np.where(open_ & ~yes, middle, low), np.where(open_ & yes, middle, high)
    for place, people, is_reachable in zip(known, high, reachable, strict=True):
        needed[place] = int(people) if is_reachable else None
    return needed


def tie_groups(different: npt.ArrayLike) -> list[str]:
    """Return letters for strategies in order of rank: two that share a letter were not told apart.

    Args:
        different: ``[n, n]`` bool, symmetric: whether two were told apart.

    Returns:
        A text of letters for each, ``a`` of the first first. Letters are as few as this rule makes them, and every pair
        shares one exactly if it was not told apart.

    Source: the insert-and-absorb algorithm of Piepho, "An algorithm for a letter-based representation of all-pairwise
    comparisons", Journal of Computational and Graphical Statistics 2004.
    """
    apart = np.asarray(different, dtype=bool)
    columns: list[frozenset[int]] = [frozenset(range(len(apart)))]
    for first, second in zip(*np.nonzero(np.triu(apart, 1)), strict=True):
        split: list[frozenset[int]] = []
        for column in columns:
            both = {int(first), int(second)} <= column
            split += [column - {int(first)}, column - {int(second)}] if both else [column]
        distinct = list(dict.fromkeys(split))
        columns = [column for column in distinct if not any(column < other for other in distinct)]
    columns.sort(key=lambda column: sorted(column))
    letters = [_letters(place) for place in range(len(columns))]
    return [
        "".join(letter for letter, column in zip(letters, columns, strict=True) if row in column)
        for row in range(len(apart))
    ]


def _letters(place: int) -> str:
    """Name a group: a to z, then a1, b1 and so on."""
    return chr(ord("a") + place % 26) + (str(place // 26) if place >= 26 else "")
