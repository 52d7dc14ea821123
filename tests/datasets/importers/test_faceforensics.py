import pytest

from fretal_bench.datasets.check.check import check
from fretal_bench.datasets.faces.options import PrepareOptions
from fretal_bench.datasets.faces.prepare import prepare
from fretal_bench.datasets.importers import ReadOptions, read_dataset, recognise
from fretal_bench.datasets.importers.identity_split import IdentitySplit
from fretal_bench.errors import BenchError
from trees import Tree, labels_by, manifest, told

REAL = "original_sequences/youtube"
FAKE = "manipulated_sequences"
PAIRS = {"train": [["000", "003"], ["004", "005"]], "val": [["010", "011"]], "test": [["953", "974"]]}


def fake_by_path(path):
    return int(path.startswith(FAKE))


def build(root, splits="splits/", compression="c23"):
    tree = Tree(root)
    for split, pairs in PAIRS.items():
        tree.json(f"{splits}{split}.json", pairs)
        for a, b in pairs:
            tree.video(f"{REAL}/{compression}/videos/{a}.mp4", f"{REAL}/{compression}/videos/{b}.mp4")
            for method in ("Deepfakes", "FaceShifter"):
                folder = f"{FAKE}/{method}/{compression}/videos"
                tree.video(f"{folder}/{a}_{b}.mp4", f"{folder}/{b}_{a}.mp4")
    tree.video(f"{FAKE}/Deepfakes/masks/videos/000_003.mp4")
    return tree


def test_every_video_gets_its_row_with_the_split_of_its_pair(tmp_path):
    build(tmp_path)

    read = read_dataset(tmp_path)

    videos = f"{FAKE}/Deepfakes/c23/videos"
    deepfakes = [row for row in manifest(read.frame) if row[1] == "Deepfakes"]
    assert deepfakes == [
        (f"{videos}/000_003.mp4", "Deepfakes", "c23", "train", 1, "000_003", "003", "000", -1),
        (f"{videos}/003_000.mp4", "Deepfakes", "c23", "train", 1, "003_000", "000", "003", -1),
        (f"{videos}/004_005.mp4", "Deepfakes", "c23", "train", 1, "004_005", "005", "004", -1),
        (f"{videos}/005_004.mp4", "Deepfakes", "c23", "train", 1, "005_004", "004", "005", -1),
        (f"{videos}/010_011.mp4", "Deepfakes", "c23", "val", 1, "010_011", "011", "010", -1),
        (f"{videos}/011_010.mp4", "Deepfakes", "c23", "val", 1, "011_010", "010", "011", -1),
        (f"{videos}/953_974.mp4", "Deepfakes", "c23", "test", 1, "953_974", "974", "953", -1),
        (f"{videos}/974_953.mp4", "Deepfakes", "c23", "test", 1, "974_953", "953", "974", -1),
    ]
    reals = [row for row in manifest(read.frame) if row[1] == "real"]
    assert reals == [
        (f"{REAL}/c23/videos/{v}.mp4", "real", "c23", split, 0, v, v, v, -1)
        for v, split in [
            *((v, "train") for v in ("000", "003", "004", "005")),
            *((v, "val") for v in ("010", "011")),
            *((v, "test") for v in ("953", "974")),
        ]
    ]
    assert len(read.frame) == 24
    assert read.left_out == ()
    assert read.originals["ffpp/FaceShifter/c23/953_974"] == "ffpp/real/c23/953"
    assert recognise(tmp_path)[0].name == "ffpp"


def test_raw_is_also_called_c0_and_splits_may_lie_at_the_root(tmp_path):
    build(tmp_path, splits="", compression="c0")

    frame = read_dataset(tmp_path).frame

    assert set(frame["compression"]) == {"raw"}
    assert len(frame) == 24


