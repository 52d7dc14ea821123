"""The strategies there are, by name: the suite's own, those of plugins, and Avalanche's as shipped."""

from __future__ import annotations

import dataclasses
import fnmatch
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from fretal_bench.errors import BenchError, unknown_name
from fretal_bench.names import shown
from fretal_bench.plugins import Plugin, register, why_left_out
from fretal_bench.strategies.families import BUILT_IN
from fretal_bench.strategies.record import NoHyperparameters, StrategyInfo, check_info
from fretal_bench.strategies.stock import PREFIX, STOCK

RESERVED: Final = "recipe"
"""What no strategy can be called: ``--set`` names the recipe so."""
ALL: Final = "all"
"""What stands for every strategy, on the command line."""
GROUP: Final = "@"
"""What the name of a group of strategies begins with there."""
_SOURCE: Final = "source"
"""Nor that: steps of source models are called so, and are trained as ``life.SOURCE``."""


def find_strategy(name: str) -> StrategyInfo:
    """Return the strategy called ``name``; the only look-up of a strategy.

    Args:
        name: A name of ``names()``, another name of one of these (``StrategyInfo.aliases``), or ``avalanche:NAME``.

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
        raise BenchError(f"{unknown_name('strategy', name, known)}; one of your own: --plugin FILE.py")
    return known[name]


def list_strategies(pattern: str = "*") -> list[StrategyInfo]:
    """Return the strategies with a name that fits a shell ``pattern`` such as ``fre*``; Avalanche's: ``avalanche:*``."""
    known = STOCK if pattern.lower().startswith(PREFIX) else dict.fromkeys(_registered().values())
    return [
        info
        for info in known
        if any(fnmatch.fnmatchcase(name, pattern.lower()) for name in (info.name, *info.aliases))
    ]


def chosen(words: Iterable[str]) -> tuple[list[str], frozenset[str]]:
    """Return the strategies that words choose, in the order of the words, each once.

    Args:
        words: Names; patterns such as ``*ewc*``; ``all``; or groups: ``@`` and a family (``@replay``), or what they keep
            (``@keeps-samples``, ``@keeps-none``), or ``@bounds``.

    Returns:
        The names, and which of them nobody named: those that a pattern or group chose.

    Raises:
        BenchError: A name or group is unknown, or nothing fits a pattern.
    """
    names: dict[str, None] = {}
    named: set[str] = set()
    for word in words:
        if word == ALL:
            fitting = [info.name for info in list_strategies()]
        elif word.startswith(GROUP):
            groups = _groups()
            if word[1:] not in groups:
                raise unknown_name("group of strategies", word[1:], groups)
            fitting = groups[word[1:]]
        elif any(sign in word for sign in "*?["):
            fitting = [info.name for info in list_strategies(word)]
            if not fitting:
                raise BenchError(f"no strategy fits {shown(word)}; `bench list strategies` shows all")
        else:
            fitting = [find_strategy(word).name]
            named.update(fitting)
        names.update(dict.fromkeys(fitting))
    return list(names), frozenset(names) - named


def _groups() -> dict[str, list[str]]:
    """Return the names of strategies by family, and by what they keep."""
    groups: dict[str, list[str]] = {}
    for info in list_strategies():
        families = [info.target.split(".")[2]] if not info.origin else []
        keeps = "bounds" if info.bound else "keeps-none" if info.memory == "none" else "keeps-samples"
        for group in dict.fromkeys((*families, keeps)):
            groups.setdefault(group, []).append(info.name)
    return groups


def names(*, stock: bool = False, plugins: bool = True, aliases: bool = False) -> tuple[str, ...]:
    """Return the names of all strategies, in the order in which they are listed.

    Args:
        stock: With Avalanche's own, ``avalanche:NAME``.
        plugins: With those of plugins.
        aliases: With the other names that some have.
    """
    known = _registered() if plugins else _by_name(BUILT_IN)
    own = (name for name, info in known.items() if aliases or name == info.name)
    return (*own, *(info.name for info in STOCK if stock))


def own_name(name: str) -> str:
    """Return the name of the strategy that ``name`` stands for: another one if it is an alias, else ``name`` itself."""
    known = _registered()
    return known[name].name if name in known else name


def by_own_name(
    values: Mapping[str, Mapping[str, Any]], written: Callable[[str, str], str]
) -> dict[str, dict[str, Any]]:
    """Gather what is given by strategy and key under the strategies' own names.

    Args:
        values: Values by owner and key; an owner that is no strategy stays as it is.
        written: How an owner's key is written there, for the error.

    Raises:
        BenchError: A key of a strategy is given under two of its names.
    """
    gathered: dict[str, dict[str, Any]] = {}
    owners: dict[tuple[str, str], str] = {}
    for owner, of_owner in values.items():
        name = own_name(owner)
        of_strategy = gathered.setdefault(name, {})
        for key, value in of_owner.items():
            other = owners.setdefault((name, key), owner)
            if other != owner:
                alias = owner if owner != name else other
                raise BenchError(
                    f"{written(other, key)} and {written(owner, key)} are the same, since {alias!r} is another name of "
                    f"{name!r}; give one of them"
                )
            of_strategy[key] = value
    return gathered


def _by_name(infos: Iterable[StrategyInfo]) -> dict[str, StrategyInfo]:
    return {name: info for info in infos for name in (info.name, *info.aliases)}


def _registered() -> dict[str, StrategyInfo]:
    """Return the suite's own strategies, then those of plugins, by name; one that has several under each of them.

    A plugin names a ``StrategyInfo`` (or several) in the entry-point group ``fretal_bench.strategies``, or as
    ``STRATEGY`` (or ``STRATEGIES``) in a file given with ``--plugin``; see ``plugins.register`` for one that is wrong.
    """
    return register("strategies", _by_name(BUILT_IN), _read)


def _read(plugin: Plugin, value: object) -> Iterator[tuple[str, StrategyInfo]]:
    if isinstance(value, StrategyInfo) and value.target.startswith(":"):
        value = with_its_class(value, plugin.module)
    problem = check_info(value)
    if problem is not None:
        name = getattr(value, "name", None)
        raise ValueError(f"strategy {name!r}: {problem}" if isinstance(name, str) else problem)
    assert isinstance(value, StrategyInfo)
    info = dataclasses.replace(value, origin=plugin.origin)
    for name in (info.name, *info.aliases):
        if name == RESERVED:
            raise ValueError(
                f"strategy {name!r}: --set {RESERVED}.KEY=VALUE is of the recipe; choose another name"
            )
        if name == _SOURCE:
            raise ValueError(
                f"strategy {name!r}: the source model's training is called so; choose another name"
            )
        yield name, info


def with_its_class(info: StrategyInfo, module: str) -> StrategyInfo:
    """Complete the row of a class in the same file: its module, and the hyperparameters that stand on the class."""
    kind = getattr(sys.modules.get(module), info.target[1:], None)
    own = getattr(kind, "Hyperparameters", NoHyperparameters)
    constants = own if info.constants is NoHyperparameters else info.constants
    return dataclasses.replace(info, target=module + info.target, constants=constants)
