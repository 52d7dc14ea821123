"""CDDB and plain image folders, which share the reading of class folders."""

import os

from fretal_bench.datasets.check.check import check
from fretal_bench.datasets.importers import ReadOptions, read_dataset, recognise
from trees import Tree, labels_by, manifest, told

COLUMNS = ["dataset", "path", "method", "split", "label", "video", "source", "target", "frame"]


def cddb(root, place=""):
    tree = Tree(root)
    for task, inner in (("gaugan", ""), ("biggan", ""), ("cyclegan", "horse/")):
        for split in ("train", "val"):
            tree.image(
                f"{place}{task}/{split}/{inner}0_real/0.png", f"{place}{task}/{split}/{inner}1_fake/0.png"
            )
    return tree


def test_cddb_val_is_the_reported_test_and_each_task_a_data_set(tmp_path):
    cddb(tmp_path, "CDDB/")

    frame = read_dataset(tmp_path, options=ReadOptions(val_fraction=0)).frame

    rows = [row for row in manifest(frame, COLUMNS) if row[0] == "cddb-cyclegan"]
    path = "CDDB/cyclegan"
    reals, fakes = (
        ("train/horse/0_real/0.png", "val/horse/0_real/0.png"),
        ("train/horse/1_fake/0.png", "val/horse/1_fake/0.png"),
    )
    assert rows == [
        ("cddb-cyclegan", f"{path}/{reals[0]}", "real", "train", 0, reals[0], reals[0], reals[0], 0),
        ("cddb-cyclegan", f"{path}/{reals[1]}", "real", "test", 0, reals[1], reals[1], reals[1], 0),
        ("cddb-cyclegan", f"{path}/{fakes[0]}", "cyclegan", "train", 1, fakes[0], "", fakes[0], 0),
        ("cddb-cyclegan", f"{path}/{fakes[1]}", "cyclegan", "test", 1, fakes[1], "", fakes[1], 0),
    ]
    assert set(frame["dataset"]) == {"cddb-gaugan", "cddb-biggan", "cddb-cyclegan"}
    labels_by(frame, lambda path: int("1_fake" in path))


def test_cddb_says_which_sequences_are_complete(tmp_path):
    cddb(tmp_path)

    notes = [finding.found for finding in check(tmp_path).findings if finding.kind == "note"]

    assert any(note.startswith("EASY: 3 of 7 tasks; imle, deepfake, crn, wild not there") for note in notes)
    assert recognise(tmp_path)[0].name == "cddb"


def test_cddb_broken_copy_gets_its_findings_and_no_wrong_label(tmp_path):
    tree = cddb(tmp_path)
    tree.image(
        "biggan/train/0_fake/1.png",
        "biggan/train/1_real/1.png",
        "biggan/extra/0_real/1.png",
        "gaugan/train/odd/x/1.png",
    )
    tree.data("gaugan/train/0_real/1.png", b"")
    tree.data("gaugan/train/0_real/2.jpg", b"\x89PNG\r\n\x1a\n" + bytes(20))
    tree.data("gaugan/train/1_fake/3.png", (tmp_path / "gaugan/val/0_real/0.png").read_bytes()[:-6])
    tree.text("gaugan/train/1_fake/Thumbs.db", "x")
    tree.image("gaugan/train/1_fake/fälschung.png")
    tree.link("gaugan/train/0_real/loop", "..")

    result = check(tmp_path)

    assert told(result.findings, "error") == {
        ("label", "biggan/train/0_fake"),
        ("label", "biggan/train/1_real"),
        ("empty", "gaugan/train/0_real/1.png"),
        ("unreadable", "gaugan/train/1_fake/3.png"),
        ("wrong-extension", "gaugan/train/1_fake/Thumbs.db"),
        ("loop", "gaugan/train/0_real/loop"),
    }
    assert told(result.findings, "warning") >= {
        ("wrong-extension", "gaugan/train/0_real/2.jpg"),
        ("name", "biggan/extra"),
        ("name", "gaugan/train/odd/x"),
        ("stray", "gaugan/train/odd/x"),
    }
    labels_by(read_dataset(tmp_path).frame, lambda path: int("1_fake" in path))


