"""The connection to Ray: a running cluster or one on this machine, its words kept off the screen, and what it can run."""

from __future__ import annotations

import contextlib
import importlib
import logging
import math
import os
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from fretal_bench.errors import BenchError, first_line
from fretal_bench.workers import default_jobs

LOCAL: Final = "local"
"""The address that starts a cluster on this machine, for as long as the run takes."""
_AUTO: Final = "auto"
_REMEDY: Final = (
    "start Ray on this machine (`ray start --head`, or `ray start --address=HEAD:PORT` to join a cluster), or give "
    f"--ray {LOCAL}"
)
_SECONDS: Final = 5.0
_PATIENCE: Final = {
    "RAY_NUM_REDIS_GET_RETRIES": "2",
    "RAY_py_gcs_connect_timeout_s": "5",
    "RAY_gcs_rpc_server_connect_timeout_s": "3",
}
"""How long Ray tries an address at which something else answers: 24 seconds in place of a quarter of an hour."""


@dataclass(frozen=True)
class Cluster:
    """The cluster that computes a run.

    Attributes:
        address: ``auto`` (a cluster that this machine is part of, or ``$RAY_ADDRESS``), ``HOST:PORT``, or ``local``.
        jobs: Steps at once, at most; as many as the machines have room for if it is None.
        gpus_per_step: Share of a GPU that a step takes, where the recipe trains on CUDA.
    """

    address: str
    jobs: int | None = None
    gpus_per_step: float = 1.0

    def __post_init__(self) -> None:
        """Check the share; ``BenchError`` if it is none."""
        if not 0 < self.gpus_per_step <= 1:
            raise BenchError(
                f"--gpus-per-step: expected a number above 0 and at most 1, found {self.gpus_per_step:g}"
            )


def asked_for(address: str | None, jobs: int | None, gpus_per_step: float) -> Cluster | None:
    """Return the cluster that a call asks for; None if it asks for none.

    Raises:
        BenchError: Nothing answers there, Ray is not installed, or a share of a GPU is asked for without a cluster.
    """
    if address is not None:
        cluster = Cluster(address, jobs, gpus_per_step)
        check_answers(cluster)
        return cluster
    if gpus_per_step != 1:
        raise BenchError(f"--gpus-per-step is for a cluster; give --ray too, e.g. --ray {LOCAL}")
    return None


@contextlib.contextmanager
def connected(cluster: Cluster) -> Iterator[Any]:
    """Give Ray's module, connected to a cluster; a connection that the caller has already is used and left.

    A local cluster ends with the block. SIGTERM is Ctrl-C inside it, where nobody has another use for it: Slurm sends it,
    and Ray would make it an exit without a word.

    Raises:
        BenchError: Ray is not installed, there is no such cluster, or it is of another version.
    """
    ray = _ray(cluster.address)
    if ray.is_initialized():
        yield ray
        return
    check_answers(cluster)
    with _termination() as taken_back, _hushed(ray):
        try:
            _init(ray, cluster)
            taken_back()
            yield ray
        finally:
            ray.shutdown()


def _ray(address: str) -> Any:
    # Read when it is imported, and when it connects.
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    # Its library writes errors to standard error that are none of a run's: a worker that was lost is begun again.
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    if address != LOCAL:
        for name, value in _PATIENCE.items():
            os.environ.setdefault(name, value)
    try:
        return importlib.import_module("ray")
    except ImportError as error:
        raise BenchError("--ray needs Ray: pip install 'fretal-bench[ray]'") from error


def _init(ray: Any, cluster: Cluster) -> None:
    address = cluster.address
    quiet = {"configure_logging": True, "logging_level": logging.CRITICAL, "log_to_driver": False}
    try:
        with _no_standard_error():
            if address == LOCAL:
                processors = cluster.jobs or default_jobs("cpu")
                ray.init(address=LOCAL, num_cpus=processors, include_dashboard=False, **quiet)
            else:
                ray.init(address=address, **quiet)
    except SystemExit as error:
        # Of the handler that Ray sets for SIGTERM.
        raise KeyboardInterrupt from error
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        raise BenchError(f"--ray {address}: {_reason(error)}; {_REMEDY}") from error


