"""The ``--plugin`` option of the commands, and how what is wrong with a plugin is said."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Annotated, Any

import typer

from fretal_bench.plugins import PluginWarning, use_files


def _use(paths: list[Path] | None) -> list[Path] | None:
    use_files(paths or ())
    return paths


PluginOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--plugin",
        help="A Python file with a strategy, stream, importer or metric of one's own; may be given again.",
        metavar="FILE",
        callback=_use,
    ),
]
"""Takes effect when the call is read; the command itself need not look at it."""


def say_plugin_warnings_in_one_line() -> None:
    """Print a ``PluginWarning`` as one line on standard error; other warnings as ever."""
    before = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
        if issubclass(category, PluginWarning):
            print(f"bench: {message}", file=sys.stderr)
        else:
            before(message, category, *where, **more)

    warnings.showwarning = show
