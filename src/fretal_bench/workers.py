"""Worker processes: tasks done in several of them, and how many there are if nobody says."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import math
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

from fretal_bench.errors import BenchError, RunError

Task = Any
"""What a worker does: plain data, or an object that can be pickled."""
Result = TypeVar("Result")
Report = Callable[[Any], None]
"""What a task calls to tell the parent something while it is at work."""

Start = Literal["spawn", "forkserver"]
"""How a worker is started: as a new process that imports what it needs, or forked from one that has."""

_GPU_DRIVERS: Final = ("/proc/driver/nvidia", "/dev/kfd")
"""Where NVIDIA's and AMD's drivers are seen on Linux."""

_JOIN_SECONDS: Final = 10
THREADS: Final = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
"""The variables that say how many threads numerical libraries start; they read them when they are imported."""

_KEPT: Final = {-1: 1 << 30, -2: 64 << 20, -3: 32 << 20}
"""mallopt's M_TRIM_THRESHOLD, M_TOP_PAD and M_MMAP_THRESHOLD (32 MiB is its largest), in bytes."""


def run_tasks(
    processes: int,
    take: Callable[[], Task | None],
    do: Callable[[Task, Report], Result],
    done: Callable[[Task, Result], None],
    *,
    listener: Report = lambda _: None,
    begin: Callable[[], None] | None = None,
    imports: Sequence[str] = (),
) -> None:
    """Do tasks in worker processes, each of which stays for many tasks and has one thread for numerical libraries.

    ``take``, ``done`` and ``listener`` are called in this process, by the thread that called ``run_tasks``. What a task
    reports arrives in order, and before its ``done``.

    Args:
        processes: Workers at most; one is started when a task has no idle worker.
        take: Gives the next task, or None if none can begin now; asked again whenever a task is done.
        do: Does a task in a worker: (task, report) -> result. An importable function, or a ``partial`` of one.
        done: Called with each task that is done and its result.
        listener: Called with whatever a task reports.
        begin: Called once in every worker before its first task; importable as ``do``.
        imports: Modules that tasks need, imported once for all workers where that can be (``import_ahead``).

    Raises:
        RunError: A worker was killed from outside, e.g. for want of memory, or ended by itself.
        Exception: What ``do`` raised. In every case, and on Ctrl-C, the workers are ended first.
    """
    start = import_ahead(imports)
    idle: list[_Worker] = []
    busy: dict[Connection, tuple[_Worker, Task]] = {}
    try:
        while True:
            while len(busy) < processes and (task := take()) is not None:
                with _uninterrupted():
                    worker = idle.pop() if idle else _Worker(start, do, begin)
                    busy[worker.pipe] = worker, task
                worker.give(task)
            if not busy:
                break
            for pipe in wait(list(busy)):
                assert isinstance(pipe, Connection)
                worker, task = busy[pipe]
                kind, value = worker.receive()
                if kind == "report":
                    listener(value)
                elif kind == "error":
                    raise value[0] from value[1]
                else:
                    del busy[pipe]
                    idle.append(worker)
                    done(task, value)
    except BaseException:
        # What they were at begins anew when the call is repeated.
        for worker in [*idle, *(worker for worker, _ in busy.values())]:
            worker.process.terminate()
        raise
    finally:
        for worker in [*idle, *(worker for worker, _ in busy.values())]:
            worker.end()


def import_ahead(modules: Sequence[str]) -> Start:
    """Let a process import modules from which workers are then forked: once for all of them, and before the first task.

    It returns at once; who calls it early has them imported meanwhile. There is one such process, with the modules that
    were named first; workers that need others import these themselves. What it imports must start no threads: they don't
    outlive a fork. Nor does what a driver of a GPU begins, so where there is one every worker imports for itself.

    Args:
        modules: What to import; nothing where every worker is to import for itself.

    Returns:
        How workers are to be started: ``spawn`` where nothing is imported ahead, and where forking is not safe.
    """
    if not modules or not sys.platform.startswith("linux") or any(map(os.path.exists, _GPU_DRIVERS)):
        return "spawn"
    multiprocessing.get_context("forkserver").set_forkserver_preload(list(modules))
    with _uninterrupted(), _one_thread_each():
        forkserver.ensure_running()
    return "forkserver"


