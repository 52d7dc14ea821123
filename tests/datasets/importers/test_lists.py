"""Sets that are lists of paths: DeepfakeBench JSON, DFIL lists, CSV manifests."""

import pytest

from fretal_bench.datasets.check.check import check
from fretal_bench.datasets.importers import ReadOptions, read_dataset, recognise
from fretal_bench.errors import BenchError
from trees import Tree, labels_by, manifest, told

REAL = "FaceForensics++/original_sequences/youtube/c23/frames"
FAKE = "FaceForensics++/manipulated_sequences/Deepfakes/c23/frames"
COLUMNS = ["dataset", "path", "method", "compression", "split", "label", "video", "source", "target", "frame"]


def ffpp_json(prefix="./datasets/rgb/", slash="/"):
    def video(label, folder, name):
        frames = [f"{prefix}{folder}/{name}/{n:03}.png".replace("/", slash) for n in (0, 5)]
        return {name: {"label": label, "frames": frames}}

    splits = {"train": ("000", "003"), "val": ("010", "011"), "test": ("953", "974")}
    reals = {
        s: {"c23": video("FF-real", REAL, a) | video("FF-real", REAL, b)} for s, (a, b) in splits.items()
    }
    fakes = {s: {"c23": video("FF-DF", FAKE, f"{a}_{b}")} for s, (a, b) in splits.items()}
    return {"FF-DF": {"FF-real": reals, "FF-DF": fakes}}


def ffpp_tree(root, content):
    tree = Tree(root)
    for a, b in (("000", "003"), ("010", "011"), ("953", "974")):
        tree.image(*(f"{REAL}/{v}/{n:03}.png" for v in (a, b) for n in (0, 5)))
        tree.image(*(f"{FAKE}/{a}_{b}/{n:03}.png" for n in (0, 5)))
    tree.json("FF-DF.json", content)
    return tree


@pytest.mark.parametrize(
    ("prefix", "slash"), [("", "/"), ("./datasets/rgb/", "/"), ("/Somebody/else/", "/"), ("D:\\data\\", "\\")]
)
def test_deepfakebench_finds_its_frames_whatever_the_paths_begin_with(tmp_path, prefix, slash):
    ffpp_tree(tmp_path, ffpp_json(prefix, slash))

    frame = read_dataset(tmp_path).frame

    test = [row for row in manifest(frame, COLUMNS) if row[4] == "test"]
    assert test == [
        *(
            ("ffpp", f"{REAL}/{v}/{n:03}.png", "real", "c23", "test", 0, v, v, v, n)
            for v in ("953", "974")
            for n in (0, 5)
        ),
        *(
            ("ffpp", f"{FAKE}/953_974/{n:03}.png", "Deepfakes", "c23", "test", 1, "953_974", "974", "953", n)
            for n in (0, 5)
        ),
    ]
    assert len(frame) == 18
    assert recognise(tmp_path)[0].name == "deepfakebench"


def test_deepfakebench_a_video_in_several_splits_is_tested_only(tmp_path):
    tree = Tree(tmp_path)
    names = [f"id{n}_0000" for n in range(8)]
    tree.image(*(f"Celeb-DF-v2/Celeb-real/frames/{name}/0.png" for name in names))
    videos = {
        name: {"label": "CelebDFv2_real", "frames": [f"x/Celeb-DF-v2/Celeb-real/frames/{name}/0.png"]}
        for name in names
    }
    tested = {name: videos[name] for name in names[:2]}
    tree.json(
        "celeb.json", {"Celeb-DF-v2": {"CelebDFv2_real": {"train": videos, "val": tested, "test": tested}}}
    )

    read = read_dataset(tmp_path)

    assert set(read.frame[read.frame["split"] == "test"]["video"]) == set(names[:2])
    assert set(read.frame["split"]) == {"train", "val", "test"}
    assert ("crossing", "") in told(read.findings, "warning")


