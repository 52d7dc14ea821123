"""Tables as LaTeX: what compiles, how wide it is, and what stands where; with TeX where it is installed."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from fretal_bench.metrics.numbers import NAN
from fretal_bench.reporting.latex import COLUMN, PAGE, abbreviations, to_latex
from fretal_bench.reporting.tables import INTERVAL, Column, Number, Row, Table, mark_best

CDDB = [
    "gaugan",
    "biggan",
    "cyclegan",
    "imle",
    "deepfake",
    "crn",
    "wild",
    "glow",
    "stargan",
    "whichfaceisreal",
]  # ten domains
LONG = "feature-distillation(layers=all,temperature=2.0,weight=0.5)"


def demo(domains: Sequence[str] = ("Deepfakes", "Face2Face", "FaceSwap"), strategies: int = 5) -> Table:
    """A table of values on domains, with intervals, a bound and names as long as they come."""
    labels = [LONG, "er_x & 50%", "[x]", "*star", "-3", *(f"strategy{k}" for k in range(100))][:strategies]
    columns = (Column("strategy", "strategy"), *(Column(name, name, "higher") for name in domains))
    rows = [
        Row((label, *(Number(0.5 + (7 * k + i) % 50 / 100, 0.03) for i in range(len(domains)))))
        for k, label in enumerate(labels)
    ]
    bound = Row(("joint", *(Number(0.9, NAN) for _ in domains)), apart=True)
    notes = ("R[i,j] < 1 & 50% of `x --metric`.", f"{INTERVAL} 3 seeds.")
    return mark_best(Table("final", "Accuracy of each domain", columns, (*rows, bound), notes))


def matrices(domains: Sequence[str], strategies: int = 4) -> Table:
    """Matrices under one another, with values aside."""
    columns = (
        Column("strategy", "strategy"),
        Column("after", "after"),
        *(Column(name, name, signed=True) for name in domains),
    )
    rows = [
        Row((f"s{k}", name, *(Number(i / 10 - 0.1, 0.01, aside=j > i) for j, _ in enumerate(domains))))
        for k in range(strategies)
        for i, name in enumerate(domains)
    ]
    return Table("matrices", "Matrices", columns, tuple(rows), (f"{INTERVAL} 3 seeds.",))


def pairs() -> Table:
    """Texts of several columns, numbers of several lengths, and none."""
    columns = (
        Column("less", "forgets less"),
        Column("more", "forgets more"),
        Column("difference", "difference"),
        Column("needed", "people needed", digits=0),
        Column("conclusion", "conclusion"),
    )
    rows = [
        Row((LONG, "er", Number(0.1, 0.05), Number(12345), "told apart, alike within 0.05")),
        Row((LONG, "lwf", Number(NAN), Number(7), "open")),
        Row(("ewc", "lwf", Number(-10.25, 0.5, mark="†"), Number(0, empty=True), "open")),
    ]
    return Table("comparisons", "Every pair", columns, tuple(rows), ("p <= 0.05.",))


def published() -> Table:
    """Cells of two numbers, as a comparison with a paper has them."""
    columns = (Column("method", "method"), *(Column(c, c) for c in ("FF++", "DFDC-P", "Celeb-DF", "avg.")))
    rows = tuple(Row((f"CoReD {k}", *["83.10 | 82.5±0.3‡"] * 4)) for k in range(3))
    return Table("paper-x", "x: A & B. Each cell: published | measured.", columns, rows)


CASES = {
    "three domains": demo(),
    "five domains": demo(("FaceForensics++", "DFDC-P", "DFD", "Celeb-DF-v2", "WildDeepfake")),
    "ten domains": demo(CDDB),
    "many strategies": demo(CDDB[:4], 60),
    "matrices": matrices(("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures")),
    "matrices of ten domains": matrices(CDDB, 2),
    "pairs": pairs(),
    "published": published(),
}


def written(case: str, narrow: bool) -> str:
    """A case as LaTeX."""
    table = CASES[case]
    return to_latex(table, narrow=narrow, short=abbreviations([c.title for c in table.columns[1:]]))


def tabulars(text: str) -> list[tuple[int, list[str]]]:
    """The tabulars of a text: how many columns each declares, and its rows."""
    found = []
    for of in re.finditer(
        r"\\begin\{tabular(\*?)\}(\{\\linewidth\})?\{@\{(?:\\extracolsep\{\\fill\})?\}(.*?)@\{\}\}\n(.*?)\\end\{tabular",
        text,
        re.DOTALL,
    ):
        kinds = re.sub(r"p\{[\d.]+pt\}", "p", of[3])
        assert set(kinds) <= set("lcp")
        rows = [line for line in of[4].splitlines() if line.endswith(r" \\")]
        found.append((len(kinds), rows))
    return found


def columns_of(row: str) -> int:
    """How many columns a row fills."""
    spanned = re.match(r"\\multicolumn\{(\d+)\}", row)
    return int(spanned[1]) if spanned else len(re.findall(r"(?<!\\)&", row)) + 1


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_every_row_has_the_columns_of_its_tabular_and_groups_are_balanced(case, narrow):
    text = written(case, narrow)
    body = re.sub(r"\\[{}]", "", text)
    depth = 0
    for sign in body:
        depth += {"{": 1, "}": -1}.get(sign, 0)
        assert depth >= 0
    assert depth == 0
    assert body.replace(r"\$", "").count("$") % 2 == 0
    assert text.isascii()
    assert tabulars(text)
    for count, rows in tabulars(text):
        assert {columns_of(row) for row in rows} == {count}
        # A bare bracket or star would be an argument of the "\\" above it.
        assert not any(row.startswith(("[", "*", "%")) for row in rows)
    begun, ended = (re.findall(rf"\\{word}{{(.*?)}}", text) for word in ("begin", "end"))
    assert sorted(begun) == sorted(ended)
    assert set(begun) == ({"table"} if narrow else {"table*"}) | (set(begun) & {"tabular", "tabular*"})
    assert len(set(re.findall(r"\\label{(.*?)}", text))) == begun.count("table" if narrow else "table*")


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_no_value_and_no_row_is_lost(case, narrow):
    table, text = CASES[case], written(case, narrow)
    body = " ".join(row for _, rows in tabulars(text) for row in rows)
    body = re.sub(r"\\phantom\{(?:[^{}]|\{[^{}]*\})*\}", "", body)
    for row in table.rows:
        for cell, column in zip(row.cells, table.columns, strict=True):
            if isinstance(cell, Number) and cell.value == cell.value and not cell.empty:
                assert f"{abs(cell.value):.{column.digits}f}" in body


def test_names_are_escaped_and_the_best_and_its_interval_are_marked_by_commands():
    table = demo()
    text = to_latex(replace(table, rows=table.rows[1:]))
    assert r"er\_x \& 50\% & 0.570\benchhalf{0.030}" in text
    assert r"\benchbest{0.780}\benchhalf{0.030}" in text
    assert r"\providecommand{\benchbest}[1]{\textbf{#1}}" in text
    assert r"joint & 0.900\phantom{\benchhalf{0.030}}" in text
    assert r"R{[}i,j] $<$ 1 \& 50\% of \textasciigrave{}x -{}-metric\textasciigrave{}." in text
    assert r"\caption{Accuracy of each domain.}" in text
    assert r"\usepackage{booktabs}" in text.splitlines()[1]


def test_numbers_of_a_column_are_padded_to_the_same_width():
    text = to_latex(pairs())
    assert r"\phantom{$-$0}0.100\benchhalf{0.050}" in text
    assert r"$-$10.250\benchhalf{0.500}\rlap{$^{\dagger}$}" in text
    assert r"12345" in text
    assert r"\phantom{0000}7" in text
    aside = to_latex(matrices(("a", "b")))
    assert r"($-$0.100\benchhalf{0.010})" in aside
    assert r"\phantom{($-$}0.000\benchhalf{0.010}\phantom{)}" in aside


def test_a_column_has_short_names_with_their_key_and_says_where_intervals_are():
    text = written("ten domains", True)
    assert "gaug: gaugan" not in text
    assert "bigg: biggan" not in text or "big: biggan" in text
    assert r"\benchhalf{0" not in text
    assert f"{INTERVAL.replace('±', '')}" not in text
    assert "Mean over 3 seeds." in text
    assert "Intervals: in the wide table." in text
    assert "DF: Deepfakes, F2F: Face2Face, FS: FaceSwap." in written("three domains", True)
    assert r"\benchhalf{0.030}" in written("three domains", False)


def test_domains_are_abbreviated_as_papers_do_and_never_two_alike():
    assert abbreviations(("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures")) == {
        "Deepfakes": "DF",
        "Face2Face": "F2F",
        "FaceSwap": "FS",
        "NeuralTextures": "NT",
    }
    names = (*CDDB, "FaceShifter", "FaceSwap", "DFDC", "Celeb-DF-v2", "Celeb-DF", "abcdefg", "abcdefh", "abc")
    short = abbreviations(names)
    assert set(short) == set(names)
    assert len(set(short.values())) == len(names)
    assert short["DFDC"] == "DFDC"
    assert short["abc"] == "abc"


def test_a_table_higher_than_a_page_becomes_several_floats_with_labels_of_their_own():
    text = to_latex(demo(CDDB[:4], 100))
    count = text.count(r"\begin{table*}")
    assert count > 1
    assert f"(1 of {count})." in text
    assert r"\label{tab:final-2}" in text
    assert r"Notes: Table~\ref{tab:final}." in text
    assert len([row for _, rows in tabulars(text) for row in rows]) == 101 + count


PREAMBLES = {
    # As CVPR: letter paper, 10 points, 496.85 and 237.13 points.
    "article": (
        r"\documentclass[twocolumn,letterpaper,10pt]{article}"
        r"\setlength{\textwidth}{496.85pt}\setlength{\columnsep}{22.59pt}\setlength{\oddsidemargin}{-0.1in}"
    ),
    "IEEEtran": r"\documentclass[conference]{IEEEtran}",
}


def compiled(preamble: str, body: str, folder: Path) -> str:
    """The log of a document; the test is skipped without TeX, or without what the document needs."""
    if shutil.which("pdflatex") is None:
        pytest.skip("pdflatex is not installed: widths are not measured")
    for needed in ("booktabs.sty", *re.findall(r"{(IEEEtran)}", preamble)):
        name = needed if "." in needed else f"{needed}.cls"
        if subprocess.run(["kpsewhich", name], capture_output=True, timeout=60).returncode:
            pytest.skip(f"TeX has no {name}")
    text = f"{preamble}\n\\usepackage{{booktabs}}\n\\begin{{document}}\n{body}\n\\end{{document}}\n"
    (folder / "paper.tex").write_text(text, "ascii")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    run = subprocess.run(command, cwd=folder, capture_output=True, timeout=120)
    log = (folder / "paper.log").read_text("utf-8", errors="replace")
    assert run.returncode == 0, log[-3000:]
    return log.replace("\n", "")


@pytest.mark.parametrize("preamble", PREAMBLES)
def test_tables_fit_a_paper_of_two_columns(preamble, tmp_path):
    floats = [f"{written(case, narrow)}\n\\clearpage" for case in CASES for narrow in (False, True)]
    log = compiled(PREAMBLES[preamble], "\n".join(floats), tmp_path)
    assert "Output written" in log
    assert "Overfull" not in log
    assert "Float too large" not in log


def test_boxes_are_as_wide_as_reckoned_at_most(tmp_path):
    boxes, limits = [], []
    for case in CASES:
        for narrow in (False, True):
            text = written(case, narrow)
            macros = "\n".join(line for line in text.splitlines() if line.startswith(r"\provide"))
            for of in re.finditer(
                r"(\\(?:small|footnotesize)\n\\setlength{\\tabcolsep}{[\d.]+pt}).*?\\end{table",
                text,
                re.DOTALL,
            ):
                for tabular in re.finditer(r"\\begin{tabular(\*?)}.*?\\end{tabular\*?}", of[0], re.DOTALL):
                    natural = re.sub(
                        r"tabular\*}(?:{\\linewidth}{@{\\extracolsep{\\fill}})?",
                        lambda m: "tabular}" + ("{@{}" if "fill" in m[0] else ""),
                        tabular[0],
                    )
                    boxes.append(
                        f"{{{macros}\n{of[1]}\\sbox0{{{natural}}}\\typeout{{WIDTH \\the\\wd0 END}}}}"
                    )
                    limits.append(COLUMN if narrow else PAGE)
    log = compiled(r"\documentclass[10pt]{article}", "\n".join(boxes), tmp_path)
    widths = [float(width) for width in re.findall(r"WIDTH ([\d.]+)pt ?END", log)]
    assert len(widths) == len(limits)
    assert all(width <= limit for width, limit in zip(widths, limits, strict=True))
    assert min(widths) > 50
