"""The ``bench`` command: its commands, exit codes, and the one line for what is wrong."""

from __future__ import annotations

import sys
from typing import Annotated, Any, Final, NoReturn

import typer
from typer.core import TyperGroup

from fretal_bench import __version__
from fretal_bench.cli.adapt import adapt
from fretal_bench.cli.cells import cells
from fretal_bench.cli.clean import clean
from fretal_bench.cli.data import data
from fretal_bench.cli.doctor import doctor
from fretal_bench.cli.examples import EXAMPLES
from fretal_bench.cli.export import export
from fretal_bench.cli.importing import import_
from fretal_bench.cli.list import list_
from fretal_bench.cli.new import new
from fretal_bench.cli.paper import paper
from fretal_bench.cli.predict import predict
from fretal_bench.cli.report import report
from fretal_bench.cli.run import run
from fretal_bench.cli.score import score
from fretal_bench.cli.screen import print_line, print_problem, warnings_as_lines
from fretal_bench.cli.show import show
from fretal_bench.cli.stopping import STOPPED, Terminating, stoppable, stopped, terminated
from fretal_bench.cli.tune import tune
from fretal_bench.cli.usage import UsageError, is_help, usage_line
from fretal_bench.errors import BenchError, RunError, first_line

TRAIN, LOOK, USE, DATA, EXTEND = GROUPS = (
    "Train",
    "Look",
    "Use a detector",
    "Data and papers",
    "Extend and maintain",
)
"""The groups of commands, in the order in which the help lists them."""
_LINE: Final = 200
"""Characters of a command's first line in the help of all: none is cut."""


class _Commands(TyperGroup):
    def invoke(self, ctx: Any) -> Any:
        """Run a command; Typer would end at Ctrl-C without a word."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise stopped() from error

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the commands in the order of their groups."""
        return [name for names in self._groups().values() for name in names]

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the commands by groups, each with the whole first line of its help."""
        for group, names in self._groups().items():
            with formatter.section(group):
                lines = ((name, self.commands[name].get_short_help_str(_LINE)) for name in names)
                formatter.write_dl(list(lines))

    def _groups(self) -> dict[str, list[str]]:
        groups: dict[str, list[str]] = {group: [] for group in GROUPS}
        for name, command in self.commands.items():
            groups[getattr(command, "rich_help_panel", "")].append(name)
        return groups


def _version(asked: bool) -> None:
    if asked:
        print_line(f"fretal-bench {__version__}")
        raise typer.Exit


app = typer.Typer(
    name="bench",
    cls=_Commands,
    epilog="Exit codes: 0 done; 1 work was begun and some of it failed, or data are not as they should be, and what is "
    "finished is kept; 2 the call or its input is wrong and nothing was begun; 130 stopped by Ctrl-C, 143 by SIGTERM.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@app.callback()
def _bench(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Continual-learning benchmark suite for deepfake detection."""


app.command(rich_help_panel=TRAIN)(run)
app.command(rich_help_panel=TRAIN)(adapt)
app.command(rich_help_panel=TRAIN)(tune)
app.command(rich_help_panel=TRAIN)(score)
app.command(rich_help_panel=LOOK)(report)
app.command(rich_help_panel=LOOK)(cells)
app.command("import", rich_help_panel=LOOK)(import_)
app.command("list", rich_help_panel=LOOK)(list_)
app.command(rich_help_panel=LOOK)(show)
app.command(rich_help_panel=USE)(predict)
app.command(rich_help_panel=USE)(export)
app.add_typer(data, rich_help_panel=DATA)
app.add_typer(paper, rich_help_panel=DATA)
app.add_typer(new, rich_help_panel=EXTEND)
app.command(rich_help_panel=EXTEND)(doctor)
app.command(rich_help_panel=EXTEND)(clean)


def main() -> None:
    """Run the command; a problem that the user can fix is one line on standard error.

    Exit codes: 0 done, 1 some work failed and the rest is kept, 2 the call is wrong, 130 stopped by Ctrl-C, 143 by
    SIGTERM.
    """
    with warnings_as_lines(), stoppable():
        try:
            # Typer would print what is wrong with a call on three lines; its own exit codes come back as numbers.
            code = the_command()(prog_name="bench", standalone_mode=False)
            if code == STOPPED:
                raise stopped()
        except (typer.Abort, KeyboardInterrupt):
            _end(stopped())
        except Terminating:
            _end(terminated())
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


def the_command() -> Any:
    """Return ``bench`` with the examples in the help of each of its commands."""
    command = typer.main.get_command(app)
    _add_examples(command, "")
    return command


def _add_examples(command: Any, words: str) -> None:
    examples = EXAMPLES.get(words, ())
    if examples:
        # Click leaves lines after \b as they are.
        lines = "\n".join(f"  bench {words} {rest}".rstrip() for rest in examples)
        command.epilog = f"\b\nExamples:\n{lines}"
    for name, other in getattr(command, "commands", {}).items():
        _add_examples(other, f"{words} {name}".strip())


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
