"""FF++-mini as a tree: official names, splits that fit the fakes, the built-in store's frames, whole files only."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from fretal_bench import files
from fretal_bench.datasets.check.check import check
from fretal_bench.datasets.faces.frames import VideoFile
from fretal_bench.datasets.ffpp_mini.build import clips, split_pairs
from fretal_bench.datasets.ffpp_mini.codec import code
from fretal_bench.datasets.ffpp_mini.tree import METHODS, make_mini
from fretal_bench.datasets.importers import read_dataset
from fretal_bench.errors import BenchError, RunError

PEOPLE = (0, 14, 28, 30)


def test_the_importer_reads_all_of_it_and_check_finds_no_fault(mini):
    read = read_dataset(mini)
    assert read.family == "ffpp"
    assert read.left_out == ()
    assert len(read.frame) == len(PEOPLE) * len(METHODS)
    assert len(read.originals) == len(PEOPLE) * (len(METHODS) - 1)
    split = dict(zip(read.frame["target"], read.frame["split"], strict=True))
    assert split == {"000": "train", "014": "train", "028": "val", "030": "val"}
    assert check(mini).errors == 0


def test_the_frames_are_those_of_the_built_in_store(mini):
    (clip,) = clips(["FaceSwap"], [28])
    path = mini / "manipulated_sequences/FaceSwap/c23/videos/028_030.mp4"
    expected = code(clip.frames, "c23")
    frames = [frame.image for frame in VideoFile(path).read(range(10))]
    assert len(frames) == 10
    for frame, grey in zip(frames, expected, strict=True):
        assert np.abs(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(int) - grey).max() <= 2


def test_split_files_list_official_pairs_of_the_people_that_are_there(mini):
    for split, pairs in split_pairs().items():
        written = json.loads((mini / "splits" / f"{split}.json").read_text())
        assert written == [pair for pair in pairs if int(pair[0]) in PEOPLE]
        for a, b in written:
            for name in (f"{a}_{b}", f"{b}_{a}"):
                assert (mini / f"manipulated_sequences/Deepfakes/c23/videos/{name}.mp4").exists()


def test_it_goes_on_where_it_stopped_and_repairs_what_is_broken(tree):
    whole, cut, gone = (tree / f"manipulated_sequences/{m}/c23/videos/000_014.mp4" for m in METHODS[1:4])
    before = {path: path.read_bytes() for path in (whole, cut, gone)}
    cut.write_bytes(before[cut][:-50])
    gone.unlink()
    stamp = whole.stat().st_mtime_ns
    calls = []
    result = make_mini(tree, ["c23"], PEOPLE, progress=lambda *t: calls.append(t))
    assert (result.written, result.there) == (2, 18)
    assert {path: path.read_bytes() for path in (whole, cut, gone)} == before
    assert whole.stat().st_mtime_ns == stamp
    assert calls == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert not list(tree.rglob(".*"))


def test_a_full_disk_is_one_line_leaves_no_part_of_a_file_and_the_next_try_gives_the_same_bytes(
    tmp_path, monkeypatch, mini
):
    plain = files.move

    def full(part, final):
        if final.suffix == ".mp4":
            raise OSError(28, "No space left on device")
        plain(part, final)

    monkeypatch.setattr(files, "move", full)
    with pytest.raises(RunError, match=r"\.mp4: no space left"):
        make_mini(tmp_path, ["c23"], [0, 14])
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} == {
        "train.json",
        "val.json",
        "test.json",
    }
    monkeypatch.setattr(files, "move", plain)
    make_mini(tmp_path, ["c23"], [0, 14])
    videos = [path.relative_to(tmp_path) for path in tmp_path.rglob("*.mp4")]
    assert len(videos) == 10
    assert all((tmp_path / video).read_bytes() == (mini / video).read_bytes() for video in videos)


@pytest.mark.parametrize(
    ("compressions", "people", "message"),
    [
        (["c32"], [0, 14], "unknown compression of FF++-mini 'c32'; did you mean 'c23'"),
        (["c23"], [0], "person 0 is paired with person 14 in the splits; name both"),
        (["c23"], [40, 0], "FF++-mini has no person 40"),
    ],
)
def test_what_cannot_be_made_is_one_line_and_leaves_nothing(tmp_path, compressions, people, message):
    with pytest.raises(BenchError) as caught:
        make_mini(tmp_path / "out", compressions, people)
    assert message in str(caught.value)
    assert not (tmp_path / "out").exists()
