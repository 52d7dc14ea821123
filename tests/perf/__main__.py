"""Ratios of speed, each measured on one machine in turn: ``tox -e perf``, or ``python -m perf`` in ``tests``.

Absolute times are noisy and differ between machines; ratios of blocks that alternate travel.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import statistics

from rich.console import Console
from rich.table import Table

from perf.graph import measure_graph
from perf.growth import measure_growth
from perf.prepare import measure_prepare
from perf.reports import measure_reports
from perf.scaling import measure_scaling
from perf.sharing import measure_sharing
from perf.steps import Row, measure_steps

PARTS = ("steps", "prepare", "sharing", "growth", "report", "graph", "scaling")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--rounds", type=int, default=7, help="blocks of each kind; the median of the ratios counts"
    )
    parser.add_argument("--recipe", default="mini")
    parser.add_argument(
        "--only",
        choices=PARTS,
        help="measure training steps, data, two runs on one folder, large inputs, a large report, a large plan, or two "
        "workers, alone",
    )
    arguments = parser.parse_args()
    table = Table(
        "what", "against", "ratio", "spread", "should be", title=f"recipe {arguments.recipe}, one thread"
    )
    rows: list[Row] = []
    parts = PARTS if arguments.only is None else (arguments.only,)
    if "steps" in parts:
        rows += measure_steps(arguments.recipe, arguments.rounds)
        # Adapters need attention, prompts a plain vision transformer; fine-tuning is measured again with them, and left
        # out of the table.
        rows += measure_steps("mini-vit", arguments.rounds, ("domain-lora", "orthogonal-lora"))[1:]
        plain = {"backbone": "test_vit", "image_size": 224}
        rows += measure_steps("mini", arguments.rounds, ("s-prompts",), plain)[1:]
    if "prepare" in parts:
        rows += measure_prepare(min(3, arguments.rounds))
    if "sharing" in parts:
        rows += measure_sharing(1)
    if "growth" in parts:
        rows += measure_growth()
    if "report" in parts:
        rows += measure_reports()
    if "graph" in parts:
        rows += measure_graph()
    if "scaling" in parts:
        rows += measure_scaling(1)
    for row in rows:
        low, high = min(row.ratios), max(row.ratios)
        table.add_row(
            row.what, row.against, f"{statistics.median(row.ratios):.2f}", f"{low:.2f}-{high:.2f}", row.target
        )
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
