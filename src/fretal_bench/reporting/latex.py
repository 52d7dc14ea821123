r"""A table as LaTeX for papers of two columns: as wide as the page (``table*``), or as narrow as a column (``table``).

Both need ``booktabs`` and nothing else. The caption is the title; notes stand below. What is too wide is first set
smaller, then (in a column) loses its intervals, then is cut into tabulars under one another, each with the names again:
no column is lost. What is too high for a page becomes several floats.
"""

from __future__ import annotations

import functools
import itertools
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from fretal_bench.reporting.latex_text import Numbers, breakable, tex, width_of
from fretal_bench.reporting.tables import INTERVAL, Column, Row, Table, has_interval, stacked

COLUMN: Final = 234.0
"""Points of the narrowest column: ICML has 234.9, CVPR and ICCV 237.1, ACM 241, IEEE 252."""
PAGE: Final = 486.0
"""Points of the narrowest page of two columns: ICML has 487.8, CVPR and ICCV 496.9, ACM 506, IEEE 516."""
_HEIGHT: Final = 520.0
"""Points of the lowest page: ``article`` has 550 on letter paper, CVPR 641."""
_SIZES: Final = {"small": (9.0, 11.0), "footnotesize": (8.0, 9.5)}
"""Size and baseline skip in points, in a document of 10 points."""
_LONGEST: Final = 0.36
"""Share of the width that a text may take before it is broken."""
_WORDS: Final = {
    "accuracy": "acc.",
    "accuracy,": "acc.,",
    "average": "avg.",
    "balanced": "bal.",
    "conclusion": "concl.",
    "difference": "diff.",
    "domain": "dom.",
    "domains": "dom.",
    "forgetting": "forg.",
    "forgets": "forg.",
    "incremental": "incr.",
    "learning": "learn.",
    "measured": "meas.",
    "published": "publ.",
    "relative": "rel.",
    "temperature": "temp.",
    "threshold": "thr.",
    "training,": "train.,",
    "validation": "val.",
}
"""What words of heads are in a column."""
_MACROS: Final = (
    r"\providecommand{\benchbest}[1]{\textbf{#1}}% not told from the best of the column",
    r"\providecommand{\benchhalf}[1]{$_{\pm#1}$}% half of the interval",
)


@dataclass(frozen=True)
class _Style:
    """How a table is set: its font size, the space between columns, and whether intervals are shown."""

    size: str
    gap: float
    intervals: bool = True


_WIDE: Final = (_Style("small", 5), _Style("footnotesize", 4), _Style("footnotesize", 2.5))
_NARROW: Final = (
    _Style("small", 4),
    _Style("footnotesize", 4),
    _Style("footnotesize", 2.5),
    _Style("small", 4, False),
    _Style("footnotesize", 4, False),
    _Style("footnotesize", 2.5, False),
)


def to_latex(table: Table, *, narrow: bool = False, short: Mapping[str, str] | None = None) -> str:
    r"""Write a LaTeX table; it needs ``\usepackage{booktabs}`` and nothing else.

    Args:
        table: The table.
        narrow: For one column of two; else as wide as the page.
        short: What domains are called in a column, by their names; said below the table.

    Returns:
        One float, or several where the table is too high for a page.
    """
    used: tuple[str, ...] = ()
    if narrow:
        table, used = _shortened(table, short or {})
    limit = COLUMN if narrow else PAGE
    style, panels = _layout(table, limit, _NARROW if narrow else _WIDE)
    if not style.intervals and any(has_interval(table, at) for at in range(len(table.columns))):
        notes = (note.replace(INTERVAL, "Mean over", 1) for note in table.notes)
        table = replace(table, notes=(*notes, "Intervals: in the wide table"))
    table = replace(table, notes=(*used, *table.notes))
    drawn = [_Panel(table, columns, style, limit) for columns in panels]
    parts = _parts(drawn, table, limit)
    name = re.sub(r"[^A-Za-z0-9.:-]+", "-", table.name) + ("-narrow" if narrow else "")
    lines = [
        f"% {_plain(table.title)}: for {'a column' if narrow else 'the page'} of a paper in two columns.",
        r"% Needs \usepackage{booktabs} in the preamble; \input this file.",
        *_MACROS,
    ]
    for number, part in enumerate(parts, 1):
        lines += _float(table, part, style, name, number, len(parts), narrow)
    return "\n".join(lines) + "\n"


