"""FF++-mini in the layouts of other sets: each gives the crops of the FaceForensics++ tree it was made from."""

import json
import os
from functools import cache

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fretal_bench.datasets.faces.frames import VideoFile
from fretal_bench.datasets.faces.options import PrepareOptions
from fretal_bench.datasets.faces.prepare import prepare
from fretal_bench.datasets.importers import ReadOptions, read_dataset

OPTIONS = PrepareOptions(frames=2, size=32, detector="none")
SPLITS = {"000": "train", "014": "train", "028": "test", "030": "test"}
"""Of the people, in the other layouts: FF++-mini has 028 and 030 in val."""


@pytest.fixture(scope="module")
def plain(mini, tmp_path_factory):
    """Label and crops of each video of the FaceForensics++ tree, by path."""
    store = prepare(mini, tmp_path_factory.mktemp("plain") / "store", options=OPTIONS).store
    return crops_by_video(store, {path: path for path in store.index["path"]})


@cache
def videos_of(mini):
    """Path below the tree -> manifest row."""
    frame = read_dataset(mini).frame
    return {row.path: row for row in frame.itertuples()}


def crops_by_video(store, origin_of):
    """Label and crops of each video, by the path it has in FF++-mini; ``origin_of`` leads there."""
    by_video = {}
    for row, crop in zip(store.index.itertuples(), store.crops, strict=True):
        by_video.setdefault(origin_of[row.path], (row.label, []))[1].append(np.array(crop))
    return by_video


def same(ours, theirs):
    assert ours.keys() == theirs.keys()
    for path, (label, crops) in ours.items():
        assert label == theirs[path][0]
        assert np.array_equal(np.stack(crops), np.stack(theirs[path][1])), path


def linked(mini, root, name_of):
    """Link every video of FF++-mini into another layout; path there -> path in FF++-mini."""
    origin_of = {}
    for path, row in videos_of(mini).items():
        there = name_of(row)
        (root / there).parent.mkdir(parents=True, exist_ok=True)
        os.link(mini / path, root / there)
        origin_of[there] = path
    return origin_of


def as_video_folders(mini, root):
    def name_of(row):
        word = "fake" if row.label else "real"
        return f"mine/{SPLITS[row.target]}/{word}/{row.method}_{row.video}.mp4"

    return linked(mini, root, name_of)


def as_celeb_df_pp(mini, root):
    folders = {
        "Deepfakes": "FaceSwap/Celeb-DF-v2",
        "FaceSwap": "FaceSwap/SimSwap",
        "Face2Face": "FaceReenact/LIA",
        "NeuralTextures": "TalkingFace/FLOAT",
    }

    def name_of(row):
        target, source = (f"id{int(person)}" for person in (row.target, row.source))
        if row.method == "real":
            return f"Celeb-real/{target}_0000.mp4"
        talks = row.method == "NeuralTextures"
        name = f"{target}_0000_test_{source}" if talks else f"{target}_{source}_0000"
        return f"Celeb-synthesis/{folders[row.method]}/{name}.mp4"

    origin_of = linked(mini, root, name_of)
    rows = videos_of(mini)
    tested = [there for there, path in origin_of.items() if SPLITS[rows[path].target] == "test"]
    lines = [f"{int(there.startswith('Celeb-real'))} {there}\n" for there in tested]
    (root / "List_of_testing_videos.txt").write_text("".join(lines))
    return origin_of


@pytest.mark.parametrize(
    ("layout", "name"), [(as_video_folders, "video-folders"), (as_celeb_df_pp, "celeb-df-pp")]
)
def test_videos_in_another_layout_give_the_same_crops(mini, plain, tmp_path, layout, name):
    origin_of = layout(mini, tmp_path / "other")
    read = read_dataset(tmp_path / "other")
    made = prepare(
        tmp_path / "other",
        tmp_path / "made",
        options=OPTIONS,
        read_options=ReadOptions(val_fraction=0),
    )

    assert read.family == name
    assert read.left_out == ()
    assert made.lost == 0
    same(crops_by_video(made.store, origin_of), plain)
    rows = videos_of(mini)
    for row in made.store.index.itertuples():
        assert row.split == SPLITS[rows[origin_of[row.path]].target]


