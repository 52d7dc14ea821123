"""The commands that make a result folder, written again from its plan."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from fretal_bench.benchmark.recipes.recipe import changes_of
from fretal_bench.reporting.inputs import unique


def run_commands(plan: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the calls of ``bench run`` that make the cells of a plan: one, or more where constants were set.

    What changed a recipe of the suite is set again; one in a file of the user's stands, whole, further down in a report.

    Args:
        plan: A run's plan; of imported scores the call of ``bench import``, of several folders those of each.
    """
    if plan.get("compared"):
        return unique(command for of in plan["compared"] for command in run_commands(of["plan"]))
    if plan.get("imported"):
        names = unique(str(cell["strategy"]) for cell in plan["cells"])
        # Earlier versions didn't keep the options; most often that one was given.
        options = plan["imported"].get("options") or (["--strategy", *names] if len(names) == 1 else [])
        return (shlex.join(["bench", "import", plan["imported"]["file"], "--out", "RESULTS", *options]),)
    by_values: dict[str, list[Mapping[str, Any]]] = {}
    for cell in plan.get("cells", ()):
        by_values.setdefault(_values_in(cell["label"]), []).append(cell)
    return tuple(_command(plan, values, cells) for values, cells in by_values.items())


def recipe_title(recipe: Mapping[str, Any]) -> str:
    """Name a plan's recipe, with what was changed of the suite's: ``mini (batchnorm=frozen)``."""
    name, changes = str(recipe.get("name", "")), ", ".join(_changes(recipe))
    return f"{name} ({changes})" if changes else name


def _changes(recipe: Mapping[str, Any]) -> list[str]:
    """Write what was changed of the suite's recipe as ``--set`` takes it: ``KEY=VALUE``."""
    return [
        f"{key}={str(value).lower() if isinstance(value, bool) else value}"
        for key, value in changes_of(recipe).items()
    ]


def _values_in(label: str) -> str:
    """Return what stands in a label's parentheses."""
    return label.partition("(")[2].removesuffix(")")


def _command(plan: Mapping[str, Any], values: str, cells: Sequence[Mapping[str, Any]]) -> str:
    names = unique(str(cell["strategy"]) for cell in cells)
    words = ["bench", "run", "--strategies", ",".join(names), "--stream", plan["stream"]["name"]]
    words += [
        "--recipe",
        str(plan["recipe"].get("name", "mini")),
        "--seeds",
        _seeds([int(cell["seed"]) for cell in cells]),
    ]
    words += [word for change in _changes(plan["recipe"]) for word in ("--set", f"recipe.{change}")]
    if values:
        words += [
            word for name in names for value in values.split(", ") for word in ("--set", f"{name}.{value}")
        ]
    orders = len(plan.get("orders", ()))
    if orders:
        domains = len(plan["stream"]["domains"])
        words += ["--orders", "all" if orders + 1 == math.factorial(domains) else str(orders + 1)]
    return shlex.join(words)


def _seeds(seeds: Sequence[int]) -> str:
    """Write seeds as ``--seeds`` takes them: ``0-2``, ``0,3``."""
    known = sorted(set(seeds))
    if len(known) > 1 and known == list(range(known[0], known[-1] + 1)):
        return f"{known[0]}-{known[-1]}"
    return ",".join(map(str, known))
