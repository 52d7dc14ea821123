"""A published table's values, read from the cells that were trained for it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fretal_bench.benchmark.runner.results import CellResult, load_results
from fretal_bench.papers.table import PaperTable, Reading

if TYPE_CHECKING:
    from fretal_bench.metrics.matrices import Matrix
    from fretal_bench.papers.run import PreparedPaper

Place = tuple[str, str]
"""Method and column of one value."""


@dataclass(frozen=True)
class Measured:
    """What the suite measured for one value of a table.

    Attributes:
        values: By seed, in the table's unit; those of a diverged run are NaN.
        reason: Why there is no value, in a few words; empty if there is.
        failed: Whether a cell of it was trained and failed, or diverged.
    """

    values: Mapping[int, float] = field(default_factory=dict)
    reason: str = ""
    failed: bool = False


def measure(prepared: PreparedPaper, places: Iterable[Place]) -> dict[Place, Measured]:
    """Read the values of a table from its result folders; those of cells that are not done carry the reason."""
    done: dict[str, tuple[CellResult, tuple[str, ...]]] = {}
    failed: dict[str, str] = {}
    for job in prepared.jobs:
        results = load_results(job.prepared.folder.path)
        names = tuple(domain.name for domain in job.file.domains)
        done.update({cell.id: (cell, names) for cell in results.cells})
        failed.update(
            {one.id: f"failed: {one.label}, seed {one.seed}: {one.reason}" for one in results.failures}
        )
    matrices: dict[str, Matrix] = {}

    def of_part(place: Place) -> Measured:
        if place not in prepared.cells:
            return Measured(reason=prepared.reasons[place])
        values = {}
        for seed, id in prepared.cells[place].items():
            if id not in done:
                return Measured(reason=failed.get(id, "not trained yet"), failed=id in failed)
            if id not in matrices:
                matrices[id] = _matrix(prepared.paper, *done[id])
            values[seed] = _read(matrices[id], prepared.paper.columns[place[1]][1]) * prepared.paper.scale
        lost = [seed for seed, value in values.items() if not math.isfinite(value)]
        if not lost:
            return Measured(values)
        cell = done[prepared.cells[place][lost[0]]][0]
        if _diverged(cell):
            reason = (
                f"not finite: training diverged: {cell.label}, seed {cell.seed}; try a lower learning rate"
            )
            return Measured(values, reason, failed=True)
        return Measured(values, "not finite: the number does not exist for this stream's test data")

    return {place: _mean(prepared.paper, place, of_part) for place in places}


def _mean(paper: PaperTable, place: Place, of_part: Callable[[Place], Measured]) -> Measured:
    """Return the value of a column that may be the mean of others, seed by seed."""
    parts = {column: of_part((place[0], column)) for column in paper.parts(place[1])}
    if len(parts) == 1:
        return next(iter(parts.values()))
    for column, part in parts.items():
        if part.reason:
            return Measured(reason=f"needs {column}: {part.reason}", failed=part.failed)
    seeds = next(iter(parts.values())).values
    return Measured({seed: sum(part.values[seed] for part in parts.values()) / len(parts) for seed in seeds})


def _diverged(cell: CellResult) -> bool:
    """Whether a cell gave scores that are no numbers; else a value that is none has another cause (one class only)."""
    return not all(map(math.isfinite, cell.scores["score"]))


def _matrix(paper: PaperTable, cell: CellResult, names: tuple[str, ...]) -> Matrix:
    from fretal_bench.metrics.matrices import accuracy_matrix

    return accuracy_matrix(cell.scores, paper.metric, paper.level, names)


def _read(matrix: Matrix, reading: Reading) -> float:
    from fretal_bench.metrics.continual import CONTINUAL_METRICS

    if reading.domain:
        step = 0 if reading.after == "first" else -1
        return float(matrix.values[step, matrix.domains.index(reading.domain)])
    function = CONTINUAL_METRICS[reading.quantity].function
    return reading.sign * function(matrix.values, matrix.baseline, matrix.higher_is_better)
