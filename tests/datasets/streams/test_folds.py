"""Folds: everybody is tested once, pairs stay together, and no seed trains on whom it tests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fretal_bench.datasets.manifest import SPLITS, check_splits
from fretal_bench.datasets.streams.folds import fold_of, folds_of
from fretal_bench.datasets.streams.stream import Stream, open_stream
from fretal_bench.errors import BenchError
from toy_stores import paired_rows, toy_store

METHODS = ("Deepfakes", "FaceSwap")


def people_in(splits: Mapping[str, str], split: str = "test") -> set[str]:
    return {person for person, of in splits.items() if of == split}


def check(rows: pd.DataFrame, folds: int) -> tuple[Mapping[str, str], ...]:
    """Check by counting, with nothing of the dealing, that folds are what they promise."""
    dealt = folds_of({"toy": rows}, folds, "mine.toml: key 'folds'")
    people = set("toy/" + rows["target"]) | set("toy/" + rows["source"])
    assert len(dealt) == folds
    times = Counter(person for splits in dealt for person in people_in(splits))
    assert times == Counter(dict.fromkeys(people, 1)), "everybody is tested once"
    own = rows.drop_duplicates(["target", "split"])
    assert dealt[0] == dict(zip("toy/" + own["target"], own["split"], strict=True))
    validating = len(people_in(dealt[0], "val"))
    for splits in dealt:
        assert set(splits) == people, "who does not test or validate is trained on"
        assert set(splits.values()) <= set(SPLITS)
        pairs = rows[["source", "target"]].drop_duplicates()
        assert all(
            splits[f"toy/{source}"] == splits[f"toy/{target}"]
            for source, target in pairs.itertuples(index=False)
        )
        assert len(people_in(splits, "val")) == validating
        check_splits(rows.assign(split=[splits["toy/" + person] for person in rows["target"]]))
    return dealt


@pytest.mark.parametrize(
    ("sizes", "folds", "tests"),
    [((28, 4, 8), 5, [8, 8, 8, 8, 8]), ((28, 4, 8), 3, [8, 16, 16]), ((30, 2, 6), 4, [6, 10, 10, 12])],
)
def test_everybody_is_tested_once_in_folds_as_equal_as_pairs_allow(
    sizes: tuple[int, int, int], folds: int, tests: list[int]
) -> None:
    dealt = check(paired_rows(*sizes), folds)
    assert len(people_in(dealt[0])) == tests[0]
    assert sorted(len(people_in(splits)) for splits in dealt[1:]) == tests[1:]


def test_people_without_a_partner_even_out_the_folds() -> None:
    dealt = check(paired_rows(15, 2, 4, alone=5), 4)
    # Seventeen people are left for three folds: 6 + 6 + 5.
    assert sorted(len(people_in(splits)) for splits in dealt[1:]) == [5, 6, 6]


def test_the_order_of_rows_changes_nothing() -> None:
    rows = paired_rows(28, 4, 8)
    dealt = folds_of({"toy": rows}, 5, "")
    for seed in range(3):
        assert folds_of({"toy": rows.sample(frac=1, random_state=seed)}, 5, "") == dealt
    halves = {"first": rows.iloc[::2], "second": rows.iloc[1::2].assign(compression="c40")}
    assert folds_of(halves, 5, "") == dealt, "nor in which stores they are, and at which compressions"


def test_validation_people_differ_from_fold_to_fold() -> None:
    dealt = check(paired_rows(28, 4, 8), 5)
    assert len({frozenset(people_in(splits, "val")) for splits in dealt}) > 3


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda rows: rows.assign(source=rows["source"].where(rows["label"] == 0, "")),
            "found 160 of 240 in toy that don't; leave the key out",
        ),
        (
            lambda rows: rows.assign(target="", source=""),
            "found 240 of 240 in toy",
        ),
        (
            lambda rows: rows.assign(source=rows["source"].where(rows["source"] != "000", "039")),
            "are in test and train, and folds need them in one split",
        ),
    ],
    ids=["a fake without its source", "nobody is named", "a fake across splits"],
)
def test_what_cannot_be_folded_is_refused(change, words: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(BenchError) as caught:
        folds_of({"toy": change(paired_rows(28, 4, 8))}, 5, "mine.toml: key 'folds'")
    assert words in str(caught.value)
    assert str(caught.value).startswith("mine.toml: key 'folds': ")


def test_more_folds_than_groups_are_refused() -> None:
    with pytest.raises(BenchError, match=r"expected at most 5 folds, as 4 groups .* found 6; give fewer"):
        folds_of({"toy": paired_rows(6, 2, 2)}, 6, "")


def test_seeds_take_the_folds_in_turn() -> None:
    assert [fold_of(seed, 5) for seed in (0, 1, 4, 5, 7, 2**32 - 1)] == [0, 1, 4, 0, 2, 0]
    assert {fold_of(seed, 1) for seed in range(5)} == {0}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    toy_store(tmp_path / "store", paired_rows(10, 2, 4))
    domains = "".join(
        f'\n[[domains]]\nname = "{method}"\nstore = "store"\nmethods = ["{method}"]\n' for method in METHODS
    )
    for name, keys in {
        "whole": "",
        "folded": "folds = 4\n",
        "thin": "folds = 4\nprotocol = { videos_per_class = 3, shared_reals = false }\n",
        "fakes": "folds = 4\nprotocol = { later_reals = false }\n",
    }.items():
        (tmp_path / f"{name}.toml").write_text(f'name = "mine"\n{keys}{domains}')
    return tmp_path


def people_of(stream: Stream, *splits: str) -> set[str]:
    rows = [domain.store.index.iloc[domain.rows[split]] for domain in stream for split in splits]
    return {*pd.concat(rows)["target"], *pd.concat(rows)["source"]}


def test_the_first_fold_is_the_stream_without_folds(folder: Path) -> None:
    whole, folded = (open_stream(folder / f"{name}.toml") for name in ("whole", "folded"))
    assert folded.fingerprint() == whole.fingerprint()
    assert (whole.fold, whole.folds, folded.fold, folded.folds) == (0, 1, 0, 4)
    assert whole.in_fold(0) is whole


def test_every_fold_of_a_stream_tests_others_and_trains_on_the_rest(folder: Path) -> None:
    stream = open_stream(folder / "folded.toml")
    everybody = {f"{number:03}" for number in range(16)}
    test: list[str] = []
    for fold in range(4):
        folded = stream.in_fold(fold)
        assert folded.fold == fold
        parts = [people_of(folded, split) for split in ("train", "val", "test")]
        assert set.union(*parts) == everybody
        assert sum(map(len, parts)) == 16, "nobody is in two splits"
        assert len(parts[1]) == 2
        test += parts[2]
        assert all(len(domain.rows["test"]) == 2 * 2 * len(parts[2]) for domain in folded)
        again = open_stream(folder / "folded.toml", fold=fold)
        assert again.fingerprint() == folded.fingerprint()
        assert folded[0].store is stream[0].store
    assert sorted(test) == sorted(everybody)


def test_a_fold_in_another_order_and_an_order_in_another_fold_are_one_stream(folder: Path) -> None:
    for name in ("folded", "thin", "fakes"):
        stream = open_stream(folder / f"{name}.toml")
        order = METHODS[::-1]
        for fold in range(4):
            folded = stream.in_fold(fold).in_order(order)
            assert folded.fingerprint() == stream.in_order(order).in_fold(fold).fingerprint()
            assert [domain.name for domain in folded] == list(order)
            assert folded.in_fold(0).fingerprint() == stream.in_order(order).fingerprint()


def test_a_protocol_thins_the_training_people_of_each_fold(folder: Path) -> None:
    stream = open_stream(folder / "thin.toml")
    for fold in range(4):
        folded = stream.in_fold(fold)
        index = folded[0].store.index
        reals = [
            set(index.iloc[rows]["video"][index.iloc[rows]["label"] == 0])
            for rows in (domain.rows["train"] for domain in folded)
        ]
        assert not reals[0] & reals[1], "each real goes to one domain"
        later = index.iloc[folded[1].rows["train"]]
        assert later.groupby("label")["video"].nunique().tolist() == [3, 3]
        assert people_of(folded, "train").isdisjoint(people_of(folded, "test"))


def test_later_domains_of_a_fold_may_bring_fakes_alone(folder: Path) -> None:
    for fold in range(4):
        first, later = open_stream(folder / "fakes.toml", fold=fold)
        labels = first.store.index["label"].to_numpy()
        assert set(labels[first.rows["train"]]) == {0, 1}
        assert set(labels[later.rows["train"]]) == set(labels[later.rows["val"]]) == {1}
        assert set(labels[later.rows["test"]]) == {0, 1}


def test_the_benchmark_of_a_fold_trains_on_its_rows(folder: Path) -> None:
    folded = open_stream(folder / "folded.toml", fold=2)
    (first, _) = folded.as_avalanche().train_stream
    assert np.array_equal(first.source.rows, folded[0].rows["train"])


@pytest.mark.parametrize(("name", "fold"), [("folded", 4), ("folded", -1), ("whole", 1)])
def test_a_fold_that_is_not_there_is_refused(folder: Path, name: str, fold: int) -> None:
    with pytest.raises(BenchError, match=rf"numbered from 0, found fold {fold}"):
        open_stream(folder / f"{name}.toml", fold=fold)
