"""Dates of fakes, as exactly as data sets give them: a year, a month or a day; their reading and their order."""

from __future__ import annotations

import re
from datetime import date
from typing import Final

RELEASED: Final = "release_date"
"""Another name for a column of dates."""
DATE_WORDS: Final = "a date YYYY-MM-DD, YYYY-MM or YYYY"
"""What a date looks like, for errors."""
_DATE: Final = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?", re.ASCII)
_TIME: Final = re.compile(r"[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?", re.ASCII)


def date_of(text: str) -> str | None:
    """Read a date: ``2024``, ``2024-05`` or ``2024-05-17``, the last with or without a time of the day.

    Returns:
        The date without the time, "" for no text, None for what is no date. Other ways to write one (``17.05.2024``,
        ``May 2024``) are not guessed at.
    """
    text = text.strip()
    if not text:
        return ""
    match = _DATE.match(text)
    if match is None:
        return None
    year, month, day = match.groups()
    rest = text[match.end() :]
    if rest and (day is None or _TIME.fullmatch(rest) is None):
        return None
    try:
        date(int(year), int(month or 1), int(day or 1))
    except ValueError:
        return None
    return match.group()


def is_before(first: str, second: str) -> bool | None:
    """Whether a date is before another, both as ``date_of`` gives them; None where neither can be said to be.

    The same date twice, or a year or month and a day in it: nothing says which of the two is the earlier one.
    """
    shared = min(len(first), len(second))
    return None if first[:shared] == second[:shared] else first < second
