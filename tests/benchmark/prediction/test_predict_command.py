"""``bench export`` and ``bench predict`` as they are typed: files that people read, own weights, Ctrl-C."""

import base64
import csv
import dataclasses
import html
import json
import re
import shutil

import cv2
import numpy as np
import pytest
import torch

from fretal_bench.benchmark.detectors.record import read_record, write_record
from fretal_bench.benchmark.prediction.addresses import cell_at
from fretal_bench.benchmark.prediction.trained import open_trained
from fretal_bench.benchmark.runner.results import load_results
from fretal_bench.benchmark.runner.run import run
from fretal_bench.datasets.ffpp_mini.photographs import people
from fretal_bench.metrics.detection import accuracy, auc
from tests_support import TINY, tiny_stream


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Three strategies along two domains."""
    folder = tmp_path_factory.mktemp("results")
    stream = tiny_stream(folder, domains=2)
    run(("finetuning", "icarl", "zero-shot"), str(stream), changes={"recipe": TINY}, out=folder / "r")
    return folder / "r"


def cell_of(results, strategy):
    return next(cell for cell in load_results(results).cells if cell.strategy == strategy)


@pytest.fixture(scope="module")
def media(tmp_path_factory):
    """A folder with a face, two faces, a file that is no video, and a text."""
    folder = tmp_path_factory.mktemp("media") / "in"
    folder.mkdir()
    faces = [
        cv2.resize(people()[n].frames[0], None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC) for n in (0, 14)
    ]
    framed = [
        np.pad(np.repeat(face[:, :, None], 3, 2), ((60, 60), (60, 60), (0, 0)), "edge") for face in faces
    ]
    cv2.imwrite(str(folder / "<one> & only.png"), framed[0])
    cv2.imwrite(str(folder / "two.png"), np.hstack(framed))
    (folder / "bad.mp4").write_text("no video")
    (folder / "notes.txt").write_text("")
    return folder


@pytest.fixture(scope="module")
def exported(results, tmp_path_factory):
    """The detector of fine-tuning as safetensors."""
    from fretal_bench.benchmark.prediction.exporting import export_trained

    return export_trained(cell_of(results, "finetuning").path, f"{tmp_path_factory.mktemp('out')}/")


@pytest.fixture
def uncalibrated(exported, tmp_path):
    """The same weights, with a record of no temperature and no threshold."""
    weights = shutil.copy(exported.weights, tmp_path / "u.safetensors")
    write_record(tmp_path / "u.json", dataclasses.replace(exported.content, threshold=None, temperature=1.0))
    return weights


def scores(out):
    return {entry["file"].rpartition("/")[2]: entry["score"] for entry in json.loads(out)["files"]}


def test_a_cell_its_last_step_and_its_exported_file_judge_alike(bench, results, exported, media, tmp_path):
    cell = cell_of(results, "finetuning")
    step = results.parent / "steps" / "steps" / json.loads((cell.path / "cell.json").read_text())["steps"][-1]
    judged = {}
    for detector in (cell.path, step, exported.weights):
        code, out, err = bench("predict", detector, media, "--json")
        assert code == 1
        assert err == "bench: 1 file in folders left out that are no pictures or videos (1 .txt)\n"
        judged[detector] = json.loads(out)
        assert judged[detector]["detector"]["trained_on"] == ["D0", "D1"]
    first, *others = (scores(json.dumps(value)) for value in judged.values())
    assert list(first) == ["<one> & only.png", "bad.mp4", "two.png"]
    assert first["bad.mp4"] is None
    for other in others:
        for name in ("<one> & only.png", "two.png"):
            assert other[name] == pytest.approx(first[name], abs=1e-4)


def test_a_cell_is_named_by_its_results_strategy_and_seed(bench, results, media, tmp_path):
    for name in ("icarl:0", "icarl", "finetuning:0"):
        assert cell_at(f"{results}:{name}") == cell_of(results, name.partition(":")[0]).path
    assert cell_at(results / "nowhere:icarl") == results / "nowhere:icarl"
    picture = media / "two.png"
    by_name = scores(bench("predict", f"{results}:finetuning:0", picture, "--json").out)
    assert by_name == scores(bench("predict", cell_of(results, "finetuning").path, picture, "--json").out)
    for name, message in (
        ("icrl:0", "unknown strategy 'icrl'; did you mean 'icarl'"),
        ("icarl:3", "expected one cell, found 0; give"),
    ):
        code, out, err = bench("predict", f"{results}:{name}", picture)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert message in err


def test_what_is_exported_says_what_it_learned_and_was_measured_to_do(results, exported):
    cell = cell_of(results, "finetuning")
    record = exported.content
    assert [part.domain for part in record.trained_on] == ["D0", "D1"]
    assert record.trained_on[1].kinds == ("tiny/m1/none", "tiny/real/none")
    store = json.loads((results.parent / "store" / "store.json").read_text())
    assert {part.store for part in record.trained_on} == {store["checksum"]}
    assert (record.crop.size, record.crop.margin, record.crop.detector) == (
        32,
        store["margin"],
        store["detector"],
    )
    last = cell.scores[cell.scores["step"] == 1]
    for part in record.measured:
        mine = last[last["domain"] == part.domain]
        assert part.samples == len(mine)
        assert part.accuracy == accuracy(mine["label"].to_numpy(), mine["score"].to_numpy())
        assert part.auc == auc(mine["label"].to_numpy(), mine["score"].to_numpy())
    assert record.step == json.loads((cell.path / "cell.json").read_text())["steps"][-1]
    assert "data sets that it learned from hold: tiny" in record.licence
    fitted = cell.calibration()[-1]
    assert fitted.temperature is not None
    assert (record.temperature, record.threshold) == fitted.for_detector()


def test_an_earlier_step_knows_its_domains_by_the_result_folders_that_use_the_pool(results):
    steps = json.loads((cell_of(results, "finetuning").path / "cell.json").read_text())["steps"]
    pool = results.parent / "steps" / "steps"
    # After the source model was adopted.
    early = open_trained(pool / steps[2]).record()
    assert [part.domain for part in early.trained_on] == ["D0"]
    cell = cell_of(results, "finetuning")
    at_first = cell.scores[(cell.scores["step"] == 0) & (cell.scores["domain"] == "D1")]
    assert early.measured[1].auc == auc(at_first["label"].to_numpy(), at_first["score"].to_numpy())
    assert (early.temperature, early.threshold) == cell.calibration()[0].for_detector()


def test_a_source_model_is_measured_by_a_strategy_that_judges_as_it_does(results):
    pool = results.parent / "steps" / "steps"
    by_strategy = {cell.strategy: cell for cell in load_results(results).cells}
    ids = json.loads((by_strategy["icarl"].path / "cell.json").read_text())["steps"]
    source = open_trained(pool / ids[1])
    assert source.info.name == "source"
    # Class means judge otherwise.
    assert source.past.cell != by_strategy["icarl"].path
    assert [part.domain for part in source.record().trained_on] == ["D0"]
    early = by_strategy["finetuning"].scores
    mine = early[(early["step"] == 0) & (early["domain"] == "D0")]
    assert source.record().measured[0].auc == auc(mine["label"].to_numpy(), mine["score"].to_numpy())
    assert open_trained(pool / ids[2]).past.cell == by_strategy["icarl"].path


def test_a_source_model_that_is_never_adapted_was_trained_on_the_first_domain_alone(results):
    assert [part.domain for part in open_trained(cell_of(results, "zero-shot").path).past.learned] == ["D0"]


def test_a_rule_that_is_no_plain_classifier_is_refused_as_weights_and_goes_as_a_graph(
    bench, results, tmp_path
):
    cell = cell_of(results, "icarl").path
    code, out, err = bench("export", cell, "--out", "x.safetensors")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("bench: icarl judges by a rule of its own")
    assert list(tmp_path.iterdir()) == []
    code, out, _ = bench("export", cell, "--format", "torchscript", "--out", "made/")
    assert code == 0
    assert sorted(path.name for path in (tmp_path / "made").iterdir()) == [
        "icarl-seed0.json",
        "icarl-seed0.md",
        "icarl-seed0.torchscript",
    ]
    assert "accuracy on test samples: D0 " in out
    code, _, err = bench("predict", "made/icarl-seed0.torchscript", "made")
    assert code == 2
    assert "is a program" in err


def test_weights_of_ones_own_judge_as_the_detector_that_they_were(
    bench, exported, uncalibrated, media, tmp_path
):
    from safetensors.torch import load_file

    torch.save(
        {"state_dict": {f"module.{k}": v for k, v in load_file(exported.weights).items()}}, tmp_path / "w.pth"
    )
    name = "<one> & only.png"
    expected = scores(bench("predict", uncalibrated, media / name, "--json").out)[name]
    words = [
        "w.pth",
        media / name,
        "--backbone",
        "test_byobnet",
        "--mean",
        "0.5",
        "--std",
        "0.5",
        "--size",
        "32",
    ]
    code, out, _ = bench("predict", *words, "--json")
    assert code == 0
    assert scores(out)[name] == pytest.approx(expected, abs=1e-4)
    (note,) = [line for line in json.loads(out)["detector"]["notes"] if "margin" in line]
    assert "1.3 times the face box is taken; state --margin" in note
    swapped = scores(bench("predict", *words, "--margin", "1.3", "--fake", "0", "--json").out)[name]
    assert swapped == pytest.approx(1 - expected, abs=1e-4)
    for wrong, message in (
        (["w.pth", media / name], "key 'backbone'"),
        ([*words[:2], "--mean", "a,b"], "--mean: expected one number or three"),
    ):
        code, _, err = bench("predict", *wrong)
        assert code == 2
        assert message in err


def test_what_a_cell_knows_itself_is_not_stated(bench, results, media):
    cell = cell_of(results, "finetuning").path
    for words, message in (
        (["--backbone", "resnet18"], "--backbone is stated of weights of your own"),
        (["--margin", "2"], "leave --margin out"),
    ):
        code, out, err = bench("predict", cell, media, *words)
        assert (code, out) == (2, "")
        assert message in err


def test_a_threshold_and_a_temperature_of_the_record_decide(bench, exported, uncalibrated, media, tmp_path):
    weights = shutil.copy(exported.weights, tmp_path / "d.safetensors")
    name = "<one> & only.png"
    (before,) = json.loads(bench("predict", uncalibrated, media / name, "--json").out)["files"]
    for threshold, decision in ((0.0, "fake"), (1.0, "real")):
        write_record(
            tmp_path / "d.json", dataclasses.replace(exported.content, threshold=threshold, temperature=2.0)
        )
        said = json.loads(bench("predict", weights, media / name, "--json").out)
        (after,) = said["files"]
        assert after["decision"] == decision
        p = before["score"]
        assert after["score"] == pytest.approx(1 / (1 + ((1 - p) / p) ** 0.5), abs=1e-4)
        assert said["detector"]["threshold_fitted"]
    out = bench("predict", weights, media / name).out
    assert "decision: fake where P(fake) >= 1 (fitted on validation data)" in out


def test_a_csv_has_a_row_a_face_and_one_for_what_has_none(bench, results, media, tmp_path):
    cell = cell_of(results, "finetuning").path
    code, out, _ = bench("predict", cell, media, "--csv", "out.csv", "--json")
    assert code == 1
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    files = {entry["file"]: entry for entry in json.loads(out)["files"]}
    assert [(row["file"], row["face"]) for row in rows] == [
        (path, str(number)) if entry["faces"] else (path, "")
        for path, entry in files.items()
        for number in range(1, max(1, len(entry["faces"])) + 1)
    ]
    assert any(row["face"] == "2" for row in rows)
    for row in rows:
        entry = files[row["file"]]
        if entry["score"] is None:
            assert (row["score"], row["reason"]) == ("", entry["reason"])
            continue
        face = entry["faces"][int(row["face"]) - 1]
        assert float(row["score"]) == pytest.approx(entry["score"], abs=1e-6)
        assert float(row["face_score"]) == pytest.approx(face["score"], abs=1e-6)
        assert [float(row[side]) for side in ("left", "top", "right", "bottom")] == face["frames"][0]["box"]


def test_a_page_shows_every_face_and_escapes_names(bench, uncalibrated, media, tmp_path):
    assert bench("predict", uncalibrated, media, "--html", "out.html").code == 1
    text = (tmp_path / "out.html").read_text("utf-8")
    pictures = re.findall(r'alt="Face \d, P\(fake\) [\d.]+".*?base64,([A-Za-z0-9+/=]+)"', text, re.DOTALL)
    assert len(pictures) == 3
    assert cv2.imdecode(np.frombuffer(base64.b64decode(pictures[0]), np.uint8), 1).shape == (32, 32, 3)
    assert html.escape("<one> & only.png") in text
    assert "<one>" not in text
    assert "D0, D1" in text
    assert "no threshold was fitted" in text
    assert "http" not in text.replace("http-equiv", "")
    assert text.rstrip().endswith("</html>")
    assert "judged 2 of 3 files" in text


def test_the_table_ends_with_what_the_numbers_are_of(bench, results, uncalibrated, media):
    code, out, err = bench("predict", uncalibrated, media)
    assert code == 1
    assert "trained on D0, D1: a fake of another kind may look real to it" in out
    assert "decision: fake where P(fake) >= 0.5 (none was fitted on validation data)" in out
    assert re.search(
        r"judged 2 of 3 files in [\d.]+ s: \d fake, \d real; not judged: 1 it cannot be decoded", out
    )
    assert "1 file in folders left out that are no pictures or videos (1 .txt)" in err
    of_cell = bench("predict", cell_of(results, "finetuning").path, media).out
    _, threshold = cell_of(results, "finetuning").calibration()[-1].for_detector()
    assert f"decision: fake where P(fake) >= {threshold:.3g} (fitted on validation data)" in of_cell


def test_ctrl_c_prints_and_writes_what_was_judged(bench, results, media, tmp_path, monkeypatch):
    from fretal_bench.benchmark.prediction import predict as module

    judge_one = module._predict

    def interrupted(detector, file, finder, looking):
        if file.name == "two.png":
            raise KeyboardInterrupt
        return judge_one(detector, file, finder, looking)

    monkeypatch.setattr(module, "_predict", interrupted)
    cell = cell_of(results, "finetuning").path
    code, out, err = bench("predict", cell, media, "--json", "--csv", "o.csv", "--html", "o.html")
    assert code == 130
    assert "stopped after 2 of 3 files; what was judged is printed and written" in err
    assert [entry["score"] is None for entry in json.loads(out)["files"]] == [False, True]
    assert len((tmp_path / "o.csv").read_text("utf-8").splitlines()) == 3
    assert (tmp_path / "o.html").read_text("utf-8").rstrip().endswith("</html>")
    # Nothing is written of nothing.
    monkeypatch.setattr(module, "_predict", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    code, out, err = bench("predict", cell, media, "--json", "--csv", "p.csv")
    assert (code, out) == (130, "")
    assert "stopped after 0 of 3 files\n" in err
    assert not (tmp_path / "p.csv").exists()


def test_a_record_of_other_weights_is_not_believed(bench, exported, media, tmp_path):
    for path in (exported.weights, exported.record):
        shutil.copy(path, tmp_path / f"d{path.suffix}")
    content = bytearray((tmp_path / "d.safetensors").read_bytes())
    content[-1] ^= 1
    (tmp_path / "d.safetensors").write_bytes(content)
    code, _, err = bench("predict", "d.safetensors", media)
    assert code == 2
    assert "the record goes with other weights" in err
    assert read_record(tmp_path / "d.json").sha256.keys() == {"safetensors"}


@pytest.mark.slow
def test_an_onnx_file_judges_as_the_cell(bench, results, media, tmp_path):
    pytest.importorskip("onnxruntime", reason="ONNX needs the extra onnx, which is not installed")
    pytest.importorskip("onnxscript", reason="ONNX needs the extra onnx, which is not installed")
    cell = cell_of(results, "icarl").path
    assert bench("export", cell, "--format", "onnx", "--out", "d.onnx").code == 0
    expected = scores(bench("predict", cell, media, "--json").out)
    judged = scores(bench("predict", "d.onnx", media, "--json").out)
    for name in ("<one> & only.png", "two.png"):
        assert judged[name] == pytest.approx(expected[name], abs=1e-4)
    (tmp_path / "d.onnx").write_bytes(b"no graph")
    (tmp_path / "d.json").unlink()
    code, _, err = bench("predict", "d.onnx", media)
    assert (code, err.count("\n")) == (2, 1)
    assert "onnxruntime cannot read it" in err
