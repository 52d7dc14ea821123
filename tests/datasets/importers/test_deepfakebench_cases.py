"""DeepfakeBench JSON that lies or is damaged: whole words label, nothing is guessed, what is not read is told."""

import json

import pytest

from fretal_bench.datasets.importers import ReadOptions, read_dataset
from fretal_bench.datasets.importers.deepfakebench import label_of
from fretal_bench.errors import BenchError
from trees import Tree

OPTIONS = ReadOptions(val_fraction=0)


@pytest.mark.parametrize(
    ("name", "label"),
    [
        *(
            ("FF-real", 0),
            ("FF-DF", 1),
            ("FF-F2F", 1),
            ("FF-FS", 1),
            ("FF-NT", 1),
            ("FF-FH", 1),
            ("FF-SH", 1),
        ),
        *(
            ("CelebDFv1_real", 0),
            ("CelebDFv2_fake", 1),
            ("CelebDFv3_real", 0),
            ("DFD_fake", 1),
            ("DF_real", 0),
        ),
        *(("DFDCP_Real", 0), ("DFDCP_FakeA", 1), ("DFDCP_FakeB", 1), ("DFDC_Fake", 1), ("UADFV_Real", 0)),
        *(("simswap_Fake", 1), ("whichfaceisreal_Fake", 1), ("roop_Real", 0), ("real", 0), ("Fake", 1)),
        *(("GenUnreal", None), ("notfake", None), ("Surreal", None), ("unreal", None), ("X_unreal", None)),
        *(("not_real", None), ("non-fake", None), ("real_fake", None), ("real_person", None), ("", None)),
        *(("whichfaceisreal", None), ("FakeAVCeleb", None), ("FF", None), ("1", None), ("X_FakeC", None)),
    ],
)
def test_a_label_is_a_whole_word_or_a_name_of_the_bench(name, label):
    assert label_of(name) == label


@pytest.fixture
def tree(tmp_path):
    tree = Tree(tmp_path)
    tree.image(*(f"set/{name}/0.png" for name in ("r", "f", "odd")))
    return tree


def video(name, label, frames=None):
    return {name: {"label": label, "frames": [f"set/{name}/0.png"] if frames is None else frames}}


def content(**groups):
    sound = {"X_Real": {"train": video("r", "X_Real")}, "X_Fake": {"train": video("f", "X_Fake")}}
    return {"X": sound | groups}


def read(tree, data):
    tree.data("x.json", data if isinstance(data, bytes) else json.dumps(data).encode())
    got = read_dataset(tree.root / "x.json", options=OPTIONS)
    assert all((finding.file + finding.found).isprintable() for finding in got.findings)
    return got


def labels(got):
    return dict(zip(got.frame["video"], got.frame["label"], strict=True))


GROUPS = {
    "group of a word inside a word": ("label", {"GenUnreal": {"train": video("odd", "GenUnreal")}}),
    "label of a word inside a word": ("label", {"Y_Real": {"train": video("odd", "notreal")}}),
    "label against its group": ("label", {"Y_Fake": {"train": video("odd", "Y_Real")}}),
    "label unknown": ("label", {"Y_Fake": {"train": video("odd", "whatever")}}),
    "label a number": ("bad-file", {"Y_Fake": {"train": video("odd", 1)}}),
    "label null": ("bad-file", {"Y_Fake": {"train": video("odd", None)}}),
    "no label": ("bad-file", {"Y_Fake": {"train": {"odd": {"frames": ["set/odd/0.png"]}}}}),
    "no frames": ("bad-file", {"Y_Fake": {"train": {"odd": {"label": "Y_Fake"}}}}),
    "frames null": ("bad-file", {"Y_Fake": {"train": video("odd", "Y_Fake", frames="set/odd/0.png")}}),
    "frames of numbers": ("bad-file", {"Y_Fake": {"train": video("odd", "Y_Fake", frames=[1])}}),
    "frames outside": ("outside", {"Y_Fake": {"train": video("odd", "Y_Fake", frames=["../set/odd/0.png"])}}),
    "split null": ("bad-file", {"Y_Fake": {"train": None}}),
    "split a list": ("bad-file", {"Y_Fake": {"train": ["odd"]}}),
    "split unknown": ("split", {"Y_Fake": {"dev": video("odd", "Y_Fake"), "train": {}}}),
    "group null": ("bad-file", {"Y_Fake": None}),
    "group a list": ("bad-file", {"Y_Fake": []}),
    "video null": ("bad-file", {"Y_Fake": {"train": {"odd": None}}}),
    "video a list": ("bad-file", {"Y_Fake": {"train": {"odd": ["set/odd/0.png"]}}}),
    "video without a name": ("bad-file", {"Y_Fake": {"train": {"": {"label": "Y_Fake", "frames": []}}}}),
    "name with a control character": (
        "bad-file",
        {"Y_Fake": {"train": {"a\x1b": video("odd", "Y_Fake")["odd"]}}},
    ),
    "long group": ("name", {"g" * 150 + "_Fake": {"train": video("odd", "Y_Fake")}}),
}


