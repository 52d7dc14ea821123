"""Layouts as people have them: words for the classes, sets of another family, one fault of all files, small sets."""

import os

import pytest

from fretal_bench.datasets.check.check import check
from fretal_bench.datasets.importers import ReadOptions, read_dataset, recognise
from fretal_bench.datasets.importers.names import CLASS_WORDS, dataset_of_folder, label_of_class, split_of
from fretal_bench.errors import BenchError
from trees import Tree, labels_by, told

OPTIONS = ReadOptions(val_fraction=0)


@pytest.mark.parametrize(
    ("label", "word"), [(label, word) for label in (0, 1) for word in CLASS_WORDS[label]]
)
def test_a_class_is_read_by_any_of_its_words_in_any_case(label, word):
    assert label_of_class(word) == label_of_class(word.upper()) == label_of_class(f"{label}_{word}") == label


@pytest.mark.parametrize(
    "name",
    [
        "unreal",
        "notfake",
        "GenUnreal",
        "Surreal",
        "air",
        "aircraft",
        "deepfake_real",
        "realfake",
        "fake1",
        "",
    ],
)
def test_a_word_inside_a_word_is_no_class(name):
    assert label_of_class(name) is None


@pytest.mark.parametrize("name", ["traintest", "untrained", "contest", "val2", "trainset", ""])
def test_a_split_inside_a_word_is_no_split(name):
    assert split_of(name) is None


@pytest.mark.parametrize(
    ("real", "fake"),
    [
        ("real", "ai"),
        ("nature", "ai"),
        ("real", "aigc"),
        ("0_real", "1_fake"),
        ("live", "spoof"),
        ("Real", "Synthetic"),
    ],
)
def test_class_folders_by_the_words_that_people_use(tmp_path, real, fake):
    tree = Tree(tmp_path)
    tree.image(
        *(
            f"GenImage/{split}/{name}/{n}.png"
            for split in ("train", "val")
            for name in (real, fake)
            for n in (0, 1)
        )
    )

    result = check(tmp_path)

    labels_by(read_dataset(tmp_path).frame, lambda path: int(f"/{fake}/" in path))
    assert recognise(tmp_path)[0].name == "image-folders"
    assert told(result.findings, "error") == set()
    assert result.command


def test_classes_whose_numbers_are_the_other_way_round_are_told_once_each(tmp_path):
    tree = Tree(tmp_path)
    tree.image(*(f"A/train/{name}/{n}.png" for name in ("0_fake", "1_real") for n in range(30)))

    read = read_dataset(tmp_path, "image-folders")

    labels = [finding for finding in read.findings if finding.kind == "label"]
    assert [(finding.file, "30 files are left out" in finding.found) for finding in labels] == [
        ("A/train/0_fake", True),
        ("A/train/1_real", True),
    ]
    assert len(read.left_out) == 60
    assert read.frame.empty


def test_a_class_of_an_unknown_word_is_named_once_with_a_count_and_nothing_can_be_prepared(tmp_path):
    tree = Tree(tmp_path)
    tree.image(
        *(
            f"{domain}/{split}/{name}/0.png"
            for domain in "AB"
            for split in ("train", "test")
            for name in ("real", "odd")
        )
    )

    result = check(tmp_path)

    (finding,) = (finding for finding in result.findings if finding.kind == "name")
    assert (finding.severity, finding.file) == ("error", "A/test/odd")
    assert "4 folders 'odd'" in finding.found
    assert ("classes", "") in told(result.findings, "error")
    assert result.command == ""


@pytest.mark.parametrize(
    ("paths", "words"),
    [
        (("train/good/0.png", "train/bad/0.png"), "train/bad/ says neither real nor fake"),
        (("real/0.png", "ai/0.png"), "ai/ is in no train/, val/ or test/"),
    ],
)
def test_folders_that_are_nearly_image_folders_are_told_what_they_lack(tmp_path, paths, words):
    Tree(tmp_path).image(*paths)

    with pytest.raises(BenchError, match=words):
        recognise(tmp_path)


def test_without_its_list_celeb_df_says_once_that_no_split_is_known(tmp_path):
    tree = Tree(tmp_path / "Celeb-DF-v2")
    tree.video(*(f"Celeb-real/id{n}_0000.mp4" for n in range(6)), "Celeb-synthesis/id0_id1_0000.mp4")

    read = read_dataset(tmp_path / "Celeb-DF-v2")

    (finding,) = (finding for finding in read.findings if finding.kind == "split")
    assert finding.found.startswith("7 times; the first (Celeb-real/id0_0000.mp4)")
    assert len(read.left_out) == 7


