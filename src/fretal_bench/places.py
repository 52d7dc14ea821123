"""Where an error was raised, in a few words: the file and line of code of others, out of a traceback."""

from __future__ import annotations

import re
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Final

_FRAME: Final = re.compile(r'^  File "(.+)", line (\d+)', re.MULTILINE)
_SUITE: Final = Path(__file__).parent
_INSTALLED: Final = re.compile(r"[/\\](site|dist)-packages[/\\]|[/\\]lib[/\\]python3\.\d+[/\\]|^<")


def place_of(error: BaseException) -> str:
    """Return file and line of the innermost frame of an error that is neither the suite's nor an installed library's.

    Returns:
        E.g. ``mine.py, line 18``; empty where there is no such frame.
    """
    frames = [(of.filename, of.lineno or 0) for of in traceback.extract_tb(error.__traceback__)]
    return _innermost(_of_others(frames))


def place_in(trace: str, reason: str) -> str:
    """Return file and line of an error out of its traceback as text.

    Args:
        trace: The traceback, as ``traceback.format_exc`` gives it.
        reason: What is said of the error: ``KIND: TEXT``, or a sentence where the suite says itself what to do.

    Returns:
        As ``place_of``; where no frame is of code of others, the innermost of all, unless the suite said what to do.
    """
    frames = [(file, int(line)) for file, line in _FRAME.findall(trace)]
    kind = re.escape(reason.partition(":")[0])
    is_named = re.search(rf"^([\w.]+\.)?{kind}(:|$)", trace, re.MULTILINE) is not None
    return _innermost(_of_others(frames)) or (_innermost(frames) if is_named else "")


def _of_others(frames: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
    return [frame for frame in frames if not (_is_of_suite(frame[0]) or _INSTALLED.search(frame[0]))]


def _is_of_suite(file: str) -> bool:
    """Whether a file is the suite's own: another copy of it, on another machine, may have written the traceback."""
    parts = re.split(r"[/\\]", file)
    if _SUITE.name not in parts:
        return False
    inside = parts[len(parts) - parts[::-1].index(_SUITE.name) :]
    return _SUITE.joinpath(*inside).is_file()


def _innermost(frames: Sequence[tuple[str, int]]) -> str:
    if not frames:
        return ""
    file, line = frames[-1]
    name = re.split(r"[/\\]", file)[-1]
    return f"{name}, line {line}"
