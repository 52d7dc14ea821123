"""``bench data`` as a person types it: output, exit codes, JSON, one line for what is wrong."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from fretal_bench.cli.data import data
from fretal_bench.errors import BenchError


@pytest.fixture
def bench(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def call(*words):
        return CliRunner().invoke(data, [str(word) for word in words])

    return call


PREPARE = ("--out", "store", "--frames", 10, "--size", 32, "--jobs", 1)


def test_check_ends_with_the_command_that_prepare_takes(bench, mini, detector, tmp_path):
    looked = bench("check", mini)
    assert looked.exit_code == 0
    for word in ("FaceForensics++", "NeuralTextures", "2 of 720", "source: FaceForensics repository"):
        assert word in looked.output
    command = looked.output.strip().splitlines()[-1].split()
    assert command[:3] == ["bench", "data", "prepare"]
    made = bench(*command[2:], "--jobs", 1, "--frames", 10)
    assert made.exit_code == 0, made.exception
    assert "200 crops of 128 px from 20 videos" in made.output
    assert "faces looked for in 4 videos; 16 fakes share their original's" in made.output
    assert (tmp_path / "stores" / "ffpp-c23" / "store.json").exists()


def test_check_tells_faults_with_exit_code_1_and_as_json(bench, tree):
    (tree / "original_sequences/youtube/c23/videos/000.mp4").write_bytes(b"")
    told = bench("check", tree, "--json", "--hash")
    assert told.exit_code == 1
    answer = json.loads(told.stdout)
    assert answer["errors"] >= 1
    assert answer["checksums"]["written"]
    assert bench("check", tree, "--hash").exit_code == 1


def test_prepare_tells_what_was_lost_with_exit_code_1_and_is_there_the_second_time(bench, tree, detector):
    (tree / "manipulated_sequences/FaceSwap/c23/videos/000_014.mp4").write_bytes(b"")
    first = bench("prepare", tree, *PREPARE)
    assert first.exit_code == 1
    for word in (
        "190 crops",
        "Counted in store.json",
        "it cannot be decoded",
        "000_014.mp4",
        "bench data preview",
    ):
        assert word in first.output
    again = bench("prepare", tree, *PREPARE, "--json")
    assert again.exit_code == 1
    answer = json.loads(again.stdout)
    assert (answer["made"], answer["crops"], answer["lost_videos"]) == (False, 190, 1)
    assert answer["failures"][0]["reason"] == "it cannot be decoded"


def test_preview_draws_what_prepare_made(bench, mini, detector, tmp_path):
    assert bench("prepare", mini, *PREPARE).exit_code == 0
    drawn = bench("preview", "store", "--out", "sheet.png")
    assert drawn.output == "Contact sheet: sheet.png\n"
    assert (tmp_path / "sheet.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads(bench("preview", "store", "--json").stdout) == {"picture": "preview.png"}


def test_make_mini_says_how_much_is_there(bench, mini, monkeypatch):
    from fretal_bench.datasets.ffpp_mini import tree as module

    plain = module.make_mini
    monkeypatch.setattr(
        module, "make_mini", lambda root, levels, progress: plain(root, levels, (0, 14, 28, 30))
    )
    told = bench("make-mini", mini, "--compression", "c23")
    assert told.exit_code == 0
    assert "0 videos written, 20 were there" in told.output
    assert json.loads(bench("make-mini", mini, "--compression", "c23", "--json").stdout)["there"] == 20


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["check", "nowhere"], "nowhere: expected a data set"),
        (["check", ".", "--as", "ffp"], "unknown data set layout 'ffp'; did you mean 'ffpp'"),
        (["prepare", "nowhere", "--out", "store"], "nowhere: expected a data set"),
        (["prepare", ".", "--out", "store", "--on-missing", "stop"], "unknown way for missing faces 'stop'"),
        (["prepare", ".", "--out", "store", "--splits", "odd"], "unknown kind of split 'odd'"),
        (["preview", "nowhere"], "no crop store at nowhere"),
        (["make-mini", "mini", "--compression", "c32"], "unknown compression of FF++-mini 'c32'"),
        (["make-mini", "mini", "--compression", ""], "give some of raw, c23, c40"),
    ],
)
def test_what_is_wrong_with_a_call_is_raised_as_one_line_for_main_to_print(bench, words, message, tmp_path):
    error = bench(*words).exception
    assert isinstance(error, BenchError)
    assert error.exit_code == 2
    assert message in str(error)
    assert "\n" not in str(error)
    assert list(tmp_path.iterdir()) == []


def test_help_imports_nothing_slow():
    script = (
        "import sys; from fretal_bench.cli.data import data\n"
        "try: data(['--help'])\n"
        "except SystemExit: pass\n"
        "sys.exit(str({'torch', 'cv2', 'pandas', 'av', 'matplotlib'} & set(sys.modules) or ''))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stderr.strip() == ""
    for command in ("check", "prepare", "preview", "make-mini"):
        assert command in done.stdout
