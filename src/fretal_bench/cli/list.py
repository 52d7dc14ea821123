"""The ``bench list`` command: strategies, streams, recipes and published tables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fretal_bench.cli.options import DataOption, JsonOption, PluginOption
from fretal_bench.cli.paper import print_tables
from fretal_bench.cli.screen import print_json, print_line, print_rows
from fretal_bench.errors import BenchError, unknown_name

if TYPE_CHECKING:
    from fretal_bench.strategies.record import StrategyInfo

_LISTS = ("strategies", "streams", "recipes", "tables")
_WITH_DATA = ("streams", "tables")


def list_(
    what: Annotated[str, typer.Argument(help="strategies, streams, recipes or tables")],
    pattern: Annotated[str, typer.Argument(help="e.g. 'fre*'")] = "*",
    data: DataOption = None,
    plugin: PluginOption = None,
    json_: JsonOption = False,
) -> None:
    """List what there is."""
    if what not in _LISTS:
        raise unknown_name("list", what, _LISTS)
    if data and what not in _WITH_DATA:
        raise BenchError(f"--data tells which streams can run; leave it out of `bench list {what}`")
    rows = _rows(what, pattern, data or (), whole=json_)
    if not rows:
        raise BenchError(f"no {what} fit {pattern!r}; `bench list {what}` shows all")
    if json_:
        print_json(rows)
        return
    if what == "tables":
        print_tables(rows)
        return
    print_rows(rows)
    if what == "strategies" and pattern == "*":
        print_line("\nAvalanche's own, as shipped: bench list strategies 'avalanche:*'")


def _rows(what: str, pattern: str, data: Sequence[Path], *, whole: bool) -> list[dict[str, Any]]:
    if what == "tables":
        from fretal_bench.papers.table import table_rows

        return table_rows(pattern, data)
    if what == "streams":
        return _streams(pattern, data, whole)
    return _strategies(pattern, whole) if what == "strategies" else _recipes(pattern)


def _strategies(pattern: str, whole: bool) -> list[dict[str, Any]]:
    from fretal_bench.strategies.registry import list_strategies

    return [
        {
            "name": info.name,
            **({"aliases": list(info.aliases)} if whole else {}),
            "what": _what(info),
            "paper": info.paper,
            "old data": info.memory,
        }
        for info in list_strategies(pattern)
    ]


def _what(info: StrategyInfo) -> str:
    parts = [info.summary, "(bound)" if info.bound else ""]
    parts.append(f"(also called {', '.join(info.aliases)})" if info.aliases else "")
    return " ".join(filter(None, parts))


def _streams(pattern: str, data: Sequence[Path], whole: bool) -> list[dict[str, Any]]:
    from fretal_bench.datasets.streams.data import list_streams

    rows = list_streams(pattern, data=data, grouped=not whole and pattern == "*")
    # In a terminal the name, what it is and whether it can run; everything in JSON.
    return rows if whole else [{key: row[key] for key in ("name", "what", "data")} for row in rows]


def _recipes(pattern: str) -> list[dict[str, Any]]:
    from fretal_bench.benchmark.recipes.recipe import list_recipes

    return [
        {
            "name": recipe.name,
            "what": recipe.description,
            "backbone": recipe.backbone,
            "epochs": recipe.epochs,
        }
        for recipe in list_recipes(pattern)
    ]
