"""Fine-tuning and the bounds."""

from __future__ import annotations

from fretal_bench.strategies.record import StrategyInfo

FINETUNING = StrategyInfo(
    "finetuning",
    f"{__name__}.finetuning:FineTuning",
    "cross-entropy on the new domain, nothing against forgetting",
    "baseline",
)

ZERO_SHOT = StrategyInfo(
    "zero-shot",
    f"{__name__}.zero_shot:ZeroShot",
    "the source model as it is, never adapted",
    "baseline",
    bound=True,
    watchable=False,
)
JOINT = StrategyInfo(
    "joint",
    f"{__name__}.joint:Joint",
    "training on all domains seen so far",
    "baseline",
    memory="all",
    bound=True,
)
BOUNDS = (ZERO_SHOT, JOINT)
"""In the order in which they are listed."""