def test_deepfakebench_broken_copy_gets_its_findings_and_no_wrong_label(tmp_path):
    content = ffpp_json("")
    fakes = content["FF-DF"]["FF-DF"]["train"]["c23"]
    frames = [f"{FAKE}/000_003/000.png"]
    fakes["003_000"] = {"label": "FF-real", "frames": [f"{FAKE}/003_000/000.png"]}
    fakes["004_000"] = {"label": "whatever", "frames": [f"{FAKE}/004_000/000.png"]}
    fakes["005_000"] = {"label": "FF-DF", "frames": ["../../secret/005_000/000.png", "/etc/passwd"]}
    fakes["006_000"] = {"label": "FF-DF", "frames": [f"{FAKE}/006_000/000.png"]}
    fakes["007_000"] = {"label": "FF-DF"}
    content["FF-DF"]["FF-F2F"] = {"train": {"c23": {"000_003": {"label": "FF-F2F", "frames": frames}}}}
    tree = ffpp_tree(tmp_path, content)
    tree.image(f"{FAKE}/003_000/000.png", f"{FAKE}/004_000/000.png")
    tree.json("notes.json", ["something", "else"])

    result = check(tmp_path)

    assert told(result.findings, "error") == {
        ("label", f"{FAKE}/003_000/000.png"),
        ("label", f"{FAKE}/004_000/000.png"),
        ("outside", "FF-DF/005_000"),
        ("bad-file", "FF-DF.json"),
        ("duplicate", f"{FAKE}/000_003/000.png"),
    }
    assert ("missing", "FF-DF/006_000") in told(result.findings, "warning")
    labels_by(read_dataset(tmp_path).frame, lambda path: int("manipulated" in path))


def test_deepfakebench_originals_that_stand_in_every_methods_json_come_once(tmp_path):
    content = ffpp_json()
    tree = ffpp_tree(tmp_path, content)
    tree.json("FF-F2F.json", {"FF-F2F": {"FF-real": content["FF-DF"]["FF-real"]}})

    read = read_dataset(tmp_path)

    assert len(read.frame) == 18
    assert told(read.findings, "error", "warning") == set()


def test_names_that_no_table_can_hold_are_left_out_and_can_be_printed(tmp_path):
    content = {"X": {"X_Real": {"train": {"\ud800": {"label": "X_Real", "frames": ["a/b/0.png"]}}}}}
    tree = Tree(tmp_path)
    tree.image("a/b/0.png")
    tree.json("x.json", content)

    result = check(tmp_path)

    assert ("bad-file", "x.json") in told(result.findings, "error")
    for finding in result.findings:
        (finding.file + finding.found).encode()


def test_a_file_that_lists_call_real_and_fake_is_left_out(tmp_path):
    tree = Tree(tmp_path)
    tree.image("crops/1/0.png", "crops/2/0.png")
    tree.text("a_train.txt", "0,crops/1\n1,crops/1\n0,crops/2\n")

    read = read_dataset(tmp_path, options=ReadOptions(val_fraction=0))

    assert ("label", "crops/1/0.png") in told(read.findings, "error")
    assert manifest(read.frame, ["path", "label"]) == [("crops/2/0.png", 0)]


@pytest.mark.parametrize("separator", [",", " "])
def test_dfil_lists_take_frames_and_folders_by_comma_or_space(tmp_path, separator):
    tree = Tree(tmp_path)
    tree.image(f"{FAKE}/000_003/1.png", f"{FAKE}/000_003/2.png", f"{REAL}/000/7.png", f"{REAL}/953/0.png")
    tree.text("ff_train.txt", f"1{separator}/home/me/{FAKE}/000_003\n0{separator}/home/me/{REAL}/000/7.png\n")
    tree.text("ff_test.txt", f"0{separator}/home/me/{REAL}/953\n")

    frame = read_dataset(tmp_path, options=ReadOptions(val_fraction=0)).frame

    assert manifest(frame, COLUMNS) == [
        ("ff", f"{REAL}/000/7.png", "real", "c23", "train", 0, "000", "000", "000", 7),
        ("ff", f"{REAL}/953/0.png", "real", "c23", "test", 0, "953", "953", "953", 0),
        ("ff", f"{FAKE}/000_003/1.png", "Deepfakes", "c23", "train", 1, "000_003", "003", "000", 1),
        ("ff", f"{FAKE}/000_003/2.png", "Deepfakes", "c23", "train", 1, "000_003", "003", "000", 2),
    ]
    assert recognise(tmp_path)[0].name == "dfil"


