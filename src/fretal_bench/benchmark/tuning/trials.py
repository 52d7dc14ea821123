"""Tables of a search: the trials of every strategy for a terminal, a sentence about each, and plain data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fretal_bench.benchmark.tuning.judged import Scored, Tuned
from fretal_bench.benchmark.tuning.search import Search
from fretal_bench.metrics.imbalance import ACCURACY, BALANCED
from fretal_bench.metrics.numbers import or_none
from fretal_bench.parsing import plain
from fretal_bench.strategies.registry import find_strategy

if TYPE_CHECKING:
    from rich.table import Table


def trial_table(tuned: Tuned, metric: str = ACCURACY) -> Table:
    """Draw the trials of one strategy, the best in bold; values, validation accuracy, forgetting."""
    from rich.table import Table
    from rich.text import Text

    keys = list(tuned.trials[0].trial.values)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("trial")
    for title in (*keys, f"{_title(metric)} ↑", "forgetting ↓"):
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


def _title(metric: str) -> str:
    """Name what trials are scored by."""
    return "balanced validation accuracy" if metric == BALANCED else "validation accuracy"


def sentence(tuned: Tuned, budget: int, metric: str = ACCURACY) -> str:
    """Say what became of one strategy, and where its defaults stand."""
    info = find_strategy(tuned.strategy)
    # No search changes what is fixed, so that it is the strategy of all its names.
    who, count = "/".join((info.name, *info.aliases)), len(tuned.trials)
    trials = "1 trial" if count == 1 else f"{count} trials"
    if tuned.best is None:
        return f"{who}: {trials}, none of which gave a value; the first: {tuned.trials[0].reason}"
    if not tuned.best.trial.values:
        return f"{who}: nothing to tune; {_title(metric)} {tuned.best.accuracy:.3f}"
    space = f", all that there are (of {budget})" if count < budget else ""
    place = "the defaults failed" if tuned.rank is None else f"the defaults rank {tuned.rank} of {count}"
    return f"{who}: {trials}{space}; best is trial {tuned.best.trial.number}; {place}"


def plain_search(search: Search, results: Sequence[Tuned]) -> dict[str, Any]:
    """Give what was found as plain data for ``json.dumps``; a value that does not exist is None."""
    return {
        "recipe": str(search.file) if any(tuned.best is not None for tuned in results) else None,
        "results": str(search.prepared.folder.path),
        "tuning": plain(search.tuning),
        "strategies": {
            tuned.strategy: {
                "best": tuned.best.trial.number if tuned.best is not None else None,
                "hyperparameters": dict(tuned.best.trial.values) if tuned.best is not None else {},
                "rank_of_defaults": tuned.rank,
                "trials": [_plain(scored) for scored in tuned.trials],
            }
            for tuned in results
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
