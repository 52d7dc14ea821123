"""What the documents quote of the reference's reports: blocks between two comments, written anew by a command.

``<!-- quote table FOLDER: TITLE -->`` holds that table of ``reports/FOLDER/summary.md``,
``<!-- quote verdict FOLDER -->`` its first sentence, ``<!-- quote printed FOLDER -->`` what ``bench report``
prints, and ``<!-- quote pair FOLDER: A and B -->`` what ``results.compare`` says of two strategies; each ends with
``<!-- end of quote -->``.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

from rich.console import Console

from fretal_bench.benchmark.runner.results import load_results
from fretal_bench.reporting.notebook import Results
from fretal_bench.reporting.notebook import load_results as load_shown
from fretal_bench.reporting.short import print_short, rest_words
from fretal_bench.reporting.summary import summarize
from fretal_bench.reporting.verdict import verdict
from reference.runs import ROOT

DOCUMENTS: Final = ("README.md", "docs/ffpp-mini.md")
END: Final = "<!-- end of quote -->"
_BLOCK: Final = re.compile(rf"<!-- quote ([a-z]+) (.*?) -->\n.*?{END}", re.DOTALL)
_WIDTH: Final = 80
TITLES: Final = {
    "backward_transfer": "BWT",
    "forgetting": "max-based forgetting",
    "learning": "learning accuracy",
    "average": "average accuracy at the end",
    "minimum_old": "worst old domain",
}


def quoted(text: str) -> str:
    """Return a document with every quotation as it has to be.

    Raises:
        LookupError: It quotes what there is not.
    """
    return _BLOCK.sub(_block, text)


def blocks(text: str) -> list[str]:
    """Return what a document quotes: the kind and the source of every block."""
    return [f"{match[1]} {match[2]}" for match in _BLOCK.finditer(text)]


def _block(match: re.Match[str]) -> str:
    kind, source = match.groups()
    if kind not in _KINDS:
        raise LookupError(f"quote {kind}: expected one of {', '.join(_KINDS)}")
    return f"<!-- quote {kind} {source} -->\n{_KINDS[kind](source)}\n{END}"


def _table(source: str) -> str:
    """Return a table of a report, by its title."""
    folder, _, title = source.partition(": ")
    lines = _report(folder).splitlines()
    head = f"**{title}**"
    if head not in lines:
        raise LookupError(f"reports/{folder}/summary.md has no table {title!r}")
    start = lines.index(head) + 2
    rows = lines[start : lines.index("", start)]
    return "\n".join(["", *rows, ""])


def _verdict(folder: str) -> str:
    """Return the first sentence of a report."""
    sentence = re.search(r"^\*\*(.+)\*\*$", _report(folder), re.MULTILINE)
    if sentence is None:
        raise LookupError(f"reports/{folder}/summary.md has no verdict")
    return f"\n{_wrapped('> ' + sentence[1])}\n"


def _printed(folder: str) -> str:
    """Return what ``bench report`` prints of a result folder."""
    results = load_results(ROOT / "results" / folder)
    summary = summarize(results)
    where = rest_words(f"reports/{folder}/index.html", f"results/{folder}")
    with Path(os.devnull).open("w") as nowhere:
        console = Console(width=_WIDTH, file=nowhere, record=True)
        print_short(summary, verdict(summary), console, where)
    lines = [line.rstrip() for line in console.export_text().splitlines()]
    return "\n".join(["```text", *lines, "```"])


def _pair(source: str) -> str:
    """Return how two strategies differ, a row a quantity; the interval and p are those of this pair alone."""
    folder, _, both = source.partition(": ")
    first, _, second = both.partition(" and ")
    results = _shown(folder)
    level = results.summary()
    rows = [
        f"| {TITLES[str(name)]} | {level.loc[second, name]:.3f} | {level.loc[first, name]:.3f} "
        f"| {row.difference:+.3f} [{row.low:+.3f}, {row.high:+.3f}] | {_p(row.p)} |"
        for name, row in results.compare(first, second).iterrows()
        if name in TITLES
    ]
    head = f"| quantity | `{second}` | `{first}` | difference | p |"
    return "\n".join(["", head, "|---|---:|---:|---:|---:|", *rows, ""])


@functools.cache
def _shown(folder: str) -> Results:
    """Open results once: what is summarized of them is kept with them."""
    return load_shown(ROOT / "results" / folder)


def _p(value: float) -> str:
    return "< .001" if value < 0.001 else f"{value:.3f}"


def _report(folder: str) -> str:
    return (ROOT / "reports" / folder / "summary.md").read_text("utf-8")


def _wrapped(text: str, width: int = 100) -> str:
    lines = [""]
    for word in text.split(" "):
        if lines[-1] and len(lines[-1]) + 1 + len(word) > width:
            lines.append("> " + word if text.startswith("> ") else word)
        else:
            lines[-1] = f"{lines[-1]} {word}" if lines[-1] else word
    return "\n".join(lines)


_KINDS: Final[dict[str, Callable[[str], str]]] = {
    "table": _table,
    "verdict": _verdict,
    "printed": _printed,
    "pair": _pair,
}
