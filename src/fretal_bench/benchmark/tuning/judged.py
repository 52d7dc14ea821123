"""The trials of a search, judged by their validation samples."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fretal_bench.benchmark.runner.plan import Cell
from fretal_bench.benchmark.runner.results import Results
from fretal_bench.benchmark.runner.score_table import UnusableScores
from fretal_bench.metrics.continual import average_accuracy, forgetting
from fretal_bench.metrics.imbalance import ACCURACY
from fretal_bench.metrics.matrices import accuracy_matrix


@dataclass(frozen=True)
class Trial:
    """One set of hyperparameters of one strategy.

    Attributes:
        strategy: The strategy's name.
        number: From 1; trial 1 is the defaults.
        values: The values of what is tuned.
        cell: What is trained.
    """

    strategy: str
    number: int
    values: Mapping[str, Any]
    cell: Cell


@dataclass(frozen=True)
class Scored:
    """A trial with what it reached on validation data.

    Attributes:
        trial: The trial.
        accuracy: ``mean_j R[T-1, j]`` over the T domains of the search, R the accuracy (balanced, where the search is by
            that) on validation samples; NaN if it failed.
        forgetting: Max-based, of the same R; NaN if it failed.
        reason: Why it has no values; empty if it has.
    """

    trial: Trial
    accuracy: float
    forgetting: float
    reason: str = ""


@dataclass(frozen=True)
class Tuned:
    """The trials of one strategy, judged.

    Attributes:
        strategy: Its name.
        trials: In the order of their numbers.
        best: The trial of the highest accuracy, the first of equals: the defaults stay unless something beats them.
            None if no trial has values.
        rank: Place of the defaults among the trials, 1 = the best; equals share a place. None if they failed.
    """

    strategy: str
    trials: tuple[Scored, ...]
    best: Scored | None
    rank: int | None


def judge(
    trials: Mapping[str, Sequence[Trial]], results: Results, domains: Sequence[str], metric: str = ACCURACY
) -> tuple[Tuned, ...]:
    """Score every trial by its validation samples and choose the best of each strategy.

    Args:
        trials: By strategy, in the order of their numbers.
        results: What was trained.
        domains: The domains of the search, in order.
        metric: ``accuracy``, or ``balanced_accuracy`` where a class is far larger than the other.
    """
    return tuple(
        _tuned(name, [_scored(trial, results, domains, metric) for trial in of])
        for name, of in trials.items()
    )


def _scored(trial: Trial, results: Results, domains: Sequence[str], metric: str) -> Scored:
    cell = next((cell for cell in results.cells if cell.id == trial.cell.id), None)
    if cell is None:
        without = (*results.failures, *results.unusable)
        reasons = [failure.reason for failure in without if failure.id == trial.cell.id]
        return Scored(trial, math.nan, math.nan, reasons[0] if reasons else "not finished")
    try:
        validation = cell.validation()
    except UnusableScores as error:
        return Scored(trial, math.nan, math.nan, str(error))
    matrix = accuracy_matrix(validation, metric, domains=domains).values
    accuracy = average_accuracy(matrix)
    reason = "" if math.isfinite(accuracy) else "its scores are not finite: training diverged"
    return Scored(trial, accuracy, forgetting(matrix), reason)


def _tuned(strategy: str, trials: Sequence[Scored]) -> Tuned:
    valid = [scored for scored in trials if not scored.reason]
    # max keeps the first of equals.
    best = max(valid, key=lambda scored: scored.accuracy, default=None)
    defaults = trials[0]
    rank = None if defaults.reason else 1 + sum(scored.accuracy > defaults.accuracy for scored in valid)
    return Tuned(strategy, tuple(trials), best, rank)
