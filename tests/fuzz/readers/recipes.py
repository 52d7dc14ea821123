"""Readers of recipes, the user's own and tuned ones, and of checkpoints."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Final

from fuzz.damage import PLACES, TEXT, TOML, trees
from fuzz.judging import Claim, Unreadable, bytes_of
from fuzz.readers import reader
from fuzz.readers.planned import planned
from fuzz.running import Bench

_TOML: Final = (*TEXT, *PLACES, *trees(TOML))
_WRITES: Final = ("out*", "steps*", "store/.verified.json")
_LARGEST: Final = 2**63
"""No number of a recipe is as large."""


def absurd(value: Any) -> str:
    """Say why a value cannot be meant, wherever it stands: no number, or none that a machine holds."""
    if isinstance(value, dict):
        return next((why for below in value.values() if (why := absurd(below))), "")
    if isinstance(value, list):
        return next((why for below in value if (why := absurd(below))), "")
    if isinstance(value, float) and not math.isfinite(value):
        return f"{value} stands in it"
    if isinstance(value, int) and not -_LARGEST <= value < _LARGEST:
        return f"a number of {len(str(value)) if value < 10**400 else 'too many'} digits stands in it"
    return ""


def written_toml(path: str) -> dict[str, Any] | Unreadable:
    """Read a TOML file as anybody would who does not know the suite, and who takes every line end for one."""
    try:
        text = bytes_of(path).decode("utf-8-sig")
        values = TOML.load(text.replace("\r\n", "\n").replace("\r", "\n"))
    except (ValueError, RecursionError) as error:
        return Unreadable(f"it is no TOML: {error}")
    why = absurd(values)
    return Unreadable(why) if why else values


def _recipe(bench: Bench, file: str) -> Claim:
    from fretal_bench.benchmark.recipes.recipe import Recipe

    used = planned(bench, "--stream", "tiny.toml", "--recipe", file, tiny=False)
    written = written_toml(file)
    if isinstance(written, Unreadable):
        return Claim(used, written)
    # Without a word in the file the backbone says how pixels are scaled.
    left_out = ("device", "hyperparameters", *({"mean", "std"} - set(written)))
    recipe = {key: value for key, value in used["recipe"].items() if key not in left_out}
    defaults = vars(Recipe()) | {"name": Path(file).stem}
    expected = {key: written.get(key, defaults[key]) for key in recipe}
    expected |= {
        key: value for key, value in written.items() if key not in (*recipe, "device", "hyperparameters")
    }
    tables = written.get("hyperparameters", {})
    values = {cell["strategy"]: cell["values"] for cell in used["cells"]}
    recipe["of strategies"] = {
        name: {key: values.get(name, {}).get(key) for key in table} if name in values else table
        for name, table in tables.items()
    }
    return Claim(recipe, expected | {"of strategies": tables})


@reader(
    "recipe TOML",
    "recipes",
    parts="stream recipes",
    file="recipe.toml",
    damages=_TOML,
    writes=_WRITES,
    weight=3,
)
def recipe(bench: Bench) -> Claim:
    return _recipe(bench, "recipe.toml")


@reader(
    "tuned recipe",
    "recipes",
    parts="stream recipes",
    file="tuned.toml",
    damages=_TOML,
    writes=_WRITES,
    weight=2,
)
def tuned(bench: Bench) -> Claim:
    return _recipe(bench, "tuned.toml")
