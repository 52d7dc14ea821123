"""The record beside a detector's weights: written and read back, and what is refused of one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fretal_bench.benchmark.detectors.record import (
    CropRule,
    DetectorRecord,
    Learned,
    Measured,
    read_record,
    record_of,
    record_path,
    write_record,
)
from fretal_bench.errors import BenchError
from fretal_bench.files import sha256

HALF = (0.5, 0.5, 0.5)


def _full() -> DetectorRecord:
    return DetectorRecord(
        backbone="resnet18",
        arguments={"in_chans": 3},
        outputs=1,
        fake=0,
        mean=(0.4, 0.5, 0.6),
        std=HALF,
        image_size=64,
        crop=CropRule(96, 1.3, "mtcnn"),
        trained_on=(Learned("DF", ("ffpp/Deepfakes/c23", "ffpp/real/c23"), 120),),
        measured=(Measured("DF", 40, 0.9, 0.8), Measured("reals", 10, None, 1.0, 0.25)),
        strategy="fretal",
        seed=0,
        recipe={"backbone": "resnet18"},
        licence="for research alone",
    )


def test_a_record_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    path = record_path(tmp_path / "detector.safetensors")
    write_record(path, _full())
    assert path.name == "detector.json"
    assert read_record(path) == _full()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"format": 2}, "format 1, found 2"),
        ({"format": None}, "format 1, found none"),
        ({"backbon": "resnet18"}, "backbon"),
        ({"fake": 2}, "fake"),
        ({"outputs": 3}, "outputs"),
        ({"mean": [0.5, 0.5]}, "mean"),
        ({"mean": [124.0, 117.0, 104.0]}, "mean"),
        ({"std": [0.0, 0.5, 0.5]}, "std"),
        ({"model": "net.py:build"}, "backbone"),
        ({"crop": {"size": 0, "margin": 1.3}}, "crop.size"),
        ({"sha256": {"safetensors": "abc"}}, "sha256.safetensors"),
        ({"measured": [{"domain": "DF", "samples": 3, "auc": 1.5}]}, "auc"),
    ],
)
def test_a_wrong_record_is_one_line_that_names_file_and_key(
    tmp_path: Path, change: dict[str, Any], named: str
) -> None:
    path = tmp_path / "detector.json"
    write_record(path, _full())
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(BenchError) as error:
        read_record(path)
    assert str(path) in str(error.value)
    assert named in str(error.value)
    assert "\n" not in str(error.value)


def test_a_record_of_other_weights_is_refused_and_both_may_be_renamed(tmp_path: Path) -> None:
    weights = tmp_path / "mine.safetensors"
    assert record_of(weights) is None
    weights.write_bytes(b"tensors")
    values = {**_full().__dict__, "sha256": {"safetensors": sha256(weights)}}
    record = DetectorRecord(**values)
    write_record(record_path(weights), record)
    assert record_of(weights) == record
    moved = weights.rename(tmp_path / "renamed.safetensors")
    record_path(weights).rename(record_path(moved))
    assert record_of(moved) == record
    moved.write_bytes(b"others")
    with pytest.raises(BenchError, match="goes with other weights"):
        record_of(moved)
