"""Watching a run: bars in a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from fretal_bench.benchmark.recipes.progress import Progress as Report


class Live:
    """Shows which cell trains which domain, epoch, loss, images a second, and the time left.

    Use it as a context and as the listener of ``execute``.

    Args:
        console: Where to write; bars if it is a terminal, else a line whenever a domain or a step is finished.
        total: Steps to be trained.
    """

    def __init__(self, console: Console, total: int) -> None:
        self.console, self.total, self.done = console, total, 0
        self.begun = time.monotonic()
        self.tasks: dict[str, TaskID] = {}
        self.shares: dict[str, float] = {}
        self.bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[detail]}"),
            console=console,
            transient=True,
        )
        self.overall = self.bars.add_task("all steps", total=max(1, total), detail="")

    def __enter__(self) -> Live:
        if self.console.is_terminal:
            self.bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.console.is_terminal:
            self.bars.stop()

    def __call__(self, report: Report) -> None:
        """Take in what a worker reports."""
        if report.phase == "done":
            self.done += 1
            self.shares.pop(report.work, None)
            if (task := self.tasks.pop(report.work, None)) is not None:
                self.bars.remove_task(task)
        else:
            self.shares[report.work] = report.share
        left = self._left()
        if not self.console.is_terminal:
            if report.phase == "done":
                self.console.print(
                    f"[{self.done}/{self.total}] {report.label}: step done{left}",
                    highlight=False,
                    soft_wrap=True,
                )
            elif report.share >= 1:
                self.console.print(_line(report), highlight=False, soft_wrap=True)
            return
        self.bars.update(
            self.overall,
            completed=self.done + sum(self.shares.values()),
            detail=f"{self.done}/{self.total} steps{left}",
        )
        if report.phase != "done":
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
    return (
        f"{report.label}: trained on {report.domain} ({report.step + 1} of {report.steps}), {report.epochs} epochs, "
        f"last loss {report.loss:.3f}, {report.images_per_second:.0f} images/s"
    )


@contextlib.contextmanager
def building(console: Console) -> Iterator[Callable[[int, int], None]]:
    """Give what to call with (done, total) while a data set is made on first use; a bar appears at the first call."""
    bar = Progress(
        TextColumn("making FF++-mini (first use only)"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("people"),
        TimeElapsedColumn(),
        console=console,
    )
    task: list[TaskID] = []

    def tell(done: int, total: int) -> None:
        if not task:
            task.append(bar.add_task("", total=total))
            bar.start()
        bar.update(task[0], completed=done, total=total)

    try:
        yield tell
    finally:
        if task:
            bar.stop()
