"""Folders of videos: classes by name, a video its own person, and who reads a tree of both kinds."""

import pytest

from fretal_bench.datasets.check.check import check
from fretal_bench.datasets.importers import ReadOptions, read_dataset, recognise
from trees import Tree, labels_by, manifest, told

OPTIONS = ReadOptions(val_fraction=0)
COLUMNS = ["dataset", "path", "method", "split", "label", "video", "source", "target", "frame"]


def test_classes_come_from_names_and_a_video_is_its_own_person(tmp_path):
    Tree(tmp_path).video(
        *("A/train/real/0.mp4", "A/train/fake/0.mp4", "A/valid/real/0.mp4"),
        *("A/test/real/0.mp4", "A/test/fake/more/1.mp4"),
    )

    read = read_dataset(tmp_path)

    assert manifest(read.frame, COLUMNS) == [
        ("A", "A/test/real/0.mp4", "real", "test", 0, "test/real/0", "test/real/0", "test/real/0", -1),
        ("A", "A/train/real/0.mp4", "real", "train", 0, "train/real/0", "train/real/0", "train/real/0", -1),
        ("A", "A/valid/real/0.mp4", "real", "val", 0, "valid/real/0", "valid/real/0", "valid/real/0", -1),
        ("A", "A/test/fake/more/1.mp4", "fake", "test", 1, "test/fake/more/1", "", "test/fake/more/1", -1),
        ("A", "A/train/fake/0.mp4", "fake", "train", 1, "train/fake/0", "", "train/fake/0", -1),
    ]
    assert recognise(tmp_path)[0].name == "video-folders"
    assert any("a person of its own" in finding.found for finding in read.findings)


@pytest.mark.parametrize(
    ("real", "fake"), [("nature", "ai"), ("0_real", "1_fake"), ("Original", "deepfakes"), ("real", "aigc")]
)
def test_the_words_that_people_use_say_the_class(tmp_path, real, fake):
    Tree(tmp_path).video(*(f"A/{split}/{name}/0.mp4" for split in ("train", "test") for name in (real, fake)))

    labels_by(read_dataset(tmp_path, options=OPTIONS).frame, lambda path: int(f"/{fake}/" in path))


def test_what_says_no_class_or_contradicts_itself_or_is_no_video_is_counted(tmp_path):
    tree = Tree(tmp_path)
    tree.video(*(f"A/{split}/{name}/0.mp4" for split in ("train", "test") for name in ("real", "fake")))
    tree.video("A/train/maybe/0.mp4", "A/train/1_real/0.mp4", "A/train/loose.mp4", "B/0.mp4")
    tree.image("A/train/fake/0.png")
    tree.text("A/train/real/notes.txt", "x")

    result = check(tmp_path)

    assert result.family == "video-folders"
    assert told(result.findings, "error") == {
        ("label", "A/train/1_real"),
        ("wrong-extension", "A/train/fake/0.png"),
        ("wrong-extension", "A/train/real/notes.txt"),
    }
    assert told(result.findings, "warning") >= {("name", "A/train/maybe"), ("name", "A/train"), ("name", "B")}
    assert result.left_out == {"label": 1, "wrong-extension": 2}
    assert "--detector" not in result.command


def test_images_alone_are_no_video_folders_and_videos_alone_no_image_folders(tmp_path):
    for name, kind in (
        ("images", Tree(tmp_path / "images").image),
        ("videos", Tree(tmp_path / "videos").video),
    ):
        suffix = "png" if name == "images" else "mp4"
        kind(*(f"{split}/{label}/0.{suffix}" for split in ("train", "test") for label in ("real", "fake")))

    assert recognise(tmp_path / "images")[0].name == "image-folders"
    assert recognise(tmp_path / "videos")[0].name == "video-folders"
    Tree(tmp_path / "videos").image("test/live/0.png")
    assert recognise(tmp_path / "videos")[0].name == "image-folders"