class _Worker:
    """A process with a pipe of its own: one that is killed leaves no lock behind that others wait for."""

    def __init__(
        self, start: Start, do: Callable[[Any, Report], Any], begin: Callable[[], None] | None
    ) -> None:
        context: Any = multiprocessing.get_context(start)
        self.pipe, theirs = context.Pipe()
        with _one_thread_each():
            self.process = context.Process(target=_serve, args=(theirs, dict(os.environ), do, begin))
            self.process.start()
        # Else the pipe would never end here when the process does.
        theirs.close()
        self._forked = _handle(self.process.pid) if start == "forkserver" else None

    def give(self, task: Any) -> None:
        """Send a task."""
        try:
            self.pipe.send(task)
        except OSError as error:
            raise self._ended() from error

    def receive(self) -> tuple[Literal["report", "error", "done"], Any]:
        """Return the next thing that the process says; waits for it."""
        try:
            message: tuple[Literal["report", "error", "done"], Any] = self.pipe.recv()
        except (EOFError, OSError, pickle.UnpicklingError) as error:
            raise self._ended() from error
        return message

    def end(self) -> None:
        """Let an idle process end, and make sure that any has."""
        self.pipe.close()
        for stop in (self.process.terminate, self.process.kill):
            self.process.join(_JOIN_SECONDS)
            if self.process.exitcode is None:
                stop()
        self.process.join(_JOIN_SECONDS)
        if self._forked is not None:
            # Where the server that it was forked from is killed with it, nobody says when it has ended.
            wait([self._forked], _JOIN_SECONDS)
            os.close(self._forked)
            self._forked = None

    def _ended(self) -> RunError:
        self.process.join(_JOIN_SECONDS)
        if self.process.exitcode is not None and self.process.exitcode > 0:
            return RunError(
                f"a worker process ended by itself (exit code {self.process.exitcode}); if this call is in a Python "
                'script, put it below `if __name__ == "__main__":`, or use one process'
            )
        return worker_was_killed()


def _handle(pid: int) -> int | None:
    """Return a descriptor that is ready to be read when a process has ended; None where there are none."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        # An old kernel, or it has ended already.
        return None


class _WorkerTraceback(Exception):
    """The traceback of an error in a worker, as text."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"


def _serve(
    pipe: Connection,
    environment: Mapping[str, str],
    do: Callable[[Any, Report], Any],
    begin: Callable[[], None] | None,
) -> None:
    """Do tasks until the pipe ends; what runs in a worker."""
    begin_worker()
    # The server that it was forked from may have been started under another one.
    os.environ.clear()
    os.environ.update(environment)
    report = functools.partial(_send, pipe, "report")
    # The parent is gone: with what it has not read, the pipe is reset.
    with contextlib.suppress(EOFError, ConnectionError):
        if begin is not None:
            try:
                begin()
            except Exception as error:
                _send_error(pipe, error)
                # Until the parent has read it.
                while True:
                    pipe.recv()
        while True:
            task = pipe.recv()
            try:
                result = do(task, report)
            except Exception as error:
                _send_error(pipe, error)
            else:
                _send(pipe, "done", result)


def _send_error(pipe: Connection, error: Exception) -> None:
    """Send the error that is being handled."""
    _send(pipe, "error", (_portable(error), _WorkerTraceback(traceback.format_exc())))


def _send(pipe: Connection, kind: str, value: Any) -> None:
    pipe.send((kind, value))


def _portable(error: Exception) -> Exception:
    """Return an error that can be sent to another process: the same, or one that says the same."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        if isinstance(error, BenchError):
            return (RunError if error.exit_code == RunError.exit_code else BenchError)(str(error))
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


@contextlib.contextmanager
def _one_thread_each() -> Iterator[None]:
    """Keep the numerical libraries of new processes from starting a thread per core each."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Put Ctrl-C and SIGTERM off to the block's end, and Ctrl-C for good from processes that are started in the block.

    Else a worker that is still starting would print a traceback, and one that this process does not know of yet would
    be waited for without end.
    """
    if threading.current_thread() is not threading.main_thread():
        # Ctrl-C interrupts the main thread alone.
        yield
        return
    # Started by the first process otherwise, it would let the signal through again.
    resource_tracker.ensure_running()
    signals: list[int] = []
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    # Another thread may still take the signal in. SIGTERM is not masked: it is what ends the processes.
    handlers = {
        number: signal.signal(number, lambda number, _: signals.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        # One that waits behind the mask goes to the recorder.
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if signals:
            signal.raise_signal(signals[0])


def begin_worker() -> None:
    """Set up a worker process: to be called first in it.

    Ctrl-C reaches the whole group; the parent ends the workers, so that each doesn't print a traceback of its own. A
    worker ends as soon as its parent is gone, so that it does not work on unseen.
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


@functools.cache
def keep_freed_memory() -> bool:
    """Let this process keep memory that it frees, so that what needs as much again finds it there.

    A training step takes and frees the same megabytes again and again. glibc gives large blocks back to the system at
    once, which then hands them out page by page: on FF++-mini a fifth of the time of an update.

    Returns:
        Whether the C library can do so; where it cannot, nothing changes.
    """
    if not sys.platform.startswith("linux"):
        return False
    setting = getattr(ctypes.CDLL(None), "mallopt", None)
    return setting is not None and all(setting(key, value) == 1 for key, value in _KEPT.items())


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
