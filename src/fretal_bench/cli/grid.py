"""The grid of cells by domains that is drawn while a run trains: what is done, under way, and waiting."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Final

from rich.table import Table
from rich.text import Text

from fretal_bench.benchmark.runner.progress import Progress
from fretal_bench.names import escaped

if TYPE_CHECKING:
    from fretal_bench.benchmark.runner.plan import Cell

DONE, WAITING = "done", "·"
_LEAST: Final = 3
"""Rows that are drawn however low the terminal is."""


class Grid:
    """Which cell has learned which domain.

    Args:
        cells: The cells that are left, in the order in which they are begun.
        waiting: Ids of the steps that are to be trained; the others of these cells are done.
    """

    def __init__(self, cells: Sequence[Cell], waiting: Collection[str]) -> None:
        self._rows = [
            (cell.label, {step.domain: step.id for step in cell.path if step.kind == "trained"})
            for cell in cells
        ]
        self.domains = list(dict.fromkeys(name for _, steps in self._rows for name in steps))
        self._waiting = set(waiting)
        self._shares: dict[str, float] = {}

    def take(self, report: Progress) -> None:
        """Take in what a worker reports."""
        if report.phase == "done":
            self._waiting.discard(report.work)
            self._shares.pop(report.work, None)
        elif report.work in self._waiting:
            self._shares[report.work] = report.share

    def state(self, id: str) -> str:
        """Say how far a step is: done, its share in percent, or waiting."""
        if id in self._shares:
            return f"{self._shares[id]:.0%}"
        return WAITING if id in self._waiting else DONE

    def drawn(self, rows: int) -> Table:
        """Draw as many cells as fit: those under way first, then those that come next; the others are counted."""
        states = [
            (label, {name: self.state(id) for name, id in steps.items()}) for label, steps in self._rows
        ]
        left = [row for row in states if set(row[1].values()) != {DONE}]
        # A sort keeps the order of what it does not tell apart.
        left.sort(key=lambda row: not any(text.endswith("%") for text in row[1].values()))
        shown = left[: max(_LEAST, rows)]
        table = Table(box=None, pad_edge=False, header_style="dim")
        for title in ("", *self.domains):
            table.add_column(Text(escaped(title)), no_wrap=True, max_width=None if title else 40)
        for label, of in shown:
            table.add_row(Text(escaped(label)), *(_text(of.get(name, "")) for name in self.domains))
        others = [f"{len(states) - len(left)} cells done", f"{len(left) - len(shown)} more waiting"]
        table.add_row(Text(", ".join(text for text in others if not text.startswith("0")), style="dim"))
        return table


def _text(state: str) -> Text:
    return Text(state, style="green" if state == DONE else "bold" if state.endswith("%") else "dim")
