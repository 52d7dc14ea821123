"""Averages of published tables, computed again from their cells by formulas that are written out here."""

import json
from pathlib import Path

import pytest

from fretal_bench.papers.averages import differences
from fretal_bench.papers.file import open_paper, paper_of_table
from fretal_bench.papers.published import PublishedTable, PublishedValue, published_tables
from fretal_bench.papers.published_table import published_table
from fretal_bench.papers.setting import Cannot
from fretal_bench.papers.table import setting_of, strategy_of_row

DATA_SETS = ("FF++", "DFDC-P", "DFD", "Celeb-DF v2")
TYPES = ("Hybrid", "FR", "FS", "EFS")


def table_of(values, method="A method"):
    one = {"paper": "p", "protocol": "p", "quantity": "q", "source": "s", "confidence": "c"}
    return PublishedTable(
        "mine",
        tuple(PublishedValue("mine", method=method, column=c, value=v, **one) for c, v in values.items()),
    )


def paper_of(columns):
    domains = [
        {"name": name, "datasets": [name.lower()], "compressions": ["none"]} for name in ("A", "B", "C")
    ]
    content = {
        "streams": {"all": {"domains": domains}},
        "rows": {"A method": {"strategy": "ewc"}},
        "columns": columns,
    }
    return paper_of_table(Path("mine.toml"), content)


R = {
    f"{domain} after {after}": {"domain": domain, "after": after}
    for after, seen in (("A", "A"), ("B", "AB"), ("C", "ABC"))
    for domain in seen
}
CELLS = {
    "A after A": "90.0",
    "A after B": "95.0",
    "B after B": "80.0",
    "A after C": "70.0",
    "B after C": "74.0",
    "C after C": "99.0",
}
# By hand: the last row's mean 81; (90 - 70 + 80 - 74) / 2 = 13; with the best so far (95 - 70 + 80 - 74) / 2 = 15.5.
AVERAGES = {
    "AA": ({"quantity": "average"}, 81.0),
    "AF": ({"quantity": "backward_transfer", "sign": -1}, 13.0),
    "BWT": ({"quantity": "backward_transfer"}, -13.0),
    "forgetting": ({"quantity": "forgetting"}, 15.5),
    "learning": ({"quantity": "learning"}, (90 + 80 + 99) / 3),
    "mean": ({"mean": ["A after C", "B after B"]}, 75.0),
}


@pytest.mark.parametrize("name", AVERAGES)
def test_an_average_is_computed_again_from_the_cells_and_named_where_it_is_printed_otherwise(name):
    column, value = AVERAGES[name]
    paper = paper_of({**R, name: column})
    assert differences(table_of({**CELLS, name: f"{value:.1f}"}), paper) == ()
    (found,) = differences(table_of({**CELLS, name: f"{value + 1:.1f}"}), paper)
    assert found.recomputed == pytest.approx(value)
    assert found.value.column == name


def test_the_line_of_a_difference_names_printed_recomputed_and_the_definition():
    paper = paper_of({**R, "AF": {"quantity": "backward_transfer", "sign": -1}})
    (found,) = differences(table_of({**CELLS, "AF": "15.5"}), paper)
    assert str(found) == (
        "A method / AF: printed 15.5, recomputed 13.00 from the table's own cells as minus BWT "
        "(mean_{j<T-1} R[T-1,j] - R[j,j])"
    )


def test_what_rounding_explains_is_no_difference_and_more_is():
    columns = {
        "A": {"domain": "A"},
        "B": {"domain": "B"},
        "C": {"domain": "C"},
        "AA": {"quantity": "average"},
    }
    paper, cells = paper_of(columns), {"A": "0.5", "B": "0.5", "C": "0.6"}
    # The true mean lies between .4833 and .5833; .43 to .63 can be printed with one digit as .5 or .6 only.
    for printed, found in (("0.5", 0), ("0.6", 0), ("0.4", 1), ("0.7", 1), ("0.588", 1), ("0.583", 0)):
        assert len(differences(table_of({**cells, "AA": printed}), paper)) == found, printed


def test_an_average_of_which_a_cell_is_missing_is_left_alone():
    paper = paper_of(
        {**R, "AF": {"quantity": "backward_transfer", "sign": -1}, "AA": {"quantity": "average"}}
    )
    without = {name: value for name, value in CELLS.items() if name != "B after B"}
    assert [d.value.column for d in differences(table_of({**without, "AF": "1", "AA": "1"}), paper)] == ["AA"]


