"""Cells by what people call them: ``results/NAME:STRATEGY:SEED``, in place of the folder of a cell."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from fretal_bench.errors import BenchError, unknown_name

_LISTED: Final = 4


def results_in(text: str) -> tuple[Path, str] | None:
    """Split an address into the result folder and the rest; None where no result folder stands before a colon.

    Only looks which files are there.
    """
    places = [place for place, character in enumerate(text) if character == ":"]
    for place in reversed(places):
        folder = Path(text[:place]).expanduser()
        if (folder / "plan.json").is_file():
            return folder, text[place + 1 :]
    return None


def cell_at(path: str | os.PathLike[str]) -> Path:
    """Return the folder of the cell that an address names; a path that is there, or no address, as it is.

    ``results/NAME:STRATEGY:SEED``, or without ``:SEED`` where there is one seed alone; a strategy by any of its names, or
    as reports call the cell (``fretal(temperature=10)``).

    Raises:
        BenchError: The folder has no such cell, or several.
    """
    text = os.fspath(path)
    split = None if os.path.lexists(text) else results_in(text)
    if split is None:
        return Path(path)
    from fretal_bench.benchmark.runner.documents import read_plan
    from fretal_bench.benchmark.runner.results import labels_of

    folder, rest = split
    _, plan = read_plan(folder)
    labels = labels_of(plan.cells)
    names = {entry.id: {labels[entry.id], entry.label, entry.strategy} for entry in plan.cells}
    for entry in plan.cells:
        names[entry.id].update(labels[entry.id].partition("(")[0].split("/"))
    called, _, seed = rest.rpartition(":") if rest.rpartition(":")[2].isdecimal() else (rest, "", "")
    named = [entry for entry in plan.cells if called in names[entry.id]]
    if not named:
        raise BenchError(
            f"{text}: {unknown_name('strategy', called, {name for of in names.values() for name in of})}"
        )
    # What a label says exactly is meant, also where it is the beginning of others.
    exact = [entry for entry in named if called in (labels[entry.id], entry.label)]
    fitting = [entry for entry in exact or named if not seed or entry.seed == int(seed)]
    if len(fitting) != 1:
        found = sorted({f"{labels[entry.id]}:{entry.seed}" for entry in fitting or named})
        listed = ", ".join(found[:_LISTED]) + (", ..." if len(found) > _LISTED else "")
        raise BenchError(
            f"{text}: expected one cell, found {len(fitting)}; give {folder}:STRATEGY:SEED of {listed}, or the cell's "
            "folder"
        )
    return folder / "cells" / fitting[0].id
