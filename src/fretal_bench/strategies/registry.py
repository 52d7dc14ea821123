"""The strategies there are, by name."""

from __future__ import annotations

import fnmatch

from fretal_bench.errors import unknown_name
from fretal_bench.strategies.catalogue import BUILT_IN
from fretal_bench.strategies.info import StrategyInfo


def strategies() -> dict[str, StrategyInfo]:
    """Return every registered strategy by name."""
    return {info.name: info for info in BUILT_IN}


def find_strategy(name: str) -> StrategyInfo:
    """Return the strategy called ``name``.

    Raises:
        BenchError: There is none; the nearest names are in the message.
    """
    known = strategies()
    if name not in known:
        raise unknown_name("strategy", name, known)
    return known[name]


def list_strategies(pattern: str = "*") -> list[StrategyInfo]:
    """Return the strategies whose name fits a shell ``pattern`` such as ``fre*``."""
    return [info for info in strategies().values() if fnmatch.fnmatchcase(info.name, pattern)]
