"""What is wrong with the words of a call, in one line of the suite's own wording."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

import typer

from fretal_bench.errors import nearest, unknown_name
from fretal_bench.names import shown

UsageError: Final[Any] = typer.BadParameter.__base__
"""What Typer raises for a wrong option, argument or command; it exports the class of wrong values alone."""
_QUOTED: Final = re.compile(r"^'(.*)' is not ")
_LEAST: Final = re.compile(r"greater than or equal to (\S+)|x>=(\S+)")


def is_help(error: Any) -> bool:
    """Whether a command was called without a word, which is answered with its help."""
    return error.ctx is not None and error.format_message() == error.ctx.get_help()


def usage_line(error: Any) -> str:
    """Return the line for a ``UsageError``: the option, what was expected, what was found, where to look.

    Args:
        error: As Typer raised it. Its classes are told apart by their names, which all versions of Typer share.
    """
    tell = _TELLERS.get(type(error).__name__, _as_it_is)
    where = f"; see `{error.ctx.command_path} --help`" if error.ctx is not None else ""
    return f"{tell(error)}{where}"


def _as_it_is(error: Any) -> str:
    message: str = error.format_message()
    if message.startswith("Got unexpected extra"):
        return f"too many words: {message.rpartition('(')[2].rstrip(').')}"
    known = getattr(error.ctx and error.ctx.command, "commands", None)
    command = re.match(r"No such command '([^']*)'", message)
    return str(unknown_name("command", command[1], known)) if known and command else message.rstrip(".")


def _missing(error: Any) -> str:
    return f"{_name(error.param)} is missing" if error.param is not None else _as_it_is(error)


def _unknown_option(error: Any) -> str:
    known = [option for param in error.ctx.command.params for option in param.opts if option.startswith("-")]
    return f"unknown option {shown(error.option_name)}{nearest(error.option_name, known)}"


def _value_or_none(error: Any) -> str:
    if "requires" in error.message:
        return f"{error.option_name}: expected a value after it, found none"
    return f"{error.option_name} takes no value"


def _wrong_value(error: Any) -> str:
    if error.param is None:
        return _as_it_is(error)
    message: str = error.message
    least = _LEAST.search(message)
    if least:
        expected = f"at least {least[1] or least[2].rstrip('.')}"
    elif "integer" in message:
        expected = "a whole number"
    elif "number" in message or "float" in message:
        expected = "a number"
    else:
        return f"{_name(error.param)}: {message.rstrip('.')}"
    return f"{_name(error.param)}: expected {expected}, found {_found(error)}"


def _found(error: Any) -> str:
    """Return the value, which one version of Typer has in the cause and another in the message."""
    quoted = _QUOTED.match(error.message)
    causes: Any = getattr(error.__cause__, "errors", None)
    value = causes()[0]["input"] if callable(causes) else quoted[1] if quoted else "another value"
    return shown(str(value))


def _name(param: Any) -> str:
    name: str = max(param.opts, key=len)
    return name if name.startswith("-") else name.upper()


_TELLERS: Final[dict[str, Callable[[Any], str]]] = {
    "BadParameter": _wrong_value,
    "MissingParameter": _missing,
    "NoSuchOption": _unknown_option,
    "BadOptionUsage": _value_or_none,
}