@cache
def pictures_of(mini):
    """Path of each video of FF++-mini -> its ten frames as PNG files."""
    return {
        path: [
            cv2.imencode(".png", frame.image[:, :, ::-1])[1].tobytes()
            for frame in VideoFile(mini / path).read(range(10))
        ]
        for path in videos_of(mini)
    }


def as_df40(mini, root):
    """Frames in folders; the originals where DeepfakeBench has them."""
    methods = {"Deepfakes": "simswap", "FaceSwap": "inswap", "Face2Face": "fomm", "NeuralTextures": "wav2lip"}
    origin_of = {}
    for path, row in videos_of(mini).items():
        top = "DF40" if SPLITS[row.target] == "test" else "DF40_train"
        folder = f"{top}/{methods[row.method]}/ff" if row.label else f"{DF40_REALS}/frames"
        for number, data in enumerate(pictures_of(mini)[path]):
            there = f"{folder}/{row.video}/{number:03}.png"
            (root / there).parent.mkdir(parents=True, exist_ok=True)
            (root / there).write_bytes(data)
            origin_of[there] = path
    for split, pairs in (("train", [["000", "014"]]), ("val", []), ("test", [["028", "030"]])):
        (root / "FaceForensics++" / f"{split}.json").write_text(json.dumps(pairs))
    return origin_of


def as_df40_lists(mini, root):
    """The same, with the JSON file of each method."""
    origin_of = as_df40(mini, root)
    by_folder = {}
    for there in origin_of:
        by_folder.setdefault(there.rpartition("/")[0], []).append(f"somebody/{there}")
    reals = {folder: frames for folder, frames in by_folder.items() if folder.startswith(DF40_REALS)}
    for method in ("simswap", "inswap", "fomm", "wav2lip"):
        fakes = {folder: frames for folder, frames in by_folder.items() if f"/{method}/" in folder}
        groups = {}
        for word, folders in (("Real", reals), ("Fake", fakes)):
            splits = groups.setdefault(f"roop_{word}", {})
            for folder, frames in folders.items():
                video = folder.rpartition("/")[2]
                of_split = splits.setdefault(SPLITS[video[:3]], {}).setdefault("c23", {})
                of_split[video] = {"label": f"roop_{word}", "frames": frames}
        (root / f"{method}_ff.json").write_text(json.dumps({f"{method}_ff": groups}))
    return origin_of


def as_parquet(mini, root):
    """A file a split, of small row groups, reals and fakes mixed."""
    columns = {split: {name: [] for name in PARQUET} for split in ("train", "test")}
    origins = {"train": [], "test": []}
    for number in range(10):
        for path, row in videos_of(mini).items():
            split = SPLITS[row.target]
            fields = (
                {"bytes": pictures_of(mini)[path][number]},
                *("fake" if row.label else "real", row.method, f"{row.method}/{row.video}"),
                *(row.source, row.target, number),
            )
            for name, value in zip(PARQUET, fields, strict=True):
                columns[split][name].append(value)
            origins[split].append(path)
    origin_of = {}
    root.mkdir()
    for split, of_split in columns.items():
        pq.write_table(pa.table(of_split), root / f"{split}-00000-of-00001.parquet", row_group_size=7)
        for n, path in enumerate(origins[split]):
            origin_of[f"{split}-00000-of-00001.parquet::image/{n // 7:05}/{n % 7:07}"] = path
    return origin_of


PARQUET = ("image", "label", "method", "video", "source", "target", "frame")
DF40_REALS = "FaceForensics++/original_sequences/youtube/c23"


@pytest.mark.parametrize("layout", [as_df40, as_df40_lists, as_parquet])
def test_frames_in_another_layout_give_the_same_crops(mini, plain, tmp_path, layout):
    origin_of = layout(mini, tmp_path / "other")
    made = prepare(
        tmp_path / "other",
        tmp_path / "made",
        options=OPTIONS,
        read_options=ReadOptions(val_fraction=0),
    )

    assert made.lost == 0
    assert made.failures == []
    same(crops_by_video(made.store, origin_of), plain)
    rows = videos_of(mini)
    for row in made.store.index.itertuples():
        assert row.split == SPLITS[rows[origin_of[row.path]].target]
