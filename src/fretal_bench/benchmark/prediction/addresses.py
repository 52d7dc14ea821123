"""Cells by what people call them: ``results/NAME:STRATEGY:SEED[:ORDER]``, in place of the folder of a cell."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fretal_bench.errors import BenchError, unknown_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fretal_bench.benchmark.runner.documents import Entry, PlanFile

_LISTED: Final = 4
_NUMBERS: Final = 2
"""Numbers at the end of an address: seed and order."""


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

    ``results/NAME:STRATEGY:SEED``, or without ``:SEED`` where there is one seed alone; with ``:ORDER`` behind the seed
    where the domains were learned in several orders, 0 being the stream's own. A strategy by any of its names, or as
    reports call the cell (``fretal(temperature=10)``).

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
    called, numbers = _numbers_behind(rest)
    names = {entry.id: _names_of(entry, labels) for entry in plan.cells}
    named = [entry for entry in plan.cells if called in names[entry.id]]
    if not named:
        raise BenchError(
            f"{text}: {unknown_name('strategy', called, {name for of in names.values() for name in of})}"
        )
    # What a label says exactly is meant, also where it is the beginning of others.
    exact = [entry for entry in named if called in (labels[entry.id], entry.label)]
    fitting = [entry for entry in exact or named if numbers == (entry.seed, entry.order)[: len(numbers)]]
    if len(fitting) != 1:
        found = [address_of(Path(), plan, entry).removeprefix(".:") for entry in fitting or named]
        listed = ", ".join(found[:_LISTED]) + (", ..." if len(found) > _LISTED else "")
        order = "[:ORDER]" if plan.orders else ""
        raise BenchError(
            f"{text}: expected one cell, found {len(fitting)}; give {folder}:STRATEGY:SEED{order} of {listed}, or the "
            "cell's folder (`bench cells` lists them)"
        )
    return folder / "cells" / fitting[0].id


def address_of(folder: Path, plan: PlanFile, entry: Entry) -> str:
    """Return the shortest address that ``cell_at`` takes for a cell, and for no other: strategy, seed, and the order.

    Args:
        folder: The result folder.
        plan: Its plan.
        entry: The cell.
    """
    from fretal_bench.benchmark.runner.results import labels_of

    labels = labels_of(plan.cells)
    others = {labels[other.id] for other in plan.cells if other.strategy == entry.strategy}
    called = entry.strategy if len(others) == 1 else labels[entry.id]
    order = f":{entry.order}" if plan.orders else ""
    return f"{folder}:{called}:{entry.seed}{order}"


def _names_of(entry: Entry, labels: Mapping[str, str]) -> set[str]:
    """Return everything that a cell may be called in an address."""
    return {
        labels[entry.id],
        entry.label,
        entry.strategy,
        *labels[entry.id].partition("(")[0].split("/"),
    }


def _numbers_behind(text: str) -> tuple[str, tuple[int, ...]]:
    """Cut the numbers off an address: a seed, or a seed and an order; a strategy's name may have a colon, too."""
    called, numbers = text, tuple[int, ...]()
    while len(numbers) < _NUMBERS and called.rpartition(":")[2].isdecimal() and ":" in called:
        called, _, number = called.rpartition(":")
        numbers = (int(number), *numbers)
    return called, numbers
