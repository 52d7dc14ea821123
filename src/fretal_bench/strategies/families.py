"""The strategies that come with the suite: a row each, with its hyperparameters, in the file of its family.

Plain records: a run is planned, and strategies are listed, without importing torch or Avalanche.
"""

from __future__ import annotations

from fretal_bench.strategies import bounds, distillation, frozen, merging, penalties, prompts, replay
from fretal_bench.strategies.record import StrategyInfo

BUILT_IN: tuple[StrategyInfo, ...] = (
    bounds.FINETUNING,
    *distillation.STRATEGIES,
    *penalties.STRATEGIES,
    *replay.STRATEGIES,
    *frozen.STRATEGIES,
    *merging.STRATEGIES,
    *prompts.STRATEGIES,
    *bounds.BOUNDS,
)
"""In the order in which they are listed."""
