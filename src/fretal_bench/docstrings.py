"""What docstrings say, in the form that the suite writes them: paragraphs, and what ``Args:`` says of each name."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import re
import sys
from collections.abc import Iterator

_ITEM = re.compile(r"(- |\d+\. )")
_SECTION = re.compile(r"(Args|Attributes|Returns|Raises|Yields|Example|Examples):$")
_NAMED = re.compile(r"(\w+): (.*)")


def docstring_of(target: str) -> str:
    """Return the docstring of a class without importing its module, which may take seconds.

    Args:
        target: ``package.module:Class``.

    Returns:
        The docstring without its indentation; empty where there is none, or no source to read.
    """
    module, _, name = target.partition(":")
    if module in sys.modules:
        return inspect.cleandoc(getattr(sys.modules[module], name, None).__doc__ or "")
    try:
        spec = importlib.util.find_spec(module)
        source = getattr(spec and spec.loader, "get_source", lambda _: None)(module)
    except (ImportError, ValueError):
        return ""
    for node in ast.parse(source).body if source else ():
        if isinstance(node, ast.ClassDef) and node.name == name:
            return ast.get_docstring(node) or ""
    return ""


def paragraphs(text: str) -> list[str]:
    """Split a docstring into paragraphs, each on one line; the items of a list stay lines, sections are left out."""
    found = []
    for block in re.split(r"\n\s*\n", inspect.cleandoc(text)):
        lines = [line.strip() for line in block.splitlines() if line.strip()]
        if not lines or _SECTION.fullmatch(lines[0]):
            continue
        joined = lines[0]
        for line in lines[1:]:
            joined += f"\n{line}" if _ITEM.match(line) else f" {line}"
        found.append(plain(joined))
    return found


def arguments(kind: type) -> dict[str, str]:
    """Return what the docstrings of a class and of those that it inherits from say of each of its fields."""
    return {
        name: words
        for of in reversed(kind.__mro__)
        if of.__module__ != "builtins"
        for name, words in _named(inspect.cleandoc(of.__doc__ or ""))
    }


def plain(text: str) -> str:
    """Return a text without the marks of code."""
    return text.replace("``", "")


def _named(text: str) -> Iterator[tuple[str, str]]:
    """Give the names of the sections ``Args`` and ``Attributes``, and what is said of each, on one line."""
    inside, name, words = False, "", ""
    for line in text.splitlines():
        if not line.startswith(" ") and line.strip():
            inside = line.rstrip() in ("Args:", "Attributes:")
        elif inside and line.startswith("    ") and not line.startswith("     "):
            match = _NAMED.match(line.strip())
            if match is not None:
                if name:
                    yield name, plain(words)
                name, words = match[1], match[2]
        elif inside and name:
            words = f"{words} {line.strip()}".strip()
    if name:
        yield name, plain(words)
