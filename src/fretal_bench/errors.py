"""Errors that a user can fix, each one line that says what was found and what to do, and how unknown names are told."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Final

_LISTED: Final = 40
_NEAREST: Final = 20
_LONGEST: Final = 100


class BenchError(Exception):
    """A problem that the user can fix; the command prints its one line and exits with ``exit_code``.

    Exit code 2 means that the call or its input is wrong (nothing was run), 1 that work was begun and failed.
    """

    exit_code: int = 2


class BenchWarning(UserWarning):
    """Something that the user should know and that stops nothing; the command prints it as one line."""


class RunError(BenchError):
    """Work was begun and could not be finished; what was finished is kept."""

    exit_code = 1


def unknown_name(kind: str, name: str, known: Iterable[str]) -> BenchError:
    """Build the error for a name that does not exist, with the nearest names that do.

    For a value of a record's field see ``records``, which has a wording of its own.

    Args:
        kind: What the name is of, one noun, e.g. ``"strategy"``.
        name: The unknown name.
        known: Every valid name.

    Returns:
        A ``BenchError`` to raise; e.g. ``unknown strategy 'fretel'; did you mean 'fretal'? Known: ewc, fretal``. Of a
        very long list only the nearest names are given, and how many more there are.
    """
    quoted = repr(name) if len(name) <= _LONGEST else repr(name[:_LONGEST]) + "..."
    return BenchError(f"unknown {kind} {quoted}{nearest(name, known)}")


def nearest(name: str, known: Iterable[str], meant: str | None = None) -> str:
    """Return what follows an unknown name: the nearest that exist, then all of them, or of very many the most similar.

    E.g. ``; did you mean 'fretal'? Known: ewc, fretal``. Where the name is a common one for another, ``meant``, that
    alone is asked for.
    """
    names = sorted(known)
    near = [meant] if meant else near_names(name, names)
    hint = f"; did you mean {' or '.join(repr(other) for other in near)}?" if near else "."
    listed, more = names, ""
    if len(names) > _LISTED:
        listed = sorted(difflib.get_close_matches(name, names, n=_NEAREST, cutoff=0))
        more = f", ... and {len(names) - _NEAREST} more"
    return f"{hint} Known: {', '.join(listed) or 'none'}{more}"


def near_names(name: str, known: Iterable[str]) -> list[str]:
    """Return the names that are near to an unknown one, the nearest first: those alone that differ in case only."""
    names = sorted(known)
    same = [other for other in names if other.casefold() == name.casefold()]
    return same or difflib.get_close_matches(name, names, n=3, cutoff=0.5)


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text; of one without text, the name of its class."""
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