def _reason(error: BaseException) -> str:
    """Say why Ray did not connect, in one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if any("mismatch" in line for line in lines):
        # The versions are on the lines after the first.
        return " ".join(lines)
    return first_line(error).rstrip(".")


def check_answers(cluster: Cluster) -> None:
    """Find out whether something answers at a cluster's address: Ray itself would go on trying for minutes.

    Raises:
        BenchError: Ray is not installed, the address is none, or nothing answers.
    """
    address = cluster.address
    if _ray(address).is_initialized() or address == LOCAL:
        return
    if "://" in address:
        raise BenchError(
            f"--ray {address}: expected auto, {LOCAL} or HOST:PORT of a cluster that this machine is part of; {_REMEDY}"
        )
    try:
        from ray._private.services import canonicalize_bootstrap_address
    except ImportError:
        return
    try:
        place = canonicalize_bootstrap_address(address)
    except (OSError, ValueError) as error:
        raise BenchError(f"--ray {address}: no running cluster ({_reason(error)}); {_REMEDY}") from error
    host, _, port = str(place).rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=_SECONDS):
            pass
    except (OSError, ValueError, OverflowError) as error:
        raise BenchError(
            f"--ray {address}: nothing answers at {place} ({first_line(error)}); {_REMEDY}"
        ) from error


@contextlib.contextmanager
def _no_standard_error() -> Iterator[None]:
    """Drop what is written to standard error by whatever is no Python: Ray's library says there what it tries."""
    sys.stderr.flush()
    with tempfile.TemporaryFile() as sink, contextlib.ExitStack() as stack:
        kept = os.dup(2)
        stack.callback(os.close, kept)
        stack.callback(os.dup2, kept, 2)
        os.dup2(sink.fileno(), 2)
        yield


@contextlib.contextmanager
def _hushed(ray: Any) -> Iterator[None]:
    """Keep Ray's messages about workers and objects off standard output, where ``--json`` goes; no option does."""
    worker = ray._private.worker
    before = getattr(worker, "print_to_stdstream", None)
    worker.print_to_stdstream = lambda *_, **__: None
    try:
        yield
    finally:
        worker.print_to_stdstream = before


@contextlib.contextmanager
def _termination() -> Iterator[Callable[[], None]]:
    """Give what takes SIGTERM back from Ray: to what it was, or to Ctrl-C where nobody had a use for it."""
    if threading.current_thread() is not threading.main_thread():
        # Ray leaves signals alone there, and so must we.
        yield lambda: None
        return
    before = signal.getsignal(signal.SIGTERM)
    # A connection or a node that ended earlier in this process leaves Ray's own handler behind.
    used = callable(before) and getattr(before, "__module__", "").partition(".")[0] != "ray"
    try:
        yield lambda: _handle(before if used else signal.default_int_handler)
    finally:
        _handle(before)


def _handle(handler: Any) -> None:
    signal.signal(signal.SIGTERM, handler)


def gpus(ray: Any) -> int:
    """Return how many GPUs the machines of the cluster have."""
    return int(ray.cluster_resources().get("GPU", 0))


def slots(ray: Any, processors: int, share: float) -> int:
    """Return how many steps the machines of the cluster can take at once.

    Args:
        ray: Ray's module, connected.
        processors: Of a step.
        share: Share of a GPU that a step takes; 0 if none.
    """
    total = 0
    for node in ray.nodes():
        if not node["Alive"]:
            continue
        resources = node["Resources"]
        room = int(resources.get("CPU", 0)) // processors
        if share:
            room = min(room, int(resources.get("GPU", 0)) * math.floor(1 / share + 1e-9))
        total += room
    return total
