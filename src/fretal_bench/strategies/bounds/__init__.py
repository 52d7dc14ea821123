"""Fine-tuning and the bounds."""

from __future__ import annotations

from fretal_bench.strategies.record import StrategyInfo

FINE_TUNING = StrategyInfo(
    "finetuning",
    f"{__name__}.finetuning:FineTuning",
    "cross-entropy on the new domain, nothing against forgetting",
    "baseline",
)

BOUNDS = (
    StrategyInfo(
        "zero-shot",
        f"{__name__}.zero_shot:ZeroShot",
        "the source model as it is, never adapted",
        "baseline",
        bound=True,
    ),
    StrategyInfo(
        "joint",
        f"{__name__}.joint:Joint",
        "training on all domains seen so far",
        "baseline",
        memory="all",
        bound=True,
    ),
)
