"""Texts in CSV and Markdown: whatever a name holds, it is read as it is."""

from __future__ import annotations

import csv
import io
import re

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from fretal_bench.reporting.formats import (
    bullet,
    code,
    csv_text,
    frame_to_csv,
    prose,
    table_text,
    to_csv,
    to_markdown,
)
from fretal_bench.reporting.report import write_report
from fretal_bench.reporting.tables import Column, Number, Row, Table

ODD = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "a|b",
    "`x`",
    "[x](http://y)",
    "![x](y)",
    "[x][y]",
    "*a*",
    "_a_",
    "a_b_c",
    "__init__",
    "~~a~~",
    "a\\*b",
    "&lt;b&gt;",
    "# a",
    "- a",
    "1. a",
    "> a",
    "a\n\n# b",
    "a\r\n| b | c |",
)
FORMULAS = ("=1+1", "+1+cmd|' /C calc'!A0", "-1+1", "@SUM(A1)", "\t=1", "\n=1", "'=1", '=HYPERLINK("x")')
texts = st.text(st.sampled_from("ab1 =+-@'_*[](){}<>|`~&;#.!:\\\n\t\u00e9\u4e2d"), max_size=12)
markdown = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def on_one_line(text: str) -> str:
    return re.sub(r"[\x00-\x1f]+", " ", text)


def read(content: str) -> list[tuple[str, str]]:
    """What a reader of Markdown sees: kind and text of every inline piece, texts joined."""
    pieces: list[tuple[str, str]] = []
    for token in markdown.parse(content):
        begun = len(pieces)
        for child in token.children or ():
            kind = "text" if child.type == "text_special" else child.type
            if kind == "text" and len(pieces) > begun and pieces[-1][0] == "text":
                pieces[-1] = ("text", pieces[-1][1] + child.content)
            else:
                pieces.append((kind, child.content))
    return [piece for piece in pieces if piece != ("text", "")]


@pytest.mark.parametrize("text", ODD)
def test_a_text_is_read_as_it_is_in_a_paragraph_in_a_list_and_in_a_table(text):
    plain = on_one_line(text)
    assert read(f"Stream {prose(text)}.") == [("text", f"Stream {plain}.")]
    assert read(bullet(text)) == [("text", plain)]
    assert read(f"**{table_text('x' + text + 'x')}**")[1] == ("text", f"x{plain}x")
    table = Table("t", "title", (Column("a", text), Column("b", "b")), (Row((text, Number(0.5))),))
    assert [piece for kind, piece in read(to_markdown(table)) if piece == plain] == [plain] * 2


@given(texts)
def test_any_text_is_read_as_it_is(text):
    plain = on_one_line(text)
    assert read(f"Stream x{prose(text)}x") == [("text", f"Stream x{plain}x")]
    listed = read(bullet(text))
    assert listed == ([("text", plain.strip())] if plain.strip() else [])
    assert "bullet_list_open" not in [token.type for token in markdown.parse(bullet(text))[1:]]


@given(texts)
def test_any_text_is_code_as_it_is(text):
    plain = on_one_line(text)
    if plain.strip():
        ((kind, found),) = [piece for piece in read(f"Made by {code(text)}") if piece[0] != "text"]
        assert (kind, found.strip()) == ("code_inline", plain.strip())


@pytest.mark.parametrize("text", FORMULAS)
def test_no_cell_of_csv_begins_a_formula(text):
    table = Table("t", "title", (Column(text, "a"), Column("b", "b")), (Row((text, Number(-0.5))),))
    frame = pd.DataFrame({text: [text], "value": [-0.5]})
    for content in (to_csv(table), frame_to_csv(frame)):
        ((key, other), (cell, number)) = csv.reader(io.StringIO(content, newline=""))
        assert key == cell == f"'{text}"
        assert (other in ("b", "value"), number) == (True, "-0.5")


def test_a_carriage_return_ends_no_line_of_csv():
    table = Table("t", "title", (Column("a", "a"),), (Row(("a\r=1",)),))
    assert list(csv.reader(io.StringIO(to_csv(table), newline=""))) == [["a"], ["a\n=1"]]


@pytest.mark.parametrize("text", ["-0.5", "+1", "12", "-1e-05", "ewc", "a=b", "", "it's"])
def test_numbers_and_plain_texts_stand_in_csv_as_they_are(text):
    assert csv_text(text) == text


@given(texts)
def test_what_csv_holds_is_read_back_by_taking_one_apostrophe_away(text):
    written = csv_text(text)
    assert (written[1:] if re.match(r"'+[=+\-@\t\n]", written) else written) == text.replace("\r", "\n")
    assert not re.match(r"[=+\-@\t\r\n]", written) or is_number(written)


def test_no_file_of_a_report_takes_a_name_for_a_formula_or_for_markup(make, tmp_path):
    label, domain = "=1+1 <script>|`[x](y)*", "@SUM <img onerror=x>"
    results = make({label: (0.9, 0.06), "ewc": (0.8, 0.1)}, seeds=1, domains=(domain, "+b_"))
    results.plan["stream"].update(name="-s <b>*", left_out={"=no face <i>": 2})
    report = write_report(results, tmp_path)
    tables = [path for path in report.files if path.suffix == ".csv"]
    assert len(tables) > 5
    for path in tables:
        cells = {cell for line in csv.reader(path.read_text("utf-8").splitlines()) for cell in line}
        assert cells & {f"'{label}", f"'{domain}"}, path.name
        assert not [cell for cell in cells if re.match(r"[=+\-@\t\r]", cell) and not is_number(cell)]
    kinds = {kind for kind, _ in read((tmp_path / "summary.md").read_text("utf-8"))}
    assert kinds == {"text", "strong_open", "strong_close", "image"}


def is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def test_a_name_with_dollar_signs_is_drawn_as_it_is(make, tmp_path):
    names = ("$a_b_c$", "$\\frac$")
    write_report(make({"$x^$": (0.9, 0.06), "ewc": (0.8, 0.1)}, seeds=1, domains=names), tmp_path)
