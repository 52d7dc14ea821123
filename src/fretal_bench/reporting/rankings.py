"""Rankings of the same strategies, one an order of the domains: who is first how often, and how far they agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from fretal_bench.metrics.numbers import NAN, Floats

_DECIMALS: Final = 12
"""Means of the same numbers in another order differ by rounding: no rank of their own."""


@dataclass(frozen=True, eq=False)
class Rankings:
    """Strategies ranked in every order by one quantity.

    Attributes:
        labels: The strategies, n of them, by their mean rank.
        ranks: ``[m, n]``, one row an order; 1 = best, strategies that tie share the mean of their ranks.
        seeds: The seeds that every value is a mean over.
    """

    labels: tuple[str, ...]
    ranks: Floats
    seeds: tuple[int, ...]

    @property
    def same(self) -> bool:
        """Whether every order has the same ranking."""
        return bool((self.ranks == self.ranks[0]).all())

    @property
    def agreement(self) -> float:
        """Kendall's W of the rankings."""
        return kendalls_w(self.ranks)

    @property
    def mean_ranks(self) -> dict[str, float]:
        """The mean rank of each strategy."""
        return dict(zip(self.labels, self.ranks.mean(axis=0).tolist(), strict=True))

    @property
    def firsts(self) -> dict[str, float]:
        """In how many orders each strategy is first; those that tie for it have an equal share of the order."""
        first = self.ranks == self.ranks.min(axis=1, keepdims=True)
        shares = (first / first.sum(axis=1, keepdims=True)).sum(axis=0)
        return dict(zip(self.labels, shares.tolist(), strict=True))

    @property
    def alone(self) -> dict[str, int]:
        """In how many orders each strategy is first and no other with it."""
        return dict(zip(self.labels, (self.ranks == 1).sum(axis=0).tolist(), strict=True))


def rank(
    values: Mapping[str, Sequence[float]], seeds: tuple[int, ...], *, higher_is_better: bool
) -> Rankings:
    """Rank strategies in every order.

    Args:
        values: For each strategy its value in each order, ``[m]``.
        seeds: The seeds that every value is a mean over.
        higher_is_better: Whether the highest value is first.

    Returns:
        The rankings; values that differ by less than rounding tie.
    """
    from scipy.stats import rankdata  # type: ignore[import-untyped,unused-ignore]

    table = np.round(np.array(list(values.values()), dtype=np.float64).T, _DECIMALS)
    ranks = np.asarray(rankdata(-table if higher_is_better else table, axis=1), dtype=np.float64)
    order = np.argsort(ranks.mean(axis=0), kind="stable")
    labels = list(values)
    return Rankings(tuple(labels[at] for at in order), ranks[:, order], seeds)


def kendalls_w(ranks: npt.ArrayLike) -> float:
    """Kendall's coefficient of concordance W of rankings, with ties.

    ``W = 12 S / (m^2 (n^3 - n) - m T)``, with ``S = sum_i (R_i - mean R)^2`` over the rank sums R_i of the n ranked,
    and ``T = sum over rankings and their groups of ties of (t^3 - t)``, t the size of a group (Kendall and Gibbons,
    Rank Correlation Methods, 1990). 1 = the same ranking every time, 0 = rank sums that are all equal.

    Args:
        ranks: ``[m, n]``: m rankings of n; those that tie share the mean of their ranks.

    Returns:
        A value in [0, 1]; NaN for fewer than two rankings or two ranked, or if all tie in every ranking.
    """
    table = np.asarray(ranks, dtype=np.float64)
    m, n = table.shape
    if m < 2 or n < 2:
        return NAN
    sums = table.sum(axis=0)
    groups = [np.unique(ranking, return_counts=True)[1] for ranking in table]
    ties = sum(float((sizes**3 - sizes).sum()) for sizes in groups)
    largest = m**2 * (n**3 - n) - m * ties
    return float(12 * ((sums - sums.mean()) ** 2).sum() / largest) if largest > 0 else NAN