def test_splits_may_lie_in_a_folder_that_is_named(tmp_path):
    build(tmp_path / "data", splits="../elsewhere/")

    read = read_dataset(tmp_path / "data", options=ReadOptions(split_path=tmp_path / "elsewhere"))

    assert len(read.frame) == 24
    with pytest.raises(BenchError, match=r"expected the folder of train\.json"):
        read_dataset(tmp_path / "data", options=ReadOptions(split_path=tmp_path / "nowhere"))


@pytest.mark.parametrize("folder", ["images", "frames"])
def test_extracted_frames_get_a_row_each_numbered_by_their_names(tmp_path, folder):
    tree = Tree(tmp_path)
    for split, pairs in PAIRS.items():
        tree.json(f"splits/{split}.json", pairs)
    tree.image(*(f"{REAL}/c40/{folder}/953/{n:04}.png" for n in (0, 7, 12)))
    tree.image(f"{FAKE}/NeuralTextures/c40/{folder}/953_974/0007.png")

    frame = read_dataset(tmp_path).frame

    assert manifest(frame) == [
        (f"{REAL}/c40/{folder}/953/0000.png", "real", "c40", "test", 0, "953", "953", "953", 0),
        (f"{REAL}/c40/{folder}/953/0007.png", "real", "c40", "test", 0, "953", "953", "953", 7),
        (f"{REAL}/c40/{folder}/953/0012.png", "real", "c40", "test", 0, "953", "953", "953", 12),
        (
            f"{FAKE}/NeuralTextures/c40/{folder}/953_974/0007.png",
            *("NeuralTextures", "c40", "test", 1, "953_974", "974", "953", 7),
        ),
    ]


def test_a_video_that_lies_there_as_file_and_as_frames_comes_once(tmp_path):
    tree = build(tmp_path)
    tree.image(f"{REAL}/c23/images/953/0000.png")

    as_file = read_dataset(tmp_path).frame
    as_frames = read_dataset(tmp_path, options=ReadOptions(media="frames")).frame

    assert list(as_file[as_file["video"] == "953"]["frame"]) == [-1]
    assert manifest(as_frames, ["path"]) == [(f"{REAL}/c23/images/953/0000.png",)]
    assert ("stray", f"{REAL}/c23/images/953") not in told(check(tmp_path).findings)


def test_a_broken_tree_gets_a_finding_for_every_fault_and_no_wrong_label(tmp_path):
    tree = build(tmp_path)
    videos = f"{FAKE}/Deepfakes/c23/videos"
    tree.truncate(f"{videos}/000_003.mp4")
    tree.data(f"{videos}/003_000.mp4", b"")
    tree.data(f"{videos}/004_005.mp4", b"\x89PNG\r\n\x1a\n" + bytes(50))
    tree.data(f"{videos}/005_004.mp4", b"this is no video at all, only a line of text")
    tree.data(f"{videos}/010_011.avi", b"RIFF....AVI ")
    tree.video(f"{videos}/000_010.mp4", f"{videos}/777_778.mp4", f"{videos}/Größe.mp4", f"{videos}/953.mp4")
    tree.video(f"{REAL}/c23/videos/000_003.mp4", f"{FAKE}/MyMethod/c23/videos/000_003.mp4", "lost/a.mp4")
    (tmp_path / f"{FAKE}/FaceShifter/c23/videos/974_953.mp4").write_bytes(
        (tmp_path / f"{videos}/974_953.mp4").read_bytes()
    )
    tree.link(f"{FAKE}/Deepfakes/c23/loop", "..")
    tree.link(f"{REAL}/c40", tmp_path.parent)
    tree.link(f"{videos}/011_010x.mp4", "nowhere.mp4")

    result = check(tmp_path)

    assert told(result.findings, "error") == {
        ("unreadable", f"{videos}/000_003.mp4"),
        ("empty", f"{videos}/003_000.mp4"),
        ("unreadable", f"{videos}/005_004.mp4"),
        ("wrong-extension", f"{videos}/010_011.avi"),
        ("split", f"{videos}/000_010.mp4"),
        ("split", f"{videos}/777_778.mp4"),
        ("name", f"{videos}/Größe.mp4"),
        ("name", f"{videos}/953.mp4"),
        ("name", f"{REAL}/c23/videos/000_003.mp4"),
        ("duplicate", f"{FAKE}/FaceShifter/c23/videos/974_953.mp4"),
        ("loop", f"{FAKE}/Deepfakes/c23/loop"),
        ("outside", f"{REAL}/c40"),
        ("link", f"{videos}/011_010x.mp4"),
    }
    assert ("wrong-extension", f"{videos}/004_005.mp4") in told(result.findings, "warning")
    assert ("name", f"{FAKE}/MyMethod") in told(result.findings, "warning")
    assert {("stray", "lost"), ("stray", f"{FAKE}/MyMethod/c23/videos")} <= told(result.findings, "warning")
    assert result.left_out == {"name": 3, "split": 2, "wrong-extension": 1}
    frame = read_dataset(tmp_path).frame
    labels_by(frame, fake_by_path)
    assert len(frame) == 24


