"""``bench data`` as a person types it: output, exit codes, JSON, one line for what is wrong."""

from __future__ import annotations

import json

import pytest

from fretal_bench.datasets.check.check import check
from fretal_bench.datasets.check.tables import check_tables
from fretal_bench.datasets.ffpp_mini import tree as tree_of_mini
from trees import Tree

PREPARE = ("--out", "store", "--frames", 10, "--size", 32, "--jobs", 1)


def test_check_ends_with_the_command_that_prepare_takes(bench, mini, detector, tmp_path):
    code, out, _ = bench("data", "check", mini)
    assert code == 0
    for word in ("FaceForensics++", "NeuralTextures", "2 of 720", "source: FaceForensics repository"):
        assert word in out
    command = out.strip().splitlines()[-1].split()
    assert command[:3] == ["bench", "data", "prepare"]
    code, out, err = bench(*command[1:], "--jobs", 1, "--frames", 10)
    assert code == 0, err
    assert "200 crops of 128 px from 20 videos" in out
    assert "faces looked for in 4 videos; 16 fakes share their original's" in out
    assert (tmp_path / "stores" / "ffpp-c23" / "store.json").exists()


def test_check_tells_faults_with_exit_code_1_and_as_json(bench, tree):
    (tree / "original_sequences/youtube/c23/videos/000.mp4").write_bytes(b"")
    code, out, _ = bench("data", "check", tree, "--json", "--hash")
    assert code == 1
    answer = json.loads(out)
    assert answer["errors"] >= 1
    assert answer["checksums"]["written"]
    assert bench("data", "check", tree, "--hash").code == 1


def test_prepare_tells_what_was_lost_with_exit_code_1_and_is_there_the_second_time(bench, tree, detector):
    (tree / "manipulated_sequences/FaceSwap/c23/videos/000_014.mp4").write_bytes(b"")
    code, out, _ = bench("data", "prepare", tree, *PREPARE)
    assert code == 1
    for word in (
        "190 crops",
        "Counted in store.json",
        "it cannot be decoded",
        "000_014.mp4",
        "bench data preview",
    ):
        assert word in out
    code, out, _ = bench("data", "prepare", tree, *PREPARE, "--json")
    assert code == 1
    answer = json.loads(out)
    assert (answer["made"], answer["crops"], answer["lost_videos"]) == (False, 190, 1)
    assert answer["failures"][0]["reason"] == "it cannot be decoded"


def test_preview_draws_what_prepare_made(bench, mini, detector, tmp_path):
    assert bench("data", "prepare", mini, *PREPARE).code == 0
    assert bench("data", "preview", "store", "--out", "sheet.png").out == "Contact sheet: sheet.png\n"
    assert (tmp_path / "sheet.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads(bench("data", "preview", "store", "--json").out) == {"picture": "preview.png"}


def written(folder, label_of):
    """A CSV manifest of 36 pictures with real files; ``label_of`` gives the label of each by number."""
    tree, lines = Tree(folder), ["path,label,split"]
    for number in range(36):
        label, split = label_of(number), ("train", "val", "test")[number // 12]
        tree.image(f"{number}.png")
        lines.append(f"{number}.png,{label},{split}")
    return tree, lines


@pytest.mark.parametrize(
    ("label_of", "more", "code", "words"),
    [
        (lambda n: n % 2, [], 0, "none in 3 domains x splits"),
        (lambda n: n % 2, ["gone.png,1,test"], 1, "it isn't there"),
        (lambda n: n % 2, ["0.png,0,train,zzz"], 1, "expected 3 fields, found 4"),
        (lambda n: n % 2, ["0.png,2,train"], 1, "expected the label 0, 1"),
        (lambda n: 0, [], 1, "only real files"),
        (lambda n: n % 2 if n < 24 else 1, [], 0, "nothing real in test"),
    ],
)
def test_a_check_exits_with_1_if_something_is_wrong_and_with_0_on_warnings(
    bench, tmp_path, label_of, more, code, words
):
    tree, lines = written(tmp_path / "data", label_of)
    tree.text("all.csv", "\n".join([*lines, *more]) + "\n")

    given, out, _ = bench("data", "check", "data", "--json")

    assert given == code
    text = json.loads(out)
    shown = " ".join(
        cell for _, _, rows in check_tables(check(tmp_path / "data")) for row in rows for cell in row
    )
    assert words in shown
    assert bool(text["errors"]) == bool(code)


def test_a_check_of_a_shortcut_says_it_and_exits_with_0(bench, tmp_path):
    tree, lines = written(tmp_path / "data", lambda n: n % 2)
    for number in range(0, 36, 2):
        (tmp_path / f"data/{number}.png").rename(tmp_path / f"data/{number}.bmp")
    tree.text("all.csv", "\n".join(lines).replace("png,0", "bmp,0") + "\n")

    code, out, _ = bench("data", "check", "data")

    assert code == 0
    assert "Facts of the files that tell real from fake" in out
    assert "all .bmp" in out


@pytest.fixture
def four_people(monkeypatch):
    """Let ``make-mini`` write four people; all take half a minute."""
    whole = tree_of_mini.make_mini
    monkeypatch.setattr(
        tree_of_mini, "make_mini", lambda root, levels, progress: whole(root, levels, (0, 14, 28, 30))
    )


def test_make_mini_says_how_much_is_there(bench, mini, four_people):
    words = ("data", "make-mini", mini, "--compression", "c23")
    code, out, _ = bench(*words)
    assert code == 0
    assert "0 videos written, 20 were there" in out
    assert json.loads(bench(*words, "--json").out)["there"] == 20


def test_a_folder_with_brackets_in_its_name_is_printed_as_it_is(bench, four_people):
    code, out, err = bench("data", "make-mini", "a [b]c", "--compression", "c40")
    assert (code, err) == (0, "")
    assert "a [b]c: 20 videos written" in out
    assert "bench data check 'a [b]c'" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["check", "nowhere"], "nowhere: expected a data set"),
        (["check", ".", "--as", "ffp"], "unknown data set layout 'ffp'; did you mean 'ffpp'"),
        (["prepare", "nowhere", "--out", "store"], "nowhere: expected a data set"),
        (
            ["prepare", ".", "--out", "store", "--on-missing", "stop"],
            "--on-missing: expected one of 'interpolate', ",
        ),
        (
            ["prepare", ".", "--out", "store", "--splits", "odd"],
            "--splits: expected one of 'official', ",
        ),
        (
            ["prepare", ".", "--out", "store", "--max-megapixels", "nan"],
            "--max-megapixels: expected a finite number above 0, found nan",
        ),
        (["preview", "nowhere"], "no crop store at nowhere"),
        (["make-mini", "mini", "--compression", "c32"], "unknown compression of FF++-mini 'c32'"),
        (["make-mini", "mini", "--compression", ""], "give some of raw, c23, c40"),
    ],
)
def test_what_is_wrong_with_a_call_is_one_line_with_exit_code_2(bench, words, message, tmp_path):
    code, out, err = bench("data", *words)
    assert (code, out) == (2, "")
    assert err.startswith("bench: ")
    assert err.count("\n") == 1
    assert message in err
    assert list(tmp_path.iterdir()) == []
