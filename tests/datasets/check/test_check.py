import errno
import json
import os
import shlex
import subprocess
import sys

import pytest

from fretal_bench import files
from fretal_bench.datasets.check.check import check
from fretal_bench.datasets.check.probe import probe
from fretal_bench.datasets.check.tables import check_tables
from fretal_bench.datasets.importers import ReadOptions, read_dataset
from fretal_bench.errors import BenchError, RunError
from trees import Tree, clip, told


def images(root):
    tree = Tree(root)
    for split in ("train", "val", "test"):
        tree.image(*(f"A/{split}/{label}/{n}.png" for label in ("real", "fake") for n in range(2)))
    return tree


def test_a_check_is_plain_data(tmp_path):
    images(tmp_path)

    result = check(tmp_path)

    data = json.loads(json.dumps(result.to_dict()))
    assert data["family"] == "image-folders"
    assert data["errors"] == 0
    assert data["counts"][0] == {
        "dataset": "A",
        "method": "fake",
        "compression": "none",
        "splits": {"train": 2, "val": 2, "test": 2},
        "left_out": 0,
    }


def test_the_command_to_type_survives_a_shell(tmp_path):
    images(tmp_path / "it's mine; really")

    command = check(
        tmp_path / "it's mine; really", "image-folders", options=ReadOptions(splits="identity", seed=4)
    ).command

    assert shlex.split(command) == [
        *("bench", "data", "prepare", str(tmp_path / "it's mine; really"), "--as", "image-folders"),
        *("--detector", "none", "--splits", "identity", "--seed", "4", "--out", "stores/image-folders"),
    ]


def test_the_command_chooses_c23_where_there_are_several_compressions(tmp_path):
    tree = Tree(tmp_path)
    for split, pair in {"train": ["000", "001"], "val": ["002", "003"], "test": ["004", "005"]}.items():
        tree.json(f"{split}.json", [pair])
        tree.video(
            *(f"original_sequences/youtube/{c}/videos/{v}.mp4" for c in ("raw", "c23", "c40") for v in pair)
        )
        tree.video(
            *(
                f"manipulated_sequences/Deepfakes/{c}/videos/{'_'.join(pair)}.mp4"
                for c in ("raw", "c23", "c40")
            )
        )

    assert check(tmp_path).command.endswith("--compression c23 --out stores/ffpp-c23")


def test_tables_are_text_and_name_the_layout_the_counts_and_the_findings(tmp_path):
    tree = images(tmp_path)
    tree.data("A/train/real/0.png", b"")
    tree.text("A/train/real/notes.txt", "?")

    tables = check_tables(check(tmp_path))

    assert [title for title, _, _ in tables] == [str(tmp_path), "Found (images)", "Findings", "Left out"]
    for _, columns, rows in tables:
        assert all(len(row) == len(columns) for row in rows)
        assert all(isinstance(cell, str) for row in rows for cell in row)
    assert ["A", "real", "none", "2", "2", "2", "6", "1"] in tables[1][2]
    assert ["wrong-extension", "1"] in tables[3][2]


def test_official_counts_are_a_row_a_method_and_a_column_a_split(tmp_path):
    tree = Tree(tmp_path)
    for split, pair in {"train": ["000", "001"], "val": ["002", "003"], "test": ["004", "005"]}.items():
        tree.json(f"{split}.json", [pair])
        tree.video(*(f"original_sequences/youtube/c40/videos/{v}.mp4" for v in pair))

    tables = {title: (columns, rows) for title, columns, rows in check_tables(check(tmp_path))}

    columns, rows = tables["Against the official counts (videos)"]
    assert columns == ["method", "compression", "train", "val", "test", "difference", "source"]
    assert rows[0][:6] == ["real", "c40", "2 of 720", "2 of 140", "2 of 140", "-994"]
    assert rows[1][:6] == ["Deepfakes", "c40", "0 of 720", "0 of 140", "0 of 140", "-1,000"]
    assert len(rows) == 6


def test_many_findings_of_a_kind_are_shown_as_a_dozen_and_a_number(tmp_path):
    tree = images(tmp_path)
    for n in range(40):
        tree.data(f"A/train/real/empty{n}.png", b"")

    tables = {title: rows for title, _, rows in check_tables(check(tmp_path))}

    empty = [row for row in tables["Findings"] if row[1] == "empty"]
    assert len(empty) == 13
    assert empty[-1][3] == "and 28 more"


def test_checksums_are_written_where_you_are_and_compared_the_next_time(tmp_path, monkeypatch):
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    tree = images(tmp_path / "data")

    first = check(tmp_path / "data", hash=True)
    again = check(tmp_path / "data", hash=True)
    tree.data("A/train/real/0.png", b"\x89PNG changed")
    tree.remove("A/train/real/1.png")
    tree.image("A/train/real/2.png")
    changed = check(tmp_path / "data", hash=True)

    assert first.checksums.written
    assert first.checksums.files == 12
    assert not again.checksums.written
    assert told(again.findings) == told(first.findings)
    assert {f for f in told(changed.findings) if f[0] == "checksum"} == {
        ("checksum", "A/train/real/0.png"),
        ("checksum", "A/train/real/1.png"),
        ("checksum", "A/train/real/2.png"),
    }
    assert (here / "data.sha256").exists()
    assert not list((tmp_path / "data").rglob("*.sha256"))


