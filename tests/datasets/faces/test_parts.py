"""Finished parts of a store in the making: read back as they were, or made again."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fretal_bench.datasets.faces.parts import Part, VideoPart, new_part
from fretal_bench.datasets.faces.reasons import Failure
from fretal_bench.datasets.media.reasons import Cause, Reason

SIZE = 4


@pytest.fixture
def stem(tmp_path: Path) -> Path:
    video = VideoPart(3, [0, 7], [Failure("a.mp4", -1, Cause(Reason.CUT, "9 of 12"))], "own")
    with new_part(tmp_path / "part") as part:
        for value in (1, 2):
            part.add(np.full((SIZE, SIZE, 3), value, np.uint8))
        part.videos = [video]
    return tmp_path / "part"


def test_a_part_reads_back_as_it_was(stem: Path) -> None:
    part = Part.open(stem, SIZE)
    assert part is not None
    (video,) = part.videos
    assert (video.number, video.frames, video.boxes) == (3, [0, 7], "own")
    assert video.failures == [Failure("a.mp4", -1, Cause(Reason.CUT, "9 of 12"))]
    assert part.crops(3, SIZE)[:, 0, 0, 0].tolist() == [1, 2]


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "",
        lambda text: "{",
        lambda text: "null",
        lambda text: "[" * 100_000,
        lambda text: json.dumps({"0": json.loads(text)[0]}),
        lambda text: text.replace('"number"', '"nubmer"'),
        lambda text: text.replace("[0, 7]", '["0", 7]'),
        lambda text: text.replace("[0, 7]", "7"),
        lambda text: text.replace("[0, 7]", "[0]"),
        lambda text: text.replace("cut short", "because"),
        lambda text: text.replace('"own"', '"mine"'),
    ],
)
def test_a_part_whose_description_is_damaged_is_not_there(stem: Path, change: Callable[[str], str]) -> None:
    place = stem.with_suffix(".json")
    place.write_text(change(place.read_text()))
    assert Part.open(stem, SIZE) is None


@pytest.mark.parametrize("suffix", [".json", ".crops"])
@pytest.mark.parametrize("put", [os.mkfifo, os.mkdir, lambda path: os.symlink(path.name, path)])
def test_what_is_no_regular_file_is_no_part(stem: Path, suffix: str, put: Callable[[Path], None]) -> None:
    stem.with_suffix(suffix).unlink()
    put(stem.with_suffix(suffix))
    assert Part.open(stem, SIZE) is None