def abbreviations(names: Sequence[str]) -> dict[str, str]:
    """Abbreviate names of domains, each differently; those of up to five letters stay.

    Capitals and digits, as papers do (``NeuralTextures``: NT, ``Face2Face``: F2F, ``Deepfakes``: DF); of other names the
    beginnings of their parts, as many letters as it takes to tell them apart.
    """
    short: dict[str, str] = {}
    for name in names:
        for candidate in _candidates(name):
            if candidate not in short.values() and (candidate == name or candidate not in names):
                short[name] = candidate
                break
    return short


def _candidates(name: str) -> list[str]:
    if len(name) <= 5:
        return [name]
    if name.lower() == "deepfakes":
        return ["DF", name]
    signs = "".join(re.findall(r"[A-Z]+(?![a-z])|[A-Z]|\d+", name))
    words = re.findall(r"[A-Za-z0-9]+", name)
    initials = "".join(word[0] for word in words) if len(words) > 1 else ""
    options = [signs, initials] if 2 <= len(signs) <= 5 else [initials if 2 <= len(initials) <= 5 else ""]
    options += [name[:length] for length in range(3, len(name))]
    return [option for option in options if option and not option.endswith(("-", "_", " "))] + [name]


def _shortened(table: Table, short: Mapping[str, str]) -> tuple[Table, tuple[str, ...]]:
    """Call domains by their short names, in heads and in texts, and shorten heads; and the note that says so."""
    used: dict[str, str] = {}

    def text(value: str) -> str:
        name, comma, rest = (value, "", "") if value in short else value.partition(", ")
        if short.get(name, name) == name:
            return value
        used[name] = short[name]
        return short[name] + comma + rest

    def head(title: str) -> str:
        shortened = text(title)
        return shortened if shortened != title else " ".join(_WORDS.get(w, w) for w in title.split(" "))

    columns = tuple(replace(column, title=head(column.title)) for column in table.columns)
    rows = tuple(
        replace(row, cells=tuple(text(cell) if isinstance(cell, str) else cell for cell in row.cells))
        for row in table.rows
    )
    note = ", ".join(f"{abbreviation}: {name}" for name, abbreviation in used.items())
    return replace(table, columns=columns, rows=rows), (note,) if note else ()


def _layout(table: Table, limit: float, styles: Sequence[_Style]) -> tuple[_Style, list[list[int]]]:
    """Choose the largest way to set a table that fits; if none does, cut its columns into as few panels as do."""
    columns = list(range(len(table.columns)))
    for style in styles:
        if _Panel(table, columns, style, limit).width <= limit:
            return style, [columns]
    style = styles[-1]
    names = _name_columns(table)
    others = columns[len(names) :]
    for count in range(2, len(others) + 1):
        length = math.ceil(len(others) / count)
        panels = [[*names, *others[at : at + length]] for at in range(0, len(others), length)]
        if all(_Panel(table, panel, style, limit).width <= limit for panel in panels):
            return style, panels
    return style, [[*names, at] for at in others]


def _name_columns(table: Table) -> list[int]:
    """Give the columns that say what a row is of: the texts before the first number; of texts alone the first."""
    first = next((at for at, numeric in enumerate(table.numeric) if numeric), 1)
    return list(range(max(1, first)))


