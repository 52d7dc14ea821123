import pytest

from fretal_bench.datasets.check.check import check
from fretal_bench.datasets.importers import ReadOptions, read_dataset, recognise
from trees import Tree, labels_by, manifest, told

TEST = ["1 YouTube-real/00001.mp4", "1 Celeb-real/id0_0001.mp4", "0 Celeb-synthesis/id0_id1_0001.mp4"]


def build(root, videos="", youtube="YouTube-real", test=TEST):
    tree = Tree(root)
    tree.text("List_of_testing_videos.txt", "\n".join(test) + "\n")
    tree.video(*(f"{youtube}/{videos}0000{n}.mp4" for n in range(3)))
    tree.video(*(f"Celeb-real/{videos}id{who}_000{n}.mp4" for who in (0, 1) for n in range(3)))
    tree.video(*(f"Celeb-synthesis/{videos}id0_id1_000{n}.mp4" for n in range(3)))
    tree.video(f"Celeb-synthesis/{videos}id0_id2_0001.mp4")
    return tree


def by_path(path):
    return int(path.startswith("Celeb-synthesis"))


@pytest.mark.parametrize(("videos", "youtube"), [("", "YouTube-real"), ("videos/", "Youtube-real")])
def test_the_inverted_list_gives_the_test_and_recordings_stay_apart(tmp_path, videos, youtube):
    build(tmp_path / "Celeb-DF-v2", videos, youtube)

    read = read_dataset(tmp_path / "Celeb-DF-v2", options=ReadOptions(val_fraction=0))

    def real(folder, video, who, split="train"):
        return (f"{folder}/{videos}{video}.mp4", "real", "none", split, 0, video, who, who, -1)

    def fake(video, target, split="train"):
        path = f"Celeb-synthesis/{videos}{video}.mp4"
        return (path, "Celeb-synthesis", "none", split, 1, video, "", target, -1)

    assert manifest(read.frame) == [
        real(youtube, "00000", "youtube-00000"),
        real(youtube, "00001", "youtube-00001", "test"),
        real(youtube, "00002", "youtube-00002"),
        real("Celeb-real", "id0_0000", "id0_0000"),
        real("Celeb-real", "id0_0001", "id0_0001", "test"),
        real("Celeb-real", "id0_0002", "id0_0002"),
        *(real("Celeb-real", video, video) for video in ("id1_0000", "id1_0001", "id1_0002")),
        fake("id0_id1_0000", "id0_0000"),
        fake("id0_id1_0001", "id0_0001", "test"),
        fake("id0_id1_0002", "id0_0002"),
    ]
    # A fake of a tested recording that the list doesn't name would be trained on with the tested background.
    assert [(out.path, out.kind) for out in read.left_out] == [
        (f"Celeb-synthesis/{videos}id0_id2_0001.mp4", "crossing")
    ]
    assert read.originals["celeb-df-v2/Celeb-synthesis/none/id0_id1_0001"] == "celeb-df-v2/real/none/id0_0001"


def test_validation_comes_out_of_train_and_never_out_of_the_test(tmp_path):
    build(tmp_path / "Celeb-DF-v2")

    read = read_dataset(tmp_path / "Celeb-DF-v2", options=ReadOptions(val_fraction=0.3))

    split = read.frame.set_index("video")["split"]
    assert set(split) == {"train", "val", "test"}
    assert set(split[split == "test"].index) == {"00001", "id0_0001", "id0_id1_0001"}
    assert split["id0_0000"] == split["id0_id1_0000"]


def test_by_identity_no_person_is_in_two_splits(tmp_path):
    tree = build(tmp_path / "Celeb-DF-v2")
    tree.remove("List_of_testing_videos.txt")
    tree.video(*(f"Celeb-real/id{who}_0000.mp4" for who in range(4, 16)))
    tree.video(*(f"Celeb-synthesis/id{who}_id{who + 1}_0000.mp4" for who in range(4, 16, 2)))

    frame = read_dataset(tmp_path / "Celeb-DF-v2", options=ReadOptions(splits="identity")).frame

    assert {"id0", "id1", "youtube-00000"} <= set(frame["target"])
    assert set(frame["split"]) == {"train", "val", "test"}


