"""What workers do in tests of ``fretal_bench.workers``; importable, as their processes need it."""

from __future__ import annotations

import os
import signal
import struct
import sys

from fretal_bench.errors import BenchError, RunError
from fretal_bench.records import Invalid

_begun: list[str] = []


def begin(word):
    _begun.append(word)


def begin_in_vain():
    raise BenchError("mine.py: cannot be read; give a Python file")


def square(task, report):
    for number in range(3):
        report((task, number))
    return task**2, os.getpid(), tuple(_begun), os.environ["OMP_NUM_THREADS"]


def surroundings(task, report):
    return task in sys.modules, os.environ["FRETAL_BENCH_ASKED"], os.environ["OMP_NUM_THREADS"]


def fail(task, report):
    raise {
        "run": RunError("no more"),
        "key": Invalid("lr", "a number", "x"),
        "other": ZeroDivisionError("0"),
    }[task]


def die_in_the_middle_of_a_message(task, report):
    """Announce a thousand bytes, send four, and be killed."""
    (pipe, _) = report.args
    os.write(pipe.fileno(), struct.pack("!i", 1000) + b"half")
    os.kill(os.getpid(), signal.SIGKILL)


def leave(task, report):
    os._exit(3)


def interrupt_the_parent(task, report):
    os.kill(os.getppid(), signal.SIGINT)
    signal.pause()


def blocked_signals(task, report):
    return signal.pthread_sigmask(signal.SIG_BLOCK, [])
