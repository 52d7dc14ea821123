"""The ``bench predict`` command: videos and images judged by a trained detector."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fretal_bench.cli.options import (
    JsonOption,
    MaxFramesOption,
    MaxMegapixelsOption,
    MaxMinutesOption,
    PluginOption,
)
from fretal_bench.cli.screen import print_json, print_rows
from fretal_bench.datasets.media.limits import MAX_FRAMES, MAX_MEGAPIXELS, MAX_MINUTES, MediaLimits
from fretal_bench.errors import BenchError
from fretal_bench.records import Invalid

if TYPE_CHECKING:
    from fretal_bench.benchmark.runner.predict import Prediction


def predict(
    cell: Annotated[Path, typer.Argument(help="A done cell: results/NAME/cells/ID.")],
    files: Annotated[list[Path], typer.Argument(help="Videos and images.")],
    frames: Annotated[int, typer.Option(min=1, help="Frames of a video to look at.")] = 16,
    detector: Annotated[str, typer.Option(help="Finds faces: mtcnn or yunet.")] = "mtcnn",
    detector_model: Annotated[Path | None, typer.Option(help="YuNet's model file.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    max_megapixels: MaxMegapixelsOption = MAX_MEGAPIXELS,
    max_frames: MaxFramesOption = MAX_FRAMES,
    max_minutes: MaxMinutesOption = MAX_MINUTES,
    plugin: PluginOption = None,
    json_: JsonOption = False,
) -> None:
    """Say of each file how likely it is fake, and which face was looked at; exit code 1 if a file cannot be judged."""
    from fretal_bench.benchmark.runner.predict import FakeDetector
    from fretal_bench.benchmark.runner.predict import predict as judge

    limits = _limits(max_megapixels, max_frames, max_minutes)
    fake_detector = FakeDetector(cell, device)
    predictions = list(
        judge(fake_detector, files, frames=frames, faces=detector, faces_model=detector_model, limits=limits)
    )
    if json_:
        print_json([dataclasses.asdict(prediction) for prediction in predictions])
    else:
        print_rows([_row(prediction) for prediction in predictions])
    if any(prediction.score is None for prediction in predictions):
        sys.exit(1)


def _limits(megapixels: float, frames: int, minutes: float) -> MediaLimits:
    try:
        return MediaLimits(megapixels, frames, minutes)
    except Invalid as error:
        option = f"--{error.key.replace('_', '-')}"
        raise BenchError(f"{option}: expected {error.expected}, found {error.found!r}") from error


def _row(prediction: Prediction) -> dict[str, str]:
    score, frames, face = "-", 0, prediction.reason
    if prediction.score is not None:
        score, frames = f"{prediction.score:.3f}", len(prediction.frames)
        face = ", ".join(f"{value:.0f}" for value in prediction.frames[0].box)
        if prediction.note:
            face = f"{face}; {prediction.note}"
    return {
        "file": prediction.file,
        "P(fake)": score,
        "frames": str(frames),
        "face in the first (left, top, right, bottom)": face,
    }
