"""What the documents say of the code by itself: blocks between two comments, written anew by ``python -m documents``.

``<!-- written: strategies -->`` holds the table of all strategies, ``<!-- written: formulas -->`` the formula and the
constants of each, and ``<!-- written: keys MODULE:CLASS -->`` the keys of the files that a record is read from; each
ends with ``<!-- end of what is written -->``.
"""

from __future__ import annotations

import dataclasses
import importlib
import re
import typing
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from fretal_bench import records
from fretal_bench.docstrings import arguments
from fretal_bench.names import NAME
from fretal_bench.strategies.description import StrategyDescription, describe_strategy
from fretal_bench.strategies.families import BUILT_IN
from fretal_bench.strategies.record import StrategyInfo

ROOT: Final = Path(__file__).parents[1]
DOCUMENTS: Final = ("docs/strategies.md", "docs/keys.md")
END: Final = "<!-- end of what is written -->"
_BLOCK: Final = re.compile(rf"<!-- written: ([a-z]+)(?: (\S+))? -->\n.*?{END}", re.DOTALL)
# What Markdown, or its extensions, would take for marks.
_MARKS: Final = re.compile(r"([*<|\[\]])")


def written(text: str) -> str:
    """Return a document with every block as it has to be."""
    return _BLOCK.sub(_block, text)


def _block(match: re.Match[str]) -> str:
    kind, of = match.groups()
    lines = {"strategies": _strategies, "formulas": _formulas}[kind]() if of is None else _keys(of)
    return f"<!-- written: {kind}{'' if of is None else f' {of}'} -->\n\n" + "\n".join(lines) + f"\n\n{END}"


def _strategies() -> Iterator[str]:
    rows = []
    for info in BUILT_IN:
        of = describe_strategy(info)
        called = ", also called ".join(f"`{name}`" for name in (of.name, *of.aliases))
        kept = "reference" if info.bound else {"none": "none", "budget": "some", "all": "all"}[info.memory]
        rows.append([f"[{called}](#{of.name})", _marked(of.summary), kept, _paper(of)])
    return _table(("name", "what is done against forgetting", "old samples kept", "paper"), rows)


def _paper(of: StrategyDescription) -> str:
    if len(of.links) == 1:
        return f"[{_marked(of.paper)}]({of.links[0]})"
    links = ", ".join(f"[{number}]({link})" for number, link in enumerate(of.links, 1))
    return _marked(of.paper) + (f" ({links})" if links else "")


def _formulas() -> Iterator[str]:
    for info in BUILT_IN:
        of = describe_strategy(info)
        yield from (f"### {of.name}", "", _sentence(_marked(of.summary)), "")
        yield from ("```text", *_wrapped(of.formula), "```", "")
        if of.source:
            yield from (*_wrapped(_marked(f"Source: {of.source}")), "")
        yield from (*_wrapped(_needs(info, of)), "")
        if of.constants:
            rows = [
                [f"`{c.key}`", f"`{c.default}`", _marked(c.takes), _marked(c.searched), _marked(c.what)]
                for c in of.constants
            ]
            yield from _table(("constant", "default", "may be", "`bench tune` tries", "what it is"), rows)
            yield ""
    yield "*As it stands in the code; `bench show strategy NAME` prints the same and more.*"


def _needs(info: StrategyInfo, of: StrategyDescription) -> str:
    return _marked(
        f"Old data: {of.needs['old data']}. Backbone: {of.needs['backbone']}. "
        + (
            f"Without old training data (`bench adapt`, `--weights`): no, it {info.without_old_data}."
            if info.without_old_data
            else "Without old training data (`bench adapt`, `--weights`): yes."
        )
    )


def _keys(target: str) -> Iterator[str]:
    module, _, name = target.partition(":")
    kind: Any = getattr(importlib.import_module(module), name)
    words = arguments(kind)
    rows = [
        [f"`{field.name}`", _default(field), _marked(_takes(kind, field.name)), _marked(words[field.name])]
        for field in dataclasses.fields(kind)
    ]
    return _table(("key", "left out", "may be", "what it is"), rows)


def _takes(kind: type, key: str) -> str:
    """Say what a key takes; what a name is stands once on the page."""
    words = records.takes(kind, key).replace(NAME.expected, "a name")
    is_list = typing.get_origin(records.hints(kind)[key]) is tuple
    return words if not is_list or words.startswith("a list") else f"a list, each {words}"


def _default(field: dataclasses.Field[Any]) -> str:
    if field.default is dataclasses.MISSING:
        return "must be there" if field.default_factory is dataclasses.MISSING else "empty"
    if field.default is None:
        return "see what it is"
    if isinstance(field.default, (bool, int, float)):
        return f"`{str(field.default).lower()}`"
    if isinstance(field.default, str):
        return f'`"{field.default}"`' if field.default else "empty"
    return "empty" if field.default == () else "the defaults below"


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    heads = list(heads)
    yield "| " + " | ".join(heads) + " |"
    yield "|" + "---|" * len(heads)
    for row in rows:
        yield "| " + " | ".join(" ".join(cell.split()) for cell in row) + " |"


def _marked(text: str) -> str:
    """Return a text with Markdown's marks made plain, outside of what stands in backticks."""
    parts = text.split("`")
    return "`".join(part if place % 2 else _MARKS.sub(r"\\\1", part) for place, part in enumerate(parts))


def _sentence(text: str) -> str:
    return "\n".join(_wrapped(text[:1].upper() + text[1:] + "."))


def _wrapped(text: str, width: int = 100) -> list[str]:
    lines: list[str] = []
    for paragraph in text.split("\n"):
        line = ""
        for word in paragraph.split():
            if line and len(line) + 1 + len(word) > width:
                lines.append(line)
                line = word
            else:
                line = f"{line} {word}" if line else word
        lines.append(line)
    return lines


def main() -> None:
    """Write every document anew."""
    for name in DOCUMENTS:
        path = ROOT / name
        path.write_text(written(path.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
