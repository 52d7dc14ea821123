"""The record's former place, from which older plugins import it; new ones import from ``fretal_bench.strategies``."""

from fretal_bench.strategies.record import NoHyperparameters, Range, StrategyInfo, fixed, tunable

__all__ = ["NoHyperparameters", "Range", "StrategyInfo", "fixed", "tunable"]
