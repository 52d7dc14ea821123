"""Strategies that keep a budget of old samples, and their hyperparameters."""

from __future__ import annotations

from fretal_bench.strategies.info import StrategyInfo

STRATEGIES: tuple[StrategyInfo, ...] = ()
"""In the order in which they are listed."""
