"""Test sets kept apart from what models were trained on: by people and videos, within a data set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fretal_bench.datasets.manifest import SPLITS
from fretal_bench.datasets.streams.domain import Domain
from fretal_bench.datasets.streams.leakage import check_apart
from fretal_bench.errors import BenchError
from toy_stores import toy_rows, toy_store

SWAPPED = {"train": "test", "test": "train", "val": "val"}


def domain(path: Path, rows: pd.DataFrame, *, only: tuple[str, ...] = SPLITS) -> Domain:
    store = toy_store(path, rows)
    numbers = {s: np.flatnonzero((store.index["split"] == s) & (s in only)) for s in SPLITS}
    return Domain(path.name, store, numbers, tuple(split for split in SPLITS if split not in only))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Domain:
    return domain(tmp_path_factory.mktemp("trained") / "learned", toy_rows(("Deepfakes",)))


def judged(path: Path, rows: pd.DataFrame) -> Domain:
    return domain(path / "further", rows, only=("test",))


@pytest.mark.parametrize("compression", ["c23", "c40", "raw"])
def test_the_same_split_may_judge_at_any_compression_and_with_other_fakes(
    tmp_path: Path, trained: Domain, compression: str
) -> None:
    check_apart([trained], [judged(tmp_path, toy_rows(("Face2Face",)).assign(compression=compression))])
    check_apart([trained], [trained])


def test_people_of_another_data_set_are_others(tmp_path: Path, trained: Domain) -> None:
    swapped = toy_rows(("Deepfakes",), "other")
    swapped["split"] = swapped["split"].map(SWAPPED)
    check_apart([trained], [judged(tmp_path, swapped)])


@pytest.mark.parametrize(
    ("split", "words"),
    [
        (
            "train",
            "holds 6 people and 12 videos that the models were trained or chosen on, e.g. person 'toy/a'",
        ),
        ("val", "holds 2 people and 4 videos that the models were trained or chosen on, e.g. person 'toy/m'"),
    ],
)
def test_people_who_were_trained_or_chosen_on_are_counted_and_the_first_is_named(
    tmp_path: Path, trained: Domain, split: str, words: str
) -> None:
    rows = toy_rows(("Deepfakes",))
    leaky = judged(tmp_path, rows[rows["split"] == split].assign(split="test", compression="c40"))
    with pytest.raises(BenchError) as caught:
        check_apart([trained], [trained, leaky])
    assert words in str(caught.value)
    assert f"{leaky.store.path}: test set 'further'" in str(caught.value)
    assert "of domain 'learned'" in str(caught.value)


@pytest.mark.parametrize("column", ["source", "target"])
def test_one_person_is_enough_as_source_or_as_target(tmp_path: Path, trained: Domain, column: str) -> None:
    rows = toy_rows(("Face2Face",))
    test = rows[rows["split"] == "test"]
    one = (test["label"] == 1) & (test[column] == "x")
    leaky = judged(tmp_path, test.assign(**{column: test[column].where(~one, "a")}))
    with pytest.raises(BenchError, match=r"holds 1 person and 0 videos .* e\.g\. person 'toy/a'"):
        check_apart([trained], [leaky])


def test_videos_are_compared_where_a_data_set_names_no_people(tmp_path: Path) -> None:
    rows = toy_rows(("Deepfakes",)).assign(source="", target="")
    train = domain(tmp_path / "learned", rows)
    test = rows[rows["split"] == "test"]
    one = test["video"] == "x"
    leaky = judged(tmp_path, test.assign(video=test["video"].where(~one, "a"), compression="c40"))
    with pytest.raises(
        BenchError, match=r"holds 0 people and 1 video .* e\.g\. video 'toy/real/a' of domain 'learned'"
    ):
        check_apart([train], [leaky])
    check_apart([train], [train])


def test_the_rows_that_count_are_those_of_the_domains_not_all_of_their_stores(tmp_path: Path) -> None:
    rows = toy_rows(("Deepfakes",))
    whole = domain(tmp_path / "whole", rows)
    without = {**whole.rows}
    people = whole.store.index[["source", "target"]].iloc[without["train"]]
    without["train"] = without["train"][~(people == "a").any(axis=1).to_numpy()]
    test = rows[rows["split"] == "test"].replace({"source": {"x": "a"}, "target": {"x": "a"}})
    leaky = judged(tmp_path, test)
    check_apart([Domain("few", whole.store, without)], [leaky])
    with pytest.raises(BenchError, match="person 'toy/a' of domain 'whole'"):
        check_apart([whole], [leaky])


def test_nothing_trained_or_nothing_judged_is_apart(trained: Domain) -> None:
    check_apart([], [trained])
    check_apart([trained], [])
