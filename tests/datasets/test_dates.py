"""Dates of fakes: which texts are dates, what a manifest and a store keep of them, and how tables give them."""

from __future__ import annotations

import datetime
import shutil
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fretal_bench.datasets.dates import date_of, is_before
from fretal_bench.datasets.faces.options import PrepareOptions
from fretal_bench.datasets.faces.prepare import prepare
from fretal_bench.datasets.importers import ReadOptions, read_dataset
from fretal_bench.datasets.manifest import COLUMNS, check_manifest
from fretal_bench.datasets.store.store import CropStore, CropStoreWriter
from fretal_bench.errors import BenchError
from toy_stores import toy_rows, toy_store
from trees import Tree, png

CROPS = PrepareOptions(size=8, detector="none")
OPTIONS = ReadOptions(val_fraction=0)


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("", ""),
        (" 2024 ", "2024"),
        ("2024-05", "2024-05"),
        ("2024-02-29", "2024-02-29"),
        ("2024-05-17 00:00:00", "2024-05-17"),
        ("2024-05-17T12:30:00.5Z", "2024-05-17"),
        ("2024-05-17T12:30:00+02:00", "2024-05-17"),
        ("2023-02-29", None),
        ("2024-13", None),
        ("2024-5", None),
        ("0000", None),
        ("24", None),
        ("20240517", None),
        ("17.05.2024", None),
        ("05/17/2024", None),
        ("May 2024", None),
        ("2024 00:00:00", None),
        ("2024-05-17 noon", None),
        ("٢٠٢٤", None),
    ],
)
def test_a_date_is_a_year_a_month_or_a_day_and_nothing_that_must_be_guessed(text, date):
    assert date_of(text) == date


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("2023", "2024-05", True),
        ("2024-05", "2023", False),
        ("2024-04", "2024-05-01", True),
        ("2024-05-02", "2024-05-10", True),
        ("2024", "2024-05", None),
        ("2024-05-01", "2024", None),
        ("2024-05", "2024-05", None),
    ],
)
def test_of_a_year_and_a_day_in_it_neither_is_earlier(first, second, expected):
    assert is_before(first, second) is expected


def dated(rows=None, **by_method):
    rows = toy_rows() if rows is None else rows
    return rows.assign(date=rows["method"].map(by_method).fillna(""))


def test_a_manifest_may_have_a_column_of_dates_and_none_without_one_gets_it():
    rows = toy_rows()
    assert list(check_manifest(rows).columns) == list(COLUMNS)
    checked = check_manifest(dated(rows, Deepfakes="2019"))
    assert list(checked.columns) == [*COLUMNS, "date"]
    assert set(checked["date"]) == {"", "2019"}
    for wrong in ("19", "2019-5", "2019 ", None, "2019-05-17 00:00:00"):
        bad = rows.assign(date="2019")
        bad.iloc[3, -1] = wrong
        with pytest.raises(BenchError, match=r"^manifest row 3: date is"):
            check_manifest(bad)


def test_a_store_keeps_dates_and_one_without_dates_is_what_it_was(tmp_path):
    plain, with_dates = toy_store(tmp_path / "plain"), toy_store(tmp_path / "dated", dated(Deepfakes="2019"))
    assert list(plain.index.columns) == list(COLUMNS)
    names = pq.read_schema(tmp_path / "plain" / "index.parquet").names
    assert names == list(COLUMNS)
    again = CropStore.open(tmp_path / "dated")
    assert again.index.equals(with_dates.index)
    assert again.index.groupby("method")["date"].agg(set).to_dict() == {
        "Deepfakes": {"2019"},
        "FaceSwap": {""},
        "real": {""},
    }
    old = shutil.copytree(Path(__file__).parent / "store" / "store_of_0_1", tmp_path / "old")
    assert "date" not in CropStore.open(old).index


def test_rows_with_and_without_dates_may_be_written_to_one_store(tmp_path):
    whole = toy_store(tmp_path / "whole", dated(FaceSwap="2016"))
    rows = dated(FaceSwap="2016")
    first = (rows["method"] != "FaceSwap").to_numpy()
    with CropStoreWriter(tmp_path / "parts", size=16, name="toy") as writer:
        writer.add(whole.crops[first], rows[first].drop(columns="date"))
        writer.add(whole.crops[~first], rows[~first])
        store = writer.finish()
    assert store.index.groupby("method")["date"].agg(set).to_dict() == {
        "Deepfakes": {""},
        "FaceSwap": {"2016"},
        "real": {""},
    }


