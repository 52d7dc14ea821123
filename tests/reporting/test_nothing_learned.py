"""A run that learned nothing is said to be at chance: by the verdict, the page, the tables, on the screen."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from fretal_bench.reporting.chance import AT_CHANCE, letters
from fretal_bench.reporting.contents import quantity_tables
from fretal_bench.reporting.formats import to_markdown
from fretal_bench.reporting.latex import to_latex
from fretal_bench.reporting.markdown import markdown
from fretal_bench.reporting.page.data import page_data
from fretal_bench.reporting.page.page import page
from fretal_bench.reporting.plot_words import tradeoff
from fretal_bench.reporting.quantities import BACKWARD
from fretal_bench.reporting.report import Report
from fretal_bench.reporting.short import print_short, short_table
from fretal_bench.reporting.summary import summarize
from fretal_bench.reporting.verdict import Verdict, verdict
from hard_cases import Videos, results_on

SETS = dict.fromkeys("ab", Videos(40, 40))
NOTHING = "Nothing was learned, so nobody is ranked"


@pytest.fixture(scope="module")
def nothing():
    """Two strategies that know nothing."""
    results = results_on(SETS, {"er": (0.0, 0.0), "lwf": (0.0, 0.0)})
    return results, summarize(results)


@pytest.fixture(scope="module")
def one():
    """One that learned and forgot, one that learned more, and one that knows nothing and forgets nothing."""
    results = results_on(SETS, {"er": (4.0, 3.9), "ewc": (4.0, 1.5), "lwf": (0.0, 0.0)})
    return results, summarize(results)


def bold(table):
    return {
        row.cells[0] for row in table.rows if any(getattr(cell, "best", False) for cell in row.cells[1:3])
    }


def test_where_nothing_was_learned_every_output_says_so(nothing):
    results, summary = nothing
    conclusion = verdict(summary)
    assert conclusion.sentence.startswith(NOTHING)
    assert markdown(results, summary, conclusion).count(NOTHING) > len(quantity_tables(summary))
    for table in quantity_tables(summary)[:4]:
        assert any(note.startswith(NOTHING) for note in table.notes), table.name
        assert not bold(table)
    latex = to_latex(quantity_tables(summary)[0], narrow=True)
    assert NOTHING in latex
    assert r"\benchbest{0" not in latex
    assert any(note.startswith(NOTHING) for note in short_table(summary).notes)
    html = page(results, summary, conclusion, [])
    assert html.count(NOTHING) >= 3
    assert NOTHING in re.findall(r'id="leaderboard-caption">(.*?)</p>', html)[0]
    assert page_data(results, summary)["views"]["accuracy/frame"]["ranked"] == []
    assert tradeoff(summary).endswith("nothing was learned, no strategy is ranked.")


def test_letters_are_dealt_among_those_that_are_ranked_and_are_the_same_everywhere(one, nothing, tmp_path):
    results, summary = one
    expected = {"ewc": "a", "er": "b", "lwf": AT_CHANCE}
    # Of all three, the one that has nothing to forget would be the best.
    assert summary.inference[BACKWARD].groups == {"lwf": "a", "ewc": "b", "er": "c"}
    assert letters(summary) == expected
    assert {row.cells[0]: row.cells[1] for row in short_table(summary).rows} == expected
    data = page_data(results, summary)
    labels = [of["label"] for of in data["strategies"]]
    assert dict(zip(labels, data["views"]["accuracy/frame"]["groups"], strict=True)) == expected
    report = Report(tmp_path, tmp_path, (), verdict(summary), summary)
    assert report.to_dict()["inference"][BACKWARD]["groups"] == expected
    assert letters(nothing[1]) == dict.fromkeys(["er", "lwf"], AT_CHANCE)


def test_who_alone_is_ranked_has_the_first_letter():
    summary = summarize(results_on(SETS, {"er": (4.0, 1.5), "lwf": (0.0, 0.0)}))
    assert summary.inference[BACKWARD].groups == {"lwf": "a", "er": "b"}
    assert letters(summary) == {"er": "a", "lwf": AT_CHANCE}


@pytest.mark.parametrize(
    ("notes", "words"), [((), "every"), (("x",), "1 note and"), (("x", "y"), "2 notes and")]
)
def test_notes_are_counted_in_words(nothing, notes, words):
    console = Console(file=io.StringIO(), width=200)
    print_short(nothing[1], Verdict("Nothing.", notes, None, False, ()), console, "every table: page")
    assert f"\n{words} " in console.file.getvalue()


def test_who_alone_learned_nothing_is_named_and_neither_ranked_nor_bold(one):
    results, summary = one
    assert verdict(summary).leader == "ewc"
    first = quantity_tables(summary)[0]
    words = re.escape("Not ranked, because not shown to be above chance (0.500) right after learning: lwf.")
    assert re.search(words, to_markdown(first))
    assert re.search(words, to_latex(first))
    assert bold(first) == {"ewc"}
    view = page_data(results, summary)["views"]["accuracy/frame"]
    assert [label == AT_CHANCE for label in view["groups"]] == [False, False, True]
    assert view["ranked"] == [1, 0]
    assert len(view["compared"]) == 3
    assert view["tied"] == [False, True, False]
    short = short_table(summary)
    assert [row.cells[0] for row in short.rows] == ["ewc", "er", "lwf"]
    assert short.rows[2].cells[1] == AT_CHANCE
    assert "ewc forgets least" in tradeoff(summary)
