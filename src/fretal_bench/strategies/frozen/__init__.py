"""Strategies that leave the backbone as the first domain made it, and their hyperparameters."""

from __future__ import annotations

from dataclasses import dataclass

from fretal_bench.records import Record
from fretal_bench.strategies.record import StrategyInfo, tunable


@dataclass(frozen=True)
class SLDAHyperparameters(Record):
    """Constants of streaming LDA.

    Args:
        shrinkage: e in (0, 1], the share of the identity in the covariance before it is inverted (the paper's 1e-4).
    """

    shrinkage: float = tunable(1e-4, 1e-6, 1, above=0, at_most=1)


NCM = StrategyInfo(
    "ncm",
    f"{__name__}.ncm:NCM",
    "nearest class mean on the frozen source model's features",
    "Mensink et al., TPAMI 2013",
)
SLDA = StrategyInfo(
    "slda",
    f"{__name__}.slda:SLDA",
    "streaming linear discriminant analysis on the frozen source model's features",
    "Hayes and Kanan, CVPRW 2020",
    constants=SLDAHyperparameters,
)
STRATEGIES = (NCM, SLDA)
"""In the order in which they are listed."""
