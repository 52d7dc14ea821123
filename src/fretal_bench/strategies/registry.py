"""The strategies there are, by name: the suite's own, Avalanche's as shipped, and those of plugins."""

from __future__ import annotations

import dataclasses
import fnmatch
from collections.abc import Iterator

from fretal_bench.errors import BenchError, unknown_name
from fretal_bench.plugins import Plugin, register, why_left_out
from fretal_bench.strategies.families import BUILT_IN
from fretal_bench.strategies.record import StrategyInfo
from fretal_bench.strategies.registration import check_info
from fretal_bench.strategies.stock import PREFIX, STOCK


def strategies() -> dict[str, StrategyInfo]:
    """Return every registered strategy by name: the suite's own, then those of plugins.

    A plugin names a ``StrategyInfo`` (or several) in the entry-point group ``fretal_bench.strategies``, or as
    ``STRATEGY`` (or ``STRATEGIES``) in a file given with ``--plugin``; see ``plugins.register`` for one that is wrong.
    """
    return register("strategies", {info.name: info for info in BUILT_IN}, _read)


def _read(plugin: Plugin, value: object) -> Iterator[tuple[str, StrategyInfo]]:
    if isinstance(value, StrategyInfo) and value.target.startswith(":"):
        value = dataclasses.replace(value, target=plugin.module + value.target)
    problem = check_info(value)
    if problem is not None:
        name = getattr(value, "name", None)
        raise ValueError(f"strategy {name!r}: {problem}" if isinstance(name, str) else problem)
    assert isinstance(value, StrategyInfo)
    yield value.name, dataclasses.replace(value, origin=plugin.origin)


def find_strategy(name: str) -> StrategyInfo:
    """Return the strategy called ``name``.

    Raises:
        BenchError: There is none; the nearest names are in the message.
    """
    if name.lower().startswith(PREFIX):
        shipped = {info.name: info for info in STOCK}
        if name.lower() not in shipped:
            raise unknown_name("strategy of Avalanche", name, shipped)
        return shipped[name.lower()]
    known = strategies()
    if name not in known:
        reason = why_left_out("strategies", name)
        if reason is not None:
            raise BenchError(f"strategy {name!r} is left out: {reason}; mend or uninstall it")
        raise unknown_name("strategy", name, known)
    return known[name]


def list_strategies(pattern: str = "*") -> list[StrategyInfo]:
    """Return the strategies whose name fits a shell ``pattern`` such as ``fre*``; Avalanche's for ``avalanche:*``."""
    known = STOCK if pattern.lower().startswith(PREFIX) else strategies().values()
    return [info for info in known if fnmatch.fnmatchcase(info.name, pattern)]
