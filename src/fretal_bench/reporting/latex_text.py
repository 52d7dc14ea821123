"""Texts and numbers as LaTeX: escaped, with the width that they take in Computer Modern, decimals under one another."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from fretal_bench.reporting.tables import NOTHING, Column, Number, decimal

_TEX: Final = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"$<$",
    ">": r"$>$",
    "|": r"$|$",
    "+": r"$+$",
    # Bare, these two would be read as arguments of the "\\" that ended the line above.
    "[": r"{[}",
    "*": r"{*}",
    "±": r"$\pm$",
    "†": r"$\dagger$",
    "‡": r"$\ddagger$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "→": r"$\rightarrow$",
    "−": r"$-$",
    "–": r"--",
    "≤": r"$\le$",
    "≥": r"$\ge$",
    "½": r"$\frac12$",
    '"': r"''",
    "`": r"\textasciigrave{}",
}
_WIDTHS: Final = {
    **dict.fromkeys(",.:;'`!il[]<", 295),
    **dict.fromkeys("fj", 325),
    **dict.fromkeys("-I", 413),
    **dict.fromkeys("()rst", 420),
    **dict.fromkeys("cez?", 505),
    **dict.fromkeys("0123456789agovxykq$/_^*~→↑↓†‡>", 561),
    **dict.fromkeys("bdhnpuJS", 590),
    **dict.fromkeys("LFZ", 693),
    **dict.fromkeys("wTPBCERKAHNUVXYDGOQ+=&@±−", 834),
    **dict.fromkeys("m#%", 885),
    **dict.fromkeys("MW", 1091),
    " ": 354,
    "|": 295,
}
"""Thousandths of the size that a sign takes in Computer Modern of 8 points, or a little more; Times is narrower."""
_OTHER: Final = 1000
_BREAKS: Final = frozenset("(),=_/[]. ")
_DIGIT: Final = {False: 531, True: 613}
_SMALL_DIGIT, _SMALL_POINT, _SMALL_SIGN = 3.67, 2.12, 6.4
"""Points that a digit, a point and a ± take as a subscript, of 6 points in both sizes that tables have."""
_MINUS: Final = 826
_PAREN: Final = 413
_POINT: Final = 295


def tex(text: str) -> str:
    """Escape a text for LaTeX; a minus sign before a digit at its start becomes a real one, two hyphens stay two."""
    if text[:1] == "-" and text[1:2].isdigit():
        return "$-$" + tex(text[1:])
    escaped = "".join(_TEX.get(sign, sign) for sign in " ".join(text.split()).replace("--", "-\0-"))
    return escaped.replace("\0", "{}")


def breakable(text: str) -> str:
    """Escape a text that may be broken after every punctuation mark; a word of more than 16 letters after each."""
    parts, run = [], 0
    for sign in " ".join(text.split()):
        run = 0 if sign in _BREAKS or sign == "-" else run + 1
        parts.append(_TEX.get(sign, sign))
        if sign in _BREAKS or run > 16:
            parts.append(r"\allowbreak{}")
    return "".join(parts)


def width_of(text: str, size: float) -> float:
    """Reckon how many points a text takes in Computer Modern of a size, or a little more."""
    return sum(_WIDTHS.get(sign, _OTHER) for sign in text) * size / 1000


@dataclass(frozen=True)
class _Parts:
    """A number in its parts: ``($-$``, ``0``, ``.123``, ``0.031``, ``)``."""

    number: Number
    sign: str
    whole: str
    fraction: str
    half: str


class Numbers:
    r"""The numbers of a column: every one as wide as the widest, so that they are centred and decimals stay aligned.

    What a number lacks (digits before the point, a sign, parentheses, an interval) is set invisibly, ``\phantom``. Bold
    digits of Computer Modern are wider: a bold number of three decimals is off by half a point; those of Times are not.
    """

    def __init__(self, cells: Sequence[str | Number], column: Column, intervals: bool) -> None:
        self.parts = [
            None
            if isinstance(cell, str) or cell.empty or math.isnan(cell.value)
            else _split(cell, column, intervals)
            for cell in cells
        ]
        known = [parts for parts in self.parts if parts is not None]
        self.texts = [cell if isinstance(cell, str) else "" if cell.empty else NOTHING for cell in cells]
        self.aside = any(parts.number.aside for parts in known)
        self.signed = any(parts.sign for parts in known)
        self.whole = max((len(parts.whole) for parts in known), default=0)
        self.half = max((parts.half for parts in known), key=len, default="")
        self.fraction = max((parts.fraction for parts in known), key=len, default="")
        self.bold = any(parts.number.best for parts in known)

    def width(self, size: float) -> float:
        """Reckon how many points the column's numbers take."""
        digits = self.whole + max(0, len(self.fraction) - 1)
        thousandths = digits * _DIGIT[self.bold] + _POINT * bool(self.fraction)
        thousandths += _MINUS * self.signed + 2 * _PAREN * self.aside
        small = 0.0
        if self.half:
            points = self.half.count(".")
            small = _SMALL_SIGN + _SMALL_DIGIT * (len(self.half) - points) + _SMALL_POINT * points
        texts = [text for parts, text in zip(self.parts, self.texts, strict=True) if parts is None]
        return max(
            (thousandths * size / 1000 + small, *(width_of(text, size) for text in texts)), default=0.0
        )

    def cell(self, at: int) -> str:
        """Write the number of a row."""
        parts = self.parts[at]
        if parts is None:
            return tex(self.texts[at])
        number = parts.number
        hidden = "(" * (self.aside and not number.aside)
        hidden += "$-$" * (self.signed and not parts.sign) + "0" * (self.whole - len(parts.whole))
        value = f"{parts.sign}{parts.whole}{parts.fraction}"
        shown = rf"\benchbest{{{value}}}" if number.best else value
        return "".join(
            (
                _phantom(hidden),
                "(" * number.aside,
                shown,
                self._half(parts.half) if parts.half else "",
                rf"\rlap{{$^{{{tex(number.mark).strip('$')}}}$}}" if number.mark else "",
                ")" if number.aside else _phantom(")" * self.aside),
                _phantom(rf"\benchhalf{{{self.half}}}") if self.half and not parts.half else "",
            )
        )

    def _half(self, half: str) -> str:
        return rf"\benchhalf{{{half}{_phantom('0' * (len(self.half) - len(half)))}}}"


@functools.lru_cache(maxsize=4096)
def _split(number: Number, column: Column, intervals: bool) -> _Parts:
    text = decimal(number.value, column.digits, column.signed)
    sign = {"-": "$-$", "+": "$+$"}.get(text[0], "")
    whole, point, fraction = text.lstrip("+-").partition(".")
    half = "" if math.isnan(number.half) or not intervals else decimal(number.half, column.digits)
    return _Parts(number, sign, whole, point + fraction, half)


def _phantom(text: str) -> str:
    return rf"\phantom{{{text}}}" if text else ""
