"""The ``bench new`` commands: the start of a plugin."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from fretal_bench.cli.screen import print_line, print_next

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
    print_line(f"{folder}: {len(FILES)} files")
    print_next(
        (
            f"pip install -e {shlex.quote(f'{folder}[dev]')}",
            f"pytest {shlex.quote(str(folder))}",
            f"bench run --strategies {name},finetuning",
        )
    )
