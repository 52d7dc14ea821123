"""What a difference between two strategies says of other people and other seeds: its interval, p value and reach.

The unit is a value for each seed and each cluster of test data (a person, people joined by a fake, or a video), such
that the mean over clusters is the metric of that seed: ``pseudo_values``. Two designs occur. *Crossed*: every seed tests
the same people. *Nested*: every fold of people is tested by seeds of its own. With one seed an interval speaks of people
alone.
"""

from __future__ import annotations

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
        return _reach(self.of_seeds, self.of_clusters / self.clusters, self.freedoms, confidence)

    def p_beyond(self, distance: float) -> float:
        """Return the p value at which an interval reaches as far as ``distance``: 1 - its confidence."""
        return _p_value(self.of_seeds, self.of_clusters / self.clusters, self.freedoms, distance)

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
    parts = [_parts_of(np.asarray(table, dtype=np.float64)) for table in tables]
    known = [part for part in parts if part.freedom_of_seeds >= 1 and math.isfinite(part.raw)]
    if not known or strategies < 2:
        return None
    freedom = (strategies - 1) * min(part.freedom_of_seeds for part in known)
    return SeedVariance(max(0.0, float(np.mean([part.raw for part in known]))), freedom)


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
    seeds, clusters = table.shape
    parts = _parts_of(table)
    centre = parts.mean if mean is None else mean
    of_seeds, of_clusters, freedoms = parts.own
    if pooled is not None and pooled.variance > of_seeds:
        of_seeds, of_clusters = pooled.variance, parts.of_clusters
        freedoms = (pooled.freedom, parts.freedom_of_clusters)
    variance = of_seeds + of_clusters / clusters
    # Sums of the same numbers in another order differ by rounding, always alike: no effect, and no spread either.
    if clusters < 2 or not variance > ROUNDING**2 or not math.isfinite(centre):
        return Effect(centre, NAN, NAN, NAN, seeds, clusters, of_seeds, of_clusters, freedoms)
    half = _reach(of_seeds, of_clusters / clusters, freedoms, confidence)
    p = _p_value(of_seeds, of_clusters / clusters, freedoms, abs(centre))
    return Effect(centre, centre - half, centre + half, p, seeds, clusters, of_seeds, of_clusters, freedoms)


def _reach(of_seeds: float, of_people: float, freedoms: tuple[float, float], confidence: float) -> float:
    """Half the width of an interval of two independent parts."""
    # scipy.special, not scipy.stats: that one takes half a second to import.
    from scipy.special import stdtrit  # type: ignore[import-untyped,unused-ignore]

    parts = zip((of_seeds, of_people), freedoms, strict=True)
    return math.sqrt(sum(v * float(stdtrit(df, (1 + confidence) / 2)) ** 2 for v, df in parts if v > 0))


def _p_value(of_seeds: float, of_people: float, freedoms: tuple[float, float], distance: float) -> float:
    """1 - the confidence at which ``_reach`` is ``distance``."""
    from scipy.optimize import brentq  # type: ignore[import-untyped,unused-ignore]
    from scipy.special import stdtr, stdtrit

    if distance <= 0:
        return 1.0
    if not of_seeds > 0 or not of_people > 0:
        variance, freedom = (of_people, freedoms[1]) if not of_seeds > 0 else (of_seeds, freedoms[0])
        return float(2 * stdtr(freedom, -distance / math.sqrt(variance)))
    # With the degrees of freedom of either part alone it would be these two: it lies between them.
    error = math.sqrt(of_seeds + of_people)
    ends = [float(2 * stdtr(freedom, -distance / error)) for freedom in freedoms]

    def beyond(log_p: float) -> float:
        quantiles = stdtrit(np.array(freedoms), math.exp(log_p) / 2)
        with np.errstate(over="ignore"):
            return float(np.square(quantiles) @ (of_seeds, of_people)) - distance**2

    # The ends are rounded themselves, and one of them may be the root.
    low, high = math.log(max(min(ends), _LEAST_P)) - 1e-6, min(math.log(max(*ends, _LEAST_P)) + 1e-6, 0.0)
    if not beyond(low) > 0:
        return math.exp(low)
    return math.exp(high if not beyond(high) < 0 else float(brentq(beyond, low, high)))


def _folds(table: Floats) -> list[Floats]:
    """Split ``[S, P]`` with NaN into the full tables of its folds."""
    tested = ~np.isnan(table)
    if not tested.any(axis=0).all():
        raise ValueError("a cluster is tested by no seed")
    folds: dict[bytes, list[int]] = {}
    for seed, row in enumerate(tested):
        folds.setdefault(row.tobytes(), []).append(seed)
    if (np.stack([tested[rows[0]] for rows in folds.values()]).sum(axis=0) > 1).any():
        raise ValueError("two seeds share some of their test clusters and not others")
    return [table[np.ix_(rows, tested[rows[0]])] for rows in folds.values()]


class _Parts(NamedTuple):
    """What the variance of a mean is made of.

    Attributes:
        mean: The mean over clusters of their means over seeds.
        own: Its part due to seeds, the variance between clusters, and their degrees of freedom.
        raw: The unbiased estimate of the part due to seeds, below 0 too; NaN where there is none.
        freedom_of_seeds: Its degrees of freedom.
        of_clusters: Unbiased estimate of the variance between clusters.
        freedom_of_clusters: Its degrees of freedom.
    """

    mean: float
    own: tuple[float, float, tuple[float, float]]
    raw: float
    freedom_of_seeds: float
    of_clusters: float
    freedom_of_clusters: float


