"""The display of training: bars in a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live as RichLive
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from fretal_bench.benchmark.runner.progress import Listener
from fretal_bench.benchmark.runner.progress import Progress as Report
from fretal_bench.cli.grid import Grid
from fretal_bench.cli.screen import number_of, print_line
from fretal_bench.cli.stopping import kept

_AROUND = 5
"""Lines of a terminal that are no cell's: the head of the grid, its count, the bar of all steps, the prompt."""


@contextlib.contextmanager
def training(
    console: Console, steps: int, folder: Path, again: int = 0, grid: Grid | None = None
) -> Iterator[Listener]:
    """Say what is to be trained and show it; gives the listener, which hears nothing where nothing is left to train.

    Args:
        console: Where to write.
        steps: Steps to be trained.
        folder: The result folder.
        again: Those of them that are trained already, and are trained again for their course.
        grid: What is drawn above the bars.
    """
    if not steps:
        print_line(f"all done already in {folder}: nothing to train", console)
        yield lambda _: None
        return
    courses = f" ({again} of them again, for their course)" if again else ""
    live = Live(console, steps, grid)
    with kept(lambda: f"{live.done} of {number_of(steps, 'step', 'steps')}"):
        print_line(f"{number_of(steps, 'step', 'steps')} to train into {folder}{courses}", console)
        with live:
            yield live


class Live:
    """Shows which cell trains which domain, epoch, loss, images a second, and the time left.

    Use it as a context and as the listener of ``execute``. Any thread may call it, and messages of one step may come in
    any order: what is reported of a step after its end is ignored.

    Args:
        console: Where to write; bars if it is a terminal, else a line whenever a domain or a step is finished.
        total: Steps to be trained.
        grid: What is drawn above the bars.
    """

    def __init__(self, console: Console, total: int, grid: Grid | None = None) -> None:
        self.console, self.total, self.done, self.grid = console, total, 0, grid
        self.begun = time.monotonic()
        self.tasks: dict[str, TaskID] = {}
        self.shares: dict[str, float] = {}
        self._lock = threading.Lock()
        # By work: the last step that was heard of, and the last one that is finished.
        self._heard: dict[str, int] = {}
        self._finished: dict[str, int] = {}
        self.bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[detail]}", markup=False),
            console=console,
            transient=True,
        )
        self.overall = self.bars.add_task("all steps", total=max(1, total), detail="")
        self._screen = RichLive(console=console, transient=True, get_renderable=self._renderable)

    def __enter__(self) -> Live:
        if self.console.is_terminal:
            self._screen.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.console.is_terminal:
            self._screen.stop()

    def __call__(self, report: Report) -> None:
        """Take in what a worker reports."""
        with self._lock:
            if self.grid is not None:
                self.grid.take(report)
            if report.phase == "done":
                self._end(report)
            elif report.step <= self._finished.get(report.work, -1):
                return
            else:
                self._heard[report.work] = max(report.step, self._heard.get(report.work, 0))
                self.shares[report.work] = report.share
            if self.console.is_terminal:
                self._draw(report)
            else:
                self._print(report)

    def refresh(self) -> None:
        """Draw it now."""
        self._screen.refresh()

    def _renderable(self) -> RenderableType:
        if self.grid is None:
            return self.bars
        with self._lock:
            return Group(self.grid.drawn(self.console.height - len(self.tasks) - _AROUND), self.bars)

    def _end(self, report: Report) -> None:
        self.done += 1
        self._finished[report.work] = max(report.step, self._heard.get(report.work, 0))
        self.shares.pop(report.work, None)
        if (task := self.tasks.pop(report.work, None)) is not None:
            self.bars.remove_task(task)

    def _print(self, report: Report) -> None:
        if report.phase == "done":
            print_line(f"[{self.done}/{self.total}] {report.label}: step done{self._left()}", self.console)
        elif report.share >= 1:
            print_line(_line(report), self.console)

    def _draw(self, report: Report) -> None:
        self.bars.update(
            self.overall,
            completed=self.done + sum(self.shares.values()),
            detail=f"{self.done}/{self.total} steps{self._left()}",
        )
        if report.phase == "done":
            return
        if report.work not in self.tasks:
            self.tasks[report.work] = self.bars.add_task(report.label, total=1.0, detail="")
        self.bars.update(
            self.tasks[report.work],
            description=report.label,
            completed=report.share,
            detail=_detail(report),
        )

    def _left(self) -> str:
        progress = self.done + sum(self.shares.values())
        if progress < 0.3 or progress >= self.total:
            return ""
        seconds = (time.monotonic() - self.begun) * (self.total - progress) / progress
        return f", about {int(seconds // 60)}:{int(seconds % 60):02d} left"


def _detail(report: Report) -> str:
    return (
        f"{report.domain} ({report.step + 1}/{report.steps})  epoch {report.epoch}/{report.epochs}  "
        f"loss {report.loss:.3f}  {report.images_per_second:.0f} images/s"
    )


def _line(report: Report) -> str:
    epochs = "1 epoch" if report.epochs == 1 else f"{report.epochs} epochs"
    return (
        f"{report.label}: trained on {report.domain} ({report.step + 1} of {report.steps}), {epochs}, "
        f"last loss {report.loss:.3f}, {report.images_per_second:.0f} images/s"
    )
