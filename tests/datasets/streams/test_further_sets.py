"""Further test sets: which a stream or a store gives, what they are called, and what they may not hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fretal_bench.datasets.streams.domain import Domain
from fretal_bench.datasets.streams.further_sets import open_test_sets
from fretal_bench.datasets.streams.stream import open_stream
from fretal_bench.errors import BenchError
from fretal_bench.names import NAME
from toy_stores import FRAMES, PEOPLE, toy_rows, toy_store

FAKES = ("Deepfakes", "FaceSwap")


@pytest.fixture(autouse=True)
def nothing_at_hand(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("FRETAL_BENCH_DATA", raising=False)
    monkeypatch.setenv("FRETAL_BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def rows_of(dataset: str, methods: tuple[str, ...], compression: str = "none") -> pd.DataFrame:
    return toy_rows(methods, dataset).assign(compression=compression)


def store_of(path: Path, *parts: pd.DataFrame) -> Path:
    return toy_store(path, pd.concat(parts, ignore_index=True)).path


def kinds(domain: Domain) -> set[tuple[str, ...]]:
    index = domain.store.index.iloc[domain.rows["test"]]
    return set(index[["dataset", "method", "compression", "split"]].itertuples(index=False, name=None))


@pytest.mark.parametrize(
    ("parts", "names"),
    [
        ([("celeb-df-v2", ("Celeb-synthesis",), "none")], ["celeb-df-v2"]),
        ([("ffpp", FAKES, "c40")], ["Deepfakes (c40)", "FaceSwap (c40)"]),
        ([("dfd", ("DeepFakeDetection",), "c23")], ["dfd (c23)"]),
        (
            [("ffpp", FAKES, "c40"), ("ffpp", FAKES, "raw")],
            ["Deepfakes (c40)", "FaceSwap (c40)", "Deepfakes (raw)", "FaceSwap (raw)"],
        ),
        (
            [("ffpp", FAKES, "c40"), ("ffpp", FAKES[:1], "raw")],
            ["Deepfakes (c40)", "FaceSwap (c40)", "Deepfakes (raw)"],
        ),
        (
            [("cddb-gaugan", ("gaugan",), "none"), ("cddb-imle", ("imle",), "none")],
            ["cddb-gaugan", "cddb-imle"],
        ),
        (
            [("one", ("a", "fake"), "none"), ("two", ("b", "fake"), "none")],
            ["a", "one fake", "b", "two fake"],
        ),
        ([("drawn", ("d",), "raw"), ("ff-c23", ("d",), "c23")], ["drawn (raw)", "ff-c23"]),
    ],
)
def test_a_store_gives_a_test_set_for_each_kind_of_fake_with_the_reals_of_its_data_set_and_compression(
    tmp_path: Path, parts: list[tuple[str, tuple[str, ...], str]], names: list[str]
) -> None:
    sets = open_test_sets(str(store_of(tmp_path / "store", *(rows_of(*part) for part in parts))))
    assert [domain.name for domain in sets] == names
    assert not any(NAME.fault(name) for name in names)
    expected = [(dataset, method, coded) for dataset, methods, coded in parts for method in methods]
    for domain, (dataset, method, coded) in zip(sets, expected, strict=True):
        assert kinds(domain) == {(dataset, label, coded, "test") for label in ("real", method)}
        assert len(domain.rows["test"]) == 2 * len(PEOPLE["test"]) * FRAMES
        assert domain.rows["test"].tolist() == sorted(domain.rows["test"])


def test_a_store_of_test_rows_alone_is_a_test_set_and_nothing_else(tmp_path: Path) -> None:
    rows = toy_rows(FAKES[:1])
    (domain,) = open_test_sets(str(store_of(tmp_path / "store", rows[rows["split"] == "test"])))
    assert [len(domain.rows[split]) for split in ("train", "val", "test")] == [0, 0, len(domain.store)]
    assert domain.batches("test").targets.tolist() == domain.store.index["label"].tolist()
    assert set(domain.content("test")["rows"]) == {"test"}  # type: ignore[call-overload]


def test_the_folder_that_a_store_is_in_stands_for_it_and_of_several_one_is_to_be_named(
    tmp_path: Path,
) -> None:
    rows = rows_of("one", ("fake",))
    store_of(tmp_path / "stores" / "first", rows)
    assert [domain.name for domain in open_test_sets("stores")] == ["one"]
    store_of(tmp_path / "stores" / "second", rows)
    with pytest.raises(BenchError, match="stores holds several crop stores: first, second; give one of them"):
        open_test_sets("stores")


STREAM = """
name = "mine"
[[domains]]
name = "swaps"
store = "store"
methods = ["FaceSwap"]
compressions = ["c40"]
[[domains]]
name = "all"
store = "store"
datasets = ["toy"]
"""


def test_a_stream_gives_the_test_rows_of_its_domains(tmp_path: Path) -> None:
    rows = pd.concat([rows_of("toy", FAKES, coded) for coded in ("c23", "c40")], ignore_index=True)
    store = store_of(tmp_path / "store", rows)
    (tmp_path / "mine.toml").write_text(STREAM)
    sets = open_test_sets("mine.toml")
    assert [domain.name for domain in sets] == ["swaps (c40)", "all"]
    for domain, whole in zip(sets, open_stream("mine.toml"), strict=True):
        np.testing.assert_array_equal(domain.rows["test"], whole.rows["test"])
        assert domain.content("test") == whole.content("test")
        assert not len(domain.rows["train"]) + len(domain.rows["val"])
    # Also where the stores are found, and hold nothing to train on.
    toy_store(store.with_name("test"), rows[rows["split"] == "test"])
    (tmp_path / "mine.toml").write_text(
        'name = "mine"\n[[domains]]\nname = "all"\ndatasets = ["toy"]\ncompressions = ["c23"]\n'
    )
    assert [domain.name for domain in open_test_sets("mine.toml", [tmp_path / "test"])] == ["all (c23)"]


def test_what_cannot_be_a_test_set_is_one_line_that_says_so(tmp_path: Path) -> None:
    rows = toy_rows(FAKES)
    test = rows["split"] == "test"
    store_of(tmp_path / "untested", rows[~test])
    store_of(tmp_path / "reals", rows[rows["label"] == 0])
    store_of(tmp_path / "fakes", rows[~test | (rows["label"] == 1)])
    store_of(tmp_path / "apart", rows.assign(compression=np.where(rows["label"], "jpeg25", "c23")))
    store_of(tmp_path / "store", rows)
    store_of(tmp_path / "ffpp-mini", rows)
    (tmp_path / "empty").mkdir()
    (tmp_path / "held.toml").write_text(
        'name = "m"\nwithhold_test = true\n[[domains]]\nname = "d"\nstore = "store"\ndatasets = ["toy"]\n'
    )
    (tmp_path / "fakes.toml").write_text(
        'name = "m"\n[[domains]]\nname = "d"\nstore = "fakes"\ndatasets = ["toy"]\n'
    )
    (tmp_path / "twice.toml").write_text(
        'name = "m"\n[[domains]]\nname = "d"\nstore = "store"\ndatasets = ["toy"]\n'
        '[[domains]]\nname = "d (c23)"\nstore = "store"\ndatasets = ["toy"]\n'
    )
    for place, words in (
        ("untested", "untested: expected rows of the test split, found train and val alone"),
        ("reals", "reals: the test rows of 'toy (c23)' hold no fake ones"),
        ("fakes", "fakes: the test rows of 'toy (c23)' hold no real ones"),
        ("apart", "apart: the test rows of 'toy (c23)' hold no fake ones"),
        ("fakes.toml", "domain 'd (c23)' has no real rows in its test split"),
        ("held.toml", "held.toml: key 'withhold_test': expected a stream with test rows"),
        ("twice.toml", "twice.toml: two test sets would be named 'd (c23)'"),
        ("ffpp-mini", "'ffpp-mini' is a stream and a crop store here; write ./ffpp-mini for the store"),
        ("ffpp-mni", "unknown stream or folder of a crop store 'ffpp-mni'; did you mean 'ffpp-mini'"),
        ("empty", "empty holds no crop store"),
        ("no/such", "no/such is no folder"),
        ("none.toml", "none.toml: cannot be read"),
        ("a\0b", "a\\x00b"),
        ("n/" * 3000, "cannot be read"),
    ):
        with pytest.raises(BenchError) as caught:
            open_test_sets(place)
        assert words in str(caught.value)
        assert "\n" not in str(caught.value)
    with pytest.raises(
        BenchError, match="store is a crop store, not a stream that needs some; leave --data out"
    ):
        open_test_sets("store", ["fakes"])
    assert len(open_test_sets("./ffpp-mini")) == 2


def test_the_crops_are_verified_unless_that_is_not_asked_for(tmp_path: Path) -> None:
    path = store_of(tmp_path / "store", toy_rows(FAKES))
    content = (path / "crops.npy").read_bytes()
    (path / "crops.npy").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(BenchError, match="damaged crop store"):
        open_test_sets("store")
    assert len(open_test_sets("store", verify=False)) == 2
