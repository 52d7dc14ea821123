"""The tables of a recipe file that `bench tune` writes: ``[hyperparameters.NAME]`` and ``[tuning]``."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from fretal_bench.errors import BenchError, unknown_name
from fretal_bench.strategies.registry import find_strategy

if TYPE_CHECKING:
    from fretal_bench.benchmark.recipes.recipe import Recipe

TABLES: Final = ("hyperparameters", "tuning")
"""Keys of a recipe that are tables; its others are what training does, the same for every strategy."""

_TUNING: Final[dict[str, type]] = {
    "stream": str,
    "domains": list,
    "budget": int,
    "seed": int,
    "objective": str,
    "strategies": list,
}


def read_hyperparameters(table: Any) -> dict[str, dict[str, Any]]:
    """Check ``[hyperparameters.NAME]`` tables.

    Returns:
        Values by strategy and key, each of the type of its default; only the keys that are given.

    Raises:
        BenchError: A strategy or a key does not exist (the nearest are named), or a value is not valid.
    """
    found: dict[str, dict[str, Any]] = {}
    for name, values in _table("hyperparameters", table).items():
        info = find_strategy(name)
        record = info.hyperparameters(_table(f"hyperparameters.{name}", values))
        found[info.name] = {key: getattr(record, key) for key in values}
    return found


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


def toml_of_recipe(recipe: Recipe) -> str:
    """Write a recipe as the text of a recipe file that opens as the same recipe, but for its name."""
    lines = [f"description = {_toml(recipe.description)}"]
    lines += [f"{key} = {_toml(value)}" for key, value in recipe.content().items()]
    tables = {f"hyperparameters.{_key(name)}": values for name, values in recipe.hyperparameters.items()}
    for title, values in (*tables.items(), ("tuning", recipe.tuning)):
        if values:
            lines += ["", f"[{title}]", *(f"{_key(key)} = {_toml(value)}" for key, value in values.items())]
    return "\n".join(lines) + "\n"


def _table(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise BenchError(f"recipe: {name} must be a table, [{name}], found {value!r}")
    return dict(value)


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _toml(name)


def _toml(value: Any) -> str:
    # TOML's texts, lists of texts, finite numbers and booleans are written as JSON's, but for the character DEL.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