def test_a_damaged_column_of_dates_is_told_like_any_other(tmp_path):
    toy_store(tmp_path / "s", dated(Deepfakes="2019"))
    path = tmp_path / "s" / "index.parquet"
    table = pq.read_table(path)
    place = table.column_names.index("date")
    other = pa.array([datetime.date(2019, 1, 1)] * len(table))
    pq.write_table(table.set_column(place, "date", other), path)
    with pytest.raises(BenchError, match="damaged crop store"):
        CropStore.open(tmp_path / "s")


@pytest.mark.parametrize("name", ["date", "release_date"])
def test_a_csv_gives_dates(tmp_path, name):
    tree = Tree(tmp_path / "set")
    tree.image("r.png", "a.png", "b.png", "c.png")
    tree.text(
        "list.csv",
        f"path,label,split,{name}\nr.png,real,train,\na.png,fake,train,2021-03\nb.png,fake,test,2022-01-02 10:00\n"
        "c.png,fake,test,soon\n",
    )

    read = read_dataset(tmp_path / "set", options=OPTIONS)

    assert read.frame.set_index("path")["date"].to_dict() == {
        "r.png": "",
        "a.png": "2021-03",
        "b.png": "2022-01-02",
        "c.png": "",
    }
    assert read.left_out == ()
    (finding,) = [finding for finding in read.findings if finding.kind == "date"]
    assert finding.found == "line 5: expected a date YYYY-MM-DD, YYYY-MM or YYYY, found 'soon'"


def test_two_columns_of_dates_are_refused(tmp_path):
    Tree(tmp_path).text("list.csv", "path,label,date,release_date\n")
    with pytest.raises(
        BenchError, match=r"line 1: expected one column of dates, found 'date' and 'release_date'"
    ):
        read_dataset(tmp_path / "list.csv", options=OPTIONS)


@pytest.mark.parametrize(
    ("name", "values", "columns"),
    [
        ("date", ["", "2023-10", "2024-03-01"], {}),
        ("release_date", ["", "2023-10", "2024-03-01"], {}),
        ("published", ["", "2023-10", "2024-03-01"], {"date": "published"}),
        ("date", pa.array([None, datetime.date(2023, 10, 1), datetime.date(2024, 3, 1)]), {}),
        ("date", pa.array([None, datetime.datetime(2023, 10, 1), datetime.datetime(2024, 3, 1, 12)]), {}),
        ("date", [None, 2023, 2024], {}),
    ],
)
def test_a_parquet_file_gives_dates_to_the_store_that_is_made_of_it(tmp_path, name, values, columns):
    table = {"image": [png(n) for n in range(3)], "label": ["real", "fake", "fake"], "method": ["", "a", "b"]}
    (tmp_path / "set").mkdir()
    pq.write_table(pa.table({**table, name: values}), tmp_path / "set" / "test.parquet")

    options = ReadOptions(val_fraction=0, columns=columns)
    made = prepare(tmp_path / "set", tmp_path / "store", options=CROPS, read_options=options)

    dates = made.store.index.set_index("method")["date"].to_dict()
    assert dates["real"] == ""
    assert [dates[method][:4] for method in "ab"] == ["2023", "2024"]


def test_dates_are_part_of_what_a_store_is_made_of(tmp_path):
    tree = Tree(tmp_path / "set")
    tree.image("r.png", "a.png")
    head = "path,label,split"
    tree.text("list.csv", f"{head}\nr.png,real,test\na.png,fake,test\n")
    first = prepare(tmp_path / "set", tmp_path / "store", options=CROPS, read_options=OPTIONS)
    assert "date" not in first.store.index
    tree.text("list.csv", f"{head},date\nr.png,real,test,\na.png,fake,test,2020\n")
    shutil.copytree(tmp_path / "store", tmp_path / "kept")
    with pytest.raises(BenchError):
        prepare(tmp_path / "set", tmp_path / "store", options=CROPS, read_options=OPTIONS)


def test_videos_that_differ_in_their_dates_alone_are_one_video(tmp_path):
    tree = Tree(tmp_path)
    tree.image("r.png", "a0.png", "a1.png")
    tree.text(
        "list.csv",
        "path,label,split,video,frame,date\nr.png,real,test,r,0,\na0.png,fake,test,a,0,2020\na1.png,fake,test,a,1,2021\n",
    )
    frame = read_dataset(tmp_path, options=OPTIONS).frame
    assert frame[["video", "frame", "date"]].to_numpy().tolist() == [
        ["r", 0, ""],
        ["a", 0, "2020"],
        ["a", 1, "2021"],
    ]
    assert isinstance(frame, pd.DataFrame)
