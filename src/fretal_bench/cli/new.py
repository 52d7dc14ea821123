"""The ``bench new`` commands: the start of a plugin."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

new = typer.Typer(
    name="new",
    help="Start a plugin: a small package that works and passes its own tests.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@new.callback()
def _new() -> None:
    """Start a plugin: a small package that works and passes its own tests."""


@new.command()
def strategy(
    name: Annotated[str, typer.Argument(help="The strategy's name: lower-case words joined by '-'.")],
    into: Annotated[Path, typer.Option(help="Where its folder is made.", metavar="DIR")] = Path("."),
) -> None:
    """Write an installable package with one working strategy, its conformance test and a test of its formula."""
    from fretal_bench.cli.scaffold import FILES, write_strategy_package

    folder = write_strategy_package(name, into)
    console = Console()
    console.print(f"{folder}: {len(FILES)} files", markup=False, highlight=False)
    console.print("Next:", style="bold")
    for command in (
        f"pip install -e {shlex.quote(str(folder))}",
        f"pytest {shlex.quote(str(folder))}",
        f"bench run --strategies {name},finetuning",
    ):
        console.print(f"  {command}", soft_wrap=True, markup=False, highlight=False)
