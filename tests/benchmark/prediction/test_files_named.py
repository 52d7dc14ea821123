"""What a call of ``bench predict`` names is found, or refused, before anything slow is imported."""

import os
import subprocess
import sys

import pytest

from fretal_bench.benchmark.prediction.inputs import files_to_judge, kind_of_detector
from fretal_bench.errors import BenchError


@pytest.fixture
def tree(tmp_path):
    for name in (
        "b/two.MP4",
        "b/one.png",
        "a.jpg",
        "notes.txt",
        "b/list.csv",
        ".hidden.png",
        ".git/x.png",
        "c/d.webm",
    ):
        (tmp_path / "t" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "t" / name).touch()
    return tmp_path / "t"


def named(tree, *words):
    return [os.path.relpath(path, tree) for path in files_to_judge(words).files]


def test_of_a_folder_pictures_and_videos_are_taken_by_name_and_the_rest_is_counted(tree):
    assert named(tree, tree) == ["a.jpg", "b/one.png", "b/two.MP4", "c/d.webm"]
    found = files_to_judge([tree])
    assert found.left_out == {".txt": 1, ".csv": 1}
    assert (
        found.left_out_words == "2 files in folders left out that are no pictures or videos (1 .csv, 1 .txt)"
    )
    assert files_to_judge([tree / "a.jpg"]).left_out_words == ""


def test_patterns_and_files_of_any_name_are_taken_each_once(tree):
    assert named(tree, f"{tree}/**/*.png", tree / "b", tree / "notes.txt") == [
        "b/one.png",
        "b/two.MP4",
        "notes.txt",
    ]


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(tree):
    (tree / "a[1].png").touch()
    assert named(tree, tree / "a[1].png") == ["a[1].png"]


@pytest.mark.parametrize("word", ["nothing", "no/*.png", "empty"])
def test_what_names_no_file_is_refused(tree, word):
    (tree / "empty").mkdir()
    with pytest.raises(BenchError, match=word.replace("*", r"\*")):
        files_to_judge([tree / "a.jpg", tree / word])


def test_detectors_are_told_apart_by_what_is_there(tree):
    cell, step = tree / "cell", tree / "step"
    for folder, name in ((cell, "cell.json"), (step, "step.json")):
        folder.mkdir()
        (folder / name).touch()
    for name in ("d.onnx", "d.safetensors", "d.pth", "d.torchscript", "d.doc"):
        (tree / name).touch()
    kinds = [kind_of_detector(tree / name) for name in ("cell", "step", "d.onnx", "d.safetensors", "d.pth")]
    assert kinds == ["cell", "step", "onnx", "weights", "weights"]
    with pytest.raises(BenchError, match="is a program, and nothing that is loaded is executed here"):
        kind_of_detector(tree / "d.torchscript")
    for name in ("d.doc", "nothing"):
        with pytest.raises(
            BenchError, match=r"expected a detector, found .*; give results/NAME:STRATEGY:SEED or "
        ):
            kind_of_detector(tree / name)


def test_a_wrong_path_is_refused_without_importing_torch(tree):
    program = (
        "import sys; from fretal_bench.cli.main import main\n"
        "sys.argv = ['bench', *sys.argv[1:]]\n"
        "try:\n    main()\nfinally:\n    print(sorted({'torch', 'avalanche', 'cv2', 'numpy'} & sys.modules.keys()))\n"
    )
    for words in (["nowhere", "a.jpg"], [".", "nothing.mp4"], ["d.onnx", "x/*.png"]):
        (tree / "d.onnx").touch()
        done = subprocess.run(
            [sys.executable, "-c", program, "predict", *words],
            cwd=tree,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 2
        assert done.stderr.startswith("bench: ")
        assert done.stderr.count("\n") == 1
        assert done.stdout == "[]\n"
