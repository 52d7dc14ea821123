"""FaceForensics++ splits, identity splits and folders that lie or are damaged: told, and never guessed."""

import json
import os

import pytest

from fretal_bench.datasets.importers import ReadOptions, read_dataset
from fretal_bench.errors import BenchError
from trees import Tree

PAIRS = {"train": [["000", "001"]], "val": [["002", "003"]], "test": [["004", "005"]]}
REALS = "original_sequences/youtube/c23/videos"
FAKES = "manipulated_sequences/Deepfakes/c23/videos"


@pytest.fixture
def tree(tmp_path):
    tree = Tree(tmp_path / "set")
    tree.video(*(f"{REALS}/{n:03}.mp4" for n in range(6)))
    tree.video(*(f"{FAKES}/{a}_{b}.mp4" for (pair,) in PAIRS.values() for a, b in (pair, pair[::-1])))
    for split, pairs in PAIRS.items():
        tree.json(f"splits/{split}.json", pairs)
    return tree


def read(tree, **options):
    got = read_dataset(tree.root, "ffpp", ReadOptions(**options))
    assert all((finding.file + finding.found).isprintable() for finding in got.findings)
    return got


SPLITS = {
    "null": b"null",
    "a number": b"1",
    "an object": b'{"000": "001"}',
    "an object of splits": b'{"train": null}',
    "a text": b'"000"',
    "numbers": b"[[0, 1]]",
    "a pair of one": b'[["000"]]',
    "a pair of three": b'[["000", "001", "002"]]',
    "a pair of null": b'[["000", null]]',
    "a flat list": b'["000", "001"]',
    "nested": b"[" * 100_000,
    "deep": b"[" * 60 + b"]" * 60,
    "a number of many digits": b"[" + b"9" * 6000 + b"]",
    "infinity": b"[Infinity]",
    "no JSON": b'[["000", "001"]',
    "two lists": b'[["000", "001"]][["002", "003"]]',
    "empty": b"",
    "no UTF-8": b'[["\xff", "001"]]',
    "UTF-16": '[["000", "001"]]'.encode("utf-16"),
    "NUL": b'[["000", "001"\x00]]',
}


@pytest.mark.parametrize("case", SPLITS)
def test_a_split_file_that_is_no_list_of_pairs_gives_no_split(tree, case):
    tree.data("splits/train.json", SPLITS[case])

    got = read(tree)

    assert set(got.frame["split"]) == {"val", "test"}
    assert ("splits/train.json", "bad-file") in {(finding.file, finding.kind) for finding in got.findings}
    assert sum(left.kind == "split" for left in got.left_out) == 4


@pytest.mark.parametrize("order", [("train", "test"), ("test", "train"), ("train", "val")])
def test_an_id_in_two_split_files_is_in_neither(tree, order):
    pairs = [["000", "001"]]
    for split in order:
        tree.json(f"splits/{split}.json", PAIRS[split] + pairs if PAIRS[split] != pairs else pairs)

    got = read(tree)

    assert not {"000", "001"} & set(got.frame["target"])
    assert sum(left.kind == "split" for left in got.left_out) == 4


@pytest.mark.parametrize("kind", ["pipe", "folder", "dangling", "circle", "device"])
def test_a_split_file_that_is_no_file_is_told_and_not_opened(tree, kind):
    path = tree.root / "splits/train.json"
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        target = {"dangling": "gone.json", "circle": "train.json", "device": "/dev/zero"}[kind]
        path.symlink_to(target)

    got = read(tree)

    assert set(got.frame["split"]) == {"val", "test"}
    assert "splits/train.json" in {finding.file for finding in got.findings if finding.severity == "error"}


STORES = {
    "no JSON": "{",
    "nested": "[" * 100_000,
    "a list": "[]",
    "null": "null",
    "no details": "{}",
    "details null": '{"details": null}',
    "details a list": '{"details": []}',
    "no split": '{"details": {}}',
    "split null": '{"details": {"identity_split": null}}',
    "split a list": '{"details": {"identity_split": []}}',
    "keys missing": '{"details": {"identity_split": {}}}',
    "details twice": '{"details": {}, "details": {"identity_split": {}}}',
}


@pytest.mark.parametrize("case", STORES)
def test_an_identity_split_that_is_none_is_refused_in_one_line(tree, case):
    tree.text("../store.json", STORES[case])

    with pytest.raises(BenchError, match=r"store\.json") as caught:
        read(tree, splits="identity", split_path=tree.root / "../store.json")

    assert str(caught.value).isprintable()


VALUES = {
    "assignment": [None, [], {"ffpp/000": 1}, {"ffpp/000": None}, {"ffpp/000": "dev"}],
    "fractions": [None, {"train": "1"}, {"train": True}],
    "seed": ["0", 1.5, None],
    "components": ["1", None],
    "cut": [1, "no", None],
    "more": [1],
}


@pytest.mark.parametrize(
    ("key", "value"), [(key, value) for key, values in VALUES.items() for value in values]
)
def test_a_value_of_an_identity_split_that_is_none_is_named(tree, key, value):
    split = {
        "assignment": {f"ffpp/{n:03}": "train" for n in range(6)},
        "fractions": {"train": 1.0},
        "seed": 0,
        "components": 1,
        "cut": False,
    }
    tree.json("../store.json", {"details": {"identity_split": {**split, key: value}}})

    with pytest.raises(BenchError, match=rf"store\.json.*({key}|dev)"):
        read(tree, splits="identity", split_path=tree.root / "../store.json")


@pytest.mark.parametrize("kind", ["pipe", "nothing", "device"])
def test_a_split_path_that_is_no_file_is_refused_and_never_opened(tree, tmp_path, kind):
    path = tmp_path / "named"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")

    for splits in ("identity", "official"):
        with pytest.raises(BenchError, match="named"):
            read(tree, splits=splits, split_path=path)


NAMES = ("00.mp4", "0000.mp4", "abc.mp4", "000_001.mp4", "000 .mp4", "٠٠٠.mp4")


@pytest.mark.parametrize("name", NAMES)
def test_a_real_video_whose_name_is_no_id_is_left_out(tree, name):
    tree.video(f"{REALS}/{name}")

    got = read(tree)

    assert len(got.frame) == 12
    assert [(left.path, left.kind) for left in got.left_out] == [(f"{REALS}/{name}", "name")]


def test_both_kinds_of_json_of_a_whole_set_are_read(tree):
    got = read(tree)

    assert json.loads((tree.root / "splits/train.json").read_text()) == PAIRS["train"]
    assert len(got.frame) == 12
    assert [finding for finding in got.findings if finding.severity == "error"] == []
