"""Preparing units in this process or in several, each with one thread and one detector of its own."""

from __future__ import annotations

import contextlib
import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import cv2

from fretal_bench.datasets.faces.groups import Unit
from fretal_bench.datasets.faces.options import PrepareOptions
from fretal_bench.datasets.faces.unit import prepare_unit
from fretal_bench.workers import begin_worker, stop, worker_was_killed

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
        with _one_thread():
            for unit, stem in jobs:
                prepare_unit(unit, options, root, stem)
                done(unit)
        return
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(processes, mp_context=context, initializer=_begin)
    running: dict[Future[None], Unit] = {}
    left = iter(jobs)
    try:
        while True:
            # Few at a time: of a million units only these are made.
            for unit, stem in left:
                running[pool.submit(prepare_unit, unit, options, root, stem)] = unit
                if len(running) >= 2 * processes:
                    break
            if not running:
                break
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                future.result()
                done(running.pop(future))
        pool.shutdown()
    except BaseException as error:
        stop(pool)
        if isinstance(error, BrokenProcessPool):
            raise worker_was_killed() from error
        raise


def _begin() -> None:
    """Set up a worker process."""
    begin_worker()
    cv2.setNumThreads(1)


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Keep OpenCV from starting a thread a core for small pictures; a worker process does the same."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
