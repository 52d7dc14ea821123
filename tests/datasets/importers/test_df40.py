"""DF40: folders and JSON files give one manifest, labels by whole words, splits by folder and list."""

import pytest

from fretal_bench.datasets.check.check import check
from fretal_bench.datasets.importers import ReadOptions, read_dataset, recognise
from trees import Tree, labels_by, manifest, told

OPTIONS = ReadOptions(val_fraction=0)
REAL = "FaceForensics++/original_sequences/youtube/c23/frames"
CELEB = "Celeb-DF-v2/Celeb-real/frames"
COLUMNS = ["dataset", "method", "split", "label", "video", "source", "target", "frame"]
PREFIX = "deepfakes_detection_datasets/"


def build(root, between=""):
    tree = Tree(root)
    for split, pair in (("train", ["000", "003"]), ("val", ["010", "011"]), ("test", ["953", "974"])):
        tree.json(f"FaceForensics++/{split}.json", [pair])
        tree.image(*(f"{REAL}/{video}/000.png" for video in pair))
    tree.image(
        f"DF40_train/simswap/ff/{between}000_003/005.png", f"DF40_train/wav2lip/ff/{between}010/000.png"
    )
    tree.image(f"DF40/simswap/ff/{between}953_974/000.png", f"DF40/VQGAN/ff/{between}0007.png")
    tree.image(f"{CELEB}/id0_0001/0.png", f"{CELEB}/id0_0002/0.png")
    tree.image(f"DF40/simswap/cdf/{between}id0_id1_0001/0.png")
    tree.image("DF40/heygen/real/a/0.png", "DF40/heygen/fake/a/0.png")
    tree.text("Celeb-DF-v2/List_of_testing_videos.txt", "1 Celeb-real/id0_0001.mp4\n")
    return tree


def is_fake(path):
    return int(path.startswith("DF40") and "/real/" not in path)


@pytest.mark.parametrize("between", ["", "frames/"])
def test_the_folders_give_splits_methods_and_the_people_of_their_names(tmp_path, between):
    build(tmp_path, between)

    read = read_dataset(tmp_path, options=OPTIONS)

    picture = f"DF40/VQGAN/ff/{between}0007.png"
    assert manifest(read.frame, COLUMNS) == [
        ("df40-cdf", "real", "test", 0, "id0_0001", "id0_0001", "id0_0001", 0),
        ("df40-cdf", "simswap", "test", 1, "id0_id1_0001", "", "id0_0001", 0),
        *(("df40-ff", "real", "train", 0, video, video, video, 0) for video in ("000", "003")),
        *(("df40-ff", "real", "val", 0, video, video, video, 0) for video in ("010", "011")),
        *(("df40-ff", "real", "test", 0, video, video, video, 0) for video in ("953", "974")),
        ("df40-ff", "VQGAN", "test", 1, picture, "", picture, 0),
        ("df40-ff", "simswap", "train", 1, "000_003", "003", "000", 5),
        ("df40-ff", "simswap", "test", 1, "953_974", "974", "953", 0),
        ("df40-ff", "wav2lip", "val", 1, "010", "010", "010", 0),
        ("df40-heygen", "real", "test", 0, *["DF40/heygen/real/a"] * 3, 0),
        ("df40-heygen", "heygen", "test", 1, "DF40/heygen/fake/a", "", "DF40/heygen/fake/a", 0),
    ]
    assert recognise(tmp_path)[0].name == "df40"
    labels_by(read.frame, is_fake)
    assert [(left.path, left.kind) for left in read.left_out] == [(f"{CELEB}/id0_0002/0.png", "split")]


def test_folders_against_the_lists_and_of_no_known_name_are_left_out_and_told(tmp_path):
    tree = build(tmp_path)
    tree.image(
        *("DF40_train/simswap/ff/953_974/0.png", "DF40_train/simswap/cdf/id5_id6_0001/0.png"),
        *("DF40/newswap/ff/953/0.png", "DF40/simswap/kodf/953/0.png", f"{REAL}/500/0.png"),
    )
    tree.video("DF40/heygen/fake/b.mp4")

    result = check(tmp_path)

    assert told(result.findings, "error") >= {
        ("split", "DF40_train/simswap/ff/953_974/0.png"),
        ("split", "DF40_train/simswap/cdf"),
        ("split", f"{REAL}/500/0.png"),
        ("wrong-extension", "DF40/heygen/fake/b.mp4"),
    }
    assert told(result.findings, "warning") >= {("name", "DF40/newswap"), ("name", "DF40/simswap/kodf")}
    labels_by(read_dataset(tmp_path).frame, is_fake)


