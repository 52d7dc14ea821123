"""P(fake) of one's own videos and images, by the detector that a cell ended with."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch

from fretal_bench.benchmark.recipes.augmentation import Augmentation
from fretal_bench.benchmark.recipes.device import resolve_device
from fretal_bench.benchmark.recipes.model import build_model
from fretal_bench.benchmark.recipes.recipe import recorded_recipe
from fretal_bench.benchmark.runner.documents import CellFile
from fretal_bench.benchmark.runner.folder import ResultFolder
from fretal_bench.benchmark.runner.pool import Pool
from fretal_bench.benchmark.runner.seals import Sealed, read_about
from fretal_bench.datasets.faces.boxes import FaceBox
from fretal_bench.datasets.faces.crops import Image, crop_face
from fretal_bench.datasets.faces.detector import Detector, open_detector
from fretal_bench.datasets.faces.frames import ImageFiles, Source, VideoFile, evenly
from fretal_bench.datasets.faces.search import choice_of, place_in, search
from fretal_bench.datasets.media.limits import MediaLimits
from fretal_bench.datasets.media.noise import kept_off
from fretal_bench.datasets.media.pictures import is_picture
from fretal_bench.datasets.media.reasons import Cause, Reason, Unreadable
from fretal_bench.errors import BenchError
from fretal_bench.plugins import is_file, name_and_version
from fretal_bench.strategies import life
from fretal_bench.strategies.batches import TensorSource
from fretal_bench.strategies.record import StrategyInfo
from fretal_bench.strategies.registry import find_strategy

_GIVE: Final = "give results/NAME/cells/ID of a finished `bench run`"


@dataclass(frozen=True)
class LookedAt:
    """One frame that was judged: its number, the face's box in pixels (left, top, right, bottom), P(fake)."""

    frame: int
    box: tuple[float, float, float, float]
    score: float


@dataclass(frozen=True)
class Prediction:
    """The judgement of one file.

    Args:
        file: The file.
        score: P(fake), the mean over the frames that were looked at; None if there is none.
        frames: The frames that were looked at.
        reason: Why there is no score; empty if there is one.
        note: What to know of a score: another face was as prominent; empty for nothing.
    """

    file: str
    score: float | None
    frames: tuple[LookedAt, ...]
    reason: str = ""
    note: str = ""


class FakeDetector:
    """The detector that a cell ended with, ready to judge files.

    Args:
        path: The folder of a done cell, whose last step is in the pool; or, of an earlier version, its ``checkpoint.pt``.
        device: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        BenchError: There is no such cell or checkpoint, or it is not one of this suite's.
    """

    def __init__(self, path: str | os.PathLike[str], device: str = "auto") -> None:
        folder = Path(path)
        folder = folder.parent if folder.is_file() or folder.name == "checkpoint.pt" else folder
        if not (folder / "cell.json").exists():
            raise BenchError(f"{folder}: expected a done cell (cell.json), found none; {_GIVE}")
        about = read_about(Sealed(folder, _GIVE))
        if about.crop is None:
            raise BenchError(
                f"{folder / 'cell.json'}: does not say how faces were cropped; run the cell again"
            )
        self.path, state = _state_of(folder, about)
        self.size, self.margin = about.crop.size, about.crop.margin
        # What is of training only, such as the precision, a CPU may lack; the judge is told that by itself.
        recipe = recorded_recipe(about.recipe, f"{folder / 'cell.json'}: recipe")
        recipe = recipe.changed({"device": resolve_device(device), "pretrained": False})
        with life.naming(self.path, _GIVE):
            self.strategy = life.build_judge(
                _strategy_of(about),
                build_model(recipe, about.seed),
                life.read_state(io.BytesIO(state)),
                values=about.hyperparameters,
                device=recipe.device,
                precision=recipe.precision,
                transform=Augmentation(recipe),
            )

    def score(self, crops: Sequence[Image]) -> list[float]:
        """Return P(fake) of face crops, uint8 [size, size, 3] each."""
        images = TensorSource(torch.from_numpy(np.stack(crops)))
        try:
            return [float(score) for score in life.judge(self.strategy, images)]
        except life.NoProbability as error:
            raise BenchError(f"{self.path}: {error}; {_GIVE}") from error


