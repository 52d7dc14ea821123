"""Ratios of speed, each measured in this one process: ``tox -e perf``, or ``python -m perf`` in ``tests``.

Absolute times are noisy and differ between machines; ratios of blocks that alternate in one process travel.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import statistics

from rich.console import Console
from rich.table import Table

from perf.prepare import measure_prepare
from perf.steps import measure_steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--rounds", type=int, default=7, help="blocks of each kind; the median of the ratios counts"
    )
    parser.add_argument("--recipe", default="mini")
    parser.add_argument("--only", choices=("steps", "prepare"), help="measure training steps, or data, alone")
    arguments = parser.parse_args()
    table = Table(
        "what", "against", "ratio", "spread", "should be", title=f"recipe {arguments.recipe}, one thread"
    )
    rows = [] if arguments.only == "prepare" else measure_steps(arguments.recipe, arguments.rounds)
    # Adapters need a vision transformer; fine-tuning is measured again beside them.
    adapters = (
        [] if arguments.only == "prepare" else measure_steps("mini-vit", arguments.rounds, ("domain-lora",))
    )
    rows += adapters[1:2]
    rows += [] if arguments.only == "steps" else measure_prepare(min(3, arguments.rounds))
    for row in rows:
        low, high = min(row.ratios), max(row.ratios)
        table.add_row(
            row.what, row.against, f"{statistics.median(row.ratios):.2f}", f"{low:.2f}-{high:.2f}", row.target
        )
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