class _Panel:
    """Some columns of a table, as one tabular."""

    def __init__(self, table: Table, columns: Sequence[int], style: _Style, limit: float) -> None:
        self.table, self.style = table, style
        groups = [row.cells[0] for row in table.rows]
        # Whether rows that follow one another have the same first text, which then stands once.
        self.grouped = any(one == other for one, other in itertools.pairwise(groups))
        # In a column it stands above them.
        self.above = self.grouped and limit < PAGE and len(columns) > 1
        self.columns = list(columns[1:] if self.above else columns)
        self.size, self.skip = _SIZES[style.size]
        self.numbers: dict[int, Numbers] = {}
        self.texts: dict[int, float] = {}
        widths = []
        for at in self.columns:
            column = table.columns[at]
            head = max(width_of(line, self.size) for line in stacked(column.head).split("\n"))
            cells = [row.cells[at] for row in table.rows]
            if table.numeric[at]:
                self.numbers[at] = Numbers(cells, column, style.intervals)
                widths.append(max(head, self.numbers[at].width(self.size)))
            else:
                natural = max((width_of(str(cell), self.size) for cell in cells), default=0.0)
                if natural > limit * _LONGEST:
                    natural = self.texts[at] = round(limit * _LONGEST, 1)
                widths.append(max(head, natural))
        self.width = sum(widths) + 2 * style.gap * (len(widths) - 1)

    def height(self, first: int, last: int) -> float:
        """Reckon how many points some rows take, with the head."""
        head = max(stacked(self.table.columns[at].head).count("\n") + 1 for at in self.columns)
        groups = sum(self.begins(at) for at in range(first + 1, last)) if self.grouped else 0
        above = (groups + 1) * self.skip if self.above else 0.0
        rows = sum(self.row_heights[first:last])
        return (head + 1) * self.skip + rows + above + 2 * groups + 10

    @functools.cached_property
    def row_heights(self) -> list[float]:
        """How many points every row takes."""
        return [self._row_height(row) for row in range(len(self.table.rows))]

    def _row_height(self, row: int) -> float:
        lines = [
            math.ceil(1.15 * width_of(str(self.table.rows[row].cells[at]), self.size) / width)
            for at, width in self.texts.items()
        ]
        return max(1, *lines, 1) * self.skip

    def begins(self, at: int) -> bool:
        """Tell whether a row's first text is another than that of the row above it."""
        return at == 0 or self.table.rows[at].cells[0] != self.table.rows[at - 1].cells[0]

    def lines(self, first: int, last: int, *, fill: bool) -> list[str]:
        """Write some rows as a tabular; to the full width with ``fill``."""
        kinds = "".join(self._kind(at) for at in self.columns)
        if fill:
            begin, end = (
                rf"\begin{{tabular*}}{{\linewidth}}{{@{{\extracolsep{{\fill}}}}{kinds}@{{}}}}",
                "tabular*",
            )
        else:
            begin, end = rf"\begin{{tabular}}{{@{{}}{kinds}@{{}}}}", "tabular"
        heads = " & ".join(self._head(self.table.columns[at]) for at in self.columns)
        lines = [begin, r"\toprule", heads + r" \\", r"\midrule"]
        before: Row | None = None
        for at in range(first, last):
            row = self.table.rows[at]
            if before is not None and row.apart and not before.apart:
                lines.append(r"\midrule")
            elif before is not None and self.grouped and self.begins(at):
                lines.append(r"\addlinespace[2pt]")
            repeated = before is not None and self.grouped and not self.begins(at)
            if self.above and not repeated:
                lines.append(rf"\multicolumn{{{len(self.columns)}}}{{@{{}}l@{{}}}}{{{self._group(at)}}} \\")
            lines.append(" & ".join(self._cell(at, column, repeated) for column in self.columns) + r" \\")
            before = row
        return [*lines, r"\bottomrule", rf"\end{{{end}}}"]

    def _kind(self, at: int) -> str:
        if at in self.texts:
            return rf"p{{{self.texts[at]}pt}}"
        if at in self.numbers:
            return "c"
        figures = [str(row.cells[at]) for row in self.table.rows]
        return "c" if at > 0 and all(re.match(r"[(–]?[\d–]|$", text) for text in figures) else "l"

    def _head(self, column: Column) -> str:
        parts = [tex(line) for line in stacked(column.head).split("\n")]
        return parts[0] if len(parts) == 1 else r"\shortstack{" + r" \\ ".join(parts) + "}"

    def _group(self, row: int) -> str:
        """Write what rows have in common, broken where it is wider than they are."""
        text = str(self.table.rows[row].cells[0])
        if width_of(text, self.size) <= self.width:
            return rf"\itshape {tex(text)}"
        return rf"\parbox[t]{{{self.width:.1f}pt}}{{\raggedright\itshape {breakable(text)}}}"

    def _cell(self, row: int, at: int, repeated: bool) -> str:
        if at in self.numbers:
            return self.numbers[at].cell(row)
        if at == 0 and repeated:
            return ""
        text = str(self.table.rows[row].cells[at])
        # Without a hyphen TeX breaks no word in a column so narrow; what follows stands a little in.
        return (
            rf"\raggedright\let\\\tabularnewline\hangindent1em {breakable(text)}"
            if at in self.texts
            else tex(text)
        )


