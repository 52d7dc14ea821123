"""Strategies that keep small modules a domain for a backbone with attention, and their hyperparameters."""

from __future__ import annotations

from dataclasses import dataclass

from fretal_bench.records import Record
from fretal_bench.strategies.record import StrategyInfo, tunable


@dataclass(frozen=True)
class DomainLoRAHyperparameters(Record):
    """Constants of the low-rank adapters and of what chooses among them.

    Args:
        rank: r, rows of A; LoRA's paper tries 1 to 64 and finds small ranks enough. 4 is the suite's choice.
        alpha: The adapter's scale is alpha / r; its value is the suite's choice.
        clusters: K-means centroids a domain (S-Prompts' 5).
    """

    rank: int = tunable(4, 1, 32, at_least=1, at_most=4096)
    alpha: float = tunable(8.0, 1, 64, above=0)
    clusters: int = tunable(5, 1, 20, at_least=1, at_most=100_000)


DOMAIN_LORA = StrategyInfo(
    "domain-lora",
    f"{__name__}.domain_lora:DomainLoRA",
    "low-rank adapters and a head a domain, chosen by the nearest centroid (vision transformers)",
    "Wang, Huang, Hong, NeurIPS 2022",
    constants=DomainLoRAHyperparameters,
)
STRATEGIES = (DOMAIN_LORA,)
"""In the order in which they are listed."""
