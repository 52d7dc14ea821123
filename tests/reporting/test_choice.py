"""Rows and columns that a call chooses of the tables in files."""

from __future__ import annotations

import csv

import pytest

from fretal_bench.errors import BenchError
from fretal_bench.reporting.choice import Choice, chosen, labels_of, words_of
from fretal_bench.reporting.report import write_report
from fretal_bench.reporting.tables import Column, Number, Row, Table

NAMES = {"ewc": "ewc", "er(memory=100,seed=1)": "er", "er(memory=200)": "er", "lwf [epochs=3]": "lwf"}


def table(name: str, *keys: str) -> Table:
    """One row a strategy, a bound last; the value tells row and column."""
    labels = (*NAMES, "joint")
    rows = [
        Row((label, *(Number(at + len(key) / 100, 0.1) for key in keys)), apart=label == "joint")
        for at, label in enumerate(labels)
    ]
    heads = (Column("strategy", "strategy"), *(Column(key, key) for key in keys))
    return Table(name, name, heads, tuple(rows), (f"Of {name}.",))


def pairs() -> Table:
    """All pairs of three strategies."""
    heads = tuple(Column(key, key) for key in ("less", "more", "p"))
    of = (("ewc", "er(memory=200)"), ("ewc", "lwf [epochs=3]"), ("er(memory=200)", "lwf [epochs=3]"))
    return Table("comparisons", "Pairs", heads, tuple(Row((*pair, Number(0.5))) for pair in of))


def test_commas_within_parentheses_and_brackets_belong_to_a_name():
    assert words_of("ewc, er(memory=100,seed=1) ,lwf [a=1,b=2],ewc,") == (
        "ewc",
        "er(memory=100,seed=1)",
        "lwf [a=1,b=2]",
    )
    assert words_of("") == ()


def test_rows_are_chosen_by_label_by_strategy_and_by_pattern_in_the_order_of_the_call():
    assert labels_of(("er", "ewc", "er(memory=200)"), NAMES) == (
        "er(memory=100,seed=1)",
        "er(memory=200)",
        "ewc",
    )
    assert labels_of(("er*200*", "lw*"), NAMES) == ("er(memory=200)", "lwf [epochs=3]")


@pytest.mark.parametrize("word", ["ewcc", "x*", "er(memory=300)"])
def test_a_row_that_is_not_there_is_refused_with_the_nearest(word):
    with pytest.raises(BenchError, match=r"unknown strategy '.*'.*e[wr]c?"):
        labels_of((word,), NAMES)


def test_a_column_that_no_table_has_is_refused_with_the_nearest():
    with pytest.raises(BenchError, match="unknown column 'forgeting'; did you mean 'forgetting'"):
        chosen([table("summary", "forgetting")], Choice(columns=("forgeting",)))


def test_columns_of_several_tables_stand_together_and_tables_without_any_stay_whole():
    tables = [table("summary", "bwt", "learning"), table("cost", "seconds"), table("final", "a", "b")]
    together, summary, cost, final = chosen(
        tables, Choice(("lwf [epochs=3]", "ewc", "joint"), ("seconds", "learning"))
    )
    assert together.name == "chosen"
    assert [column.key for column in together.columns] == ["strategy", "seconds", "learning"]
    assert [row.cells[0] for row in together.rows] == ["lwf [epochs=3]", "ewc", "joint"]
    assert [cell.value for cell in together.rows[0].cells[1:]] == pytest.approx([3.07, 3.08])
    assert together.rows[-1].apart
    assert [column.key for column in summary.columns] == ["strategy", "learning"]
    assert [column.key for column in cost.columns] == ["strategy", "seconds"]
    assert [column.key for column in final.columns] == ["strategy", "a", "b"]
    assert len(final.rows) == 3
    assert {"Of cost.", "Of summary."} <= set(together.notes)
    assert any("of all strategies" in note for note in together.notes)


def test_nothing_is_said_where_every_row_was_chosen():
    of = table("summary", "bwt")
    assert chosen([of], Choice(tuple(row.cells[0] for row in of.rows))) == (of,)
    assert chosen([of], Choice()) == (of,)


def test_pairs_of_two_chosen_strategies_stay():
    (of,) = chosen([pairs()], Choice(("ewc", "lwf [epochs=3]")))
    assert [row.cells[:2] for row in of.rows] == [("ewc", "lwf [epochs=3]")]


def test_a_report_writes_what_was_chosen_and_removes_it_when_nothing_is(make, tmp_path):
    results = make({"ewc": (0.9, 0.06), "lwf": (0.92, 0.08), "er": (0.9, 0.02)}, seeds=2, domains=("a", "b"))
    write_report(
        results,
        tmp_path,
        faces=False,
        strategies=("lwf", "ew*"),
        columns=("backward_transfer", "final_auc"),
    )
    names = {path.name for path in (tmp_path / "tables").iterdir()}
    assert {"chosen.csv", "chosen.tex", "chosen-narrow.tex", "summary-narrow.tex"} <= names
    with (tmp_path / "tables" / "chosen.csv").open(encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert [name for name in rows[0] if not name.endswith(("_low", "_high"))] == [
        "strategy",
        "backward_transfer",
        "final_auc",
    ]
    assert [row[0] for row in rows[1:]] == ["lwf", "ewc"]
    latex = (tmp_path / "tables" / "final.tex").read_text("utf-8")
    assert "\nlwf & " in latex
    assert "\ner & " not in latex
    write_report(results, tmp_path, faces=False)
    assert not (tmp_path / "tables" / "chosen.tex").exists()
    with pytest.raises(BenchError, match="unknown strategy 'lwff'"):
        write_report(results, tmp_path, strategies=("lwff",))