def test_image_folders_take_classes_by_name_and_domains_by_folder(tmp_path):
    tree = Tree(tmp_path)
    for split in ("train", "valid", "test"):
        tree.image(f"ProGAN/{split}/real/b.png", f"ProGAN/{split}/fake/a.png")
    tree.image(
        "StarGAN/train/1_fake/clip/0003.png", "StarGAN/train/0_real/c.png", "StarGAN/test/0_real/d.png"
    )

    frame = read_dataset(tmp_path).frame

    assert manifest(frame, ["dataset", "path", "method", "split", "label", "video", "frame"]) == [
        ("ProGAN", "ProGAN/test/real/b.png", "real", "test", 0, "test/real/b.png", 0),
        ("ProGAN", "ProGAN/train/real/b.png", "real", "train", 0, "train/real/b.png", 0),
        ("ProGAN", "ProGAN/valid/real/b.png", "real", "val", 0, "valid/real/b.png", 0),
        ("ProGAN", "ProGAN/test/fake/a.png", "fake", "test", 1, "test/fake/a.png", 0),
        ("ProGAN", "ProGAN/train/fake/a.png", "fake", "train", 1, "train/fake/a.png", 0),
        ("ProGAN", "ProGAN/valid/fake/a.png", "fake", "val", 1, "valid/fake/a.png", 0),
        ("StarGAN", "StarGAN/test/0_real/d.png", "real", "test", 0, "test/0_real/d.png", 0),
        ("StarGAN", "StarGAN/train/0_real/c.png", "real", "train", 0, "train/0_real/c.png", 0),
        ("StarGAN", "StarGAN/train/1_fake/clip/0003.png", "fake", "train", 1, "train/1_fake/clip", 3),
    ]
    assert recognise(tmp_path)[0].name == "image-folders"


def test_a_folder_of_splits_is_one_domain(tmp_path):
    Tree(tmp_path / "mine").image(
        "train/real/a.png", "train/fake/a.png", "test/real/a.png", "test/fake/a.png"
    )

    frame = read_dataset(tmp_path / "mine", options=ReadOptions(val_fraction=0)).frame

    assert set(frame["dataset"]) == {"mine"}
    assert len(frame) == 4


def test_image_folders_broken_copy_gets_its_findings_and_no_wrong_label(tmp_path):
    tree = Tree(tmp_path)
    for split in ("train", "test"):
        tree.image(*(f"A/{split}/{label}/{n}.png" for label in ("real", "fake") for n in range(20)))
    tree.image("A/train/maybe/0.png", "A/train/loose.png", "B/images/0.png", "A/train/1_real/0.png")
    tree.data("A/train/real/0.png", b"")
    tree.data("A/train/real/clip.mp4", b"x")
    tree.link("A/train/fake/out", tmp_path.parent)

    result = check(tmp_path)

    assert told(result.findings, "error") == {
        ("empty", "A/train/real/0.png"),
        ("wrong-extension", "A/train/real/clip.mp4"),
        ("label", "A/train/1_real"),
        ("outside", "A/train/fake/out"),
    }
    assert {("name", "A/train/maybe"), ("name", "A/train"), ("name", "B")} <= told(result.findings, "warning")
    frame = read_dataset(tmp_path).frame
    labels_by(frame, lambda path: int("/fake/" in path))
    assert set(frame["split"]) == {"train", "val", "test"}


def test_a_pipe_or_device_among_the_pictures_is_said_and_not_opened(tmp_path):
    tree = Tree(tmp_path)
    tree.image("train/real/0.png", "train/fake/0.png")
    os.mkfifo(tmp_path / "train/fake/1.png")
    read = read_dataset(tmp_path)
    assert sorted(read.frame["path"]) == ["train/fake/0.png", "train/real/0.png"]
    assert [(f.file, f.kind, f.severity) for f in read.findings if f.kind == "device"] == [
        ("train/fake/1.png", "device", "error")
    ]
