"""A table as Markdown and CSV, and any text as a piece of Markdown or a cell of CSV: nothing in it is markup."""

from __future__ import annotations

import csv
import io
import math
import re
from typing import TYPE_CHECKING, Final

from fretal_bench.reporting.tables import Number, Table, has_interval, number_text

if TYPE_CHECKING:
    import pandas as pd

_FORMULA: Final = re.compile(r"'*[=+\-@\t\n]")
"""What a spreadsheet takes for the beginning of a formula, and the same with apostrophes before it."""
_NUMBER: Final = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
_LINE_ENDS: Final = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]+")
_MARKS: Final = re.compile(r"[\\|*`<~]|&(?=#?\w+;)|\](?=[(\[:])")
_OUTER_UNDERSCORE: Final = re.compile(r"(?<![^\W_])_|_(?![^\W_])")
"""One that no letter or digit stands on either side of: others are no markup, but in tables they are escaped too."""
_BLOCK: Final = re.compile(r"\d+(?=[.)])|(?=[#>+=-])")
"""What begins a list, a heading or a quotation, up to the character that is escaped."""


def to_markdown(table: Table) -> str:
    """Write a Markdown table with its title above and its notes below."""
    lines = [f"**{table_text(table.title)}**", ""]
    lines.append("| " + " | ".join(table_text(column.head) for column in table.columns) + " |")
    lines.append("|" + "|".join("---:" if numeric else "---" for numeric in table.numeric) + "|")
    for row in table.rows:
        cells = []
        for cell, column in zip(row.cells, table.columns, strict=True):
            text = table_text(cell) if isinstance(cell, str) else number_text(cell, column)
            cells.append(f"**{text}**" if isinstance(cell, Number) and cell.best else text)
        lines.append("| " + " | ".join(cells) + " |")
    for note in table.notes:
        lines.extend(["", table_text(note)])
    return "\n".join(lines) + "\n"


def to_csv(table: Table) -> str:
    """Write the values at full precision; a number with an interval takes three columns: key, key_low, key_high."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    wide = [has_interval(table, at) for at in range(len(table.columns))]
    head: list[str] = []
    for column, three in zip(table.columns, wide, strict=True):
        head.extend([column.key, f"{column.key}_low", f"{column.key}_high"] if three else [column.key])
    writer.writerow(map(csv_text, head))
    for row in table.rows:
        line: list[str] = []
        for cell, three in zip(row.cells, wide, strict=True):
            if isinstance(cell, str):
                line.append(csv_text(cell))
                continue
            ends = [cell.value, cell.value - cell.half, cell.value + cell.half] if three else [cell.value]
            line.extend("" if math.isnan(value) else repr(float(value)) for value in ends)
        writer.writerow(line)
    return out.getvalue()


def table_text(text: str) -> str:
    """Escape a text for a table of Markdown, its title or a note under it: it reads as it is, on one line."""
    return _escaped(text).replace("_", "\\_")


def prose(text: str) -> str:
    """Escape a text for a paragraph or heading of Markdown: it reads as it is, on one line."""
    return _OUTER_UNDERSCORE.sub(r"\\_", _escaped(text))


def bullet(text: str) -> str:
    """Write a text as an item of a Markdown list: as ``prose``, and no list or heading of its own."""
    escaped = prose(text).strip()
    begun = _BLOCK.match(escaped)
    return f"- {escaped}" if begun is None else f"- {begun[0]}\\{escaped[begun.end() :]}"


def code(text: str) -> str:
    """Write a text as code of Markdown, on one line, between more backticks than it holds in a row."""
    text = _LINE_ENDS.sub(" ", text)
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence} {text} {fence}" if "`" in text else f"{fence}{text}{fence}"


def _escaped(text: str) -> str:
    return _MARKS.sub(_escape, _LINE_ENDS.sub(" ", text))


def _escape(mark: re.Match[str]) -> str:
    return {"<": "&lt;", "&": "&amp;"}.get(mark[0], "\\" + mark[0])


def csv_text(text: str) -> str:
    """Return a text as it stands in CSV: one that a spreadsheet would take for a formula gets an apostrophe before it.

    That is a text that begins with ``=``, ``+``, ``-``, ``@``, a tab or a line end, be it after apostrophes, and is no
    number. To read it back, take one apostrophe away from whatever begins with apostrophes and then one of these.
    Every line end is a newline: a bare carriage return would not be quoted.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def frame_to_csv(frame: pd.DataFrame) -> str:
    """Write a frame as CSV at full precision; texts, names of columns too, as ``csv_text``."""
    import pandas as pd

    safe = frame.rename(columns=csv_text)
    for name in safe.columns:
        if safe[name].dtype.kind not in "iuf":
            # Long frames repeat few texts.
            # As Python's own objects: strings of Arrow are made anew whenever one is looked at.
            values = safe[name].to_numpy(dtype=object)
            texts = {value: csv_text(value) for value in set(values) if isinstance(value, str)}
            safe[name] = pd.Series([texts.get(value, value) for value in values], safe.index, dtype=object)
    # Seventeen digits bring every float back exactly.
    return str(safe.to_csv(index=False, float_format="%.17g", lineterminator="\n"))
