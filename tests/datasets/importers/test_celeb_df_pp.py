"""Celeb-DF++: its three kinds of names, its test list with either digit for real, and what no rule covers."""

import pytest

from fretal_bench.datasets.check.check import check
from fretal_bench.datasets.importers import ReadOptions, read_dataset, recognise
from fretal_bench.errors import BenchError
from trees import Tree, labels_by, manifest, told

FAKES = "Celeb-synthesis"
TEST = [
    "1 YouTube-real/00001.mp4",
    "1 Celeb-real/id0_0001.mp4",
    f"0 {FAKES}/FaceSwap/Celeb-DF/id0_id1_0001.mp4",
    f"0 {FAKES}/FaceReenact/LIA/id0_id1_0001.mp4",
    f"0 {FAKES}/TalkingFace/FLOAT/id0_0001_test_7.mp4",
]
OPTIONS = ReadOptions(val_fraction=0)


def build(root, test=TEST, old="Celeb-DF-v2", videos=""):
    tree = Tree(root)
    tree.text("List_of_testing_videos.txt", "\n".join(test) + "\n")
    tree.video(*(f"YouTube-real/{videos}0000{n}.mp4" for n in (0, 1)))
    tree.video(*(f"Celeb-real/{videos}id{who}_000{n}.mp4" for who in (0, 1) for n in (0, 1)))
    for place in (f"FaceSwap/{old}", "FaceReenact/LIA"):
        tree.video(*(f"{FAKES}/{place}/{videos}id0_id1_000{n}.mp4" for n in (0, 1)))
    tree.video(*(f"{FAKES}/TalkingFace/FLOAT/{videos}id0_000{n}_test_7.mp4" for n in (0, 1)))
    return tree


def by_path(path):
    return int(path.startswith(FAKES))


@pytest.mark.parametrize("folder", ["Celeb-DF++", "Celeb-DF-v3", "Celeb-DF-v2"])
def test_it_is_recognised_by_its_scenarios_whatever_its_folder_is_called(tmp_path, folder):
    build(tmp_path / folder)

    assert recognise(tmp_path / folder)[0].name == "celeb-df-pp"


@pytest.mark.parametrize("name", ["celeb-df-v1", "celeb-df-v2"])
def test_as_version_one_or_two_it_is_refused_and_its_own_name_given(tmp_path, name):
    build(tmp_path)

    with pytest.raises(BenchError, match=r"this is Celeb-DF\+\+.*Celeb-synthesis/Face.*--as celeb-df-pp"):
        read_dataset(tmp_path, name)


@pytest.mark.parametrize("old", ["Celeb-DF", "Celeb-DF-v2"])
@pytest.mark.parametrize("videos", ["", "videos/"])
def test_the_list_gives_the_test_and_the_recording_of_every_kind_of_name_stays_in_one_split(
    tmp_path, old, videos
):
    build(tmp_path, old=old, videos=videos)

    read = read_dataset(tmp_path, options=OPTIONS)

    columns = ["method", "split", "label", "video", "source", "target"]
    assert manifest(read.frame, columns) == [
        ("real", "train", 0, "00000", "youtube-00000", "youtube-00000"),
        ("real", "test", 0, "00001", "youtube-00001", "youtube-00001"),
        ("real", "train", 0, "id0_0000", "id0_0000", "id0_0000"),
        ("real", "test", 0, "id0_0001", "id0_0001", "id0_0001"),
        ("real", "train", 0, "id1_0000", "id1_0000", "id1_0000"),
        ("real", "train", 0, "id1_0001", "id1_0001", "id1_0001"),
        ("Celeb-DF", "train", 1, "id0_id1_0000", "", "id0_0000"),
        ("Celeb-DF", "test", 1, "id0_id1_0001", "", "id0_0001"),
        ("FLOAT", "train", 1, "id0_0000_test_7", "", "id0_0000"),
        ("FLOAT", "test", 1, "id0_0001_test_7", "", "id0_0001"),
        ("LIA", "train", 1, "id0_id1_0000", "", "id0_0000"),
        ("LIA", "test", 1, "id0_id1_0001", "", "id0_0001"),
    ]
    labels_by(read.frame, by_path)
    # A swap's face is where its recording's is; of the others some methods cut it out.
    assert {fake.split("/")[1] for fake in read.originals} == {"Celeb-DF"}


