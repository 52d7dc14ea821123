"""The ``bench show`` command: one strategy, stream, recipe or published table, whole."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from fretal_bench.cli.options import DataOption, JsonOption, PluginOption
from fretal_bench.cli.screen import PLAIN, print_json, print_line, print_next, print_table
from fretal_bench.errors import BenchError, unknown_name

_INDENT: Final = 2


def show(
    kind: Annotated[str, typer.Argument(help="strategy, stream, recipe or table")],
    name: Annotated[str, typer.Argument(help="Its name; of a stream or recipe also a TOML file.")],
    data: DataOption = None,
    plugin: PluginOption = None,
    json_: JsonOption = False,
) -> None:
    """Show a strategy's formula, constants, needs, paper; a stream's domains; a recipe's keys; or a published table."""
    if kind not in _SHOWN:
        raise unknown_name("kind", kind, _SHOWN)
    if data and kind != "stream":
        raise BenchError(f"--data says where a stream's stores are; leave it out of `bench show {kind}`")
    _SHOWN[kind](name, data or (), json_)


def _strategy(name: str, data: Sequence[Path], json_: bool) -> None:
    from fretal_bench.strategies.description import describe_strategy
    from fretal_bench.strategies.registry import find_strategy

    of = describe_strategy(find_strategy(name))
    if json_:
        print_json(dataclasses.asdict(of))
        return
    _print_head("/".join((of.name, *of.aliases)), f"{of.summary}{' (bound)' if of.bound else ''}")
    _print_facts(
        {
            "formula": of.formula or of.fault,
            "": "\n".join(of.details),
            "source": of.source,
            "paper": of.paper,
            "links": "\n".join(of.links),
            "origin": of.origin,
        }
    )
    _print_facts({f"needs: {key}": text for key, text in of.needs.items()})
    _print_facts({"cost": "\n".join(of.cost), "caution": of.caution})
    if not of.constants:
        print_line("\nNo constants.")
        return
    print_line(f"\nConstants (--set {of.name}.KEY=VALUE)", style="bold")
    _print_facts(
        {
            c.key: f"{c.default}: {c.takes}{c.searched and f'; bench tune tries {c.searched}'}\n{c.what}".strip()
            for c in of.constants
        }
    )


def _stream(name: str, data: Sequence[Path], json_: bool) -> None:
    from fretal_bench.datasets.streams.description import describe_stream
    from fretal_bench.datasets.streams.stream import find_stream

    of = describe_stream(find_stream(name), data)
    if json_:
        print_json(dataclasses.asdict(of))
        return
    _print_head(of.name, of.what)
    folds = (
        f"{of.folds}; each tests other people, seed s takes fold s mod {of.folds}" if of.folds > 1 else "1"
    )
    _print_facts(
        {
            "protocol": ", ".join(f"{key}={_all_if_none(value)}" for key, value in of.protocol.items()),
            "folds": folds,
            "crops": f"{of.image_size} px" if of.image_size else "of any size",
            "frames": f"{of.frames} a video" if of.frames else "",
            "paper": of.paper,
            "file": of.path,
            "can run here": of.data,
            "lacks": "\n".join(of.lacks),
        }
    )
    columns = ["domain", "train", "val", "test", "methods", "data sets", "store"]
    rows = [
        [
            domain.name,
            *(
                f"{counts['reals']} + {counts['fakes']}" if counts else "-"
                for counts in (domain.samples.get(split, {}) for split in ("train", "val", "test"))
            ),
            ", ".join(domain.methods) or "all",
            " ".join((", ".join(domain.datasets) or "all", *domain.compressions)),
            domain.store or "to be found (--data)",
        ]
        for domain in of.domains
    ]
    print_line("")
    counted = ": samples of fold 0, reals + fakes" if any(domain.samples for domain in of.domains) else ""
    print_table(f"Domains in the order in which they are learned{counted}", columns, rows)
    if of.commands:
        print_next(of.commands)


def _all_if_none(value: Any) -> str:
    return "all" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _recipe(name: str, data: Sequence[Path], json_: bool) -> None:
    from fretal_bench import records
    from fretal_bench.benchmark.recipes.recipe import TABLES, Recipe, open_recipe
    from fretal_bench.docstrings import arguments

    recipe = open_recipe(name)
    if json_:
        print_json(dataclasses.asdict(recipe))
        return
    _print_head(recipe.name, recipe.description)
    words = arguments(Recipe)
    print_line("\nKeys (--set recipe.KEY=VALUE, or KEY = VALUE in a recipe file)", style="bold")
    _print_facts(
        {
            key: f"{_written(getattr(recipe, key))}: {records.takes(Recipe, key)}\n{words[key]}"
            for key in (field.name for field in dataclasses.fields(Recipe))
            if key not in ("name", "description", *TABLES)
        }
    )
    for key in TABLES:
        if table := getattr(recipe, key):
            given = [[str(owner), _written(values)] for owner, values in table.items()]
            print_table(f"[{key}]: {words[key]}", ["", "value"], given)


def _written(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} = {_written(of)}" for key, of in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_written, value))
    return "left out" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _table(name: str, data: Sequence[Path], json_: bool) -> None:
    from fretal_bench.papers.file import open_paper
    from fretal_bench.papers.published import find_table, published_tables
    from fretal_bench.papers.published_table import print_published, rows_with_strategies

    values = find_table(name, published_tables(None))
    paper = open_paper(name)
    if json_:
        print_json(rows_with_strategies(values, paper))
    else:
        print_published(values, paper, Console())


def _print_head(name: str, what: str) -> None:
    console = Console()
    console.print(name, style="bold", **PLAIN)
    if what:
        console.print(what, **PLAIN)


def _print_facts(facts: dict[str, str]) -> None:
    """Print facts under one another, each with its name; a fact that is empty is left out."""
    shown = {key: text for key, text in facts.items() if text}
    if not shown:
        return
    grid = Table.grid(padding=(0, _INDENT))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for key, text in shown.items():
        grid.add_row(Text(key, style="bold"), Text(text))
    Console().print()
    Console().print(grid, highlight=False)


_SHOWN: Final[dict[str, Callable[[str, Sequence[Path], bool], None]]] = {
    "strategy": _strategy,
    "stream": _stream,
    "recipe": _recipe,
    "table": _table,
}
