"""Strategies that hold weights in place, and their hyperparameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fretal_bench.strategies.info import HERE, StrategyInfo, tunable

Fisher = Literal["exact", "empirical"]


@dataclass(frozen=True)
class EWCHyperparameters:
    """Constants of EWC.

    Args:
        lambda_: Strength of the penalty. The paper gives no value that carries over; 10 did best on FF++-mini's
            validation people among 1, 10, 30, 100, 1000, 10^4 and 10^5 (docs/ffpp-mini.md).
        fisher: ``exact``: labels drawn from the model's own distribution, in expectation; ``empirical``: the data's
            labels. Both are means over samples of squared gradients of single samples.
        fisher_samples: Training samples of a domain that the Fisher information is estimated from; 0 = all.
    """

    lambda_: float = tunable(10.0, 0.1, 1e4)
    fisher: Fisher = "exact"
    fisher_samples: int = 0

    def __post_init__(self) -> None:
        if self.lambda_ < 0 or self.fisher_samples < 0:
            raise ValueError(
                f"lambda_ and fisher_samples must be >= 0, found {self.lambda_} and {self.fisher_samples}"
            )
        if self.fisher not in ("exact", "empirical"):
            raise ValueError(f"fisher must be 'exact' or 'empirical', found {self.fisher!r}")


STRATEGIES = (
    StrategyInfo(
        "ewc",
        f"{HERE}.ewc:EWC",
        "elastic weight consolidation: weights held in place by per-sample Fisher information",
        "Kirkpatrick et al., PNAS 2017",
        constants=EWCHyperparameters,
    ),
)
"""In the order in which they are listed."""