def test_a_fake_of_a_tested_recording_that_the_list_does_not_name_is_left_out(tmp_path):
    tree = build(tmp_path)
    names = ("FaceSwap/SimSwap/id0_id1_0001", "TalkingFace/EDTalk/id0_0001_test_9")
    tree.video(*(f"{FAKES}/{name}.mp4" for name in names))

    read = read_dataset(tmp_path, options=OPTIONS)

    assert sorted((left.path, left.kind) for left in read.left_out) == [
        (f"{FAKES}/{name}.mp4", "crossing") for name in names
    ]


def test_by_identity_both_people_of_a_fake_are_in_its_split(tmp_path):
    tree = build(tmp_path)
    tree.remove("List_of_testing_videos.txt")
    for n in range(2, 20, 2):
        tree.video(f"Celeb-real/id{n}_0000.mp4", f"{FAKES}/FaceReenact/LIA/id{n}_id{n + 1}_0000.mp4")

    frame = read_dataset(tmp_path, options=ReadOptions(splits="identity")).frame

    fakes = frame[frame["method"] == "LIA"]
    assert set(zip(fakes["target"], fakes["source"], strict=True)) >= {("id0", "id1"), ("id2", "id3")}
    assert set(frame.loc[frame["method"] == "FLOAT", "source"]) == {""}
    people = {}
    for row in frame.itertuples():
        for person in {row.source, row.target} - {""}:
            assert people.setdefault(person, row.split) == row.split


def test_a_list_with_the_other_digit_for_real_in_every_line_says_the_same(tmp_path):
    build(tmp_path / "a")
    build(tmp_path / "b", test=[{"1": "0", "0": "1"}[line[0]] + line[1:] for line in TEST])

    first, second = (read_dataset(tmp_path / name, options=OPTIONS).frame for name in "ab")

    assert first.equals(second)


def test_lines_that_contradict_their_folder_lose_their_videos_and_make_no_wrong_label(tmp_path):
    build(tmp_path, test=["0" + TEST[0][1:], *TEST[1:]])

    read = read_dataset(tmp_path, options=OPTIONS)

    assert [(left.path, left.kind) for left in read.left_out] == [("YouTube-real/00001.mp4", "label")]
    labels_by(read.frame, by_path)


def test_a_broken_copy_gets_a_finding_for_every_fault(tmp_path):
    test = [
        *TEST,
        "0 ../x/id9_id9_0000.mp4",
        "2 Celeb-real/id0_0000.mp4",
        f"0 {FAKES}/id0_id1_0000.mp4",
        f"0 {FAKES}/FaceSwap/GHOST/id5_id6_0000.mp4",
        "videos",
    ]
    tree = build(tmp_path, test=test)
    tree.video(
        f"{FAKES}/FaceSwap/BlendFace/id0_0000.mp4",
        f"{FAKES}/TalkingFace/FLOAT/id0_id1_0000.mp4",
        f"{FAKES}/FaceSwap/NewMethod/id0_id1_0000.mp4",
        f"{FAKES}/Other/LIA/id0_id1_0000.mp4",
    )

    result = check(tmp_path)

    assert told(result.findings, "error") == {
        ("outside", "List_of_testing_videos.txt"),
        ("bad-file", "List_of_testing_videos.txt"),
        ("name", f"{FAKES}/FaceSwap/BlendFace/id0_0000.mp4"),
        ("name", f"{FAKES}/TalkingFace/FLOAT/id0_id1_0000.mp4"),
    }
    assert told(result.findings, "warning") >= {
        ("missing", "celeb-synthesis/faceswap/ghost/id5_id6_0000.mp4"),
        ("name", f"{FAKES}/FaceSwap/NewMethod"),
        ("name", f"{FAKES}/Other"),
        ("crossing", "List_of_testing_videos.txt"),
    }
    assert {(e.method, e.split): e.official for e in result.expectations}["FLOAT", "test"] == 300


@pytest.mark.parametrize("content", [None, b"", b"\n \n", b"\xff\xfe1\0", b"1 nowhere.mp4\n"])
def test_without_a_list_that_says_something_nothing_becomes_training_data(tmp_path, content):
    tree = build(tmp_path)
    tree.remove("List_of_testing_videos.txt")
    if content is not None:
        tree.data("List_of_testing_videos.txt", content)

    read = read_dataset(tmp_path)

    assert read.frame.empty
    assert {left.kind for left in read.left_out} == {"split"}