_Block = tuple[_Panel, int, int]


def _parts(panels: Sequence[_Panel], table: Table, limit: float) -> list[list[_Block]]:
    """Distribute the rows of all panels over floats that are no higher than a page."""
    notes = sum(width_of(note, 7) for note in table.notes) / limit * 1.15 + 1
    room = _HEIGHT - 3 * 12 - notes * 8
    blocks: list[_Block] = []
    for panel in panels:
        first = 0
        while first < len(table.rows):
            last = first + 1
            while last < len(table.rows) and panel.height(first, last + 1) <= max(room, 120):
                last += 1
            # A group stays together where it can.
            if last < len(table.rows) and panel.grouped:
                start = next((at for at in range(last, first, -1) if panel.begins(at)), first)
                last = start if start > first else last
            blocks.append((panel, first, last))
            first = last
        if not table.rows:
            blocks.append((panel, 0, 0))
    parts: list[list[_Block]] = []
    left = 0.0
    for block in blocks:
        height = block[0].height(*block[1:]) + 6
        if not parts or height > left:
            parts.append([])
            left = room
        parts[-1].append(block)
        left -= height
    return parts


def _float(
    table: Table, part: Sequence[_Block], style: _Style, name: str, number: int, count: int, narrow: bool
) -> list[str]:
    """Write one float: caption, tabulars, notes."""
    kind = "table" if narrow else "table*"
    title = table.title.rstrip(".") + (f" ({number} of {count})" if count > 1 else "")
    label = name if number == 1 else f"{name}-{number}"
    lines = [
        rf"\begin{{{kind}}}[tp]",
        r"\centering",
        r"\setlength{\belowcaptionskip}{4pt}",
        rf"\caption{{{tex(title)}.}}",
        rf"\label{{tab:{label}}}",
        rf"\{style.size}",
        rf"\setlength{{\tabcolsep}}{{{style.gap:g}pt}}",
    ]
    several = len(part) > 1 or len({id(panel) for panel, _, _ in part}) > 1
    for at, (panel, first, last) in enumerate(part):
        lines += [r"", r"\vspace{4pt}"] if at else []
        lines += panel.lines(first, last, fill=several)
    notes = " ".join(tex(note.rstrip(".") + ".") for note in table.notes)
    if number > 1:
        notes = rf"Notes: Table~\ref{{tab:{name}}}." if notes else ""
    if notes:
        lines += [r"", r"\vspace{3pt}", rf"\parbox{{\linewidth}}{{\scriptsize\frenchspacing {notes}\par}}"]
    return [*lines, rf"\end{{{kind}}}"]


def _plain(text: str) -> str:
    return " ".join(text.split()).rstrip(".")
