"""The ``bench`` command: its commands, exit codes, and the one line for what is wrong."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any, Final, NoReturn

import typer
from typer.core import TyperGroup

from fretal_bench.cli.adapt import adapt
from fretal_bench.cli.cells import cells
from fretal_bench.cli.clean import clean
from fretal_bench.cli.data import data
from fretal_bench.cli.doctor import doctor
from fretal_bench.cli.export import export
from fretal_bench.cli.importing import import_
from fretal_bench.cli.list import list_
from fretal_bench.cli.new import new
from fretal_bench.cli.paper import paper
from fretal_bench.cli.predict import predict
from fretal_bench.cli.report import report
from fretal_bench.cli.run import run
from fretal_bench.cli.score import score
from fretal_bench.cli.screen import print_problem, warnings_as_lines
from fretal_bench.cli.show import show
from fretal_bench.cli.tune import tune
from fretal_bench.cli.usage import UsageError, is_help, usage_line
from fretal_bench.errors import BenchError, RunError, first_line

_STOPPED: Final = 130
_TERMINATED: Final = 143


class Stopped(BenchError):
    """Ctrl-C: what is finished is kept."""

    exit_code = _STOPPED


class Terminated(BenchError):
    """SIGTERM: what is finished is kept."""

    exit_code = _TERMINATED


class _Terminating(BaseException):
    """Raised where SIGTERM arrives; no ``except Exception`` of a strategy holds it up."""


class _Commands(TyperGroup):
    def invoke(self, ctx: Any) -> Any:
        """Run a command; Typer would end at Ctrl-C without a word."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise _stopped() from error


app = typer.Typer(
    name="bench",
    cls=_Commands,
    help="Continual-learning benchmark suite for deepfake detection.",
    epilog="Exit codes: 0 done; 1 work was begun and some of it failed, or data are not as they should be, and what is "
    "finished is kept; 2 the call or its input is wrong and nothing was begun; 130 stopped by Ctrl-C, 143 by SIGTERM.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command()(run)
app.command()(adapt)
app.command()(report)
app.command()(cells)
app.command("import")(import_)
app.command("list")(list_)
app.command()(show)
app.command()(score)
app.command()(predict)
app.command()(export)
app.add_typer(data)
app.command()(tune)
app.add_typer(paper)
app.add_typer(new)
app.command()(doctor)
app.command()(clean)


def main() -> None:
    """Run the command; a problem that the user can fix is one line on standard error.

    Exit codes: 0 done, 1 some work failed and the rest is kept, 2 the call is wrong, 130 stopped by Ctrl-C, 143 by
    SIGTERM.
    """
    with warnings_as_lines(), _terminable():
        try:
            # Typer would print what is wrong with a call on three lines; its own exit codes come back as numbers.
            code = app(prog_name="bench", standalone_mode=False)
            if code == _STOPPED:
                raise _stopped()
        except (typer.Abort, KeyboardInterrupt):
            _end(_stopped())
        except _Terminating:
            _end(Terminated("stopped by SIGTERM; run the same command again to go on where it stopped"))
        except UsageError as error:
            if is_help(error):
                error.show()
                sys.exit(error.exit_code)
            _end(BenchError(usage_line(error)))
        except BenchError as error:
            _end(error)
        except (ImportError, MemoryError) as error:
            if isinstance(error, ImportError) and (error.name or "").startswith(
                __package__.partition(".")[0]
            ):
                raise
            _end(RunError(_about_the_machine(error)))
        sys.exit(code if isinstance(code, int) else 0)


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """End the block as Ctrl-C does when SIGTERM arrives, as Slurm and containers send it; a second ends the process."""
    if (
        threading.current_thread() is not threading.main_thread()
        or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
    ):
        yield
        return

    def end(number: int, frame: FrameType | None) -> NoReturn:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        raise _Terminating

    signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _stopped() -> Stopped:
    return Stopped("stopped; run the same command again to go on where it stopped")


def _end(error: BenchError) -> NoReturn:
    print_problem(str(error), style="bold red")
    sys.exit(error.exit_code)


def _about_the_machine(error: ImportError | MemoryError) -> str:
    """Say that a library cannot be loaded, or that memory is out: neither is a fault of the call."""
    if isinstance(error, MemoryError):
        return "out of memory; close other programs, raise the limit (ulimit -v), or take smaller --jobs or batches"
    return (
        f"a library cannot be loaded ({first_line(error)}); raise the limit of memory (ulimit -v) if there is one, or "
        "see `bench doctor` for what is missing"
    )


if __name__ == "__main__":
    main()
