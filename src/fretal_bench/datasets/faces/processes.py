"""Preparation of units in this process or in several, each with one thread and one detector of its own."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import cv2

from fretal_bench.datasets.faces.groups import Unit
from fretal_bench.datasets.faces.options import PrepareOptions
from fretal_bench.datasets.faces.unit import prepare_unit
from fretal_bench.datasets.media.noise import keep_off, kept_off
from fretal_bench.workers import Report, run_tasks

Job = tuple[Unit, Path]
"""A unit, and the path of its part without extension."""


def run_units(
    jobs: Iterable[Job], options: PrepareOptions, root: Path, processes: int, done: Callable[[Unit], None]
) -> None:
    """Prepare units; what each gives doesn't depend on the number of processes.

    Args:
        jobs: Units, made as they are needed.
        options: With compression and detector decided.
        root: The data set's root.
        processes: 1 works in this process, without starting another.
        done: Called with each unit that is finished.

    Raises:
        RunError: A process was killed from outside, or a unit stopped the run.
    """
    if processes == 1:
        with _one_thread(), kept_off():
            for unit, stem in jobs:
                prepare_unit(unit, options, root, stem)
                done(unit)
        return
    left = iter(jobs)
    run_tasks(
        processes,
        lambda: next(left, None),
        functools.partial(_prepare, options, root),
        lambda job, _: done(job[0]),
        begin=_begin,
    )


def _prepare(options: PrepareOptions, root: Path, job: Job, report: Report) -> None:
    """Prepare a unit in a worker process."""
    unit, stem = job
    prepare_unit(unit, options, root, stem)


def _begin() -> None:
    """Make a worker ready: one thread, and C libraries kept off standard error for as long as it lives."""
    cv2.setNumThreads(1)
    keep_off()


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Keep OpenCV from starting a thread a core for small pictures; a worker process does the same."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
