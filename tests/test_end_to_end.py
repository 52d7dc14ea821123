"""From a FaceForensics++ tree on disk to a report: make-mini, check, prepare with the real detector, run."""

import json

import pandas as pd

from fretal_bench.benchmark.runner.results import load_results
from fretal_bench.datasets.ffpp_mini.tree import make_mini
from fretal_bench.datasets.store.store import CropStore
from tests_support import recipe_options

# Two pairs of train, a pair of validation and of test people, with their partners.
PEOPLE = [0, 14, 1, 15, 28, 30, 32, 36]


def test_a_download_becomes_a_stream_without_editing_a_file(bench, tmp_path):
    root, store = tmp_path / "ffpp", tmp_path / "stores" / "c23"
    make_mini(root, ("c23",), PEOPLE)

    code, out, _ = bench("data", "check", root, "--json")
    answer = json.loads(out)
    assert "ffpp" in json.dumps(answer)
    assert "bench data prepare" in answer["command"]
    # Fewer videos than the official data set is no error; nothing else is wrong with these.
    assert not [finding for finding in answer["findings"] if finding["severity"] == "error"]
    assert code == 0

    options = {"--out": store, "--frames": 4, "--size": 64, "--compression": "c23", "--jobs": 1}
    code, _, err = bench("data", "prepare", root, *(word for pair in options.items() for word in pair))
    assert code == 0, err
    index = CropStore.open(store).index
    assert index.groupby("method").size().to_dict() == dict.fromkeys(
        ["Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures", "real"], 4 * len(PEOPLE)
    )
    assert (index["label"] == (index["method"] != "real")).all()

    words = ("run", "--strategies", "fretal,ewc", "--stream", "ffpp-hq", "--data", store, "--jobs", 1)
    code, _, err = bench(*words, *recipe_options())
    assert code == 0, err
    results = load_results(tmp_path / "results" / "ffpp-hq-mini")
    assert [cell.label for cell in results.cells] == ["fretal/cored", "ewc"]
    scores = pd.concat([cell.scores for cell in results.cells])
    assert scores["domain"].nunique() == 4
    assert scores["video"].str.startswith("ffpp/").all()
    # Two test people, four frames, real and fake, at each of five steps, in both cells.
    assert len(scores) == 2 * 5 * 4 * 2 * (2 * 4)

    video = next((root / "manipulated_sequences" / "Deepfakes" / "c23" / "videos").glob("*.mp4"))
    code, out, _ = bench("predict", results.cells[0].path, video, "--frames", 3, "--json")
    (prediction,) = json.loads(out)["files"]
    assert code == 0
    assert 0 <= prediction["score"] <= 1
    assert len(prediction["faces"][0]["frames"]) == 3
