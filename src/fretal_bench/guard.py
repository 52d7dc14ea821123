"""Code of others run under guard: in bounded time, its exits and interrupts its own, its prints off standard output."""

from __future__ import annotations

import contextlib
import faulthandler
import math
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, Final, NoReturn

from fretal_bench.errors import BenchError

SECONDS: Final = 30.0
"""How long importing a plugin may compute, or wait without computing, if nobody says otherwise."""
VARIABLE: Final = "FRETAL_BENCH_PLUGIN_SECONDS"
"""The environment variable that says otherwise."""
_LOADED: Final = 10
"""So many times as long it may take on a machine that has other work."""
_IDLE: Final = 0.01
"""Share of a core below which the process is waiting."""
_LOOKS: Final = 10
"""How often is looked within ``SECONDS``."""
_AGAIN: Final = 1.0
"""Seconds after which code that holds the first interruption up is interrupted again."""
_GRACE: Final = 5.0
"""Seconds after which code that can't be interrupted ends the process."""


class Ended(Exception):
    """Code of others that ended, or was ended, in another way than by an ordinary error; its text says how."""


class _TooLong(BaseException):
    """Raised inside code that takes too long; no ``except Exception`` holds it up."""


class _Clock:
    """What code of others has taken: processor time, and time in all, since it was begun."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.fault = f"importing takes longer than {seconds:g} seconds ({VARIABLE} allows more)"
        self._looks: deque[tuple[float, float]] = deque(maxlen=_LOOKS + 1)
        self._begun = self.look()

    def look(self) -> tuple[float, float]:
        """Note the time; to be called ``_LOOKS`` times within ``seconds``."""
        now = time.monotonic(), time.process_time()
        self._looks.append(now)
        return now

    def is_over(self) -> bool:
        """Whether it has computed, or waited without computing, for too long; the time is noted."""
        wall, processor = self.look()
        if processor - self._begun[1] > self.seconds or wall - self._begun[0] > _LOADED * self.seconds:
            return True
        before, computed = self._looks[0]
        return wall - before > 0.9 * self.seconds and processor - computed < _IDLE * self.seconds


def seconds_allowed() -> float:
    """Return how long importing a plugin may take.

    Raises:
        BenchError: The environment variable holds no number of seconds.
    """
    text = os.environ.get(VARIABLE, "").strip()
    if not text:
        return SECONDS
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= 86_400:
        raise BenchError(f"{VARIABLE}: expected seconds above 0, at most 86400, found {text!r}; correct it")
    return seconds


@contextlib.contextmanager
def interrupts() -> Iterator[Callable[[], bool]]:
    """Give what tells, inside the block, whether the user has pressed Ctrl-C: code of others may raise the same error.

    Where that can't be known (not in the main thread), every ``KeyboardInterrupt`` is taken for the user's.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: True
        return
    before = signal.getsignal(signal.SIGINT)
    if not callable(before):
        # Ignored, as in worker processes.
        yield lambda: False
        return
    pressed: list[int] = []

    def record(number: int, frame: FrameType | None) -> Any:
        pressed.append(number)
        return before(number, frame)

    signal.signal(signal.SIGINT, record)
    try:
        yield lambda: bool(pressed)
    finally:
        signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def guarded() -> Iterator[None]:
    """Run code of others: only the user stops the suite.

    Raises:
        Ended: It raised ``SystemExit``, ``KeyboardInterrupt`` or ``GeneratorExit``.
        KeyboardInterrupt: The user has pressed Ctrl-C.
        Exception: Whatever it raised.
    """
    with interrupts() as pressed:
        try:
            yield
        except (SystemExit, KeyboardInterrupt, GeneratorExit, _TooLong) as error:
            if isinstance(error, KeyboardInterrupt) and pressed():
                raise
            raise Ended(error.args[0] if isinstance(error, _TooLong) else named(error)) from error


@contextlib.contextmanager
def bounded(who: str) -> Iterator[None]:
    """Import code of others: ``guarded``, in bounded time, with nothing on standard output even of child processes.

    Code in Python is interrupted. Code that can't be, or doesn't let itself be, ends the process with exit code 2 and
    one line; code in C that never lets go of the interpreter ends it with the place where it stood.

    Args:
        who: What is imported, for the line that ends the process.

    Raises:
        Ended: As ``guarded``, and when it takes longer than ``seconds_allowed``.
    """
    clock = _Clock(seconds_allowed())
    line = f"bench: {who}: {clock.fault}; fix it\n"
    with (
        _descriptor_off_stdout(),
        off_stdout(),
        guarded(),
        _ending(clock.seconds, line),
        _interrupting(clock),
    ):
        yield


def off_stdout() -> contextlib.AbstractContextManager[Any]:
    """Let what is printed inside the block go to standard error: standard output is for what a program reads."""
    return contextlib.redirect_stdout(sys.stderr)


def named(error: BaseException) -> str:
    """Return the kind of an error and the first line of its text."""
    line = (str(error).splitlines() or [""])[0]
    return f"{type(error).__name__}: {line}"


@contextlib.contextmanager
def _interrupting(clock: _Clock) -> Iterator[None]:
    """Raise ``_TooLong`` inside the block when the time is over, and again until it lets it through."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return
    begun, active, raised = time.monotonic(), True, -math.inf

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal raised
        if active and clock.is_over() and time.monotonic() - raised > _AGAIN:
            raised = time.monotonic()
            raise _TooLong(clock.fault)

    handler = signal.signal(signal.SIGALRM, interrupt)
    left, interval = signal.setitimer(signal.ITIMER_REAL, *[clock.seconds / _LOOKS] * 2)
    try:
        yield
    finally:
        active = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        if left:
            # Somebody else's alarm goes off when it would have.
            signal.setitimer(signal.ITIMER_REAL, max(left - (time.monotonic() - begun), 1e-3), interval)


@contextlib.contextmanager
def _ending(seconds: float, line: str) -> Iterator[None]:
    """End the process if the block runs on although its time is over: with one line, or where it stands in C."""
    done, clock = threading.Event(), _Clock(seconds)
    stderr = _stderr_descriptor()

    def watch() -> None:
        over = math.inf
        while not done.wait(seconds / _LOOKS):
            _expect_a_look(seconds, stderr)
            if clock.is_over():
                over = min(over, time.monotonic())
            if time.monotonic() - over > _GRACE:
                _end(line)

    _expect_a_look(seconds, stderr)
    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        # Else it might expect another look.
        watcher.join()
        if stderr is not None:
            faulthandler.cancel_dump_traceback_later()


def _expect_a_look(seconds: float, stderr: int | None) -> None:
    """End the process if no other thread gets a turn for long: code in C that never lets go of the interpreter."""
    if stderr is not None:
        faulthandler.dump_traceback_later(4 * seconds + _GRACE, exit=True, file=stderr)


def _end(line: str) -> NoReturn:
    with contextlib.suppress(OSError):
        os.write(2, line.encode("utf-8", "backslashreplace"))
    os._exit(BenchError.exit_code)


def _stderr_descriptor() -> int | None:
    with contextlib.suppress(OSError):
        os.fstat(2)
        return 2
    return None


@contextlib.contextmanager
def _descriptor_off_stdout() -> Iterator[None]:
    """Let descriptor 1 lead to standard error inside the block, where both are open."""
    kept = None
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stdout.flush()
        os.fstat(2)
        kept = os.dup(1)
        os.dup2(2, 1)
    try:
        yield
    finally:
        if kept is not None:
            os.dup2(kept, 1)
            os.close(kept)
