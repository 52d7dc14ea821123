"""A published table next to what was measured: notes, captions, intervals, on which data."""

import csv
import html
import io
import math
import re

import pytest
from rich.console import Console

from fretal_bench.papers.comparison import Comparison, compare
from fretal_bench.papers.comparison_output import plain_comparison, print_comparison, write_comparison
from fretal_bench.papers.comparison_page import comparison_page
from fretal_bench.papers.comparison_tables import difference_table, side_by_side
from fretal_bench.papers.file import open_paper
from fretal_bench.papers.published import COLUMNS, PublishedTable, PublishedValue
from fretal_bench.papers.run import PaperCall, prepare_paper
from fretal_bench.papers.values import Measured
from tests_support import TINY, tiny_stream

PLACE = ("ours", "AA")
TABLE = PublishedTable(
    "mine",
    (PublishedValue(**{**dict.fromkeys(COLUMNS, "x"), "method": "ours", "column": "AA", "value": "77.5"}),),
)
REPORTS = ("summary.md", "comparison.tex", "side-by-side.tex", "index.html")


@pytest.fixture
def prepared(tmp_path):
    """Prepare a table of one value over the tiny stream; nothing is trained."""
    stream = tiny_stream(tmp_path)
    (tmp_path / "mine.toml").write_text(
        'notes = ["Always."]\nnotes_data = ["Of the data."]\nnotes_recipe = ["Of the recipe."]\n'
        f'streams.all = "{stream}"\nrows.ours.strategy = "finetuning"\ncolumns.AA.quantity = "average"\n'
    )
    paper = open_paper(tmp_path / "mine.toml")

    def prepare(**options):
        out = tmp_path / f"out{len(list(tmp_path.iterdir()))}"
        call = PaperCall(paper, [PLACE], out, changes={"recipe": TINY}, jobs=1, **options)
        return prepare_paper(call)

    return prepare


def test_notes_about_the_papers_data_and_recipe_stand_only_with_them(prepared, tmp_path):
    (tmp_path / "quick.toml").write_text('description = "x"\n')
    measured = {PLACE: Measured(reason="not trained yet")}
    for options, lender, expected in [
        ({}, "", ["Always.", "Of the data.", "Of the recipe."]),
        ({"stream_as": str(tmp_path / "tiny.toml")}, "tiny", ["Always."]),
        ({"recipe": str(tmp_path / "quick.toml")}, "", ["Always.", "Of the data."]),
    ]:
        notes = compare(TABLE, prepared(**options), measured, lender).notes
        assert [note for note in notes if note.endswith(("Always.", "data.", "recipe."))] == expected


def test_captions_say_metric_level_and_what_an_average_is_and_promise_no_interval_of_one_seed(
    prepared, tmp_path
):
    for seeds in ((0,), (0, 1)):
        measured = {PLACE: Measured({seed: 70.0 + 10 * seed for seed in seeds})}
        comparison = compare(TABLE, prepared(seeds=seeds), measured)
        write_comparison(comparison, tmp_path / "report")
        for name in REPORTS:
            text = html.unescape((tmp_path / "report" / name).read_text().rpartition("</style>")[-1])
            assert "accuracy in percent" in text, name
            assert "over frames" in text, name
            assert "AA = average accuracy" in text, name
            assert ("95" in text) is (len(seeds) > 1), name


def test_measured_is_the_mean_over_seeds_with_its_interval_and_difference_is_from_the_published():
    comparison = Comparison(TABLE, {PLACE: Measured({0: 70.0, 1: 80.0})}, "mini", (0, 1))
    (value,) = plain_comparison(comparison)["values"]
    # Student's t of one degree of freedom at 95%: 12.706; s of two values is |a - b| / sqrt(2).
    half = 12.706205 * 10 / math.sqrt(2) / math.sqrt(2)
    assert (value["published"], value["measured"], value["difference"]) == (77.5, 75.0, -2.5)
    assert (value["low"], value["high"]) == pytest.approx((75 - half, 75 + half), abs=1e-3)
    assert value["by_seed"] == {"0": 70.0, "1": 80.0}
    assert side_by_side(comparison).rows[0].cells[1] == f"77.5 | 75.0±{half:.1f}"
    assert [number.value for number in difference_table(comparison).rows[0].cells[2:]] == [77.5, 75.0, -2.5]


