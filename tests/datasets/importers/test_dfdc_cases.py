"""DFDC's metadata.json and labels.csv that lie or are damaged: videos are left out and counted, no label is guessed."""

import json

import pytest

from fretal_bench.datasets.importers import ReadOptions, read_dataset
from trees import Tree

SOUND = {"real.mp4": {"label": "REAL"}, "fake.mp4": {"label": "FAKE", "original": "real.mp4"}}
LABELS = {"real": 0, "fake": 1}


@pytest.fixture
def tree(tmp_path):
    tree = Tree(tmp_path)
    tree.video(*(f"dfdc_train_part_0/{name}.mp4" for name in ("real", "fake", "odd")))
    return tree


def read(tree):
    got = read_dataset(tree.root, "dfdc", ReadOptions(val_fraction=0))
    assert all((finding.file + finding.found).isprintable() for finding in got.findings)
    return got


def labels(got):
    return dict(zip(got.frame["video"], got.frame["label"], strict=True))


# What metadata.json says of odd.mp4 next to two sound videos.
ENTRIES = {
    "nothing": "{}",
    "null": "null",
    "a list": '["FAKE"]',
    "a text": '"FAKE"',
    "a number": "1",
    "label null": '{"label": null}',
    "label 1": '{"label": 1}',
    "label in a list": '{"label": ["FAKE"]}',
    "label of a word inside a word": '{"label": "UNREAL"}',
    "label of both": '{"label": "REAL FAKE"}',
    "a long label": json.dumps({"label": "x" * 5000}),
    "label with a control character": '{"label": "FAKE\\u0007"}',
    "a fake without an original": '{"label": "FAKE"}',
    "a fake of an empty original": '{"label": "FAKE", "original": ""}',
    "a fake of a list": '{"label": "FAKE", "original": ["real.mp4"]}',
    "a fake of a fake": '{"label": "FAKE", "original": "fake.mp4"}',
    "a real with an original": '{"label": "REAL", "original": "real.mp4"}',
}


@pytest.mark.parametrize("case", ENTRIES)
def test_a_video_whose_entry_gives_no_label_is_left_out_and_counted(tree, case):
    body = json.dumps(SOUND)[:-1]
    tree.text("dfdc_train_part_0/metadata.json", f'{body}, "odd.mp4": {ENTRIES[case]}}}')

    got = read(tree)

    assert labels(got) == LABELS
    assert [(left.path, left.kind) for left in got.left_out] == [("dfdc_train_part_0/odd.mp4", "label")]
    assert all(len(finding.found) < 300 for finding in got.findings)


METADATA = {
    "no JSON": b"{",
    "empty": b"",
    "no UTF-8": b'{"real.mp4": "\xff"}',
    "UTF-16": json.dumps(SOUND).encode("utf-16"),
    "a list": b"[]",
    "null": b"null",
    "a number": b"1e400",
    "not a number": b'{"real.mp4": NaN}',
    "a number of many digits": b'{"real.mp4": ' + b"9" * 6000 + b"}",
    "a name twice": b'{"real.mp4": {"label": "REAL"}, "real.mp4": {"label": "FAKE", "original": "x.mp4"}}',
    "a key twice": b'{"real.mp4": {"label": "REAL", "label": "FAKE"}}',
    "nested": b"[" * 100_000,
    "deep": b'{"a":' * 60 + b"1" + b"}" * 60,
}


@pytest.mark.parametrize("case", METADATA)
def test_metadata_that_cannot_be_read_or_means_two_things_labels_nothing(tree, case):
    tree.data("dfdc_train_part_0/metadata.json", METADATA[case])

    got = read(tree)

    assert got.frame.empty
    (finding,) = (finding for finding in got.findings if finding.kind == "bad-file")
    assert finding.file == "dfdc_train_part_0/metadata.json"
    assert {left.kind for left in got.left_out} == {"label"}
    assert len(got.left_out) == 3


# Lines of labels.csv about odd.mp4, after those of two sound videos.
LINES = {
    "two labels": ["odd.mp4,0", "odd.mp4,1"],
    "two labels and again the first": ["odd.mp4,0", "odd.mp4,1", "odd.mp4,0"],
    "two labels and again the second": ["odd.mp4,0", "odd.mp4,1", "odd.mp4,1"],
    "a wrong label, then a right one": ["odd.mp4,2", "odd.mp4,1"],
    "a right label, then a wrong one": ["odd.mp4,1", "odd.mp4,2"],
    "a word inside a word": ["odd.mp4,unreal"],
    "a field too many": ["odd.mp4,1,0"],
    "a field too few": ["odd.mp4"],
    "no label": ["odd.mp4,"],
    "a long field": [f"odd.mp4,{'1' * 140_000}"],
    "an open quote": ['"odd.mp4,1'],
}


@pytest.mark.parametrize("case", LINES)
def test_a_test_video_whose_lines_give_no_one_label_is_left_out(tree, case):
    tree.video("test/real.mp4", "test/fake.mp4", "test/odd.mp4")
    lines = ["filename,label", "real.mp4,0", "fake.mp4,1", *LINES[case]]
    tree.text("test/labels.csv", "\n".join(lines) + "\n")

    got = read(tree)

    assert labels(got) == LABELS
    assert ("test/odd.mp4", "label") in {(left.path, left.kind) for left in got.left_out}
    assert {"label", "bad-file"} & {finding.kind for finding in got.findings if "labels.csv" in finding.file}


@pytest.mark.parametrize(
    "text",
    ["filename,label,label\nreal.mp4,0,1\n", "filename,filename,label\na,real.mp4,0\n", "name,label\n", ""],
)
def test_labels_whose_columns_mean_two_things_or_nothing_label_nothing(tree, text):
    tree.video("test/real.mp4")
    tree.text("test/labels.csv", text)

    got = read(tree)

    assert got.frame.empty
    assert ("bad-file", "test/labels.csv") in {(finding.kind, finding.file) for finding in got.findings}


@pytest.mark.parametrize(
    "entry",
    [{"is_fake": 0}, {"label": "REAL"}, {"is_fake": 1, "label": "REAL"}, {"is_fake": None}, {}, [], None],
)
def test_a_test_video_that_metadata_calls_something_else_is_left_out(tree, entry):
    tree.video("test/real.mp4", "test/fake.mp4")
    tree.text("test/labels.csv", "filename,label\nreal.mp4,0\nfake.mp4,1\n")
    tree.json("test/metadata.json", {"fake.mp4": entry})

    got = read(tree)

    assert labels(got) == {"real": 0}
    assert ("test/fake.mp4", "label") in {(left.path, left.kind) for left in got.left_out}


def test_metadata_that_agrees_or_is_silent_changes_nothing(tree):
    tree.video("test/real.mp4", "test/fake.mp4")
    tree.text("test/labels.csv", "filename,label\nreal.mp4,0\nfake.mp4,1\n")
    tree.json("test/metadata.json", {"fake.mp4": {"is_fake": 1, "label": "FAKE"}})

    assert labels(read(tree)) == LABELS
