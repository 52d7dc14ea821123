from fretal_bench.datasets.check.check import check
from fretal_bench.datasets.importers import ReadOptions, read_dataset, recognise
from trees import Tree, labels_by, manifest, told

REAL = "original_sequences/actors/c23/videos"
FAKE = "manipulated_sequences/DeepFakeDetection/c23/videos"


def build(root, actors=12):
    tree = Tree(root)
    for n in range(1, actors + 1, 2):
        a, b = f"{n:02}", f"{n + 1:02}"
        tree.video(f"{REAL}/{a}__kitchen_pan.mp4", f"{REAL}/{b}__kitchen_pan.mp4")
        tree.video(f"{FAKE}/{a}_{b}__kitchen_pan__ABCD1234.mp4")
    return tree


def test_actors_are_split_by_component_and_a_fake_knows_its_original(tmp_path):
    build(tmp_path)

    read = read_dataset(tmp_path)

    split = read.frame.set_index("video")["split"]

    def real(who):
        video = f"{who}__kitchen_pan"
        return (f"{REAL}/{video}.mp4", "real", "c23", split[video], 0, video, who, who, -1)

    def fake(target, source):
        video = f"{target}_{source}__kitchen_pan__ABCD1234"
        return (f"{FAKE}/{video}.mp4", "DeepFakeDetection", "c23", split[video], 1, video, source, target, -1)

    assert manifest(read.frame) == [
        *(real(f"{n:02}") for n in range(1, 13)),
        *(fake(f"{n:02}", f"{n + 1:02}") for n in range(1, 13, 2)),
    ]
    assert set(read.frame["split"]) == {"train", "val", "test"}
    assert (
        read.originals["dfd/DeepFakeDetection/c23/01_02__kitchen_pan__ABCD1234"]
        == "dfd/real/c23/01__kitchen_pan"
    )
    assert recognise(tmp_path)[0].name == "dfd"


def test_actors_who_are_all_linked_are_dealt_out_and_the_fakes_between_splits_counted(tmp_path):
    tree = build(tmp_path)
    for n in range(2, 12, 2):
        tree.video(f"{FAKE}/{n:02}_{n + 1:02}__kitchen_pan__ABCD1234.mp4")

    read = read_dataset(tmp_path, options=ReadOptions(seed=1))

    assert read.identity_split.cut
    assert set(read.frame["split"]) == {"train", "val", "test"}
    assert len(read.frame) + len(read.left_out) == 12 + 11
    assert {out.kind for out in read.left_out} == {"crossing"}
    for row in read.frame.itertuples():
        assert {read.identity_split.assignment[f"dfd/{who}"] for who in (row.source, row.target)} == {
            row.split
        }


def test_in_a_tree_with_both_faceforensics_is_read_and_dfd_mentioned(tmp_path):
    build(tmp_path).video("original_sequences/youtube/c23/videos/000.mp4")

    assert recognise(tmp_path)[0].name == "ffpp"
    assert any("--as dfd" in finding.action for finding in read_dataset(tmp_path).findings)
    assert len(read_dataset(tmp_path, "dfd").frame) == 18


def test_broken_names_and_files_are_reported_and_no_label_is_wrong(tmp_path):
    tree = build(tmp_path)
    tree.video(
        f"{REAL}/01_02__kitchen_pan__ABCD1234.mp4".replace("01_02", "0102"), f"{FAKE}/03__kitchen_pan.mp4"
    )
    tree.video(f"{FAKE}/01_02__Küche__ABCD1234.mp4", f"{FAKE}/01_02__kitchen_pan.mp4")
    tree.truncate(f"{REAL}/05__kitchen_pan.mp4")
    tree.data(f"{REAL}/06__kitchen_pan.mp4", b"")

    result = check(tmp_path)

    assert told(result.findings, "error") == {
        ("name", f"{REAL}/0102__kitchen_pan__ABCD1234.mp4"),
        ("name", f"{FAKE}/03__kitchen_pan.mp4"),
        ("name", f"{FAKE}/01_02__kitchen_pan.mp4"),
        ("unreadable", f"{REAL}/05__kitchen_pan.mp4"),
        ("empty", f"{REAL}/06__kitchen_pan.mp4"),
    }
    frame = read_dataset(tmp_path).frame
    assert "01_02__Küche__ABCD1234" in set(frame["video"])
    labels_by(frame, lambda path: int(path.startswith("manipulated")))
