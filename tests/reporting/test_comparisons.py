"""Every pair of strategies as a table: in the files, folded on the page, and in the terminal where they are few."""

from __future__ import annotations

import csv
import io

import pytest
from rich.console import Console

from fretal_bench.reporting.comparison_words import comparison_tables, named
from fretal_bench.reporting.formats import to_csv, to_markdown
from fretal_bench.reporting.report import print_summary, write_report
from fretal_bench.reporting.summary import summarize
from fretal_bench.reporting.verdict import verdict
from verdict_cases import having, inferred

pytestmark = pytest.mark.usefixtures("undrawn")

FOUR = {"er": 0.02, "ewc": 0.1, "lwf": 0.126, "fretal": 0.13}
LABELS = (*FOUR, "si")


@pytest.fixture(scope="module")
def results(make):
    return make(dict.fromkeys((*LABELS, "joint"), (0.9, 0.05)), seeds=2, domains=("a", "b"))


@pytest.fixture(scope="module")
def base(results):
    return summarize(results)


def test_every_pair_stands_once_the_one_that_forgets_less_first(base):
    summary = having(base, {**FOUR, "joint": 0.0}, open_=("ewc lwf",), alike=("lwf fretal",))
    (table,) = comparison_tables(summary)
    rows = {(row["less"], row["more"]): row for row in csv.DictReader(io.StringIO(to_csv(table)))}
    assert list(rows) == [
        ("er", "ewc"),
        ("er", "lwf"),
        ("er", "fretal"),
        ("ewc", "lwf"),
        ("ewc", "fretal"),
        ("lwf", "fretal"),
    ]
    assert rows["er", "ewc"]["conclusion"] == "told apart"
    assert rows["er", "ewc"]["needed"] == ""
    assert float(rows["er", "ewc"]["difference"]) == pytest.approx(0.08)
    assert float(rows["er", "ewc"]["difference_low"]) == pytest.approx(0.06)
    assert float(rows["er", "ewc"]["p_corrected"]) == 0.001
    assert rows["ewc", "lwf"]["conclusion"] == "open"
    assert rows["ewc", "lwf"]["needed"] == "130.0"
    assert rows["lwf", "fretal"]["conclusion"] == "alike within 0.05"
    assert "Holm's correction for all 6 pairs" in table.notes[0]
    assert "40 people were tested" in table.notes[0]


def test_numbers_of_people_are_whole_in_what_is_read(base):
    (table,) = comparison_tables(having(base, FOUR, open_=("all",)))
    assert "| 130 | open |" in to_markdown(table)


def test_a_lone_strategy_has_no_pairs(base):
    assert comparison_tables(having(base, {"er": 0.1, "joint": 0.0})) == ()


def test_files_page_and_markdown_have_the_pairs_and_a_lone_strategy_leaves_none_behind(
    results, make, tmp_path
):
    report = write_report(results, tmp_path)
    for name in ("tables/comparisons.csv", "tables/comparisons.tex"):
        assert (tmp_path / name) in report.files
    title = "Every pair, by what it forgets"
    assert f"<summary>{title}</summary>" in report.page.read_text("utf-8")
    assert f"<details><summary>{title}</summary>" in (tmp_path / "summary.md").read_text("utf-8")
    write_report(make({"er": (0.9, 0.05)}, seeds=2, domains=("a", "b")), tmp_path)
    assert not (tmp_path / "tables/comparisons.csv").exists()


@pytest.mark.parametrize(("labels", "printed"), [(LABELS[:3], False), (LABELS, True)])
def test_the_terminal_shows_the_table_where_the_notes_do_not_say_every_pair(base, results, labels, printed):
    summary = having(base, {label: 0.05 * at for at, label in enumerate(labels)})
    console = Console(width=160, record=True, file=io.StringIO())
    print_summary(results, summary, verdict(summary), console)
    assert ("Every pair, by what it forgets" in console.export_text()) == printed


def test_best_are_all_that_the_leader_is_not_told_from_unless_that_is_everybody():
    means = {label: -amount for label, amount in FOUR.items()}
    assert inferred(means).best == {"er"}
    # ewc is told from lwf: they share a letter with er, and none with one another.
    assert inferred(means, open_=("er ewc", "er lwf")).best == {"er", "ewc", "lwf"}
    assert inferred(means, open_=("all",)).best == frozenset()
    assert inferred(means, open_=("er ewc", "er lwf", "er fretal")).best == frozenset()


def test_of_many_the_first_are_named_and_the_others_counted():
    assert named(["a"], 3) == "a"
    assert named(["a", "b", "c"], 3) == "a, b and c"
    assert named(["a", "b", "c", "d"], 3) == "a, b and 2 more"