def test_without_its_reals_or_their_lists_nothing_is_guessed(tmp_path):
    Tree(tmp_path).image("DF40/simswap/ff/953_974/0.png", f"{REAL}/953/0.png")

    read = read_dataset(tmp_path)

    assert {left.path for left in read.left_out} == {f"{REAL}/953/0.png"}
    assert {kind for kind, _ in told(read.findings, "error")} >= {"missing", "split"}


def video(label, *frames):
    return {"label": label, "frames": [PREFIX + frame for frame in frames]}


def lists(level=True):
    """What DF40 publishes for two methods: several say ``roop`` in their labels, reals stand in each."""

    def coded(videos):
        return {"c23": videos} if level else videos

    def reals(name):
        return {
            split: coded({v: video(f"{name}_Real", f"{REAL}/{v}/000.png") for v in pair})
            for split, pair in (("train", ("000", "003")), ("val", ("010", "011")), ("test", ("953", "974")))
        }

    simswap = {
        "train": coded({"000_003": video("roop_Fake", "DF40_train/simswap/ff/000_003/005.png")}),
        "test": coded({"953_974": video("roop_Fake", "DF40/simswap/ff/953_974/000.png")}),
    }
    wav2lip = {"val": coded({"010": video("wav2lip_Fake", "DF40_train/wav2lip/ff/010/000.png")})}
    return {
        "simswap_ff": {"roop_Real": reals("roop"), "roop_Fake": simswap},
        "wav2lip_ff": {"wav2lip_Real": reals("wav2lip"), "wav2lip_Fake": wav2lip},
    }


@pytest.mark.parametrize("place", ["", "dataset_json/"])
@pytest.mark.parametrize("level", [True, False])
def test_the_lists_give_the_rows_of_the_folders_whatever_their_labels_call_the_method(tmp_path, place, level):
    build(tmp_path / "a")
    tree = build(tmp_path / "b")
    for name, groups in lists(level).items():
        tree.json(f"{place}{name}.json", {name: groups})
    tree.json(f"{place}FSAll_ff.json", {})

    folders, listed = (read_dataset(tmp_path / name, options=OPTIONS) for name in "ab")

    ours = folders.frame[(folders.frame["dataset"] == "df40-ff") & (folders.frame["method"] != "VQGAN")]
    assert listed.frame.equals(ours.reset_index(drop=True))
    assert listed.left_out == ()
    assert recognise(tmp_path / "b")[0].name == "df40"


def test_one_list_can_be_given_and_what_is_contradictory_in_it_is_left_out(tmp_path):
    tree = build(tmp_path)
    groups = lists()["simswap_ff"]
    groups["roop_Fake"]["test"]["c23"]["953_974"]["label"] = "roop_Real"
    groups["roop_Fake"]["train"]["c40"] = groups["roop_Fake"]["train"].pop("c23")
    tree.json("simswap_ff.json", {"simswap_ff": groups, "other_ff": groups})

    read = read_dataset(tmp_path / "simswap_ff.json", options=OPTIONS)

    assert set(read.frame["method"]) == {"real"}
    assert [(left.path, left.kind) for left in read.left_out] == [
        ("DF40/simswap/ff/953_974/000.png", "label")
    ]
    assert ("bad-file", "simswap_ff.json") in told(read.findings, "error")


def test_by_identity_no_video_of_the_originals_is_in_two_splits(tmp_path):
    build(tmp_path)

    frame = read_dataset(tmp_path, options=ReadOptions(splits="identity")).frame

    assert len(frame) == 15
    people = {}
    for row in frame.itertuples():
        for person in {row.source, row.target} - {""}:
            assert people.setdefault((row.dataset, person), row.split) == row.split
