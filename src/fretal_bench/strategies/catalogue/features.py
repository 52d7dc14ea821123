"""Strategies that leave the backbone as the first domain made it, and their hyperparameters."""

from __future__ import annotations

from fretal_bench.strategies.info import StrategyInfo

STRATEGIES: tuple[StrategyInfo, ...] = ()
"""In the order in which they are listed."""
