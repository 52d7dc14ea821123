"""Worker processes: tasks, reports, errors and deaths; how many work by default."""

import functools
import multiprocessing
import os
import signal
import subprocess
import sys
import threading

import pytest

import worker_tasks
from fretal_bench import workers
from fretal_bench.errors import BenchError, RunError
from fretal_bench.workers import default_jobs, run_tasks


def test_one_process_a_core_that_this_process_may_use(monkeypatch):
    monkeypatch.setattr(workers, "_quota", lambda: float("inf"))
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5, 7}, raising=False)
    assert default_jobs("cpu") == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    assert default_jobs("cpu") == 64


@pytest.mark.parametrize(("quota", "jobs"), [(2.5, 2), (0.5, 1), (100.0, 8)])
def test_a_containers_quota_is_kept(quota, jobs, monkeypatch):
    monkeypatch.setattr(workers, "_quota", lambda: quota)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert default_jobs("cpu") == jobs


def test_one_process_on_a_gpu_however_many_cores_there_are(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    assert default_jobs("cuda") == 1


def _run(processes, tasks, do, **more):
    """Do tasks and return (what was reported or done, in order)."""
    left, events = iter(tasks), []
    run_tasks(
        processes,
        lambda: next(left, None),
        do,
        lambda task, result: events.append((task, "done", result)),
        listener=lambda report: events.append((report[0], "report", report[1])),
        **more,
    )
    return events


@pytest.fixture(autouse=True)
def nothing_is_left():
    """No process and no thread outlives a call."""
    before = threading.active_count()
    yield
    assert not multiprocessing.active_children()
    assert threading.active_count() == before


def test_every_task_is_done_once_and_its_reports_arrive_in_order_before_that():
    events = _run(2, range(1, 8), worker_tasks.square, begin=functools.partial(worker_tasks.begin, "hi"))
    pids = set()
    for task in range(1, 8):
        (*reports, (kind, (square, pid, begun, threads))) = [
            event[1:] for event in events if event[0] == task
        ]
        assert reports == [("report", 0), ("report", 1), ("report", 2)]
        assert (kind, square, begun, threads) == ("done", task**2, ("hi",), "1")
        pids.add(pid)
    assert 1 <= len(pids) <= 2
    assert os.getpid() not in pids


def test_a_listener_is_called_by_the_thread_that_called():
    left, threads = iter([1]), []
    note = lambda *_: threads.append(threading.current_thread())  # noqa: E731
    run_tasks(1, lambda: next(left, None), worker_tasks.square, note, listener=note)
    assert threads == [threading.current_thread()] * 4


@pytest.mark.parametrize(
    ("task", "kind", "message"),
    [("run", RunError, "no more"), ("key", BenchError, "'lr'"), ("other", ZeroDivisionError, "0")],
)
def test_what_a_task_raises_arrives_with_the_workers_traceback(task, kind, message):
    with pytest.raises(kind, match=message) as caught:
        _run(2, [task], worker_tasks.fail)
    assert "worker_tasks.py" in str(caught.value.__cause__)


def test_a_worker_that_cannot_begin_says_why_in_its_own_words():
    tasks = iter([1, 2])
    with pytest.raises(BenchError, match=r"^mine.py: cannot be read; give a Python file$"):
        run_tasks(2, lambda: next(tasks, None), worker_tasks.square, print, begin=worker_tasks.begin_in_vain)


def test_a_worker_killed_in_the_middle_of_a_message_is_said_and_leaves_nothing_that_waits():
    with pytest.raises(RunError, match="killed from outside"):
        _run(2, [1, 2], worker_tasks.die_in_the_middle_of_a_message)


def test_a_worker_that_ends_by_itself_is_not_said_to_be_killed():
    with pytest.raises(RunError, match=r"ended by itself \(exit code 3\)"):
        _run(1, [1], worker_tasks.leave)


def test_an_interrupt_ends_the_workers():
    with pytest.raises(KeyboardInterrupt):
        _run(1, [1], worker_tasks.interrupt_the_parent)


def test_an_interrupt_never_reaches_a_worker():
    ((_, _, blocked),) = _run(1, ["a"], worker_tasks.blocked_signals)
    assert signal.SIGINT in blocked
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])


def test_an_interrupt_while_a_worker_starts_ends_that_worker_too(monkeypatch):
    class Interrupted(workers._Worker):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(workers, "_Worker", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        _run(2, ["a", "b"], worker_tasks.square)


def test_a_worker_whose_parent_is_gone_ends_without_a_word(monkeypatch):
    class Reset:
        def recv(self):
            raise ConnectionResetError

    monkeypatch.setattr(workers, "begin_worker", lambda: None)
    workers._serve(Reset(), os.environ.copy(), print, None)


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="glibc alone gives freed memory back at once"
)
def test_memory_that_is_freed_is_there_for_what_needs_as_much_again():
    code = (
        "import ctypes, resource, sys\n"
        "from fretal_bench.workers import keep_freed_memory\n"
        "if sys.argv[1] == 'kept' and not keep_freed_memory(): sys.exit(77)\n"
        "libc = ctypes.CDLL(None)\n"
        "libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]\n"
        "libc.free.argtypes = [ctypes.c_void_p]\n"
        "def pages():\n"
        "    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "    for _ in range(10):\n"
        "        blocks = [libc.malloc(6 << 20) for _ in range(8)]\n"
        "        for block in blocks: ctypes.memset(block, 1, 6 << 20)\n"
        "        for block in blocks: libc.free(block)\n"
        "    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before\n"
        "pages()\n"
        "print(pages())\n"
    )
    counts = {}
    for way in ("kept", "given back"):
        done = subprocess.run([sys.executable, "-c", code, way], capture_output=True, text=True)
        if done.returncode == 77:
            pytest.skip("this C library has no mallopt")
        counts[way] = int(done.stdout)
    assert counts["kept"] < counts["given back"] / 10


@pytest.mark.skipif(sys.platform != "linux", reason="workers are forked on Linux alone")
def test_what_is_imported_ahead_is_there_when_a_worker_begins_and_its_environment_is_the_callers():
    # In a process of its own: there is one server a process, and here it may be started already.
    script = (
        "import os\nimport worker_tasks\nfrom fretal_bench import workers\n"
        "workers._GPU_DRIVERS = ()\n"
        "print(workers.import_ahead(('colorsys',)))\n"
        "os.environ['FRETAL_BENCH_ASKED'] = 'now'\n"
        "for imports in ((), ('colorsys',)):\n"
        "    tasks = iter(['colorsys'])\n"
        "    show = lambda task, result: print(*result)\n"
        "    workers.run_tasks(1, lambda: next(tasks, None), worker_tasks.surroundings, show, imports=imports)\n"
    )
    path = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    call = [sys.executable, "-c", script]
    done = subprocess.run(call, capture_output=True, text=True, timeout=120, env={**os.environ, **path})
    assert (done.stdout, done.stderr) == ("forkserver\nFalse now 1\nTrue now 1\n", "")


def test_where_there_is_a_driver_of_a_gpu_every_worker_imports_for_itself(monkeypatch, tmp_path):
    monkeypatch.setattr(workers, "_GPU_DRIVERS", (str(tmp_path),))
    assert workers.import_ahead(("colorsys",)) == "spawn"
    assert workers.import_ahead(()) == "spawn"
