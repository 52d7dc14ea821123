"""The ``bench cells`` command: the cells of a result folder, what each came to, and what it is called elsewhere."""

from __future__ import annotations

import math
import shlex
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fretal_bench.cli.options import JsonOption, LevelOption, MetricOption, PluginOption
from fretal_bench.cli.screen import print_json, print_line

if TYPE_CHECKING:
    from fretal_bench.reporting.cells import CellList, CellRow


def cells(
    results: Annotated[Path, typer.Argument(help="Result folder of `bench run` or `bench import`.")],
    metric: MetricOption = None,
    level: LevelOption = "frame",
    plugin: PluginOption = None,
    json_: JsonOption = False,
) -> None:
    """List the cells of a result folder: state, learning and final accuracy, -BWT, and the address of each.

    The address is what bench predict and bench export take for the cell.
    """
    from fretal_bench.benchmark.runner.results import load_results
    from fretal_bench.cli.report import check_measure
    from fretal_bench.reporting.cells import list_cells

    check_measure(metric, level)
    of = list_cells(load_results(results), metric, level)
    if json_:
        print_json({"metric": of.metric, "level": of.level, "cells": [row.to_dict() for row in of.rows]})
        return
    _print_cells(of)


def _print_cells(of: CellList) -> None:
    """Print a line a cell, however long: an address or path in it can be copied, and lines can be searched."""
    from fretal_bench.metrics import registry

    several = len({row.order for row in of.rows}) > 1
    head = ("strategy", "seed", "order", "state", "learned", "final", "-BWT", "address", "path")
    lines = [head, *(_fields(row) for row in of.rows)]
    shown = [column for column in range(len(head)) if several or head[column] != "order"]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    for number, line in enumerate(lines):
        text = "  ".join(line[column].ljust(widths[column]) for column in shown).rstrip()
        print_line(text, style=None if number else "bold")
    title = registry.find(of.metric).title
    counts = Counter(row.state for row in of.rows)
    print_line(f"\n{len(of.rows)} cells: {', '.join(f'{count} {state}' for state, count in counts.items())}")
    print_line(f"learned, final, -BWT: by {of.level} {title}; -BWT above 0 = forgot")
    for row in of.rows:
        if row.reason:
            print_line(f"{row.address}: {row.reason}{row.place}")
    if several:
        for number, order in {row.order: row.domains for row in of.rows}.items():
            print_line(f"order {number}: {order}")


def _fields(row: CellRow) -> tuple[str, ...]:
    numbers = map(_number, (row.learning, row.final, row.forgetting))
    address = shlex.quote(row.address)
    return row.label, str(row.seed), str(row.order), _state(row), *numbers, address, str(row.path)


def _state(row: CellRow) -> str:
    if row.state in ("missing", "under way", "failed") and row.steps is not None:
        return f"{row.state}, {row.steps[0]}/{row.steps[1]} steps"
    return row.state


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"
