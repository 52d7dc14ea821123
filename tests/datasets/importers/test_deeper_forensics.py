from fretal_bench.datasets.check.check import check
from fretal_bench.datasets.importers import ReadOptions, read_dataset, recognise
from trees import Tree, labels_by, manifest, told

REALS = "original_sequences/youtube/c23/videos"
SPLITS = {"train": "000_M101", "val": "001_W102", "test": "002_M103"}


def build(root, place="", reals=""):
    tree = Tree(root)
    for split, fake in SPLITS.items():
        tree.text(f"{place}lists/splits/{split}.txt", f"{fake}.mp4\n")
        tree.video(f"{place}manipulated_videos/end_to_end/{fake}.mp4")
        tree.video(f"{place}manipulated_videos/end_to_end_level_5/{fake}.mp4")
        tree.video(f"{reals}{REALS}/{fake[:3]}.mp4")
    tree.video(f"{reals}{REALS}/999.mp4", f"{place}source_videos/M101/M101_light_up.mp4")
    return tree


def test_reals_are_the_c23_originals_of_the_targets(tmp_path):
    build(tmp_path, "DeeperForensics-1.0/", "FaceForensics++/")

    read = read_dataset(tmp_path)

    fakes = "DeeperForensics-1.0/manipulated_videos"
    assert manifest(read.frame) == [
        *(
            (
                f"FaceForensics++/{REALS}/{fake[:3]}.mp4",
                "real",
                "none",
                split,
                0,
                fake[:3],
                fake[:3],
                fake[:3],
                -1,
            )
            for split, fake in SPLITS.items()
        ),
        *(
            (f"{fakes}/{variant}/{fake}.mp4", variant, "none", split, 1, fake, fake[4:], fake[:3], -1)
            for variant in ("end_to_end", "end_to_end_level_5")
            for split, fake in SPLITS.items()
        ),
    ]
    assert read.originals["deeperforensics/end_to_end/none/000_M101"] == "deeperforensics/real/none/000"
    assert recognise(tmp_path)[0].name == "deeperforensics"


def test_a_tree_shared_with_faceforensics_is_still_recognised(tmp_path):
    build(tmp_path)

    assert recognise(tmp_path)[0].name == "deeperforensics"
    assert len(read_dataset(tmp_path).frame) == 9


def test_a_broken_copy_gets_its_findings_and_no_wrong_label(tmp_path):
    tree = build(tmp_path)
    folder = "manipulated_videos/end_to_end"
    tree.remove("lists/splits/val.txt")
    tree.remove(f"{REALS}/002.mp4")
    tree.truncate(f"{folder}/000_M101.mp4")
    tree.video(f"{folder}/000_001.mp4", f"{folder}/003_M101.mp4", "manipulated_videos/novel/000_M101.mp4")
    tree.text("lists/splits/test.txt", "002_M103.mp4\n000_M101.mp4\n")
    tree.link("manipulated_videos/loop", "../manipulated_videos")

    result = check(tmp_path)

    assert told(result.findings, "error") == {
        ("missing", "lists/splits/val.txt"),
        ("unreadable", f"{folder}/000_M101.mp4"),
        ("name", f"{folder}/000_001.mp4"),
        ("split", "manipulated_videos"),
        ("classes", ""),
        ("crossing", "lists/splits/test.txt"),
        ("loop", "manipulated_videos/loop"),
    }
    assert ("name", "manipulated_videos/novel") in told(result.findings, "warning")
    assert ("missing", "original_sequences/youtube/c23") in told(result.findings, "warning")
    labels_by(read_dataset(tmp_path).frame, lambda path: int("manipulated" in path))


def test_without_faceforensics_the_missing_reals_are_named(tmp_path):
    tree = build(tmp_path / "DeeperForensics-1.0")
    for name in ("000", "001", "002", "999"):
        tree.remove(f"{REALS}/{name}.mp4")
    (tmp_path / "DeeperForensics-1.0" / REALS).rmdir()
    (tmp_path / "DeeperForensics-1.0/original_sequences/youtube/c23").rmdir()

    read = read_dataset(tmp_path / "DeeperForensics-1.0", options=ReadOptions(splits="identity"))

    assert set(read.frame["label"]) == {1}
    assert ("missing", "original_sequences/youtube/c23") in told(read.findings, "error")
