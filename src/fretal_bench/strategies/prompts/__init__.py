"""Strategies that keep small modules a domain for a backbone with attention, and their hyperparameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fretal_bench.records import Record, limited
from fretal_bench.strategies.record import StrategyInfo, fixed, tunable


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


@dataclass(frozen=True)
class SPromptsHyperparameters(Record):
    """Constants of S-Prompts.

    Args:
        length: L, prompt tokens a domain (the paper's 10).
        clusters: K-means centroids a domain (the paper's 5).
        distance: What "nearest" means: ``euclidean``, or ``cityblock``, which the released code computes.
    """

    length: int = tunable(10, 1, 50, at_least=1, at_most=4096)
    clusters: int = tunable(5, 1, 20, at_least=1, at_most=100_000)
    distance: Literal["euclidean", "cityblock"] = "euclidean"


@dataclass(frozen=True)
class OrthogonalLoRAHyperparameters(Record):
    """Constants of orthogonal LoRA.

    Args:
        rank: r, rows of A. 4 is the suite's choice, as for ``domain-lora``; DevFD does not give its own.
        alpha: An adapter's scale is alpha / r; its value is the suite's choice.
        orthogonality: Strength of the overlap with older adapters. O-LoRA's 0.5, which is also what DevFD begins with
            (1 from its sixth epoch on).
        real_lora: Whether there is one more adapter that every domain trains (DevFD's Real-LoRA).
        balancing: Whether experts are pushed to answer to the class they are for (DevFD's label-guided balancing).
        balancing_weight: Its strength (DevFD's 0.2).
        delta: How far it tells fitting from unfitting experts, in [0, 1) (DevFD's 0.15).
    """

    rank: int = tunable(4, 1, 32, at_least=1, at_most=4096)
    alpha: float = tunable(8.0, 1, 64, above=0)
    orthogonality: float = tunable(0.5, 0.01, 100, at_least=0)
    real_lora: bool = fixed(False)
    balancing: bool = fixed(False)
    balancing_weight: float = limited(0.2, at_least=0)
    delta: float = limited(0.15, at_least=0, below=1)


DOMAIN_LORA = StrategyInfo(
    "domain-lora",
    f"{__name__}.domain_lora:DomainLoRA",
    "low-rank adapters and a head a domain, chosen by the nearest centroid (vision transformers)",
    "Wang, Huang, Hong, NeurIPS 2022",
    constants=DomainLoRAHyperparameters,
    refuses=(("lora", "it adds low-rank adapters of its own"),),
    old_data="the centroids that the old domains are known by",
    backbone="one with attention blocks, such as timm's vision transformers and their hybrids (recipe mini-vit)",
    links=("https://arxiv.org/abs/2207.12819",),
)
S_PROMPTS = StrategyInfo(
    "s-prompts",
    f"{__name__}.s_prompts:SPrompts",
    "prompt tokens and a head a domain, chosen by the nearest centroid (plain vision transformers)",
    "Wang, Huang, Hong, NeurIPS 2022",
    constants=SPromptsHyperparameters,
    refuses=(
        (
            "lora",
            "it switches off what depends on the domain to tell domains apart, these adapters too",
        ),
    ),
    old_data="the centroids that the old domains are known by",
    backbone="a plain vision transformer with one sequence of tokens, as timm's VisionTransformer and Eva",
    links=("https://arxiv.org/abs/2207.12819",),
)
ORTHOGONAL_LORA = StrategyInfo(
    "orthogonal-lora",
    f"{__name__}.orthogonal_lora:OrthogonalLoRA",
    "low-rank adapters that add up, a new domain's orthogonal to the old ones' (vision transformers)",
    "Wang et al., Findings of EMNLP 2023",
    constants=OrthogonalLoRAHyperparameters,
    refuses=(("lora", "it adds low-rank adapters of its own"),),
    backbone="one with attention blocks, such as timm's vision transformers and their hybrids (recipe mini-vit)",
    links=("https://arxiv.org/abs/2310.14152",),
)
STRATEGIES = (DOMAIN_LORA, S_PROMPTS, ORTHOGONAL_LORA)
"""In the order in which they are listed."""
