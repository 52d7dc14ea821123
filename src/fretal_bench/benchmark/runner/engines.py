"""The engine that a run asks for: this process, several on this machine, or a Ray cluster."""

from __future__ import annotations

from fretal_bench.benchmark.runner.engine import Work, run_processes, run_serial
from fretal_bench.benchmark.runner.progress import Listener
from fretal_bench.benchmark.runner.ray_cluster import Cluster


def run_agenda(agenda: Work, listener: Listener, jobs: int, cluster: Cluster | None) -> None:
    """Compute the tasks of an agenda.

    Args:
        agenda: The agenda.
        listener: Told how it goes.
        jobs: Processes on this machine, where there is no cluster.
        cluster: What computes instead of this machine.

    Raises:
        BenchError: The cluster cannot be used.
        RunError: The disk is full, or a worker process was killed; what is finished is kept.
    """
    jobs = min(jobs, agenda.tasks)
    if cluster is not None and jobs:
        from fretal_bench.benchmark.runner.ray_engine import run_ray

        run_ray(agenda, listener, cluster)
    elif jobs > 1:
        run_processes(agenda, listener, jobs)
    else:
        run_serial(agenda, listener)
