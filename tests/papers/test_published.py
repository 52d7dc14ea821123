"""Published values: the suite's own CSV, and what a user's may add to it."""

import csv
from importlib import resources
from pathlib import Path

import pytest

from fretal_bench.errors import BenchError
from fretal_bench.papers.file import open_paper
from fretal_bench.papers.published import COLUMNS, as_rows, find_table, published_tables
from fretal_bench.papers.published_table import published_notes, published_table
from fretal_bench.reporting.formats import to_csv

BUILT_IN = Path(str(resources.files("fretal_bench.papers"))) / "published.csv"
ROW = {
    "table": "mine",
    "paper": "Paper",
    "protocol": "A -> B",
    "quantity": "accuracy %",
    "method": "ours",
    "column": "A",
    "value": "91.20",
    "source": "Table 2",
    "confidence": "printed",
}


def own(path, *rows, head=COLUMNS):
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(head)
        writer.writerows([{**ROW, **row}[name] for name in head] for row in rows)
    return path


def test_every_line_of_the_csv_is_a_value_of_a_table_with_its_text_unchanged():
    with BUILT_IN.open(newline="") as file:
        lines = list(csv.DictReader(file))
    values = [value for table in published_tables().values() for value in table.values]
    assert sorted((v.table, v.method, v.column, v.value, v.source, v.confidence) for v in values) == sorted(
        (r["table"], r["method"], r["column"], r["value"], r["source"], r["confidence"]) for r in lines
    )
    assert len(lines) > 250


def test_averages_in_the_tables_are_the_means_of_their_columns():
    tables = published_tables()
    checked = 0
    for name, column, parts in [
        ("cored-task2", "Average", ["HQ", "LQ", "Mixed", "GAN"]),
        ("cored-task3", "Average", ["HQ", "LQ", "Mixed", "GAN"]),
        ("cored-task4", "Average", ["HQ", "LQ"]),
        ("dfil", "AA", ["FF++", "DFDC-P", "DFD", "Celeb-DF v2"]),
    ]:
        table = tables[name]
        for method in table.methods:
            mean = sum(table.get(method, part).number for part in parts) / len(parts)
            assert table.get(method, column).number == pytest.approx(mean, abs=0.011), (name, method)
            checked += 1
    assert checked == 19


def test_a_users_csv_adds_a_row_to_a_table_and_a_table(tmp_path):
    path = own(tmp_path / "own.csv", {"table": "cored-task2", "column": "HQ", "value": "96.1"}, {})
    tables = published_tables(path)
    assert tables["cored-task2"].methods[-1] == "ours"
    assert tables["cored-task2"].get("ours", "HQ").number == 96.1
    assert tables["cored-task2"].get("ours", "LQ") is None
    assert (tables["mine"].values[0].value, tables["mine"].values[0].digits) == ("91.20", 2)
    assert "mine" not in published_tables()


def test_columns_may_come_in_any_order_blank_lines_and_a_byte_order_mark_are_passed_over(tmp_path):
    path = own(tmp_path / "own.csv", {}, head=COLUMNS[::-1])
    path.write_text("\ufeff" + path.read_text() + "\n,,,,,,,,\n", "utf-8")
    assert published_tables(path)["mine"].values[0].method == "ours"


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"value": "91,2"}], "line 2: value must be a finite number, found '91,2'"),
        ([{}, {"column": "B", "value": "nan"}], "line 3: value must be a finite number, found 'nan'"),
        ([{"value": "1_000"}], "line 2: value must be a finite number, found '1_000'"),
        ([{"value": "1e3"}], "line 2: value must be a finite number, found '1e3'"),
        ([{"value": "٩١"}], "line 2: value must be a finite number, found '٩١'"),
        ([{"value": "9" * 400}], "line 2: value must be a finite number"),
        ([{"table": "a" * 300}], "line 2: table: expected a name of 1 to 100 characters"),
        ([{"method": "a\x1b[31m"}], "line 2: method 'a\\x1b[31m': it holds U+001B"),
        ([{"column": "a\u202eb"}], "column 'a\\u202eb': it holds U+202E"),
        ([{"table": "../mine"}], "line 2: table '../mine' must be of letters, digits, - and _"),
        ([{"table": "-mine"}], "line 2: table '-mine' must be"),
        ([{"table": "my table"}], "line 2: table 'my table' must be"),
        ([{"source": " "}], "line 2: source is empty"),
        ([{}, {"column": "B"}, {}], "line 4: mine / ours / A stands on line 2 already"),
        (
            [{"table": "cored-task2", "method": "CoReD", "column": "HQ"}],
            "line 2: cored-task2 / CoReD / HQ is 95.15 in the suite's own tables",
        ),
        ([], "holds no value"),
    ],
)
def test_a_wrong_row_is_named_with_its_line(tmp_path, rows, message):
    with pytest.raises(BenchError) as error:
        published_tables(own(tmp_path / "own.csv", *rows))
    assert message in str(error.value)
    assert str(tmp_path / "own.csv") in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("table,papers\n", "line 1: unknown column 'papers'; did you mean 'paper'"),
        ("table,paper\n", "line 1: lacks the column 'protocol'"),
        (",".join([*COLUMNS, "value"]) + "\n", "line 1: a column stands there twice"),
        (",".join(COLUMNS) + "\nmine,Paper\n", "line 2: expected 9 fields, found 2"),
        (",".join(COLUMNS) + '\n"a"b,1,1,1,1,1,1,1,1\n', "line 2: not valid CSV"),
        ("", "lacks the column 'table'"),
    ],
)
def test_a_file_that_is_no_table_is_named_with_what_was_expected(tmp_path, text, message):
    path = tmp_path / "own.csv"
    path.write_text(text)
    with pytest.raises(BenchError) as error:
        published_tables(path)
    assert message in str(error.value)


def test_a_file_that_is_not_there_and_an_unknown_table_are_named(tmp_path):
    with pytest.raises(BenchError, match=r"none\.csv: cannot be read"):
        published_tables(tmp_path / "none.csv")
    with pytest.raises(BenchError, match="unknown table 'cored-task5'; did you mean 'cored-task"):
        find_table("cored-task5", published_tables())


def test_a_shown_table_holds_the_values_in_their_places_and_leaves_gaps_empty():
    table = published_tables()["fretal-fig1-hq"]
    lines = to_csv(published_table(table, open_paper(table.name))).splitlines()
    assert lines[0] == "method,strategy,base/Pristine,base/Face2Face,FaceSwap"
    assert lines[1] == "base model,zero-shot,99.2,99.2,"
    assert lines[-1] == "FReTAL,fretal/cored,,,82.0"


def test_what_is_the_same_for_all_values_is_one_note_and_what_is_not_says_whose_it_is():
    notes = published_notes(published_tables()["cddb-hard"])
    assert "Confidence of every value: read from figure." in notes
    assert "Quantity of AF: BWT (negative = forgetting)." in notes
    (fifty,) = [note for note in notes if "50 exemplars" in note]
    assert fifty.startswith(
        "Protocol of LRCIL (50/class), iCaRL (50/class), LUCIR (50/class), DyTox (50/class): "
    )


def test_plain_data_have_the_value_as_a_number_and_every_field():
    row = as_rows(published_tables()["fretal-headline"])[0]
    assert row["value"] == 86.97
    assert tuple(row) == COLUMNS
