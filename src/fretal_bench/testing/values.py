"""Other values for a hyperparameter: valid ones that must change the result, and nonsense that must be refused."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from fretal_bench import records
from fretal_bench.errors import BenchError
from fretal_bench.strategies.record import Range, StrategyInfo

_NEVER_NEGATIVE = {"lambda", "strength", "temperature", "weight", "memory", "size"}
"""Words in the name of a number that makes no sense below 0."""


def fields(info: StrategyInfo) -> tuple[dataclasses.Field[Any], ...]:
    """Return the declared hyperparameters of a strategy."""
    return dataclasses.fields(info.constants)


def choices(info: StrategyInfo, key: str) -> tuple[Any, ...]:
    """Return the values of a hyperparameter of a ``Literal`` type; () for any other."""
    return records.choices(info.constants, key)


def alternatives(info: StrategyInfo, field: dataclasses.Field[Any], base: Mapping[str, Any]) -> list[Any]:
    """Return values to try for ``field`` besides the one in use, only those that the record accepts.

    A choice: the other choices. A bool: the other one. A number declared with ``tunable``: both ends of its range. Any
    other number: a few around the default.

    Args:
        info: The strategy.
        field: The hyperparameter.
        base: Values in use where they are not the defaults.
    """
    used = base.get(field.name, field.default)
    listed = choices(info, field.name)
    span = field.metadata.get("range")
    values: list[Any]
    if listed:
        values = list(listed)
    elif isinstance(used, bool):
        values = [not used]
    elif isinstance(span, Range):
        values = [type(used)(span.high), type(used)(span.low)]
    elif isinstance(used, int):
        values = [used // 2, used + 1, used * 2, 1, 2, 4]
    elif isinstance(used, float):
        values = [used / 2, used * 2, 0.0, 0.5, 1.0]
    else:
        values = []
    kept: list[Any] = []
    for value in values:
        if value != used and value not in kept and accepted(info, {**base, field.name: value}):
            kept.append(value)
    return kept


def accepted(info: StrategyInfo, changes: Mapping[str, Any]) -> bool:
    """Whether the strategy's record takes these values."""
    try:
        info.hyperparameters(changes)
    except BenchError:
        return False
    return True


def nonsense(info: StrategyInfo) -> list[dict[str, Any]]:
    """Return changes that every strategy must refuse.

    Not a number and infinity for every number; a negative value for a number whose tunable range lies above 0, or whose
    name says that it has no sign (``lambda_``, ``feature_weight``, ``memory``), unless its default or its range goes
    below 0; a fraction for a whole number; a word that is no choice; a key that does not exist.
    """
    changes: list[dict[str, Any]] = [{"no_such_hyperparameter": 1}]
    for field in fields(info):
        key, default, span = field.name, field.default, field.metadata.get("range")
        if choices(info, key):
            changes.append({key: "no-such-choice"})
        elif isinstance(default, int | float) and not isinstance(default, bool):
            kind = type(default)
            changes += [{key: float("nan")}, {key: float("inf")}, {key: "text"}]
            if kind is int:
                changes.append({key: default + 0.5})
            unsigned = default >= 0 and not _NEVER_NEGATIVE.isdisjoint(key.lower().split("_"))
            if (span.low > 0 or (unsigned and span.low == 0)) if isinstance(span, Range) else unsigned:
                changes.append({key: kind(-1)})
    return changes
