"""Fine-tuning and the bounds."""

from __future__ import annotations

from fretal_bench.strategies.info import HERE, StrategyInfo

FINE_TUNING = StrategyInfo(
    "finetuning",
    f"{HERE}.finetuning:FineTuning",
    "cross-entropy on the new domain, nothing against forgetting",
    "baseline",
)

BOUNDS = (
    StrategyInfo(
        "zero-shot",
        f"{HERE}.zero_shot:ZeroShot",
        "the source model as it is, never adapted (bound)",
        "baseline",
        bound=True,
    ),
    StrategyInfo(
        "joint",
        f"{HERE}.joint:Joint",
        "training on all domains seen so far (bound)",
        "baseline",
        memory="all",
        bound=True,
    ),
)
