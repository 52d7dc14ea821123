"""Preparing units in this process or in several, each with one thread and one detector of its own."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait as wait_for
from pathlib import Path

import cv2

from fretal_bench.datasets.faces.groups import Unit
from fretal_bench.datasets.faces.options import PrepareOptions
from fretal_bench.datasets.faces.unit import prepare_unit
from fretal_bench.errors import RunError

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
        _stop(pool)
        if isinstance(error, BrokenProcessPool):
            raise RunError(
                "a worker process was killed from outside (out of memory?); run the same command again to go on where "
                "it stopped, with fewer --jobs if memory is short"
            ) from error
        raise


def _begin() -> None:
    """Set up a worker process."""
    # Ctrl-C reaches the whole group; the parent ends the workers, so that each doesn't print a traceback of its own.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)
    _exit_with_parent()


def _exit_with_parent() -> None:
    """End this worker as soon as its parent is gone, lest it work on unseen."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    sentinel = parent.sentinel

    def watch() -> None:
        wait_for([sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _stop(pool: ProcessPoolExecutor) -> None:
    """End the workers at once; their units begin anew when the run is started again."""
    workers = list((pool._processes or {}).values())
    pool.shutdown(wait=False, cancel_futures=True)
    for worker in workers:
        worker.terminate()
    for worker in workers:
        worker.join(5)


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Keep OpenCV from starting a thread a core for small pictures; a worker process does the same."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