@pytest.mark.parametrize("case", GROUPS)
def test_what_gives_no_one_label_is_left_out_and_told(tree, case):
    kind, groups = GROUPS[case]

    got = read(tree, content(**groups))

    assert labels(got) == {"r": 0, "f": 1}
    assert kind in {finding.kind for finding in got.findings if finding.severity == "error"}


FILES = {
    "no JSON": (b"{", "not valid JSON"),
    "no UTF-8": (b'{"X": "\xff"}', "not UTF-8"),
    "nested": (b"[" * 100_000, "within each other"),
    "a set twice": (json.dumps(content()).encode()[:-1] + b', "X": {}}', "'X' is there twice"),
    "not a number": (b'{"X": NaN}', "finite numbers"),
    "a list": (b"[]", "no known layout"),
    "null": (b"null", "no known layout"),
    "empty": (b"", "not valid JSON"),
}


@pytest.mark.parametrize("case", FILES)
def test_a_file_that_cannot_be_read_or_means_two_things_is_refused_in_one_line(tree, case):
    data, words = FILES[case]

    with pytest.raises(BenchError, match=words) as caught:
        read(tree, data)

    assert "x.json" in str(caught.value)
    assert str(caught.value).isprintable()


def test_a_video_that_two_files_label_differently_is_left_out(tree):
    tree.json("y.json", {"X": {"X_Fake": {"train": video("f", "X_Real")}}})
    tree.json("x.json", content())

    got = read_dataset(tree.root, options=OPTIONS)

    assert labels(got) == {"r": 0}
    assert ("set/f/0.png", "label") in {(left.path, left.kind) for left in got.left_out}


def test_a_level_of_methods_under_the_split_names_the_method(tree):
    fakes = {"train": {"SimSwap": video("f", "X_Fake"), "FLOAT": video("odd", "X_Fake")}}

    got = read(tree, content(X_Fake=fakes))

    assert set(zip(got.frame["video"], got.frame["method"], strict=True)) == {
        ("r", "real"),
        ("f", "SimSwap"),
        ("odd", "FLOAT"),
    }


def test_a_split_that_is_one_video_without_its_name_is_told_and_not_read(tree):
    got = read(tree, content(X_Fake={"test": video("f", "X_Fake"), "val": video("odd", "X_Fake")["odd"]}))

    assert labels(got) == {"r": 0, "f": 1}
    assert "without its name" in next(finding.found for finding in got.findings if finding.kind == "bad-file")


def test_videos_listed_without_a_frame_are_told(tree):
    got = read(tree, content(Y_Fake={"train": video("odd", "Y_Fake", frames=[])}))

    (words,) = (finding.found for finding in got.findings if finding.kind == "missing")
    assert "1 videos are listed without a frame, 'odd' among them" in words
