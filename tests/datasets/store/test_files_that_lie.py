"""Crop stores that were damaged or tampered with: refused in one line that names the file, or never believed."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fretal_bench import files
from fretal_bench.datasets.store.files import npy_header
from fretal_bench.datasets.store.index import read_index, write_index
from fretal_bench.datasets.store.info import DATA, checksum_of, read_info
from fretal_bench.datasets.store.preview import preview
from fretal_bench.datasets.store.store import CropStore, CropStoreWriter
from fretal_bench.datasets.streams.data_folder import named_stores
from fretal_bench.errors import BenchError
from toy_stores import toy_store

Edit = Callable[[dict[str, Any]], dict[str, Any]]


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FRETAL_BENCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return toy_store(tmp_path / "toy").path


def refusal(store: Path) -> str:
    """The one line in which opening the store, looking for it, and its preview refuse it."""
    lines = []
    for use in (
        CropStore.open,
        lambda path: CropStore.open(path, verify=False),
        lambda path: preview([path], path.parent / "sheet.png"),
    ):
        with pytest.raises(BenchError) as caught:
            use(store)
        lines.append(str(caught.value))
    assert all(len(line.splitlines()) == 1 and str(store) in line for line in lines)
    return lines[0]


def edit(store: Path, change: Edit) -> None:
    path = store / "store.json"
    path.write_text(json.dumps(change(json.loads(path.read_text()))), encoding="utf-8")


def reseal(store: Path) -> None:
    """Make ``store.json`` agree with the files, as whoever tampers with a store can."""
    entries = {
        name: {"bytes": (store / name).stat().st_size, "sha256": files.sha256(store / name)} for name in DATA
    }
    checksum = checksum_of({name: str(entry["sha256"]) for name, entry in entries.items()})
    edit(store, lambda info: {**info, "files": entries, "checksum": checksum})


def rewrite_index(store: Path, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    frame = change(CropStore.open(store, verify=False).index.copy())
    with (store / "index.parquet").open("wb") as out:
        write_index(frame, out)
    reseal(store)


def rewrite_table(store: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    path = store / "index.parquet"
    pq.write_table(change(pq.read_table(path)), path)
    reseal(store)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not valid JSON"),
        ("{", "not valid JSON"),
        ("[]", "expected a table, found []"),
        ("null", "expected a table, found None"),
        ("[" * 100_000, "within each other"),
        ('{"size": 1, "size": 2}', "'size' is there twice"),
        ('{"margin": NaN}', "expected finite numbers"),
    ],
)
def test_a_store_json_that_is_none_is_refused(store: Path, text: str, words: str) -> None:
    (store / "store.json").write_text(text)
    line = refusal(store)
    assert words in line
    assert line.endswith("delete the store's folder and run again")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("format", None),
        ("format", True),
        ("name", None),
        ("name", ""),
        ("name", "../../x"),
        ("name", "a" * 101),
        ("name", "a\x1b[31m"),
        ("name", "\u202eb"),
        ("size", "16"),
        ("size", 0),
        ("size", 16.5),
        ("size", 10**6),
        ("count", -1),
        ("count", True),
        ("margin", None),
        ("margin", "1.3"),
        ("margin", -1),
        ("detector", 3),
        ("made_by", []),
        ("failures", None),
        ("failures", {}),
        ("failures", [None]),
        ("failures", [{"path": "a", "frame": "0", "reason": "b"}]),
        ("failures", [{"path": "a", "frame": 0, "reason": "b", "more": 1}]),
        ("checksum", "0" * 64),
        ("checksum", "x"),
        ("files", None),
        ("files", {}),
        ("files", {"index.parquet": None, "crops.npy": None}),
        ("files", {"index.parquet": {"bytes": "1", "sha256": "0" * 64}, "crops.npy": {}}),
        ("details", None),
        ("details", []),
    ],
)
def test_a_wrong_value_in_store_json_is_refused_by_its_key(store: Path, key: str, value: object) -> None:
    edit(store, lambda info: {**info, key: value})
    assert f"store.json: damaged crop store: key '{key}" in refusal(store)


@pytest.mark.parametrize("key", ["format", "name", "margin", "failures", "files"])
def test_a_key_that_is_missing_in_store_json_is_named(store: Path, key: str) -> None:
    edit(store, lambda info: {name: value for name, value in info.items() if name != key})
    assert f"key '{key}': expected" in refusal(store)
    assert "found nothing" in refusal(store)


def test_an_unknown_key_in_store_json_is_named_with_the_nearest(store: Path) -> None:
    edit(store, lambda info: {**info, "mragin": 1})
    assert "unknown key 'mragin'; did you mean 'margin'" in refusal(store)


def test_a_file_entry_that_names_another_file_is_refused(store: Path) -> None:
    edit(store, lambda info: {**info, "files": {**info["files"], "../x": info["files"]["crops.npy"]}})
    assert "key 'files': expected entries of index.parquet and crops.npy alone" in refusal(store)


def test_details_are_free_and_known_keys_of_them_are_read_through_a_record(store: Path) -> None:
    from fretal_bench.datasets.faces.prepare import _Noted

    edit(store, lambda info: {**info, "details": {"key": "k", "ours": [1, None]}})
    info = read_info(store)
    assert (info.details["ours"], info.noted(_Noted, store).key) == ([1, None], "k")
    edit(store, lambda info: {**info, "details": {"options": 3}})
    with pytest.raises(
        BenchError, match=r"store\.json: key 'details': key 'options': expected a table, found 3"
    ):
        read_info(store).noted(_Noted, store)


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("split", "dev", "must be one of train, val, test"),
        ("path", "/etc/passwd", "must be relative"),
        ("path", "a/../../b", "must be relative"),
        ("video", "", "must not be empty"),
        ("compression", "c99", "must be one of raw"),
        ("frame", -2, "must be a frame number"),
        ("label", 2, "must be 0 (real) or 1 (fake)"),
        ("source", "q", "must equal the target"),
    ],
)
def test_a_sealed_row_that_no_manifest_may_have_is_refused(
    store: Path, column: str, value: object, words: str
) -> None:
    rewrite_index(store, lambda frame: frame.assign(**{column: [value, *frame[column].iloc[1:]]}))
    line = refusal(store)
    assert f"index.parquet: damaged crop store: manifest row 0: {column}" in line
    assert words in line


def test_sealed_labels_that_contradict_their_method_are_refused(store: Path) -> None:
    rewrite_index(store, lambda frame: frame.assign(label=1 - frame["label"]))
    assert "must be 'real' where the label is 0, and only there" in refusal(store)


def test_a_sealed_row_that_is_there_twice_and_a_person_in_two_splits_are_refused(store: Path) -> None:
    whole = (store / "index.parquet").read_bytes()
    rewrite_index(store, lambda frame: frame.iloc[[0, 0, *range(2, len(frame))]])
    assert "is listed twice for this video" in refusal(store)
    (store / "index.parquet").write_bytes(whole)
    reseal(store)
    rewrite_index(
        store, lambda frame: frame.assign(split=frame["split"].where(frame["target"] != "a", "test"))
    )
    assert "is in more than one split" in refusal(store)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.set_column(5, "label", pa.array([0.0] * len(t))), "'label' of type double"),
        (lambda t: t.set_column(5, "label", pa.array([0] * len(t))), "'label' of type int64"),
        (lambda t: t.set_column(9, "frame", pa.array([2**40] * len(t))), "'frame' of type int64"),
        (lambda t: t.set_column(2, "method", pa.array([None] * len(t), pa.string())), "that may be missing"),
        (lambda t: t.set_column(2, "method", pa.array([["real"]] * len(t))), "'method' of type list"),
        (lambda t: t.select(t.column_names[::-1]), "column 'frame' in the place of 'path'"),
        (lambda t: t.drop_columns(["frame"]), "found 9 columns"),
        (lambda t: t.append_column(t.schema.field("label"), t.column("label")), "found 11 columns"),
        (lambda t: t.slice(1), "rows, found"),
        (lambda t: pa.table({}), "found 0 columns"),
    ],
)
def test_an_index_of_other_columns_types_or_rows_is_refused_before_it_is_read(
    store: Path, change: Callable[[pa.Table], pa.Table], words: str
) -> None:
    rewrite_table(store, change)
    line = refusal(store)
    assert "index.parquet: damaged crop store: expected" in line
    assert words in line


@pytest.mark.parametrize("content", [b"", b"PAR1PAR1", b"path,label\na,0\n", bytes(range(256)) * 20])
def test_an_index_that_is_no_parquet_is_one_line_without_words_of_the_library(
    store: Path, content: bytes
) -> None:
    (store / "index.parquet").write_bytes(content)
    reseal(store)
    assert "expected Parquet as the suite writes it" in refusal(store)


@pytest.mark.parametrize("distinct", [False, True])
def test_an_index_whose_texts_would_fill_the_memory_is_refused(tmp_path: Path, distinct: bool) -> None:
    count, path = 3_000, tmp_path / "index.parquet"
    schema = pq.read_schema(toy_store(tmp_path / "toy").path / "index.parquet")
    texts = [str(number if distinct else 0) + "x" * 2_000 for number in range(count)]
    columns = [
        pa.array(texts if name == "path" else (["a"] if pa.types.is_string(kind) else [0]) * count, kind)
        for name, kind in zip(schema.names, schema.types, strict=True)
    ]
    pq.write_table(pa.table(columns, schema=schema), path, compression="zstd")
    assert path.stat().st_size < 100_000
    with pytest.raises(BenchError, match=r"expected at most 1,024 bytes .*a row, found 2,\d+"):
        read_index(path, count)


def test_every_changed_byte_of_an_index_is_refused_or_gives_rows_without_a_traceback(tmp_path: Path) -> None:
    store = toy_store(tmp_path / "toy")
    whole, path = (store.path / "index.parquet").read_bytes(), tmp_path / "index.parquet"
    refused = 0
    for place in range(0, len(whole), 31):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        try:
            assert len(read_index(path, len(store))) == len(store)
        except BenchError as error:
            refused += str(path) in str(error)
    assert refused > len(whole) // 31 // 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda data, n: data[:-1], "bytes for"),
        (lambda data, n: data + b"x", "bytes for"),
        (lambda data, n: b"", "bytes for"),
        (lambda data, n: data[:128], "bytes for"),
        (lambda data, n: npy_header(n + 1, 16) + data[128:], "the header of"),
        (lambda data, n: npy_header(n, 16).replace(b"|u1", b"|i1") + data[128:], "the header of"),
        (lambda data, n: npy_header(n, 16).replace(b"|u1", b"|O ") + data[128:], "the header of"),
        (lambda data, n: npy_header(n, 16).replace(b"False", b"True ") + data[128:], "the header of"),
        (lambda data, n: b"PK\x03\x04" + data[4:], "the header of"),
    ],
)
def test_sealed_crops_that_the_suite_does_not_write_are_refused(
    store: Path, change: Callable[[bytes, int], bytes], words: str
) -> None:
    path, count = store / "crops.npy", len(CropStore.open(store))
    path.write_bytes(change(path.read_bytes(), count))
    reseal(store)
    line = refusal(store)
    assert "crops.npy: damaged crop store: expected" in line
    assert words in line


def test_crops_that_numpy_itself_saved_open_if_they_are_the_same_bytes(store: Path) -> None:
    crops = np.array(CropStore.open(store).crops)
    np.save(store / "crops.npy", crops)
    reseal(store)
    np.testing.assert_array_equal(CropStore.open(store).crops, crops)


@pytest.mark.parametrize("name", ["store.json", "index.parquet", "crops.npy"])
@pytest.mark.parametrize(
    ("put", "words"),
    [
        (os.mkfifo, "expected a file, found a pipe"),
        (os.mkdir, "expected a file, found a folder"),
        (lambda path: os.symlink("/dev/zero", path), "expected a file, found a device"),
        (lambda path: os.symlink(path.name, path), "cannot be read"),
        (lambda path: os.symlink("nowhere", path), "cannot be read"),
    ],
)
def test_what_is_no_regular_file_is_never_opened(
    store: Path, name: str, put: Callable[[Path], None], words: str
) -> None:
    (store / name).unlink()
    put(store / name)
    line = refusal(store)
    assert str(store / name) in line
    assert words in line
    with pytest.raises(BenchError):
        named_stores(store)


@pytest.mark.parametrize("path", ["n" * 300, "a\0b", "loop", "toy/store.json/x"])
def test_a_path_that_the_system_refuses_is_one_line(store: Path, path: str) -> None:
    (store.parent / "loop").symlink_to("loop")
    for use in (CropStore.open, named_stores):
        with pytest.raises(BenchError) as caught:
            use(store.parent / path)
        assert len(str(caught.value).splitlines()) == 1


def test_a_home_of_nobody_is_one_line() -> None:
    with pytest.raises(BenchError, match="~nobody-at-all is no user's home folder"):
        named_stores("~nobody-at-all/stores")


@pytest.mark.parametrize(("name", "size", "margin"), [("../x", 8, 1.3), ("s", 0, 1.3), ("s", 8, -1.0)])
def test_a_store_that_nobody_could_open_is_refused_before_it_is_written(
    tmp_path: Path, name: str, size: int, margin: float
) -> None:
    with pytest.raises(BenchError, match=r"/s: key '(name|size|margin)': expected"):
        CropStoreWriter(tmp_path / "s", size=size, name=name, margin=margin)
    assert not list(tmp_path.glob("s*"))
