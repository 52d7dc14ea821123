"""The rules of names: what may stand in paths, tables and pages without meaning something else there."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from fretal_bench.errors import BenchError

LONGEST: Final = 100
"""Characters of a name."""
_BYTES: Final = 200
"""Bytes of a name in UTF-8: file systems allow 255, of which temporary names need some."""
_JOINERS: Final = frozenset("\u200c\u200d")
"""Unseen characters that some scripts need inside of words."""
_UNSEEN: Final = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))
"""Unicode categories of control and formatting characters (what turns the direction of text among them: what is read is
not what is there), halves of surrogate pairs, line and paragraph separators."""
_HEX: Final = re.compile(r"[0-9a-f]{6,64}")
_SHA256_HEX: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Rule:
    """What a text must be.

    Attributes:
        expected: The rule in words, for errors.
        fault: What is wrong with a text, in words; nothing if it keeps the rule.
    """

    expected: str
    fault: Callable[[str], str]


def _fault(text: str) -> str:
    if not text.strip():
        return "it is empty"
    if len(text) > LONGEST or len(text.encode("utf-8", "surrogatepass")) > _BYTES:
        return f"it has {len(text)} characters"
    if text != text.strip():
        return "it begins or ends with a blank"
    if "/" in text or "\\" in text:
        return "it is a path"
    if text.startswith("."):
        return "it begins with a dot"
    if text.startswith("-"):
        return "it begins with a dash, as an option does"
    return hidden_fault(text)


def hidden_fault(text: str) -> str:
    """Say which character of a text cannot be seen; nothing if all can."""
    unseen = next((character for character in text if _unseen(character)), None)
    return f"it holds U+{ord(unseen):04X}, which cannot be seen" if unseen else ""


NAME: Final = Rule(
    f"a name of 1 to {LONGEST} characters that is no path and holds no control or bidirectional characters",
    _fault,
)
"""Names of streams, domains, strategies, stores, plugins, data sets and methods."""

ID: Final = Rule(
    "a hexadecimal id",
    lambda text: "" if _HEX.fullmatch(text) else "it holds other characters than 0-9 and a-f",
)
"""Ids of cells, steps and source models, which are names of folders."""

SHA256: Final = Rule(
    "a sha256 of 64 hexadecimal digits",
    lambda text: "" if _SHA256_HEX.fullmatch(text) else "it is none",
)
"""Checksums of files and of what is in them."""


def check_name(text: str, where: str, rule: Rule = NAME) -> str:
    """Return ``text`` if it keeps the rule.

    Args:
        text: The name.
        where: What it names and where it stands, e.g. ``stream.toml: key 'name'`` or ``--name``.
        rule: The rule.

    Raises:
        BenchError: It doesn't keep it; the message says why.
    """
    if fault := rule.fault(text):
        raise BenchError(f"{where}: expected {rule.expected}, found {shown(text)}: {fault}")
    return text


def shown(text: str, longest: int = 60) -> str:
    """Return ``text`` quoted for an error: control and bidirectional characters escaped, a long one cut."""
    quoted = ascii(text) if any(map(_unseen, text)) else repr(text)
    return quoted if len(quoted) <= longest else quoted[: longest - 3] + "..."


def escaped(text: str) -> str:
    """Return ``text`` with characters that cannot be seen, line ends among them, as their codes: one line."""
    if text.isprintable():
        # Long texts without any are many.
        return text
    return "".join(ascii(character)[1:-1] if _unseen(character) else character for character in text)


def _unseen(character: str) -> bool:
    return unicodedata.category(character) in _UNSEEN and character not in _JOINERS
