"""What `bench tune` found, as tables for a terminal and as plain data."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from fretal_bench.benchmark.tuning.search import Scored, Search, Tuned
from fretal_bench.metrics.numbers import or_none

if TYPE_CHECKING:
    from rich.table import Table


def trial_table(tuned: Tuned) -> Table:
    """Draw the trials of one strategy, the best in bold; values, validation accuracy, forgetting."""
    from rich.table import Table
    from rich.text import Text

    keys = list(tuned.trials[0].trial.values)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("trial")
    for title in (*keys, "validation accuracy ↑", "forgetting ↓"):
        table.add_column(Text(title), justify="right")
    table.add_column("")
    for scored in tuned.trials:
        marks = ["defaults"] * (scored.trial.number == 1) + ["best"] * (scored is tuned.best)
        table.add_row(
            str(scored.trial.number),
            *(Text(str(scored.trial.values[key])) for key in keys),
            _number(scored.accuracy),
            _number(scored.forgetting),
            Text(scored.reason or ", ".join(marks)),
            style="bold" if scored is tuned.best else "",
        )
    return table


def sentence(tuned: Tuned, budget: int) -> str:
    """Say what became of one strategy, and where its defaults stand."""
    count = len(tuned.trials)
    if not tuned.best.trial.values:
        return f"{tuned.strategy}: nothing to tune; validation accuracy {tuned.best.accuracy:.3f}"
    space = f", all that there are (of {budget})" if count < budget else ""
    place = "the defaults failed" if tuned.rank is None else f"the defaults rank {tuned.rank} of {count}"
    trials = "1 trial" if count == 1 else f"{count} trials"
    return f"{tuned.strategy}: {trials}{space}; best is trial {tuned.best.trial.number}; {place}"


def to_plain(search: Search, found: tuple[Tuned, ...]) -> dict[str, Any]:
    """Give what was found as plain data for ``json.dumps``; a value that does not exist is None."""
    return {
        "recipe": str(search.file),
        "results": str(search.prepared.folder.path),
        "tuning": dict(search.tuning),
        "strategies": {
            one.strategy: {
                "best": one.best.trial.number,
                "hyperparameters": dict(one.best.trial.values),
                "rank_of_defaults": one.rank,
                "trials": [_plain(scored) for scored in one.trials],
            }
            for one in found
        },
    }


def _plain(scored: Scored) -> dict[str, Any]:
    return {
        "trial": scored.trial.number,
        "cell": scored.trial.cell.id,
        "hyperparameters": dict(scored.trial.values),
        "validation_accuracy": or_none(scored.accuracy),
        "forgetting": or_none(scored.forgetting),
        "reason": scored.reason,
    }


def _number(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else "-"