def test_a_missing_split_file_leaves_its_videos_out_and_says_where_to_get_it(tmp_path):
    tree = build(tmp_path)
    tree.remove("splits/test.json")

    result = check(tmp_path)

    missing = next(f for f in result.findings if f.kind == "missing")
    assert (missing.severity, missing.file) == ("error", "splits/test.json")
    assert "dataset/splits" in missing.action
    assert result.left_out == {"split": 6}
    assert sum(sum(count.splits.values()) for count in result.counts) == 18


@pytest.mark.parametrize("content", ["{", '{"a": 1}', '[["000"]]', "[[0, 3]]"])
def test_a_damaged_split_file_is_named_and_never_guessed(tmp_path, content):
    tree = build(tmp_path)
    tree.text("splits/train.json", content)

    read = read_dataset(tmp_path)

    assert ("bad-file", "splits/train.json") in told(read.findings, "error")
    assert set(read.frame["split"]) == {"val", "test"}


def test_an_id_in_two_split_files_is_left_out_of_both(tmp_path):
    tree = build(tmp_path)
    tree.json("splits/val.json", [["010", "011"], ["000", "953"]])

    read = read_dataset(tmp_path)

    kept = "003 974 004 005 004_005 005_004 010 011 010_011 011_010"
    assert set(read.frame["video"]) == set(kept.split())
    assert sum(f.kind == "crossing" and f.severity == "error" for f in read.findings) == 2


def test_without_split_files_people_can_be_kept_apart_by_identity_and_the_store_keeps_that_split(tmp_path):
    build(tmp_path / "data", splits="../elsewhere/")
    options = ReadOptions(splits="identity", seed=3)
    crops = PrepareOptions(frames=1, size=8, detector="none", compression="c23")

    read = read_dataset(tmp_path / "data", options=options)
    store = prepare(tmp_path / "data", tmp_path / "store", options=crops, read_options=options).store
    kept = store.path / "store.json"
    again = read_dataset(tmp_path / "data", options=ReadOptions(splits="identity", seed=99, split_path=kept))

    assert len(read.frame) == 24
    assert set(read.frame["split"]) == {"train", "val", "test"}
    assert again.frame.equals(read.frame)
    assert IdentitySplit.load(kept) == read.identity_split


def test_official_counts_are_compared_with_those_that_are_there_for_each_compression(tmp_path):
    build(tmp_path)

    expectations = check(tmp_path).expectations

    counts = {(e.method, e.compression, e.split): (e.found, e.official) for e in expectations}
    assert counts["real", "c23", "train"] == (4, 720)
    assert counts["Deepfakes", "c23", "test"] == (2, 140)
    assert counts["FaceSwap", "c23", "val"] == (0, 140)
    assert len(counts) == 18
