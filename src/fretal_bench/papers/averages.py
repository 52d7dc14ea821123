"""The averages of a published table, computed again from its cells by the paper's own definition."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from fretal_bench.metrics import registry
from fretal_bench.metrics.continual import CONTINUAL_METRICS
from fretal_bench.metrics.numbers import Floats
from fretal_bench.papers.file import PaperFile
from fretal_bench.papers.published import PublishedTable, PublishedValue
from fretal_bench.papers.setting import Column, Setting

_SLACK = 1e-9
"""What sums of decimals are off by as binary numbers, as a share of the last digit."""


@dataclass(frozen=True)
class Difference:
    """An average that is printed otherwise than its cells say, by more than the rounding of all of them explains.

    Attributes:
        value: The published value.
        recomputed: What its cells give.
        definition: How it comes from them.
    """

    value: PublishedValue
    recomputed: float
    definition: str

    def __str__(self) -> str:
        digits = self.value.digits + 1
        return (
            f"{self.value.method} / {self.value.column}: printed {self.value.value}, recomputed "
            f"{self.recomputed:.{digits}f} from the table's own cells as {self.definition}"
        )


def definition(paper: PaperFile, column: str) -> str:
    """Say how a column's value comes from others: a mean of columns, or a number of R; nothing for a cell of R."""
    of = paper.columns[column]
    if of.mean:
        return f"mean of {', '.join(of.mean)}"
    if not of.quantity:
        return ""
    quantity = CONTINUAL_METRICS[of.quantity]
    title = quantity.title.format(metric=registry.find(paper.metric).title)
    minus = "minus " if of.sign == -1 else ""
    return f"{minus}{title} ({quantity.formula})"


def differences(table: PublishedTable, paper: PaperFile) -> tuple[Difference, ...]:
    """Compute every average of a table again and return those that are printed otherwise.

    An average is a column that the table's file defines as a ``mean`` of columns or as a ``quantity`` of R. It is
    computed where the table has the values that it is of. Each value is rounded, so a printed average may differ by half
    a unit of its own last digit, and by what half a unit in each of the values moves it: only more than both is a
    difference.
    """
    found = []
    for value in table.values:
        if value.column not in paper.columns:
            continue
        computed = _recomputed(table, paper, value)
        if computed is None:
            continue
        number, rounding = computed
        unit = _unit(table, value.column)
        if abs(value.number - number) > rounding + unit / 2 + unit * _SLACK:
            found.append(Difference(value, number, definition(paper, value.column)))
    return tuple(found)


def _recomputed(table: PublishedTable, paper: PaperFile, value: PublishedValue) -> tuple[float, float] | None:
    """Return an average from its cells, and how far their rounding moves it; None if a cell is not in the table."""
    column = paper.columns[value.column]
    if column.mean:
        parts = [table.get(value.method, name) for name in column.mean]
        numbers = np.array([part.number if part is not None else np.nan for part in parts])
        return _with_rounding(lambda of: float(np.mean(of)), numbers, _units(table, column.mean))
    if not column.quantity:
        return None
    stream = paper.joined(_row(paper, value.method), value.column).stream
    if stream not in paper.streams:
        # A row of the user's own, in a table whose rows name the stream.
        return None
    cells = dict(_cells(table, paper, value))
    size = len(paper.streams[stream].domains)
    numbers, units = np.full((size, size), np.nan), np.zeros((size, size))
    for place, (number, unit) in cells.items():
        numbers[place], units[place] = number, unit
    return _with_rounding(_quantity(paper, column, size), numbers, units)


def _quantity(paper: PaperFile, column: Column, size: int) -> Callable[[Floats], float]:
    """Return what computes a column's quantity from R; nothing published says what an untrained model does."""
    function = CONTINUAL_METRICS[column.quantity].function
    higher = registry.find(paper.metric).higher_is_better
    untrained = np.full(size, np.nan)
    return lambda r: (column.sign or 1) * function(r, untrained, higher)


def _with_rounding(
    function: Callable[[Floats], float], numbers: Floats, units: Floats
) -> tuple[float, float] | None:
    """Return a function's value, and the sum of what half a unit in each of its numbers moves it; None if it has none."""
    value = function(numbers)
    if np.isnan(value):
        return None
    moved = 0.0
    for place in np.ndindex(numbers.shape):
        if units[place]:
            other = numbers.copy()
            other[place] += units[place] / 2
            moved += abs(function(other) - value)
    return value, moved


def _cells(
    table: PublishedTable, paper: PaperFile, value: PublishedValue
) -> Iterator[tuple[tuple[int, int], tuple[float, float]]]:
    """Yield the published cells of R of a value's row and stream: the place, the number and its last digit's unit."""
    row = _row(paper, value.method)
    stream = paper.joined(row, value.column).stream
    names = [domain.name for domain in paper.streams[stream].domains]
    for name, column in paper.columns.items():
        cell = table.get(value.method, name)
        if cell is None or not column.domain or paper.joined(row, name).stream != stream:
            continue
        yield (column.step(names), names.index(column.domain)), (cell.number, _unit(table, name))


def _row(paper: PaperFile, method: str) -> Setting:
    return paper.rows.get(method, Setting(strategy=method))


def _units(table: PublishedTable, columns: tuple[str, ...]) -> Floats:
    return np.array([_unit(table, column) for column in columns])


def _unit(table: PublishedTable, column: str) -> float:
    """Return one in the last digit of a column: a CSV that drops the zeros at the end still has some rows with all."""
    digits = max((value.digits for value in table.values if value.column == column), default=0)
    return float(10.0**-digits)
