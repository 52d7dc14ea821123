"""The ``--plugin`` option of the commands."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fretal_bench.plugins import use_files


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
