"""What can be said while a run goes on: whenever all strategies of one seed are done, who forgot least in it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from fretal_bench.benchmark.runner.progress import Listener, Progress
from fretal_bench.cli.screen import number_of, print_line
from fretal_bench.names import escaped

if TYPE_CHECKING:
    from rich.console import Console

    from fretal_bench.benchmark.runner.folder import ResultFolder
    from fretal_bench.benchmark.runner.plan import Cell
    from fretal_bench.reporting.cells import CellRow

_NAMED: Final = 3
"""Strategies that the line names."""


class Interim:
    """Listens to a run of several seeds, and prints a line when the first, or another but the last, is done.

    Args:
        listener: Who listens besides.
        cells: The cells that are left, in the stream's own order of the domains or others.
        folder: Where they go.
        console: Where to.
        metric: As the report's.
        level: As the report's.
    """

    def __init__(
        self,
        listener: Listener,
        cells: Sequence[Cell],
        folder: ResultFolder,
        console: Console,
        metric: str | None,
        level: str,
    ) -> None:
        self._listener, self._folder, self._console = listener, folder, console
        self._metric, self._level = metric, level
        self._left: dict[int, list[str]] = {}
        for cell in cells:
            self._left.setdefault(cell.seed, []).append(cell.id)

    def __call__(self, report: Progress) -> None:
        """Pass a report on; say what is new after a step."""
        self._listener(report)
        if report.phase != "done":
            return
        # Seeds are trained one after another, so the first that is left is the next to be done.
        while self._left and self._is_done(seed := next(iter(self._left))):
            del self._left[seed]
            # Of the last one the report follows at once.
            if self._left:
                self._tell(seed)

    def _is_done(self, seed: int) -> bool:
        """Whether every cell of a seed is done or failed; what is once need not be looked for again."""
        ids = self._left[seed]
        while ids and (self._folder.is_done(ids[-1]) or self._folder.failure(ids[-1]).exists()):
            ids.pop()
        return not ids

    def _tell(self, seed: int) -> None:
        from fretal_bench.benchmark.runner.results import load_results
        from fretal_bench.reporting.cells import list_cells

        of = list_cells(load_results(self._folder.path), self._metric, self._level)
        text = sentence([row for row in of.rows if row.seed == seed and row.order == 0], seed)
        if text:
            print_line(text, self._console)


def sentence(rows: Sequence[CellRow], seed: int) -> str:
    """Say which strategies forgot least in one seed, by -BWT; nothing where none has a value.

    One seed decides nothing: the report's intervals do, when all are done.
    """
    known = sorted((row for row in rows if not math.isnan(row.forgetting)), key=lambda row: row.forgetting)
    if not known:
        return ""
    named = ", ".join(
        f"{escaped(row.label)} {row.forgetting:.3f} (learned {row.learning:.3f})" for row in known[:_NAMED]
    )
    more = f", then {number_of(len(known) - _NAMED, 'other', 'others')}" if len(known) > _NAMED else ""
    return f"seed {seed} is done; forgetting: {named}{more}; untested, more seeds follow"
