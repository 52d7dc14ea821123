"""How a command is stopped: Ctrl-C and SIGTERM, each answered at once and with one last line that says how to go on."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Final, NoReturn

from fretal_bench.cli.screen import print_problem, typed_command
from fretal_bench.errors import BenchError

STOPPED: Final = 130
TERMINATED: Final = 143


class Stopped(BenchError):
    """Ctrl-C: what is finished is kept."""

    exit_code = STOPPED


class Terminated(BenchError):
    """SIGTERM: what is finished is kept."""

    exit_code = TERMINATED


class Terminating(BaseException):
    """Raised where SIGTERM arrives; no ``except Exception`` of a strategy holds it up."""


def stopped(done: str = "") -> Stopped:
    """Build the last line of a command that Ctrl-C stopped.

    Args:
        done: What is done and kept, e.g. ``12 of 26 steps``; empty where that is not counted.
    """
    return Stopped(f"stopped{_after(done)}; go on with: {typed_command()}")


def terminated(done: str = "") -> Terminated:
    """Build the last line of a command that SIGTERM stopped; argument as ``stopped``."""
    return Terminated(f"stopped by SIGTERM{_after(done)}; go on with: {typed_command()}")


@contextlib.contextmanager
def kept(words: Callable[[], str]) -> Iterator[None]:
    """Let what stops the block say what is kept, e.g. ``12 of 26 steps``."""
    try:
        yield
    except KeyboardInterrupt as error:
        raise stopped(words()) from error
    except Terminating as error:
        raise terminated(words()) from error


@contextlib.contextmanager
def stoppable() -> Iterator[None]:
    """Answer Ctrl-C in the block at once, and let SIGTERM, which Slurm and containers send, end it as Ctrl-C does.

    A second Ctrl-C, or SIGTERM, ends the process where it is: what is written is replaced as a whole or not at all.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> NoReturn:
        signal.signal(signal.SIGINT, _end_now)
        print_problem("stopping; what is finished is kept (Ctrl-C again ends at once)")
        raise KeyboardInterrupt

    def terminate(number: int, frame: FrameType | None) -> NoReturn:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        raise Terminating

    # Whoever calls with handlers of his own, or lets Ctrl-C be ignored as nohup does, keeps them.
    ours = {
        signal.SIGINT: (signal.default_int_handler, interrupt),
        signal.SIGTERM: (signal.SIG_DFL, terminate),
    }
    before = {number: signal.getsignal(number) for number in ours}
    taken = [number for number, (usual, _) in ours.items() if before[number] is usual]
    for number in taken:
        signal.signal(number, ours[number][1])
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, before[number])


def _end_now(number: int, frame: FrameType | None) -> NoReturn:
    os._exit(STOPPED)


def _after(done: str) -> str:
    return f" after {done}; what is done is kept" if done else ""
