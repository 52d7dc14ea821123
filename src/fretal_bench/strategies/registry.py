"""The strategies there are, by name: the suite's own, those of plugins, and Avalanche's as shipped."""

from __future__ import annotations

import dataclasses
import fnmatch
import sys
from collections.abc import Iterator
from typing import Final

from fretal_bench.errors import BenchError, unknown_name
from fretal_bench.plugins import Plugin, register, why_left_out
from fretal_bench.strategies.families import BUILT_IN
from fretal_bench.strategies.record import NoHyperparameters, StrategyInfo, check_info
from fretal_bench.strategies.stock import PREFIX, STOCK

RESERVED: Final = "recipe"
"""What no strategy can be called: ``--set`` names the recipe so."""
_SOURCE: Final = "source"
"""Nor that: steps of source models are called so, and are trained as ``life.SOURCE``."""


def find_strategy(name: str) -> StrategyInfo:
    """Return the strategy called ``name``; the only look-up of a strategy.

    Args:
        name: A name of ``names()``, or ``avalanche:NAME``.

    Raises:
        BenchError: There is none; the nearest names are in the message.
    """
    if name.lower().startswith(PREFIX):
        shipped = {info.name: info for info in STOCK}
        if name.lower() not in shipped:
            raise unknown_name("strategy of Avalanche", name, shipped)
        return shipped[name.lower()]
    known = _registered()
    if name not in known:
        reason = why_left_out("strategies", name)
        if reason is not None:
            raise BenchError(f"strategy {name!r} is left out: {reason}; fix or uninstall it")
        raise unknown_name("strategy", name, known)
    return known[name]


def list_strategies(pattern: str = "*") -> list[StrategyInfo]:
    """Return the strategies whose name fits a shell ``pattern`` such as ``fre*``; Avalanche's for ``avalanche:*``."""
    known = STOCK if pattern.lower().startswith(PREFIX) else _registered().values()
    return [info for info in known if fnmatch.fnmatchcase(info.name, pattern.lower())]


def names(*, stock: bool = False, plugins: bool = True) -> tuple[str, ...]:
    """Return the names of all strategies, in the order in which they are listed.

    Args:
        stock: With Avalanche's own, ``avalanche:NAME``.
        plugins: With those of plugins.
    """
    own = (info.name for info in (_registered().values() if plugins else BUILT_IN))
    return (*own, *(info.name for info in STOCK if stock))


def _registered() -> dict[str, StrategyInfo]:
    """Return the suite's own strategies, then those of plugins, by name.

    A plugin names a ``StrategyInfo`` (or several) in the entry-point group ``fretal_bench.strategies``, or as
    ``STRATEGY`` (or ``STRATEGIES``) in a file given with ``--plugin``; see ``plugins.register`` for one that is wrong.
    """
    return register("strategies", {info.name: info for info in BUILT_IN}, _read)


def _read(plugin: Plugin, value: object) -> Iterator[tuple[str, StrategyInfo]]:
    if isinstance(value, StrategyInfo) and value.target.startswith(":"):
        value = _with_its_class(value, plugin.module)
    problem = check_info(value)
    if problem is not None:
        name = getattr(value, "name", None)
        raise ValueError(f"strategy {name!r}: {problem}" if isinstance(name, str) else problem)
    assert isinstance(value, StrategyInfo)
    if value.name == RESERVED:
        raise ValueError(
            f"strategy {value.name!r}: --set {RESERVED}.KEY=VALUE is of the recipe; choose another name"
        )
    if value.name == _SOURCE:
        raise ValueError(
            f"strategy {value.name!r}: the source model's training is called so; choose another name"
        )
    yield value.name, dataclasses.replace(value, origin=plugin.origin)


def _with_its_class(info: StrategyInfo, module: str) -> StrategyInfo:
    """Complete the row of a class in the same file: its module, and the hyperparameters that stand on the class."""
    kind = getattr(sys.modules.get(module), info.target[1:], None)
    own = getattr(kind, "Hyperparameters", NoHyperparameters)
    constants = own if info.constants is NoHyperparameters else info.constants
    return dataclasses.replace(info, target=module + info.target, constants=constants)
