"""The table of a recipe file in which `bench tune` says how it searched: ``[tuning]``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fretal_bench.errors import BenchError, unknown_name

_TUNING: Final[dict[str, type]] = {
    "stream": str,
    "domains": list,
    "budget": int,
    "seed": int,
    "objective": str,
    "strategies": list,
}


def read_tuning(table: Any) -> dict[str, Any]:
    """Check a ``[tuning]`` table: all of its keys or, where nothing was tuned, none.

    Raises:
        BenchError: A key is unknown, missing or of another type.
    """
    values = _table("tuning", table)
    for key in values:
        if key not in _TUNING:
            raise unknown_name("key of [tuning]", key, _TUNING)
    for key, kind in _TUNING.items() if values else ():
        value = values.get(key)
        right = isinstance(value, kind) and not isinstance(value, bool)
        if not right or (kind is list and not all(isinstance(item, str) for item in values[key])):
            wanted = {str: "text", int: "a whole number", list: "a list of texts"}[kind]
            raise BenchError(
                f"recipe: [tuning] {key} must be {wanted}, found {value!r}; "
                "leave the table as `bench tune` wrote it, or delete it"
            )
    return values


def _table(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise BenchError(f"recipe: {name} must be a table, [{name}], found {value!r}")
    return dict(value)
