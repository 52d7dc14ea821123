from fretal_bench.datasets.check.check import check
from fretal_bench.datasets.importers import ReadOptions, read_dataset, recognise
from trees import Tree, labels_by, manifest, told


def build(root, parts=(0, 35, 40)):
    tree = Tree(root)
    for part in parts:
        folder = f"dfdc_train_part_{part}"
        tree.video(f"{folder}/real{part}.mp4", f"{folder}/fake{part}.mp4")
        tree.json(
            f"{folder}/metadata.json",
            {
                f"real{part}.mp4": {"label": "REAL", "split": "train"},
                f"fake{part}.mp4": {"label": "FAKE", "split": "train", "original": f"real{part}.mp4"},
            },
        )
    return tree


def by_name(path):
    return int(path.rpartition("/")[2].startswith("fake"))


def test_parts_give_the_split_where_there_is_no_test_set(tmp_path):
    build(tmp_path)

    read = read_dataset(tmp_path)

    splits = {0: "train", 35: "val", 40: "test"}
    assert manifest(read.frame) == [
        *(
            (
                f"dfdc_train_part_{n}/real{n}.mp4",
                "real",
                "none",
                split,
                0,
                f"real{n}",
                f"real{n}",
                f"real{n}",
                -1,
            )
            for n, split in splits.items()
        ),
        *(
            (f"dfdc_train_part_{n}/fake{n}.mp4", "fake", "none", split, 1, f"fake{n}", "", f"real{n}", -1)
            for n, split in splits.items()
        ),
    ]
    assert read.originals["dfdc/fake/none/fake0"] == "dfdc/real/none/real0"
    assert recognise(tmp_path)[0].name == "dfdc"


def test_with_the_official_test_set_that_is_the_test(tmp_path):
    tree = build(tmp_path)
    tree.video("test/realx.mp4", "test/fakex.mp4")
    tree.text("test/labels.csv", "filename,label\nrealx.mp4,0\nfakex.mp4,1\n")

    frame = read_dataset(tmp_path).frame

    split = frame.set_index("video")["split"]
    assert dict(split) == {
        **{
            "real0": "train",
            "fake0": "train",
            "real35": "val",
            "fake35": "val",
            "real40": "train",
            "fake40": "train",
        },
        **{"realx": "test", "fakex": "test"},
    }
    labels_by(frame, by_name)


def test_a_broken_copy_gets_its_findings_and_no_wrong_label(tmp_path):
    tree = build(tmp_path, (0, 1, 2))
    tree.video(
        *(
            f"dfdc_train_part_0/{name}.mp4"
            for name in ("unlisted", "fake_orphan", "real_child", "fake_of_fake", "odd")
        )
    )
    tree.video("dfdc_train_part_2/real0.mp4")
    tree.json(
        "dfdc_train_part_0/metadata.json",
        {
            "real0.mp4": {"label": "REAL"},
            "fake0.mp4": {"label": "FAKE", "original": "real0.mp4"},
            "fake_orphan.mp4": {"label": "FAKE"},
            "real_child.mp4": {"label": "REAL", "original": "real0.mp4"},
            "fake_of_fake.mp4": {"label": "FAKE", "original": "fake0.mp4"},
            "odd.mp4": {"label": 1},
            "gone.mp4": {"label": "REAL"},
            "../../etc/real.mp4": {"label": "REAL"},
        },
    )
    tree.remove("dfdc_train_part_1/metadata.json")
    tree.json(
        "dfdc_train_part_2/metadata.json",
        {name: {"label": "REAL"} for name in ("real0.mp4", "real2.mp4")}
        | {"fake2.mp4": {"label": "FAKE", "original": "real2.mp4"}},
    )
    tree.truncate("dfdc_train_part_2/fake2.mp4")
    tree.video("test/fake_a.mp4", "test/real_b.mp4", "test/fake_twice.mp4")
    tree.text(
        "test/labels.csv", "filename,label\nfake_a.mp4,0\nreal_b.mp4,0\nfake_twice.mp4,1\nfake_twice.mp4,0\n"
    )
    tree.json("test/metadata.json", {"fake_a.mp4": {"is_fake": 1}, "real_b.mp4": {"is_fake": 0}})

    result = check(tmp_path)

    part = "dfdc_train_part_0"
    assert told(result.findings, "error") == {
        ("label", f"{part}/unlisted.mp4"),
        ("label", f"{part}/fake_orphan.mp4"),
        ("label", f"{part}/real_child.mp4"),
        ("label", f"{part}/fake_of_fake.mp4"),
        ("label", f"{part}/odd.mp4"),
        ("outside", f"{part}/metadata.json"),
        ("missing", "dfdc_train_part_1"),
        ("label", "dfdc_train_part_1/real1.mp4"),
        ("label", "dfdc_train_part_1/fake1.mp4"),
        ("duplicate", "dfdc_train_part_2/real0.mp4"),
        ("unreadable", "dfdc_train_part_2/fake2.mp4"),
        ("label", "test/fake_a.mp4"),
        ("label", "test/fake_twice.mp4"),
        ("label", "test/labels.csv"),
    }
    assert ("missing", part) in told(result.findings, "warning")
    frame = read_dataset(tmp_path).frame
    labels_by(frame, by_name)
    assert set(frame["video"]) == {"real0", "fake0", "real2", "fake2", "real_b"}


def test_metadata_that_is_no_json_is_named(tmp_path):
    build(tmp_path, (0, 1)).text("dfdc_train_part_1/metadata.json", "[")

    read = read_dataset(tmp_path, options=ReadOptions(splits="identity"))

    assert ("bad-file", "dfdc_train_part_1/metadata.json") in told(read.findings, "error")
    assert set(read.frame["video"]) == {"real0", "fake0"}
