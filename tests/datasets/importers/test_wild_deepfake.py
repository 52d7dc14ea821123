import pytest

from fretal_bench.datasets.check.check import check
from fretal_bench.datasets.importers import ReadOptions, read_dataset, recognise
from trees import Tree, labels_by, manifest, told


def by_path(path):
    return int(path.startswith("fake"))


def test_an_archive_is_read_where_it_lies_and_each_sequence_is_a_video(tmp_path):
    tree = Tree(tmp_path)
    tree.tar(
        "real_train/0.tar.gz",
        "./0/real/1/12.png",
        "./0/real/1/9.png",
        "./0/real/2/4.png",
        "./0/real/2/._4.png",
    )
    tree.tar("fake_test/0.tar.gz", "0/fake/7/100.png")

    frame = read_dataset(tmp_path, options=ReadOptions(val_fraction=0)).frame

    who = "real_train/0"
    assert manifest(frame) == [
        ("real_train/0.tar.gz::0/real/1/9.png", "real", "none", "train", 0, "train/0/real/1", who, who, 9),
        ("real_train/0.tar.gz::0/real/1/12.png", "real", "none", "train", 0, "train/0/real/1", who, who, 12),
        ("real_train/0.tar.gz::0/real/2/4.png", "real", "none", "train", 0, "train/0/real/2", who, who, 4),
        (
            "fake_test/0.tar.gz::0/fake/7/100.png",
            "fake",
            "none",
            "test",
            1,
            "test/0/fake/7",
            "",
            "fake_test/0",
            100,
        ),
    ]
    assert list(tmp_path.rglob("*.png")) == []
    assert recognise(tmp_path)[0].name == "wilddeepfake"


@pytest.mark.parametrize("place", ["", "deepfake_in_the_wild/"])
@pytest.mark.parametrize("space", ["_", " "])
def test_unpacked_folders_give_the_same_videos_as_archives(tmp_path, place, space):
    tree = Tree(tmp_path)
    tree.image(f"{place}real{space}train/0/real/1/9.png", f"{place}fake{space}test/0/fake/7/100.png")

    frame = read_dataset(tmp_path, options=ReadOptions(val_fraction=0)).frame

    assert manifest(frame, ["video", "label", "split", "target", "frame"]) == [
        ("train/0/real/1", 0, "train", "real_train/0", 9),
        ("test/0/fake/7", 1, "test", "fake_test/0", 100),
    ]


def test_validation_takes_whole_archives_out_of_train(tmp_path):
    tree = Tree(tmp_path)
    for n in range(20):
        tree.tar(f"real_train/{n}.tar.gz", f"{n}/1/0.png", f"{n}/2/0.png")
    tree.tar("real_test/0.tar.gz", "0/1/0.png")

    frame = read_dataset(tmp_path).frame

    assert frame.groupby("target")["split"].nunique().max() == 1
    assert dict(frame["split"].value_counts()) == {"train": 36, "val": 4, "test": 1}


def test_members_that_would_leave_their_folder_are_refused(tmp_path):
    tree = Tree(tmp_path)
    links = (("1/link.png", "../../etc/passwd"),)
    tree.tar(
        "fake_train/1.tar.gz", "1/0.png", "/etc/1.png", "1/../../2.png", "1/0.png", "1/notes.txt", links=links
    )
    tree.tar("fake_test/1.tar.gz", "1/0.png")

    result = check(tmp_path)

    archive = "fake_train/1.tar.gz"
    assert told(result.findings, "error") == {
        ("classes", ""),
        ("outside", f"{archive}::/etc/1.png"),
        ("outside", f"{archive}::1/../../2.png"),
        ("link", f"{archive}::1/link.png"),
        ("duplicate", f"{archive}::1/0.png"),
        ("wrong-extension", f"{archive}::1/notes.txt"),
    }
    assert len(read_dataset(tmp_path).frame) == 2


def test_damaged_archives_and_contradicting_folders_are_left_out_and_counted(tmp_path):
    tree = Tree(tmp_path)
    tree.tar("fake_train/1.tar.gz", *(f"1/{n}.png" for n in range(50)))
    tree.truncate("fake_train/1.tar.gz")
    tree.data("fake_train/2.tar.gz", b"")
    tree.data("fake_train/3.tar.gz", b"no archive")
    tree.data("fake_train/4.zip", b"PK\x03\x04")
    tree.tar("fake_train/5.tar.gz", "5/real/0/0.png", "5/fake/0/0.png")
    tree.tar("fake_train/Größe.tar.gz", "Größe/0.png")
    tree.image("real_test/0/0/0.png")

    result = check(tmp_path)

    assert told(result.findings, "error") == {
        ("unreadable", "fake_train/1.tar.gz"),
        ("empty", "fake_train/2.tar.gz"),
        ("unreadable", "fake_train/3.tar.gz"),
        ("wrong-extension", "fake_train/4.zip"),
        ("label", "fake_train/5.tar.gz::5/real/0/0.png"),
    }
    frame = read_dataset(tmp_path).frame
    labels_by(frame, by_path)
    assert len(frame) == 3
    assert {count.left_out for count in result.counts if count.method == "fake"} == {5}