def test_dfil_one_list_without_a_split_is_split_by_identity(tmp_path):
    tree = Tree(tmp_path)
    tree.image(*(f"crops/real/{n:03}/0.png" for n in range(10)))
    tree.text("all.txt", "".join(f"0,crops/real/{n:03}\n" for n in range(10)))

    read = read_dataset(tmp_path / "all.txt")

    assert read.identity_split is not None
    assert set(read.frame["split"]) == {"train", "val", "test"}


def test_dfil_broken_lists_get_their_findings_and_no_wrong_label(tmp_path):
    tree = Tree(tmp_path)
    tree.image(f"{FAKE}/000_003/1.png", f"{REAL}/000/7.png", f"{REAL}/010/7.png")
    tree.text("none/x.txt", "no image")
    lines = [
        f"0,{FAKE}/000_003",
        f"1,{REAL}/000",
        f"0,{REAL}/010",
        "2,somewhere/else",
        "0,../../etc/x",
        "0,gone/0.png",
        "0,none/x.txt",
    ]
    tree.text("ff_train.txt", "\n".join(lines))
    tree.text("ff_test.txt", f"0,{REAL}/010\n")

    result = check(tmp_path)

    assert told(result.findings, "error") == {
        ("classes", ""),
        ("label", f"{FAKE}/000_003/1.png"),
        ("label", f"{REAL}/000/7.png"),
        ("bad-file", "ff_train.txt"),
        ("outside", "ff_train.txt"),
        ("wrong-extension", "none/x.txt"),
    }
    assert {("missing", "ff_train.txt"), ("crossing", f"{REAL}/010/7.png")} <= told(
        result.findings, "warning"
    )
    labels_by(read_dataset(tmp_path).frame, lambda path: int("manipulated" in path))


def test_csv_defaults_make_a_manifest_of_a_path_and_a_label(tmp_path):
    tree = Tree(tmp_path / "mine")
    tree.video("a.mp4", "b.mp4")
    tree.image("c.png")
    tree.text("mine.csv", "path,label,split\na.mp4,0,train\nb.mp4,fake,val\nc.png,real,test\n")

    frame = read_dataset(tmp_path / "mine").frame

    assert manifest(frame, COLUMNS) == [
        ("mine", "a.mp4", "real", "none", "train", 0, "a.mp4", "a.mp4", "a.mp4", -1),
        ("mine", "c.png", "real", "none", "test", 0, "c.png", "c.png", "c.png", 0),
        ("mine", "b.mp4", "fake", "none", "val", 1, "b.mp4", "", "b.mp4", -1),
    ]


def test_csv_with_every_column_is_the_manifest(tmp_path):
    tree = Tree(tmp_path)
    tree.video("a.mp4", "b.mp4")
    tree.text(
        "all.csv",
        "path,dataset,method,compression,split,label,video,source,target,frame\n"
        "a.mp4,d,real,c40,train,0,va,p,p,3\nb.mp4,d,swap,c40,test,1,vb,q,r,-1\n",
    )

    frame = read_dataset(tmp_path / "all.csv").frame

    assert manifest(frame, COLUMNS) == [
        ("d", "a.mp4", "real", "c40", "train", 0, "va", "p", "p", 3),
        ("d", "b.mp4", "swap", "c40", "test", 1, "vb", "q", "r", -1),
    ]


def test_csv_unknown_column_is_an_error_with_the_nearest_name(tmp_path):
    Tree(tmp_path).text("all.csv", "path,label,compresion\n")

    with pytest.raises(BenchError, match="did you mean 'compression'"):
        read_dataset(tmp_path / "all.csv")


