"""What ``--new`` and ``--test`` may name, and the domains that are made of it."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

from fretal_bench.benchmark.adaptation.places import domains_of, place_of
from fretal_bench.datasets.store.store import CropStoreWriter
from fretal_bench.errors import BenchError, BenchWarning
from toy_stores import toy_rows, toy_store


def _store(path: Path, margin: float = 1.3, size: int = 16, without: str = "") -> Path:
    rows = toy_rows()
    rows = rows[rows["split"] != without]
    with CropStoreWriter(path, size=size, name="toy", margin=margin) as writer:
        writer.add(np.zeros((len(rows), size, size, 3), np.uint8), rows)
        writer.finish()
    return path


def test_a_store_is_named_whole_or_by_methods(tmp_path: Path) -> None:
    store = toy_store(tmp_path / "toy").path
    old, new = place_of(f"{store}:Deepfakes", "--test"), place_of(f"{store}:FaceSwap", "--new")
    assert (old.methods, old.datasets, old.splits) == (("Deepfakes",), ("toy",), ("train", "val", "test"))
    first, second = domains_of(new, [old], validation=False)
    assert (first.name, first.splits, first.methods) == ("Deepfakes", ("test",), ("Deepfakes",))
    assert (second.name, second.splits, second.methods) == ("FaceSwap", (), ("FaceSwap",))
    assert domains_of(new, [old], validation=True)[0].splits == ("val", "test")
    whole = place_of(str(store), "--test")
    assert (whole.name, whole.methods) == ("toy", ())
    names = [domain.name for domain in domains_of(whole, [whole, old], validation=False)]
    assert names == ["toy", "Deepfakes", "toy-2"]


def test_embedded_data_are_named_without_being_built() -> None:
    place = place_of("builtin:ffpp-mini-c23:FaceSwap", "--new")
    assert (place.store, place.methods, place.datasets) == (
        "builtin:ffpp-mini-c23",
        ("FaceSwap",),
        ("ffpp-mini",),
    )
    assert "identity" not in place_of("builtin:ffpp-mini-c23", "--new").methods
    with pytest.raises(BenchError, match="FF\\+\\+-mini has no method 'Faceswap'; did you mean 'FaceSwap'"):
        place_of("builtin:ffpp-mini-c23:Faceswap", "--new")


def test_samples_that_are_needed_and_not_there_are_named(tmp_path: Path) -> None:
    store = toy_store(tmp_path / "toy").path
    place = place_of(str(store), "--test")
    fresh = place_of(str(_store(tmp_path / "fresh", without="test")), "--new")
    assert domains_of(fresh, [place], validation=True)[1].splits == ("train", "val")
    for split, use, validation in (
        ("train", "trained on", False),
        ("val", "judged by with --validation", True),
    ):
        new = place_of(str(_store(tmp_path / f"no-{split}", without=split)), "--new")
        with pytest.raises(BenchError, match=use):
            domains_of(new, [place], validation=validation)
    tests_alone = place_of(str(tmp_path / "no-train"), "--test")
    assert domains_of(fresh, [tests_alone], validation=False)[0].splits == ("test",)


def test_other_crops_are_refused_or_said(tmp_path: Path) -> None:
    old = place_of(str(_store(tmp_path / "old")), "--test")
    with pytest.raises(BenchError, match="expected crops of 16 px, as --test has, found 24 px"):
        place_of(str(_store(tmp_path / "large", size=24)), "--new", old)
    with pytest.warns(BenchWarning, match=r"margin 1\.5, those of --test with 1\.3"):
        place_of(str(_store(tmp_path / "wide", margin=1.5)), "--new", old)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        place_of(str(_store(tmp_path / "alike")), "--new", old)


def test_a_folder_of_videos_is_answered_with_the_command_that_makes_a_store_of_it(tmp_path: Path) -> None:
    old = place_of(str(_store(tmp_path / "old", margin=1.5)), "--test")
    (tmp_path / "clips").mkdir()
    with pytest.raises(BenchError) as error:
        place_of(str(tmp_path / "clips"), "--new", old)
    command = f"bench data prepare {tmp_path / 'clips'} --out stores/clips --size 16 --margin 1.5"
    assert str(error.value).endswith(command)
