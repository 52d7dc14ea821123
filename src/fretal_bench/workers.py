"""What pools of worker processes share: how a worker begins, how a pool is stopped, what is said when one is killed."""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.connection import wait
from pathlib import Path

from fretal_bench.errors import RunError


def begin_worker() -> None:
    """Set up a worker process: to be called first in it.

    Ctrl-C reaches the whole group; the parent ends the workers, so that each doesn't print a traceback of its own. A
    worker ends as soon as its parent is gone, lest it work on unseen.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    sentinel = parent.sentinel

    def watch() -> None:
        wait([sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def stop(pool: ProcessPoolExecutor) -> None:
    """End the workers at once; what they were at begins anew when the run is started again."""
    workers = list((pool._processes or {}).values())
    pool.shutdown(wait=False, cancel_futures=True)
    for worker in workers:
        worker.terminate()
    for worker in workers:
        worker.join(5)


def worker_was_killed() -> RunError:
    """Build the error to raise when a worker was killed from outside."""
    return RunError(
        "a worker process was killed from outside (out of memory?); run the same command again to go on where it "
        "stopped, with fewer --jobs if memory is short"
    )


def default_jobs(device: str = "cpu") -> int:
    """Return how many processes work at once if nobody says: one on CUDA, else one a core this process may use.

    Processes on CUDA share one GPU, and each would hold the data again. A core may be used if the process's affinity
    (``taskset``, Slurm) has it and the container's quota (cgroup) covers it.
    """
    if device == "cuda":
        return 1
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity is not None else os.cpu_count() or 1
    return max(1, int(min(cores, _quota())))


def _quota() -> float:
    """Return the cores that the container may keep busy; infinity where nothing says."""
    for path, period_path in (
        ("/sys/fs/cgroup/cpu.max", None),
        ("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "/sys/fs/cgroup/cpu/cpu.cfs_period_us"),
    ):
        with contextlib.suppress(OSError, ValueError):
            words = Path(path).read_text("utf-8").split()
            words += Path(period_path).read_text("utf-8").split() if period_path else []
            quota, period = float(words[0]), float(words[1])
            return quota / period if quota > 0 else math.inf
    return math.inf