def test_what_was_not_measured_has_no_number_and_its_reason(tmp_path):
    comparison = Comparison(
        TABLE, {PLACE: Measured(reason="lacks ffpp at c23")}, "mini", (0,), stand_in="tiny"
    )
    (value,) = plain_comparison(comparison)["values"]
    assert (value["measured"], value["difference"], value["reason"]) == (None, None, "lacks ffpp at c23")
    assert comparison.reasons() == ["Not measured: everything: lacks ffpp at c23"]
    write_comparison(comparison, tmp_path)
    with (tmp_path / "comparison.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["not_measured"] == "lacks ffpp at c23"
    assert row["measured_on"] == "tiny, not the paper's data"
    for name in REPORTS:
        assert comparison.label in html.unescape((tmp_path / name).read_text()), name


def four_values(stand_in: str = "", **changes: float) -> Comparison:
    """Two methods by two columns: one value 1.0 away, one 0.4, one 12 below, one not measured."""
    published = {
        ("ours", "A"): "77.5",
        ("ours", "B"): "60.0",
        ("theirs", "A"): "80.0",
        ("theirs", "B"): "50.0",
    }
    texts = dict.fromkeys(COLUMNS, "x")
    table = PublishedTable(
        "mine",
        tuple(
            PublishedValue(**{**texts, "method": method, "column": column, "value": value})
            for (method, column), value in published.items()
        ),
    )
    measured = {
        ("ours", "A"): Measured({0: 76.5}),
        ("ours", "B"): Measured({0: 60.4}),
        ("theirs", "A"): Measured({0: 68.0}),
        ("theirs", "B"): Measured(reason="lacks dfdc"),
    }
    return Comparison(table, measured, "mini", (0,), stand_in=stand_in, **changes)


def test_what_agrees_is_counted_within_a_tolerance_among_what_was_measured():
    said = "Within 1 of the published value: 2 of 3 measured. Mean difference -4.2; the largest -12.0, theirs / A."
    assert four_values().agreement() == said
    assert four_values(within=0.5).agreement().startswith("Within 0.5 of the published value: 1 of 3")
    assert [value["agrees"] for value in plain_comparison(four_values())["values"]] == [
        True,
        True,
        False,
        None,
    ]
    # Of stand-ins, and of detectors that learned nothing, differences mean nothing.
    assert four_values("tiny").agreement() == ""
    comparison = four_values()
    comparison.measured["theirs", "A"] = Measured({0: 50.0}, at_chance=True)
    assert comparison.agreement().startswith("Within 1 of the published value: 2 of 2 measured. Mean")


def test_a_tolerance_is_a_point_of_the_tables_unit(prepared, tmp_path):
    measured = {PLACE: Measured({0: 70.0})}
    assert compare(TABLE, prepared(), measured).within == 1.0
    assert compare(TABLE, prepared(), measured, within=2.5).within == 2.5


def test_a_page_shades_the_published_shape_by_how_far_what_was_measured_lies():
    cells = re.findall(
        r'<td class="n ?(\w*)"( style="--depth: (\d+)")?>([^<]*)', comparison_page(four_values())
    )
    assert [(mark, text) for mark, _, _, text in cells] == [
        ("near", "77.5 | 76.5"),
        ("near", "60.0 | 60.4"),
        ("below", "80.0 | 68.0"),
        ("", "50.0 | –"),
    ]
    # Ten tolerances away and more is as deep as it gets.
    assert cells[2][2] == "45"
    stand_in = comparison_page(four_values("tiny"))
    assert 'class="n below"' not in stand_in
    assert "differences mean nothing about the paper" in stand_in


def test_a_terminal_shows_each_number_once_unless_all_is_asked_for():
    for full, times in ((False, 1), (True, 2)):
        screen = io.StringIO()
        print_comparison(four_values(), Console(file=screen, width=120), full)
        assert screen.getvalue().count("68.0") == times
        assert screen.getvalue().strip().endswith("theirs / A.")


def test_a_measured_value_of_what_learned_nothing_is_marked_and_said_to_be_at_chance(prepared, tmp_path):
    luckless = compare(TABLE, prepared(), {PLACE: Measured({0: 50.0}, at_chance=True)})
    write_comparison(luckless, tmp_path / "report")
    text = (tmp_path / "report" / "summary.md").read_text("utf-8")
    assert "50.0‡" in text
    assert "Nothing was learned: ‡ not shown to be above chance right after learning" in text
    for name in ("comparison", "comparison-narrow", "side-by-side", "side-by-side-narrow"):
        latex = (tmp_path / "report" / f"{name}.tex").read_text("utf-8")
        assert "Nothing was learned" in latex
        assert "ddagger" in latex.partition(r"\bottomrule")[0]
    assert plain_comparison(luckless)["values"][0]["at_chance"] is True
    learned = compare(TABLE, prepared(), {PLACE: Measured({0: 50.0})})
    assert not learned.chance_words()
