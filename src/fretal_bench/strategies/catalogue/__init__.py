"""The strategies that come with the suite: a row each, with its hyperparameters, in the file of its family.

Plain records: a run is planned, and strategies are listed, without importing torch or Avalanche.
"""

from __future__ import annotations

from fretal_bench.strategies.catalogue import baselines, distillation, features, penalties, replay
from fretal_bench.strategies.info import StrategyInfo

BUILT_IN: tuple[StrategyInfo, ...] = (
    baselines.FINE_TUNING,
    *distillation.STRATEGIES,
    *penalties.STRATEGIES,
    *replay.STRATEGIES,
    *features.STRATEGIES,
    *baselines.BOUNDS,
)
"""In the order in which they are listed."""
