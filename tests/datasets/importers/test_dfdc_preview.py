from fretal_bench.datasets.check.check import check
from fretal_bench.datasets.importers import ReadOptions, read_dataset, recognise
from trees import Tree, labels_by, manifest, told


def said(label, target, swapped=None, split="train"):
    return {"label": label, "set": split, "target_id": target, "swapped_id": swapped, "augmentations": []}


def build(root, extra=None):
    tree = Tree(root)
    listed = {
        "original_videos/11/11_A/11_A_001.mp4": said("real", 11),
        "original_videos/33/33_A/33_A_001.mp4": said("real", 33, split="test"),
        "method_A/11/11_22_A/11_22_A_001.mp4": said("fake", 11, 22),
        "method_B/33/33_44_A/33_44_A_001.mp4": said("fake", 33, 44, "test"),
    }
    tree.video(*listed)
    tree.json("dataset.json", {**listed, **(extra or {})})
    return tree


def by_path(path):
    return int(path.startswith("method"))


def test_dataset_json_gives_label_split_and_both_people(tmp_path):
    build(tmp_path)

    frame = read_dataset(tmp_path, options=ReadOptions(val_fraction=0)).frame

    assert manifest(frame) == [
        (
            "original_videos/11/11_A/11_A_001.mp4",
            "real",
            "none",
            "train",
            0,
            "11/11_A/11_A_001",
            "11",
            "11",
            -1,
        ),
        (
            "original_videos/33/33_A/33_A_001.mp4",
            "real",
            "none",
            "test",
            0,
            "33/33_A/33_A_001",
            "33",
            "33",
            -1,
        ),
        (
            "method_A/11/11_22_A/11_22_A_001.mp4",
            "method_A",
            "none",
            "train",
            1,
            "11/11_22_A/11_22_A_001",
            "22",
            "11",
            -1,
        ),
        (
            "method_B/33/33_44_A/33_44_A_001.mp4",
            "method_B",
            "none",
            "test",
            1,
            "33/33_44_A/33_44_A_001",
            "44",
            "33",
            -1,
        ),
    ]
    assert recognise(tmp_path)[0].name == "dfdc-preview"


def test_a_broken_copy_gets_its_findings_and_no_wrong_label(tmp_path):
    tree = build(
        tmp_path,
        {
            "original_videos/55/a.mp4": said("fake", 55, 66),
            "method_A/55/b.mp4": said("real", 55),
            "method_A/55/c.mp4": said("fake", 55, 66, "hidden"),
            "method_A/77/d.mp4": said("fake", 33, 77),
            "../outside/e.mp4": said("fake", 1, 2),
            "method_B/99/gone.mp4": said("fake", 9, 8),
            "method_B/99/odd.mp4": "fake",
        },
    )
    tree.video(
        *(
            f"{path}.mp4"
            for path in ("original_videos/55/a", "method_A/55/b", "method_A/55/c", "method_A/77/d")
        )
    )
    tree.video("method_B/99/odd.mp4", "method_B/unlisted.mp4")
    tree.text("method_B/notes.txt", "?")
    tree.data("original_videos/11/11_A/11_A_001.mp4", b"")

    result = check(tmp_path)

    assert told(result.findings, "error") == {
        ("label", "original_videos/55/a.mp4"),
        ("label", "method_A/55/b.mp4"),
        ("split", "method_A/55/c.mp4"),
        ("outside", "dataset.json"),
        ("label", "method_B/99/odd.mp4"),
        ("split", "method_B/unlisted.mp4"),
        ("wrong-extension", "method_B/notes.txt"),
        ("empty", "original_videos/11/11_A/11_A_001.mp4"),
    }
    # Trained on with a face that is tested: person 33.
    assert ("crossing", "method_A/77/d.mp4") in told(result.findings, "warning")
    assert ("missing", "dataset.json") in told(result.findings, "warning")
    frame = read_dataset(tmp_path, options=ReadOptions(val_fraction=0)).frame
    labels_by(frame, by_path)
    assert len(frame) == 4


def test_without_dataset_json_every_video_is_left_out(tmp_path):
    build(tmp_path).remove("dataset.json")

    result = check(tmp_path)

    assert result.left_out == {"split": 4}
    assert ("missing", "dataset.json") in told(result.findings, "error")
