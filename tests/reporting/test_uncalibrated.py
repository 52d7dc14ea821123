"""What measures calibration is marked for strategies whose P(fake) is no probability."""

from __future__ import annotations

import pytest

from fretal_bench.reporting.contents import detection_table, metric_table
from fretal_bench.reporting.formats import to_csv, to_markdown
from fretal_bench.reporting.latex import to_latex
from fretal_bench.reporting.summary import summarize
from fretal_bench.strategies.registry import find_strategy


@pytest.fixture(scope="module")
def summary(make):
    return summarize(make({"icarl": (0.9, 0.01), "ncm": (0.9, 0.02), "ewc": (0.9, 0.08)}, domains=("a", "b")))


def row_of(markdown, label):
    (row,) = [line for line in markdown.splitlines() if line.startswith(f"| {label} ")]
    return row


@pytest.mark.parametrize("name", ["icarl", "ncm", "ranpac"])
def test_strategies_that_judge_by_bounded_scores_say_so_in_their_rows(name):
    assert find_strategy(name).uncalibrated


def test_their_ece_and_nothing_else_has_a_dagger_in_the_detection_table(summary):
    table = detection_table(summary)
    text = to_markdown(table)
    assert row_of(text, "icarl").count("†") == row_of(text, "ncm").count("†") == 1
    assert "†" not in row_of(text, "ewc")
    ece = [column.key for column in table.columns].index("final_ece")
    assert all(row.cells[ece].mark == ("" if row.cells[0] == "ewc" else "†") for row in table.rows)
    (note,) = [note for note in table.notes if "†" in note]
    assert note.startswith("†: P(fake) of icarl and ncm ranks samples and is no probability")
    assert note.endswith("its ECE says nothing.")
    assert r"\rlap{$^{\dagger}$}" in to_latex(table)
    assert "†" not in to_csv(table)


def test_the_table_of_all_metrics_marks_ece_brier_and_nll(summary):
    assert row_of(to_markdown(metric_table(summary)), "icarl").count("†") == 3


def test_tables_without_such_strategies_have_no_note(make):
    table = detection_table(summarize(make({"ewc": (0.9, 0.08)}, domains=("a", "b"))))
    assert not any("†" in note for note in table.notes)