@pytest.mark.parametrize(("name", "domains"), [("dfil", DATA_SETS), ("devfd-types", TYPES)])
def test_published_matrices_are_whole_and_their_averages_are_those_of_their_cells(name, domains):
    table = published_tables()[name]
    last = len(domains) - 1
    for method in table.methods:
        r = {
            (i, j): table.get(method, domain if i == last else f"{domain} after {domains[i]}").number
            for i in range(len(domains))
            for j, domain in enumerate(domains[: i + 1])
        }
        average = sum(r[last, j] for j in range(len(domains))) / len(domains)
        lost = sum(r[j, j] - r[last, j] for j in range(last)) / last
        assert table.get(method, "AA").number == pytest.approx(average, abs=0.0051), method
        assert table.get(method, "AF").number == pytest.approx(lost, abs=0.0051), method
    assert differences(table, open_paper(name)) == ()


def test_only_one_published_average_differs_from_its_cells():
    found = [d for name, table in published_tables().items() for d in differences(table, open_paper(name))]
    assert [(d.value.table, d.value.method, d.value.column) for d in found] == [
        ("surlid-p1", "fine-tuning", "Average")
    ]
    # (.528 + .636 + .764 + .982) / 4
    assert found[0].recomputed == pytest.approx(0.7275)


def test_a_shown_and_a_listed_table_say_which_average_differs(bench):
    line = "fine-tuning / Average: printed 0.726, recomputed 0.7275 from the table's own cells"
    for words in (("show", "surlid-p1"), ("list", "surlid-p1")):
        assert line in " ".join(bench("paper", *words).out.split())
    (row,) = json.loads(bench("paper", "list", "surlid-p1", "--json").out)
    assert row["differences"][0].startswith(line)
    assert "printed" not in bench("paper", "list", "dfil").out


def test_a_shown_table_says_which_strategy_each_row_is(bench):
    table = published_tables()["dfil"]
    by_method = {row.cells[0]: row.cells[1] for row in published_table(table, open_paper("dfil")).rows}
    assert by_method["CoReD"] == "fretal/cored(teacher=previous)"
    assert by_method["ER"] == "er(memory=500)"
    assert by_method["LwF"] == "lwf"
    assert by_method["DevFD"] == by_method["DMP"] == "none"
    rows = json.loads(bench("paper", "show", "dfil", "--json").out)
    assert {row["method"]: row["strategy"] for row in rows}["CoReD"] == "fretal/cored(teacher=previous)"
    assert {row["method"]: row["strategy"] for row in rows}["DMP"] is None
    assert strategy_of_row(open_paper("fretal-headline"), "FReTAL") == "fretal/cored"
    for name in ("surlid-p1", "devfd-types"):
        paper = open_paper(name)
        assert strategy_of_row(paper, "HDP") == "hdp"
        assert strategy_of_row(paper, "SUR-LID").startswith("sur-lid(memory=1500")
    assert strategy_of_row(open_paper("cddb-hard"), "S-iPrompts (0/class)") == "s-prompts(distance=cityblock)"
    # A row of the user's own is the strategy of its name.
    assert strategy_of_row(open_paper("cored-task2"), "avalanche:ewc") == "avalanche:ewc"


def test_tables_of_several_adaptations_say_which_model_teaches():
    for name in ("cored-task2", "cored-task3", "cored-task4", "dfil"):
        rows = open_paper(name).rows
        for method in {"CoReD", "KD-only"} & rows.keys():
            assert rows[method].set["teacher"] == "previous", (name, method)


def test_a_column_may_be_read_after_any_domain_and_needs_it():
    paper = open_paper("dfil")
    column = paper.columns["DFDC-P after DFD"]
    assert column.step(("FF++", "DFDC-P", "DFD", "Celeb-DF")) == 2
    assert column.needs() == ("DFDC-P", "DFD")
    assert paper.columns["DFDC-P"].step(("FF++", "DFDC-P", "DFD", "Celeb-DF")) == 3
    assert setting_of(paper, "DevFD", "DFD after DFD") == Cannot("strategy", "devfd")
    with pytest.raises(Exception, match=r"columns\.x\.after.*unknown step 'D'"):
        paper_of({"x": {"domain": "A", "after": "D"}})