def test_checksums_are_what_sha256sum_reads(tmp_path):
    images(tmp_path / "data")
    file = tmp_path / "sums"

    check(tmp_path / "data", hash=True, hash_file=file)

    done = subprocess.run(
        ["sha256sum", "--check", "--quiet", str(file)],
        cwd=tmp_path / "data",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_a_file_that_holds_no_checksums_is_never_overwritten(tmp_path):
    images(tmp_path / "data")
    (tmp_path / "letter").write_text("Dear Sir\n")

    with pytest.raises(BenchError, match="letter line 1"):
        check(tmp_path / "data", hash=True, hash_file=tmp_path / "letter")

    assert (tmp_path / "letter").read_text() == "Dear Sir\n"


@pytest.mark.parametrize(
    ("number", "kind", "code"), [(errno.ENOSPC, RunError, 1), (errno.EROFS, BenchError, 2)]
)
def test_checksums_that_cannot_be_written_are_one_line_with_the_right_exit_code(
    tmp_path, monkeypatch, number, kind, code
):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    images(tmp_path / "data")
    monkeypatch.setattr(files, "move", refuse)
    with pytest.raises(kind, match="sums") as caught:
        check(tmp_path / "data", hash=True, hash_file=tmp_path / "sums")
    assert caught.value.exit_code == code
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_a_check_changes_nothing_in_the_folder(tmp_path):
    images(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}

    check(tmp_path)

    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_links_are_not_followed_out_of_the_folder_nor_in_circles(tmp_path):
    tree = images(tmp_path / "data")
    Tree(tmp_path / "secret").image("x.png")
    tree.link("A/train/real/out", tmp_path / "secret")
    tree.link("B/one", "../C")
    tree.link("C/two", "../B")
    tree.link("D", "D")

    findings = check(tmp_path / "data").findings

    assert {("outside", "A/train/real/out"), ("loop", "D")} <= told(findings, "error")
    assert not any("x.png" in finding.found for finding in findings)


def test_class_folders_that_link_to_one_another_make_no_wrong_label(tmp_path):
    tree = images(tmp_path)
    tree.image("A/train/fake/clip/0.png", "A/train/real/clip/0.png")
    tree.link("A/train/real/clip/there", "../../fake")
    tree.link("A/train/fake/clip/back", "../../real")

    result = check(tmp_path)

    assert {kind for kind, _ in told(result.findings, "error")} == {"loop", "label"}
    frame = read_dataset(tmp_path).frame
    assert not any("there" in path or "back" in path for path in frame["path"])
    assert all(row.label == int("/fake/" in row.path) for row in frame.itertuples())
    assert not any(path.startswith(("A/train/real/", "A/train/fake/")) for path in frame["path"])


def test_a_link_within_the_folder_is_good(tmp_path):
    tree = images(tmp_path)
    (tmp_path / "A/val/real").rename(tmp_path / "elsewhere")
    tree.link("A/val/real", "../../elsewhere")

    result = check(tmp_path)

    assert sum(sum(count.splits.values()) for count in result.counts) == 12
    assert not [finding for finding in result.findings if finding.kind == "stray"]


def test_names_that_no_manifest_can_hold_are_reported(tmp_path):
    tree = images(tmp_path)
    tree.image("A/train/real/back\\slash.png", "A/train/real/new\nline.png")
    (tmp_path / "A/train/real").joinpath("caf\udce9.png").write_bytes(b"x")

    result = check(tmp_path)

    assert {file for kind, file in told(result.findings, "error") if kind == "name"} == {
        "A/train/real/back\\slash.png",
        "A/train/real/new\\nline.png",
        "A/train/real/caf\\udce9.png",
    }
    json.dumps(result.to_dict()).encode()


def mp4(tmp_path, data):
    file = tmp_path / "x.mp4"
    file.write_bytes(data)
    return probe(file)


def test_the_probe_knows_a_sound_video_from_a_damaged_one(tmp_path):
    whole = clip()

    assert mp4(tmp_path, whole) is None
    assert mp4(tmp_path, b"")[0] == "empty"
    for cut in (1, 7, 100, len(whole) // 2, len(whole) - 10):
        assert mp4(tmp_path, whole[:-cut])[0] == "unreadable"


def test_the_probe_knows_a_video_whose_index_is_gone(tmp_path):
    assert "no moov box" in mp4(tmp_path, clip().replace(b"moov", b"free"))[1]


def test_the_probe_knows_a_container_without_video(tmp_path):
    whole = clip()

    assert mp4(tmp_path, whole.replace(b"trak", b"free"))[0] == "unreadable"
    assert mp4(tmp_path, b"\x1aE\xdf\xa3" + whole)[0] == "wrong-extension"


def test_the_modules_load_without_the_heavy_libraries():
    code = (
        "import sys, fretal_bench.datasets.check.check; "
        "print([m for m in ('torch', 'cv2', 'av', 'timm', 'avalanche') if m in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("place", ["/dev/full", "/proc/sums", "folder"])
def test_a_file_of_checksums_that_cannot_be_is_refused_before_any_file_is_hashed(
    tmp_path, monkeypatch, place
):
    images(tmp_path / "data")
    (tmp_path / "folder").mkdir()
    monkeypatch.setattr(files, "sha256", lambda path: pytest.fail("hashed"))
    with pytest.raises(BenchError, match=r"sums|full|folder") as error:
        check(tmp_path / "data", hash=True, hash_file=tmp_path / place)
    assert len(str(error.value).splitlines()) == 1
