"""The ``bench`` command: its commands, exit codes, and the one line for what is wrong."""

from __future__ import annotations

import sys
from typing import Any

import typer
from typer.core import TyperGroup

from fretal_bench.cli.data import data
from fretal_bench.cli.doctor import doctor
from fretal_bench.cli.list import list_
from fretal_bench.cli.new import new
from fretal_bench.cli.paper import paper
from fretal_bench.cli.predict import predict
from fretal_bench.cli.report import report
from fretal_bench.cli.run import run
from fretal_bench.cli.screen import print_problem, warnings_as_lines
from fretal_bench.cli.tune import tune
from fretal_bench.errors import BenchError


class Stopped(BenchError):
    """Ctrl-C: what is finished is kept."""

    exit_code = 130


class _Commands(TyperGroup):
    def invoke(self, ctx: Any) -> Any:
        """Run a command; Typer would end at Ctrl-C without a word."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise Stopped("stopped; run the same command again to go on where it stopped") from error


app = typer.Typer(
    name="bench",
    cls=_Commands,
    help="Continual-learning benchmark suite for deepfake detection.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command()(run)
app.command()(report)
app.command("list")(list_)
app.command()(predict)
app.add_typer(data)
app.command()(tune)
app.add_typer(paper)
app.add_typer(new)
app.command()(doctor)


def main() -> None:
    """Run the command; a problem that the user can fix is one line on standard error.

    Exit codes: 0 done, 1 some work failed and the rest is kept, 2 the call is wrong, 130 stopped by Ctrl-C.
    """
    with warnings_as_lines():
        try:
            app()
        except BenchError as error:
            print_problem(str(error), style="bold red")
            sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
