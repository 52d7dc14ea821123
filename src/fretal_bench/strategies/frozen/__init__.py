"""Strategies that leave the backbone as the first domain made it, and their hyperparameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fretal_bench.records import Record, limited
from fretal_bench.strategies.record import StrategyInfo, tunable


@dataclass(frozen=True)
class SLDAHyperparameters(Record):
    """Constants of streaming LDA.

    Args:
        shrinkage: e in (0, 1], the share of the identity in the covariance before it is inverted (the paper's 1e-4).
    """

    shrinkage: float = tunable(1e-4, 1e-6, 1, above=0, at_most=1)


@dataclass(frozen=True)
class RanPACHyperparameters(Record):
    """Constants of RanPAC.

    Args:
        projections: M, random features. More are better and cost M^2 numbers kept; the paper has 10,000, 5,000 on CDDB,
            for features of 768 numbers of a large network. 1,000 is the suite's choice.
        ridge: lambda: a number above 0; ``select``: the best of 17 powers of ten on a fifth of the current domain, the
            rest of that domain fitted (the released code's rule); ``select-with-past``: with the older domains fitted too
            (LayUP's). On FF++-mini ``select`` takes 0.1 or 1; its validation people are judged best with 1,000 (of 0.1,
            1, ..., 10^5; recipe mini, one seed).
    """

    projections: int = limited(1000, at_least=1, at_most=20_000)
    ridge: Literal["select", "select-with-past"] | float = tunable("select", 1e-4, 1e4, above=0)


NCM = StrategyInfo(
    "ncm",
    f"{__name__}.ncm:NCM",
    "nearest class mean on the frozen source model's features",
    "Mensink et al., TPAMI 2013",
    watchable=False,
    old_data="the means of its classes",
    uncalibrated=True,
    links=("https://doi.org/10.1109/TPAMI.2013.83",),
)
SLDA = StrategyInfo(
    "slda",
    f"{__name__}.slda:SLDA",
    "streaming linear discriminant analysis on the frozen source model's features",
    "Hayes and Kanan, CVPRW 2020",
    watchable=False,
    constants=SLDAHyperparameters,
    old_data="the means and the covariance of its classes",
    links=("https://arxiv.org/abs/1909.01520",),
)
RANPAC = StrategyInfo(
    "ranpac",
    f"{__name__}.ranpac:RanPAC",
    "ridge regression on random projections of the frozen source model's features",
    "McDonnell et al., NeurIPS 2023",
    uncalibrated=True,
    constants=RanPACHyperparameters,
    watchable=False,
    old_data="the statistics of its classes",
    links=("https://arxiv.org/abs/2307.02251",),
)
STRATEGIES = (NCM, SLDA, RANPAC)
"""In the order in which they are listed."""