@pytest.mark.parametrize(
    ("name", "lines", "expected"),
    [("celeb", 100, "celeb-df-v1"), ("celeb", 518, "celeb-df-v2"), ("Celeb-DF-v1", 3, "celeb-df-v1")],
)
def test_the_version_is_told_by_the_folder_or_the_length_of_the_list(tmp_path, name, lines, expected):
    build(tmp_path / name, test=["1 YouTube-real/00001.mp4"] * lines)

    assert recognise(tmp_path / name)[0].name == expected


def test_version_one_counts_against_its_own_numbers(tmp_path):
    build(tmp_path / "Celeb-DF-v1")

    counts = {e.method: (e.found, e.official) for e in check(tmp_path / "Celeb-DF-v1").expectations}

    assert counts == {"real": (9, 408), "Celeb-synthesis": (3, 795)}


def test_a_list_that_was_inverted_by_somebody_loses_videos_and_makes_no_wrong_label(tmp_path):
    swapped = [{"1": "0", "0": "1"}[line[0]] + line[1:] for line in TEST]
    build(tmp_path / "Celeb-DF-v2", test=swapped)

    result = check(tmp_path / "Celeb-DF-v2")

    assert told(result.findings, "error") >= {
        ("label", "YouTube-real/00001.mp4"),
        ("label", "Celeb-real/id0_0001.mp4"),
        ("label", "Celeb-synthesis/id0_id1_0001.mp4"),
    }
    assert result.left_out["label"] == 3
    labels_by(read_dataset(tmp_path / "Celeb-DF-v2").frame, by_path)


def test_a_broken_copy_gets_a_finding_for_every_fault(tmp_path):
    test = [
        *TEST,
        "0 ../secret/id9_id9_0000.mp4",
        "2 Celeb-real/id0_0000.mp4",
        "0 Celeb-synthesis/id5_id6_0000.mp4",
    ]
    tree = build(tmp_path / "Celeb-DF-v2", test=test)
    tree.data("Celeb-real/id0_0000.mp4", b"")
    tree.truncate("Celeb-real/id1_0000.mp4")
    tree.video("Celeb-real/id0_id1_0000.mp4", "Celeb-synthesis/id0_0000.mp4", "YouTube-real/vidéo.mp4")
    tree.video("YouTube-real/videos/00000.mp4")
    tree.link("Celeb-synthesis/again", ".")

    result = check(tmp_path / "Celeb-DF-v2")

    assert told(result.findings, "error") == {
        ("outside", "List_of_testing_videos.txt"),
        ("bad-file", "List_of_testing_videos.txt"),
        ("empty", "Celeb-real/id0_0000.mp4"),
        ("unreadable", "Celeb-real/id1_0000.mp4"),
        ("name", "Celeb-real/id0_id1_0000.mp4"),
        ("name", "Celeb-synthesis/id0_0000.mp4"),
        ("name", "YouTube-real/vidéo.mp4"),
        ("duplicate", "YouTube-real/videos/00000.mp4"),
        ("loop", "Celeb-synthesis/again"),
    }
    assert ("missing", "celeb-synthesis/id5_id6_0000.mp4") in told(result.findings, "warning")
    labels_by(read_dataset(tmp_path / "Celeb-DF-v2").frame, by_path)


def test_without_the_list_nothing_is_guessed(tmp_path):
    build(tmp_path / "Celeb-DF-v2").remove("List_of_testing_videos.txt")

    result = check(tmp_path / "Celeb-DF-v2")

    assert ("missing", "List_of_testing_videos.txt") in told(result.findings, "error")
    assert result.left_out == {"split": 13}
    assert result.command == ""
