"""The numbers of ``docs/scale.md``: 24 strategies, 5 seeds and 24 orders of FF++ on 1 to 512 GPUs, by simulation.

``python -m perf.scale`` in ``tests``. Bytes and the head's seconds were measured, as the page says; images a second are
assumed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from rich.console import Console
from rich.table import Table

from fretal_bench.strategies.registry import list_strategies
from perf.simulation import GIGABIT, Costs, Run, plan_of, simulate
from perf.theory import LEAST

SEEDS: Final = 5
WORKERS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
FRAMES: Final = 32
VIDEOS: Final = {"train": 720, "test": 140}
"""Real videos of FF++ by split (``val`` is as large as ``test``); a domain has as many fake ones."""
_MODEL: Final = 83_548_695
"""Bytes of a state that is Xception's weights alone."""
STATES: Final = {
    "source": (_MODEL,),
    "ewc": (250_126_501,),
    "ewc-by-class": (250_126_501,),
    "online-ewc": (166_837_471,),
    # Measured on a small model, as a multiple of its weights.
    "si": (2 * _MODEL,),
    "mas": (2 * _MODEL,),
    "gdumb": (2 * _MODEL,),
    "esmer": (2 * _MODEL,),
    "cls-er": (3 * _MODEL,),
    "task-arithmetic": (_MODEL, 3 * _MODEL),
}
"""Bytes of a strategy's states after each domain; other strategies have those of the source model."""
COSTS: Final = Costs(
    images=2 * VIDEOS["train"] * FRAMES,
    epochs=10,
    judged=2 * VIDEOS["test"] * FRAMES,
    # Assumed: timm's table for Xception, 299 px, AMP, channels last, RTX 3090
    # (results/benchmark-train-amp-nhwc-pt112-cu113-rtx3090.csv, benchmark-infer-...).
    training=497.64,
    judging=1578.2,
    factors={name: factor for name, (factor, _) in LEAST.items()} | {"zero-shot": 0.0},
    # Assumed: a model built, weights copied to the GPU.
    starting=5.0,
    states=STATES,
    scores=92_774,
    reading=400e6,
    writing=250e6,
    keeping=0.02,
    joining=0.8,
)
_HOUR: Final = 3600


def main() -> None:
    console = Console(width=110)
    names = [info.name for info in list_strategies()]
    console.print(_sharing(names))
    for gigabits in (1, 10):
        console.print(_workers(names, gigabits, COSTS))
    short = replace(
        COSTS, training=10 * COSTS.training, judging=10 * COSTS.judging, starting=COSTS.starting / 10
    )
    console.print(_workers(names, 1, short, ", steps a tenth as long"))


def _sharing(names: list[str]) -> Table:
    table = Table(
        "",
        "cells",
        "steps trained",
        "tasks",
        "GPU hours",
        "pool, all",
        "pool, last",
        "last, at most",
        "to workers",
        "from workers",
    )
    shared, apart = plan_of(names, SEEDS), plan_of(names, SEEDS, shared=False)
    rows = {"shared": (simulate(shared, COSTS, 8), simulate(shared, COSTS, 8, "last"))}
    rows["an order a run"] = simulate(apart, COSTS, 8), simulate(apart, COSTS, 8, "last")
    alone = [plan_of([name], SEEDS, shared=False) for name in names]
    rows["nothing shared"] = (
        _total([simulate(plan, COSTS, 8) for plan in alone]),
        _total([simulate(plan, COSTS, 8, "last") for plan in alone]),
    )
    for what, (everything, last) in rows.items():
        table.add_row(
            what,
            f"{len(shared.cells):,}",
            f"{everything.trained:,}",
            f"{everything.tasks:,}",
            f"{everything.computing / _HOUR:,.0f}",
            _terabytes(everything.stored),
            _terabytes(last.stored),
            _terabytes(last.most_stored),
            _terabytes(everything.down),
            _terabytes(everything.up),
        )
    return table


def _total(runs: list[Run]) -> Run:
    """Runs one after the other; what an earlier one stored stays."""
    total = Run(runs[0].workers)
    for run in runs:
        total = replace(
            total,
            computing=total.computing + run.computing,
            tasks=total.tasks + run.tasks,
            trained=total.trained + run.trained,
            most_stored=max(total.most_stored, total.stored + run.most_stored),
            stored=total.stored + run.stored,
            down=total.down + run.down,
            up=total.up + run.up,
        )
    return total


def _workers(names: list[str], gigabits: int, costs: Costs, what: str = "") -> Table:
    table = Table(
        "GPUs",
        "hours",
        "speed-up",
        "GPUs busy",
        "head busy",
        "link busy",
        "all strategies once after",
        title=f"head with {gigabits} Gbit/s{what}",
    )
    plan, costs = plan_of(names, SEEDS), replace(costs, link=gigabits * GIGABIT)
    first = 0.0
    for workers in WORKERS:
        run = simulate(plan, costs, workers)
        first = first or run.makespan
        table.add_row(
            str(workers),
            f"{run.makespan / _HOUR:,.1f}",
            f"{first / run.makespan:.1f}",
            f"{run.utilisation:.0%}",
            f"{run.head / run.makespan:.1%}",
            f"{max(run.down, run.up) / costs.link / run.makespan:.1%}",
            f"{run.first / _HOUR:.1f} h",
        )
    return table


def _terabytes(size: int) -> str:
    return f"{size / 1e12:.2f} TB"


if __name__ == "__main__":
    main()