def test_csv_broken_lines_get_their_findings_and_no_wrong_label(tmp_path):
    tree = Tree(tmp_path)
    tree.video(*(f"real{n}.mp4" for n in range(9)), *(f"fake{n}.mp4" for n in range(9)))
    rows = [
        "real0.mp4,0,real,train,p0,0",
        "fake0.mp4,1,swap,train,p1,0",
        "real1.mp4,2,real,train,p2,0",
        "real2.mp4,0,swap,train,p3,0",
        "fake3.mp4,1,real,train,p4,0",
        "real4.mp4,0,real,dev,p5,0",
        "../real5.mp4,0,real,train,p6,0",
        "gone.mp4,0,real,train,p7,0",
        "real6.mp4,0,real,test,p0,0",
        "fake7.mp4,1,a/b,test,p8,0",
        "fake8.mp4,1,swap,test,p9,first",
    ]
    tree.text("all.csv", "path,label,method,split,target,frame\n" + "\n".join(rows) + "\n")

    result = check(tmp_path / "all.csv")

    assert told(result.findings, "error") == {
        ("label", "real1.mp4"),
        ("label", "real2.mp4"),
        ("label", "fake3.mp4"),
        ("split", "real4.mp4"),
        ("outside", "all.csv"),
        ("name", "fake7.mp4"),
        ("name", "fake8.mp4"),
        ("missing", "gone.mp4"),
        ("crossing", ""),
    }
    assert ("crossing", "real0.mp4") in told(result.findings, "warning")
    labels_by(read_dataset(tmp_path).frame, lambda path: int(path.startswith("fake")))


@pytest.mark.parametrize("text", ["1_real", "0_fake", "7 real"])
def test_csv_label_whose_number_contradicts_its_word_is_a_finding_and_stops_nothing(tmp_path, text):
    tree = Tree(tmp_path)
    tree.video("a.mp4", "b.mp4", "c.mp4")
    tree.text("all.csv", f"path,label,split\na.mp4,{text},train\nb.mp4,1_fake,test\nc.mp4,real,test\n")

    result = check(tmp_path / "all.csv")

    assert told(result.findings, "error") == {("label", "a.mp4")}
    (finding,) = (finding for finding in result.findings if finding.kind == "label")
    assert text in finding.found
    assert "all.csv line 2" in finding.found
    assert manifest(read_dataset(tmp_path).frame, ["path", "label"]) == [("c.mp4", 0), ("b.mp4", 1)]


def test_csv_line_that_cannot_be_parsed_is_a_finding(tmp_path):
    tree = Tree(tmp_path)
    tree.video("a.mp4")
    tree.text("all.csv", f"path,label,split\na.mp4,0,train\n{'x' * 140_000},0,train\n")

    assert ("bad-file", "all.csv") in told(check(tmp_path / "all.csv").findings, "error")


@pytest.mark.parametrize(
    ("line", "taken"), [("b.mp4,1,test,zzz", False), ("b.mp4,1,test,", True), ("b.mp4,1", False)]
)
def test_csv_line_with_more_fields_than_the_header_is_left_out_unless_they_are_empty(tmp_path, line, taken):
    tree = Tree(tmp_path)
    tree.video("a.mp4", "b.mp4")
    tree.text("all.csv", f"path,label,split\na.mp4,0,train\n{line}\n")

    result = check(tmp_path / "all.csv")

    assert list(read_dataset(tmp_path).frame["path"]) == ["a.mp4", "b.mp4"][: 1 + taken]
    assert bool(told(result.findings, "error")) != taken


def test_csv_lines_that_differ_in_their_frame_alone_are_rows_of_one_video_each(tmp_path):
    tree = Tree(tmp_path)
    tree.image("0.png", "1.png")
    lines = [f"{n % 2}.png,{n % 2},{n}" for n in range(20)] + ["0.png,0,first", "0.png,0,", "1.png,1,-1"]
    tree.text("all.csv", "path,label,frame\n" + "\n".join(lines) + "\n")

    read = read_dataset(tmp_path / "all.csv")

    rows = {(row.path, row.label, row.frame) for row in read.frame.itertuples()}
    assert rows == {(f"{n % 2}.png", n % 2, n) for n in range(20)} | {("1.png", 1, -1)}
    assert {(left.path, left.kind) for left in read.left_out} == {("0.png", "name")}