@pytest.mark.parametrize("content", [b"", b"\n \n", b"\xff\xfe1\0", b"1 Celeb-real/\xff.mp4\n"])
def test_a_test_list_of_celeb_df_that_says_nothing_makes_nothing_training_data(tmp_path, content):
    tree = Tree(tmp_path / "Celeb-DF-v2")
    tree.video("Celeb-real/id0_0000.mp4", "Celeb-synthesis/id0_id1_0000.mp4")
    tree.data("List_of_testing_videos.txt", content)

    read = read_dataset(tmp_path / "Celeb-DF-v2")

    assert read.frame.empty
    assert ("bad-file", "List_of_testing_videos.txt") in told(read.findings, "error")


def test_a_video_that_the_test_list_calls_real_and_fake_is_left_out(tmp_path):
    tree = Tree(tmp_path / "Celeb-DF-v2")
    tree.video("Celeb-real/id0_0000.mp4", "Celeb-real/id1_0000.mp4", "Celeb-synthesis/id0_id1_0000.mp4")
    lines = ["1 Celeb-real/id0_0000.mp4", "0 Celeb-real/id0_0000.mp4", "1 Celeb-real/id0_0000.mp4"]
    tree.text("List_of_testing_videos.txt", "\n".join(lines))

    read = read_dataset(tmp_path / "Celeb-DF-v2")

    assert ("Celeb-real/id0_0000.mp4", "label") in {(left.path, left.kind) for left in read.left_out}
    assert "id0_0000" not in set(read.frame["video"])


def test_pipes_devices_and_links_in_circles_are_counted_and_never_opened(tmp_path):
    tree = Tree(tmp_path)
    tree.image(*(f"A/{split}/{name}/0.png" for split in ("train", "test") for name in ("real", "fake")))
    os.mkfifo(tmp_path / "A/train/real/pipe.png")
    os.mkfifo(tmp_path / "list.csv")
    os.mkfifo(tmp_path / "set.json")
    tree.link("A/train/fake/endless.png", "/dev/zero")
    tree.link("A/train/fake/full.png", "/dev/full")
    tree.link("A/train/fake/again", "again")

    result = check(tmp_path)

    assert told(result.findings, "error") == {
        ("device", "A/train/real/pipe.png"),
        ("device", "list.csv"),
        ("device", "set.json"),
        ("outside", "A/train/fake/endless.png"),
        ("outside", "A/train/fake/full.png"),
        ("loop", "A/train/fake/again"),
    }
    assert result.left_out["device"] == 3
    assert len(read_dataset(tmp_path).frame) == 4


@pytest.mark.parametrize("count", [1, 2, 33])
def test_small_domains_lose_nothing_on_the_way_into_the_manifest(tmp_path, count):
    tree = Tree(tmp_path)
    paths = [
        f"A/{split}/{name}/{n}.png"
        for split in ("train", "test")
        for name in ("real", "fake")
        for n in range(count)
    ]
    tree.image(*paths)

    read = read_dataset(tmp_path)

    assert sorted(read.frame["path"]) == sorted(paths)
    assert read.left_out == ()


@pytest.mark.parametrize("count", [1, 2, 3, 33])
def test_a_split_by_identity_gives_every_video_of_a_small_set_a_place(tmp_path, count):
    tree = Tree(tmp_path)
    tree.image(*(f"{n}.png" for n in range(count)))
    tree.text("all.csv", "path,label\n" + "".join(f"{n}.png,{n % 2}\n" for n in range(count)))

    read = read_dataset(tmp_path)

    assert len(read.frame) == count
    assert read.left_out == ()


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("FF set", "FF set"),
        (".cache", "cache"),
        (" x ", "x"),
        ("a\tb", "a-b"),
        ("...", "dataset"),
        ("é数据", "é数据"),
    ],
)
def test_a_data_set_takes_what_its_folders_name_may_be_called(folder, name):
    assert dataset_of_folder(folder) == name


def test_a_folder_of_a_very_long_name_still_gives_a_name():
    assert dataset_of_folder("数" * 250) == "数" * 60
