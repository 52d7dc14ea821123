"""What is fitted on a cell's validation samples after each step, where it is stored, and what of it is believed."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from fretal_bench.benchmark.runner.cell_calibration import (
    NAME,
    StepCalibration,
    ValidationSteps,
    calibrate,
    calibration_after,
)
from fretal_bench.benchmark.runner.inspection import inspect
from fretal_bench.benchmark.runner.results import load_results
from fretal_bench.benchmark.runner.run import run
from fretal_bench.benchmark.runner.seals import seal
from fretal_bench.errors import BenchError
from fretal_bench.metrics.calibration import best_threshold, fit_temperature
from tests_support import TINY, tiny_stream


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run of one cell."""
    path = tmp_path_factory.mktemp("run")
    run(["finetuning"], str(tiny_stream(path)), changes={"recipe": TINY}, jobs=1, out=path / "r")
    return path


@pytest.fixture
def folder(finished, tmp_path):
    """A copy of it, to be spoilt, with the pool beside it."""
    for name in ("r", "steps"):
        shutil.copytree(finished / name, tmp_path / name)
    return tmp_path / "r"


def only_cell(folder):
    (cell,) = load_results(folder).cells
    return cell


def rewrite(folder, change):
    """Change what is stored, and seal the cell again."""
    place = only_cell(folder).path / NAME
    values = json.loads(place.read_text())
    change(values)
    place.write_text(json.dumps(values))
    reseal(place.parent)


def reseal(cell):
    (cell / "checksums.json").unlink()
    seal(cell)


def frame_of(*rows):
    """Validation scores: (step, domain, row, label, score) each."""
    frame = pd.DataFrame(rows, columns=["step", "domain", "row", "label", "score"])
    frame["video"] = [
        f"set/{'fake' if label else 'real'}/none/{row // 2}" for row, label in frame[["row", "label"]].values
    ]
    return frame.astype({"score": np.float32})


def test_a_run_stores_what_the_validation_samples_of_the_domains_learned_so_far_give(folder):
    cell = only_cell(folder)
    assert (cell.path / NAME).exists()
    steps = cell.calibration()
    validation = pd.read_parquet(cell.path / "validation.parquet")
    names = list(dict.fromkeys(validation["domain"]))
    assert [step.domains for step in steps] == [tuple(names[: k + 1]) for k in range(len(names))]
    for step in steps:
        learned = validation[(validation["step"] == step.step) & validation["domain"].isin(step.domains)]
        labels, scores = learned["label"].to_numpy(), learned["score"].to_numpy(float)
        threshold = best_threshold(labels, scores, learned["domain"].to_numpy())
        temperature = fit_temperature(labels, scores, learned["domain"].to_numpy())
        assert step.threshold == threshold.value
        assert step.missing == ({"temperature": temperature.reason} if temperature.reason else {})
        if not temperature.reason:
            assert step.temperature == pytest.approx(temperature.value, rel=1e-5)
        assert set(step.own) == set(step.domains)
    assert not inspect(folder).faults


def test_results_of_earlier_versions_are_calibrated_when_they_are_read(folder):
    stored = only_cell(folder).calibration()
    (only_cell(folder).path / NAME).unlink()
    reseal(only_cell(folder).path)
    assert only_cell(folder).calibration() == stored
    assert not inspect(folder).faults


def test_what_was_not_written_with_the_cell_is_not_believed(folder):
    place = only_cell(folder).path / NAME
    place.write_text(place.read_text().replace("0.", "0.1", 1))
    with pytest.raises(BenchError, match=rf"{NAME}: not the file that was written"):
        only_cell(folder).calibration()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda v: v.update(format=2), "key 'format': expected 1, found 2"),
        (lambda v: v["steps"].pop(), "key 'steps': expected 3, found 2"),
        (lambda v: v["steps"].reverse(), "key 'steps': expected steps 0, 1, ..., found 2, 1, 0"),
        (lambda v: v["steps"][0].update(domains=v["steps"][2]["domains"]), r"key 'steps\[0\].domains'"),
        (lambda v: v["steps"][1].update(threshold=1.5), "threshold"),
        (lambda v: v["steps"][1].pop("threshold"), "threshold': expected a number, or a reason"),
        (lambda v: v["steps"][1]["own"].update(D9=0.5), "own.D9"),
        (lambda v: v.update(colour="red"), "unknown key 'colour'"),
    ],
)
def test_a_calibration_of_another_shape_is_refused_with_the_key(change, words, folder):
    rewrite(folder, change)
    with pytest.raises(BenchError, match=words) as caught:
        only_cell(folder).calibration()
    assert NAME in str(caught.value)


def test_doctor_finds_a_threshold_that_the_validation_samples_do_not_give(folder):
    rewrite(folder, lambda values: values["steps"][1].update(threshold=0.123))
    (fault,) = inspect(folder).faults
    assert "key 'steps[1].threshold': expected" in fault
    assert "found 0.123" in fault


def test_a_detector_takes_temperature_and_threshold_of_the_last_step(folder):
    cell = only_cell(folder)
    last = calibration_after(cell.path)
    assert last == cell.calibration()[-1]
    (cell.path / NAME).unlink()
    reseal(cell.path)
    assert calibration_after(cell.path) == last


def test_a_detectors_threshold_is_of_its_scores_after_temperature():
    random = np.random.default_rng(0)
    scores = random.random(50)
    step = StepCalibration(step=0, domains=("a",), reals=2, fakes=2, temperature=2.5, threshold=0.8)
    temperature, threshold = step.for_detector()
    after = 1 / (1 + ((1 - scores) / scores) ** (1 / 2.5))
    assert temperature == 2.5
    assert np.array_equal(after >= threshold, scores >= 0.8)
    none = StepCalibration(
        step=0, domains=(), reals=0, fakes=0, missing={"temperature": "no samples", "threshold": "no samples"}
    )
    assert none.for_detector() == (1, None)


def test_domains_that_are_not_learned_yet_or_have_no_validation_samples_take_no_part():
    scores = {0: [0.1, 0.3, 0.6, 0.9], 1: [0.2, 0.4, 0.3, 0.8]}
    frame = frame_of(
        *(
            (step, "b", row, row // 2, score)
            for step in (-1, 0, 1)
            for row, score in enumerate(scores[max(step, 0)])
        )
    )
    first, second = calibrate(frame, ["a", "b"])
    assert first.domains == ()
    assert (first.temperature, first.threshold, first.own) == (None, None, {})
    assert first.missing == {"temperature": "no samples", "threshold": "no samples"}
    assert second.domains == ("b",)
    assert second.threshold == pytest.approx(0.6)
    assert (second.reals, second.fakes) == (2, 2)


def test_a_real_of_several_domains_is_one_real():
    frame = frame_of(
        *((0, "a", row, 0, 0.1 * row) for row in range(4)),
        (0, "a", 10, 1, 0.9),
        *((1, name, row, 0, 0.1 * row) for name in "ab" for row in range(4)),
        *((1, name, row, 1, 0.9) for name, row in (("a", 10), ("b", 20))),
    )
    steps = ValidationSteps(frame, ["a", "b"])
    assert sorted(steps.different(1, 0)) == pytest.approx([0, 0.1, 0.2, 0.3])
    assert len(steps.different(1, 1)) == 2
    # Of videos: two frames each.
    assert sorted(ValidationSteps(frame, ["a", "b"], "video").different(1, 0)) == pytest.approx([0.05, 0.25])
