"""The values of a published table, read from the cells that were trained for it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from fretal_bench.benchmark.runner.results import CellResult, load_results
from fretal_bench.metrics.continual import CONTINUAL_METRICS
from fretal_bench.metrics.matrices import Matrix, accuracy_matrix
from fretal_bench.papers.file import PaperFile
from fretal_bench.papers.run import PreparedPaper
from fretal_bench.papers.setting import Column
from fretal_bench.papers.table import Place
from fretal_bench.reporting.chance import not_above_chance


@dataclass(frozen=True)
class Measured:
    """What the suite measured for one value of a table.

    Attributes:
        values: By seed, in the table's unit; those of a diverged run are NaN.
        reason: Why there is no value, in a few words; empty if there is.
        failed: Whether a cell of it was trained and failed, or diverged.
        at_chance: Whether what was trained is not shown to be above chance right after learning: nothing was learned.
    """

    values: Mapping[int, float] = field(default_factory=dict)
    reason: str = ""
    failed: bool = False
    at_chance: bool = False


def measure(prepared: PreparedPaper, places: Iterable[Place]) -> dict[Place, Measured]:
    """Read the values of a table from its result folders; those of cells that are not done carry the reason."""
    cells = _Cells(prepared)
    return {place: _mean(prepared.call.paper, place, cells.measured) for place in places}


class _Cells:
    """The cells of a table, done or failed, with the matrix R of each."""

    def __init__(self, prepared: PreparedPaper) -> None:
        self.prepared, self.paper = prepared, prepared.call.paper
        self.done: dict[str, tuple[CellResult, tuple[str, ...]]] = {}
        self.failed: dict[str, str] = {}
        self.matrices: dict[str, Matrix] = {}
        self.luckless: dict[tuple[str, ...], bool] = {}
        for job in prepared.jobs:
            results = load_results(job.prepared.folder.path)
            domains = tuple(domain.name for domain in job.file.domains)
            self.done.update({cell.id: (cell, domains) for cell in results.cells})
            for failure in (*results.failures, *results.unusable):
                self.failed[failure.id] = f"failed: {failure.label}, seed {failure.seed}: {failure.reason}"

    def measured(self, place: Place) -> Measured:
        """Return the values of one column that is no mean, or why there are none."""
        if place not in self.prepared.cells:
            return Measured(reason=str(self.prepared.reasons[place]))
        ids = self.prepared.cells[place]
        for id in ids.values():
            if id not in self.done:
                return Measured(reason=self.failed.get(id, "not trained yet"), failed=id in self.failed)
        values = {
            seed: _read(self._matrix(id), self.paper.columns[place[1]]) * self.paper.scale
            for seed, id in ids.items()
        }
        lost = next((seed for seed, value in values.items() if not math.isfinite(value)), None)
        if lost is None:
            return Measured(values, at_chance=self._at_chance(tuple(ids.values())))
        cell = self.done[ids[lost]][0]
        if not _diverged(cell):
            return Measured(values, "not finite: the number does not exist for this stream's test data")
        reason = f"not finite: training diverged: {cell.label}, seed {cell.seed}; try a lower learning rate"
        return Measured(values, reason, failed=True)

    def _at_chance(self, ids: tuple[str, ...]) -> bool:
        if ids not in self.luckless:
            cells = [self.done[id][0] for id in ids]
            self.luckless[ids] = not_above_chance(cells, self.paper.level, self.done[ids[0]][1])
        return self.luckless[ids]

    def _matrix(self, id: str) -> Matrix:
        if id not in self.matrices:
            cell, domains = self.done[id]
            self.matrices[id] = accuracy_matrix(cell.scores, self.paper.metric, self.paper.level, domains)
        return self.matrices[id]


def _mean(paper: PaperFile, place: Place, measured: Callable[[Place], Measured]) -> Measured:
    """Return the value of a column that may be the mean of others, seed by seed."""
    parts = {column: measured((place[0], column)) for column in paper.parts(place[1])}
    if len(parts) == 1:
        return next(iter(parts.values()))
    for column, part in parts.items():
        if part.reason:
            return Measured(reason=f"needs {column}: {part.reason}", failed=part.failed)
    seeds = next(iter(parts.values())).values
    means = {seed: sum(part.values[seed] for part in parts.values()) / len(parts) for seed in seeds}
    return Measured(means, at_chance=all(part.at_chance for part in parts.values()))


def _diverged(cell: CellResult) -> bool:
    """Whether a cell gave scores that are no numbers; else a value that is none has another cause (one class only)."""
    return not all(map(math.isfinite, cell.scores["score"]))


def _read(matrix: Matrix, column: Column) -> float:
    if column.domain:
        return float(matrix.values[column.step(matrix.domains), matrix.domains.index(column.domain)])
    function = CONTINUAL_METRICS[column.quantity].function
    return (column.sign or 1) * function(matrix.values, matrix.baseline, matrix.higher_is_better)