def _parts_of(table: Floats) -> _Parts:
    """Split the variance of the mean of ``[S, P]``, crossed or nested."""
    folds = _folds(table)
    return _crossed(folds[0]) if len(folds) == 1 else _nested([part.mean(axis=0) for part in folds])


def _crossed(table: Floats) -> _Parts:
    """Of ``[S, P]`` without NaN."""
    seeds, clusters = table.shape
    mean, of_seed, of_person = float(table.mean()), table.mean(axis=1), table.mean(axis=0)
    if clusters < 2:
        return _Parts(mean, (0.0, NAN, (NAN, NAN)), NAN, seeds - 1.0, NAN, NAN)
    freedoms = (seeds - 1.0, clusters - 1.0)
    of_people = float(((of_person - mean) ** 2).sum()) / (clusters - 1)
    if seeds < 2:
        return _Parts(mean, (0.0, of_people, freedoms), NAN, 0.0, of_people, clusters - 1.0)
    ms_seed = clusters * float(((of_seed - mean) ** 2).sum()) / (seeds - 1)
    rest = table - of_seed[:, None] - of_person + mean
    ms_rest = float((rest**2).sum()) / ((seeds - 1) * (clusters - 1))
    raw = (ms_seed - ms_rest) / (seeds * clusters)
    return _Parts(mean, (max(raw, 0.0), of_people, freedoms), raw, seeds - 1.0, of_people, clusters - 1.0)


def _nested(people: list[Floats]) -> _Parts:
    """Of the clusters' means over seeds, ``[P_f]`` of each fold."""
    from scipy.special import fdtrc  # type: ignore[import-untyped,unused-ignore]

    clusters, between = sum(map(len, people)), len(people) - 1
    mean = float(np.concatenate(people).mean())
    squares_between = sum(len(part) * (float(part.mean()) - mean) ** 2 for part in people)
    squares_within = sum(float(((part - part.mean()) ** 2).sum()) for part in people)
    within = clusters - len(people)
    both = (squares_between + squares_within) / (clusters - 1)
    pooled = (0.0, both, (NAN, clusters - 1.0))
    if within < 1:
        # A cluster a fold: folds and people cannot be told apart.
        return _Parts(mean, pooled, NAN, 0.0, both, clusters - 1.0)
    ms_between, ms_within = squares_between / between, squares_within / within
    # Where folds differ, their sum is MS_between / P, and has its degrees of freedom.
    of_clusters = min(ms_within, ms_between)
    apart = ((ms_between - of_clusters) / clusters, of_clusters, (float(between), float(between)))
    alike = ms_within > 0 and float(fdtrc(between, within, ms_between / ms_within)) > _POOLED_ABOVE
    raw = (ms_between - ms_within) / clusters
    return _Parts(mean, pooled if alike else apart, raw, float(between), ms_within, float(within))


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
    if count <= _ENUMERATED:
        bits = np.arange(2 ** (count - 1), dtype=np.int64)[:, None] >> np.arange(count)
        signs, own = 1.0 - 2.0 * (bits & 1), 0
    else:
        signs = np.random.default_rng(0).choice([-1.0, 1.0], (_FLIPS, count))
        own = 1
    observed = np.abs(given.sum(axis=1)) * (1 - 1e-9)
    extreme = (np.abs(signs @ given.T) >= observed).sum(axis=0)
    p = np.asarray((extreme + own) / (len(signs) + own), dtype=np.float64)
    return np.where(np.isnan(given).any(axis=1) | ~given.any(axis=1), NAN, p)


def equivalence(of: Effect, margin: float) -> float:
    """Return the p value of a difference of at least ``margin`` either way; below 0.05 it is shown to be smaller.

    Two one-sided t tests, the larger of their p values. NaN where there is no interval.

    Args:
        of: The difference.
        margin: Above 0.

    Source: Schuirmann, Journal of Pharmacokinetics and Biopharmaceutics 1987.
    """
    if not math.isfinite(of.p):
        return NAN
    one_sided = of.p_beyond(abs(margin - abs(of.mean))) / 2
    return one_sided if abs(of.mean) < margin else 1 - one_sided


def people_needed(
    of: Effect, level: float = 1 - CONFIDENCE, power: float = 0.8, most: int = 1_000_000
) -> int | None:
    """How many people it would take to tell a difference of this size from 0, with the same number of seeds.

    The least P with ``|mean| >= reach(1 - level) + reach(2 power - 1)``, the reach being that of P people: half an
    interval's width, see ``Effect.reach``. The mean found is itself uncertain, and so is this.

    Args:
        of: The difference.
        level: Significance level; for the strictest of m comparisons of Holm's correction, 0.05 / m.
        power: Probability of telling it.
        most: Largest number that is worth naming.

    Returns:
        None if ``most`` would not be enough, as where seeds alone vary too much, or if nothing is known.
    """
    if not math.isfinite(of.p) or of.mean == 0:
        return None

    def enough(people: int) -> bool:
        parts = of.of_seeds, of.of_clusters / people, (of.freedoms[0], people - 1.0)
        return abs(of.mean) >= _reach(*parts, 1 - level) + _reach(*parts, 2 * power - 1)

    if not enough(most):
        return None
    low, high = 1, most  # one person is never enough
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


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
