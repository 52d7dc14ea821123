"""A table as Markdown, CSV and LaTeX."""

from __future__ import annotations

import csv
import io
import math

from fretal_bench.reporting.tables import Number, Table, has_interval, number_text, stacked


def to_markdown(table: Table) -> str:
    """Write a Markdown table with its title above and its notes below."""
    lines = [f"**{_md(table.title)}**", ""]
    lines.append("| " + " | ".join(_md(column.head) for column in table.columns) + " |")
    lines.append("|" + "|".join("---:" if numeric else "---" for numeric in table.numeric) + "|")
    for row in table.rows:
        cells = []
        for cell, column in zip(row.cells, table.columns, strict=True):
            text = _md(cell) if isinstance(cell, str) else number_text(cell, column)
            cells.append(f"**{text}**" if isinstance(cell, Number) and cell.best else text)
        lines.append("| " + " | ".join(cells) + " |")
    for note in table.notes:
        lines.extend(["", f"{_md(note)}"])
    return "\n".join(lines) + "\n"


def to_csv(table: Table) -> str:
    """Write the values at full precision; a number with an interval takes three columns: key, key_low, key_high."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    wide = [has_interval(table, at) for at in range(len(table.columns))]
    head: list[str] = []
    for column, three in zip(table.columns, wide, strict=True):
        head.extend([column.key, f"{column.key}_low", f"{column.key}_high"] if three else [column.key])
    writer.writerow(head)
    for row in table.rows:
        line: list[str] = []
        for cell, three in zip(row.cells, wide, strict=True):
            if isinstance(cell, str):
                line.append(cell)
                continue
            ends = [cell.value, cell.value - cell.half, cell.value + cell.half] if three else [cell.value]
            line.extend("" if math.isnan(value) else repr(float(value)) for value in ends)
        writer.writerow(line)
    return out.getvalue()


def to_latex(table: Table) -> str:
    r"""Write a LaTeX table; it needs ``\usepackage{booktabs}`` and nothing else."""
    align = "".join("r" if numeric else "l" for numeric in table.numeric)
    size = "small" if len(table.columns) < 6 else "footnotesize"
    lines = [
        r"% needs \usepackage{booktabs}",
        r"\begin{table}[t]",
        rf"\centering\{size}\setlength{{\tabcolsep}}{{4pt}}",
        r"\caption{" + " ".join(_tex(text.rstrip(".") + ".") for text in (table.title, *table.notes)) + "}",
        r"\label{tab:" + table.name + "}",
        r"\begin{tabular}{" + align + "}",
        r"\toprule",
        " & ".join(_tex_head(stacked(column.head)) for column in table.columns) + r" \\",
        r"\midrule",
    ]
    for before, row in zip((None, *table.rows[:-1]), table.rows, strict=True):
        if row.apart and before is not None and not before.apart:
            lines.append(r"\midrule")
        cells = []
        for cell, column in zip(row.cells, table.columns, strict=True):
            text = _tex(cell if isinstance(cell, str) else number_text(cell, column))
            cells.append(rf"\textbf{{{text}}}" if isinstance(cell, Number) and cell.best else text)
        lines.append(" & ".join(cells) + r" \\")
    lines.extend([r"\bottomrule", r"\end{tabular}", r"\end{table}"])
    return "\n".join(lines) + "\n"


def _md(text: str) -> str:
    """Escape what Markdown would read as markup in a table."""
    for sign in "\\|*_`<":
        text = text.replace(sign, "&lt;" if sign == "<" else "\\" + sign)
    return text


_TEX = {
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
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "→": r"$\rightarrow$",
    "–": r"--",
    "≤": r"$\le$",
    '"': r"''",
}


def _tex_head(lines: str) -> str:
    """Put the lines of a title over one another."""
    parts = [_tex(line) for line in lines.split("\n")]
    return parts[0] if len(parts) == 1 else r"\shortstack[r]{" + r" \\ ".join(parts) + "}"


def _tex(text: str) -> str:
    """Escape a text for LaTeX; a minus sign before a digit at its start becomes a real one."""
    if text[:1] == "-" and text[1:2].isdigit():
        return "$-$" + _tex(text[1:])
    return "".join(_TEX.get(sign, sign) for sign in text)
