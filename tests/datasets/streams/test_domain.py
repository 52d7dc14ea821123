"""Domains and batch sources: the right crops in the right order, from memory or from the disk."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch

from fretal_bench.datasets.store.store import CropStore
from fretal_bench.datasets.streams.domain import CropSource, Domain
from fretal_bench.errors import BenchError
from toy_stores import toy_store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> CropStore:
    return toy_store(tmp_path_factory.mktemp("domain") / "toy")


def rows_of(store: CropStore, method: str) -> dict[str, np.ndarray]:
    index = store.index
    chosen = index["method"].isin(["real", method])
    return {split: np.flatnonzero(chosen & (index["split"] == split)) for split in ("train", "val", "test")}


@pytest.mark.parametrize("limit", [1 << 30, 0])
def test_a_batch_holds_the_crops_of_its_index_in_order_and_with_repeats(store: CropStore, limit: int) -> None:
    rows = np.array([2, 5, 7, 11], dtype=np.int64)
    source = CropSource(store, rows, memory_limit=limit)
    assert source.in_memory == (limit > 0)
    batch = source.images(torch.tensor([3, 0, 3, 1]))
    assert batch.dtype == torch.uint8
    np.testing.assert_array_equal(batch.numpy(), store.crops[[11, 2, 11, 5]])


def test_targets_are_the_labels_of_the_rows(store: CropStore) -> None:
    source = Domain("d", store, rows_of(store, "FaceSwap")).batches("test")
    assert source.targets.dtype == torch.int64
    assert source.targets.tolist() == store.index["label"].iloc[source.rows].tolist()
    assert len(source) == len(source.rows) == 12


def test_a_source_is_opened_once_a_split_and_stays_where_it_is(store: CropStore) -> None:
    domain = Domain("d", store, rows_of(store, "Deepfakes"))
    assert domain.batches("train") is domain.batches("train")
    assert domain.batches("train").to("cpu") is domain.batches("train")


def test_a_source_on_another_device_gives_its_batches_there(store: CropStore) -> None:
    rows = np.arange(4, dtype=np.int64)
    for limit in (1 << 30, 0):
        source = CropSource(store, rows, memory_limit=limit).to("meta")
        assert source.images(torch.tensor([1, 2])).device.type == "meta"
        assert source.targets.device.type == "cpu"


def test_an_unknown_split_is_named_with_the_nearest(store: CropStore) -> None:
    with pytest.raises(BenchError, match="unknown split 'tests'; did you mean 'test'"):
        Domain("d", store, rows_of(store, "Deepfakes")).batches("tests")


def test_a_split_with_one_class_is_refused_and_an_empty_validation_split_is_not(store: CropStore) -> None:
    rows = rows_of(store, "Deepfakes")
    none = np.empty(0, dtype=np.int64)
    assert len(Domain("d", store, {**rows, "val": none}).batches("val")) == 0
    real = np.flatnonzero((store.index["label"] == 0) & (store.index["split"] == "val"))
    with pytest.raises(BenchError, match="no fake rows in its val split"):
        Domain("d", store, {**rows, "val": real})
    with pytest.raises(BenchError, match="no real rows in its test split"):
        Domain("d", store, {**rows, "test": none})


def test_the_fingerprint_changes_with_the_rows_and_only_with_them(store: CropStore) -> None:
    rows = rows_of(store, "Deepfakes")
    same = Domain("d", store, {split: numbers.copy() for split, numbers in rows.items()})
    fewer = Domain("d", store, {**rows, "train": rows["train"][:-1]})
    assert Domain("d", store, rows).fingerprint() == same.fingerprint()
    assert Domain("d", store, rows).fingerprint() != fewer.fingerprint()


def test_the_content_names_the_data_of_the_splits_asked_for_and_not_the_domain(store: CropStore) -> None:
    rows = rows_of(store, "Deepfakes")
    domain = Domain("d", store, rows)
    hashes = {
        split: hashlib.sha256(numbers.astype("<i8").tobytes()).hexdigest() for split, numbers in rows.items()
    }
    assert domain.content("test") == {"store": store.checksum, "rows": {"test": hashes["test"]}}
    assert domain.content("train", "val") == {
        "store": store.checksum,
        "rows": {split: hashes[split] for split in ("train", "val")},
    }
    assert domain.content() == {"store": store.checksum, "rows": hashes} == Domain("e", store, rows).content()
    assert domain.fingerprint() == {"name": "d", **domain.content()}
    with pytest.raises(BenchError, match="unknown split 'tset'; did you mean 'test'"):
        domain.content("tset")