def _state_of(folder: Path, about: CellFile) -> tuple[Path, bytes]:
    """Read the state that a cell ended with: from the pool, or of an earlier version from the cell.

    Returns:
        Where it is, and the state.
    """
    if not about.steps or (folder / "checkpoint.pt").exists():
        if not (folder / "checkpoint.pt").exists():
            raise BenchError(f"{folder}: expected a checkpoint.pt, found none; {_GIVE}")
        return folder / "checkpoint.pt", Sealed(folder, _GIVE).read("checkpoint.pt", "checkpoint")
    pool = Pool(ResultFolder(folder.absolute().parent.parent).pool)
    last = about.steps[-1]
    if not pool.has_state(last):
        raise BenchError(
            f"{pool.step(last)}: expected the checkpoint of the cell's last step, found none: the pool is elsewhere, or "
            "the checkpoint was removed; bring the pool back, or run the cell again"
        )
    return pool.step(last) / "checkpoint.pt", pool.state(last)


def _strategy_of(about: CellFile) -> StrategyInfo:
    """Look up the strategy of a done cell, from ``cell.json``.

    Raises:
        BenchError: The plugin that it comes from is not here, or is another than the one the cell was made with.
    """
    origin = about.origin
    plugin, _ = name_and_version(origin)
    remedy = f"give --plugin {plugin}" if is_file(plugin) else f"install {plugin}"
    try:
        info = find_strategy(about.strategy)
    except BenchError as error:
        if not origin:
            raise
        raise BenchError(
            f"strategy {about.strategy!r} comes from the plugin {origin}, which is not here; {remedy}"
        ) from error
    if info.origin != origin:
        raise BenchError(
            f"strategy {info.name!r} of this cell comes from {origin or 'the suite'}, and is from "
            f"{info.origin or 'the suite'} here, which may judge otherwise; "
            f"{remedy + ' as it was' if origin else 'leave the plugin out'}, or run the cell again"
        )
    return info


def predict(
    detector: FakeDetector,
    files: Sequence[str | os.PathLike[str]],
    *,
    frames: int = 16,
    faces: str = "mtcnn",
    faces_model: Path | None = None,
    limits: MediaLimits | None = None,
) -> Iterator[Prediction]:
    """Judge videos and images, one after the other; a file that cannot be judged stops no other.

    Args:
        detector: What judges.
        files: Videos and images.
        frames: Frames of a video that are looked at, evenly spaced.
        faces: Face detector: ``mtcnn``, or ``yunet`` with ``faces_model``.
        faces_model: YuNet's model file.
        limits: What one file may ask for; the default limits if not given.

    Yields:
        One prediction a file, in order.

    Raises:
        BenchError: The face detector is not there.
    """
    finder = open_detector(faces, faces_model)
    for file in files:
        with kept_off():
            prediction = _predict(detector, Path(file), frames, finder, limits or MediaLimits())
        yield prediction


def _open(file: Path, limits: MediaLimits) -> Source:
    """Open a picture or a video, told apart by content.

    Raises:
        Unreadable: It is neither, beyond the limits, or HDR.
    """
    if is_picture(file):
        return ImageFiles({0: file}, limits)
    clip = VideoFile(file, limits)
    if clip.facts.hdr:
        remedy = "convert it to SDR with a tone mapping of your choice"
        raise Unreadable(Cause(Reason.HDR, f"{clip.facts.hdr}; {remedy}"))
    return clip


def _predict(
    detector: FakeDetector, file: Path, frames: int, finder: Detector, limits: MediaLimits
) -> Prediction:
    try:
        source = _open(file, limits)
        numbers = evenly(source.numbers, frames)
        searched = search(source, numbers, finder, every=1)
        track, several = choice_of(searched)
        if track is None:
            return Prediction(str(file), None, (), f"no face found in {len(numbers)} frames")
        places = {number: place_in(searched, track, number) for number in numbers}
        crops, looked = [], []
        for frame in source.read(numbers):
            box = places[frame.number].box
            # Only faces that were seen: a guess between two frames is good enough to train on, not to accuse on.
            if frame.image is not None and box is not None and places[frame.number].seen:
                crops.append(crop_face(frame.image, box, detector.size, detector.margin))
                looked.append((frame.number, box))
    except Unreadable as error:
        return Prediction(str(file), None, (), str(error))
    if not crops:
        return Prediction(str(file), None, (), f"no face found in {len(numbers)} frames")
    scores = detector.score(crops)
    seen = tuple(
        LookedAt(number, _rounded(box), score) for (number, box), score in zip(looked, scores, strict=True)
    )
    note = Reason.SEVERAL.value if several else ""
    return Prediction(str(file), float(np.mean(scores)), seen, note=note)


def _rounded(box: FaceBox) -> tuple[float, float, float, float]:
    left, top, right, bottom = (round(float(value), 1) for value in box)
    return left, top, right, bottom
