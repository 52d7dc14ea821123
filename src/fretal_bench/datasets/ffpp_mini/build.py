"""The clips of FF++-mini, real and fake, their paths in a FaceForensics++ tree, and the crop store made of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from fretal_bench.datasets.faces.boxes import FaceBox
from fretal_bench.datasets.faces.crops import Image, crop_face
from fretal_bench.datasets.ffpp_mini.codec import RATE_FACTORS, code
from fretal_bench.datasets.ffpp_mini.geometry import Array
from fretal_bench.datasets.ffpp_mini.manipulations import MANIPULATIONS
from fretal_bench.datasets.ffpp_mini.photographs import (
    FRAMES,
    PEOPLE,
    SPLIT_PEOPLE,
    Person,
    people,
)
from fretal_bench.datasets.manifest import FAKE, REAL
from fretal_bench.datasets.media.versions import package_versions
from fretal_bench.datasets.progress import ProgressCallback
from fretal_bench.datasets.store.cache import cache_folder
from fretal_bench.datasets.store.store import CropStore, CropStoreWriter, open_or_build
from fretal_bench.errors import unknown_name

DATASET: Final = "ffpp-mini"
VERSION: Final = 2
# Photographs, real and fake, are enlarged before coding: on 92 x 112 a macroblock covers half a mouth, and c23 would
# take away what it leaves of a face in a FaceForensics++ video.
ENLARGED: Final = 2
# Nearly every crop is as wide as its picture, 2 * 92 pixels: halving them exactly blurs nothing.
CROP_SIZE: Final = 92
MARGIN: Final = 1.3


@dataclass(frozen=True, eq=False)
class Clip:
    """One video before coding.

    Attributes:
        method: ``real``, one of the four manipulations, or ``identity``.
        target: Whose video it is.
        source: Whose face or expression it shows; the target itself in a real one.
        frames: uint8 [10, 224, 184], grey.
    """

    method: str
    target: Person
    source: Person
    frames: Image

    @property
    def video(self) -> str:
        """``target`` for a real video, ``target_source`` for a fake, as in FaceForensics++."""
        return video_of(self.method, int(self.target.name))

    @property
    def landmarks(self) -> Array:
        """The target's landmarks on its real frames, [10, 468, 2], in pixels of ``frames``."""
        # The centre of the first small pixel lies between the first large ones.
        return self.target.landmarks * ENLARGED + (ENLARGED - 1) / 2


def video_of(method: str, number: int) -> str:
    """Name the video of a target: ``000`` for the real one, ``000_014`` for a fake, as FaceForensics++ does."""
    return f"{number:03d}" if method == "real" else f"{number:03d}_{source_of(number):03d}"


def path_of(method: str, video: str, compression: str) -> str:
    """Path of a video in a FaceForensics++ tree."""
    branch = "original_sequences/youtube" if method == "real" else f"manipulated_sequences/{method}"
    return f"{branch}/{compression}/videos/{video}.mp4"


def source_of(number: int) -> int:
    """Name the source of a target: the other person of its pair, always of its own split.

    In a split of 2 n people, person i and person i + n are a pair, and give both fakes, as in FaceForensics++.

    Args:
        number: The target's number, 0 to 39.
    """
    numbers = next(numbers for numbers in SPLIT_PEOPLE.values() if number in numbers)
    return numbers[(number - numbers.start + len(numbers) // 2) % len(numbers)]


def split_pairs() -> dict[str, list[list[str]]]:
    """Write the splits as FaceForensics++ does (train.json, val.json, test.json): lists of pairs of people."""
    return {
        split: [[f"{number:03d}", f"{source_of(number):03d}"] for number in numbers[: len(numbers) // 2]]
        for split, numbers in SPLIT_PEOPLE.items()
    }


def clips(
    methods: Iterable[str] = ("real", *MANIPULATIONS), numbers: Iterable[int] | None = None
) -> Iterator[Clip]:
    """Make the frames of every video, before coding, person by person.

    Args:
        methods: ``real`` and names of manipulations, in the order wanted for each person.
        numbers: Target people, 0 to 39; all by default.

    Raises:
        BenchError: If a method is unknown, or the photographs are not installed.
    """
    methods = tuple(methods)
    for method in methods:
        if method not in ("real", *MANIPULATIONS):
            raise unknown_name("manipulation", method, ("real", *MANIPULATIONS))
    everybody = people()
    for number in range(len(everybody)) if numbers is None else numbers:
        target, source = everybody[number], everybody[source_of(number)]
        for method in methods:
            if method == "real":
                yield Clip(method, target, target, _enlarge(target.frames))
                continue
            yield Clip(method, target, source, _enlarge(MANIPULATIONS[method](target, source)))


def crop_faces(frames: Image, landmarks: Array, size: int = CROP_SIZE) -> Image:
    """Cut a square around each face, 1.3 times its box, moved or shrunk to fit the picture, and resize it.

    Args:
        frames: uint8 [n, H, W], grey.
        landmarks: [n, points, 2] of the target's real frames, for a fake too.
        size: Side of the crops, pixels.

    Returns:
        uint8 [n, size, size, 3].
    """
    crops = np.empty((len(frames), size, size, 3), np.uint8)
    for i, (frame, points) in enumerate(zip(frames, landmarks, strict=True)):
        # A landmark is the centre of a pixel, half a pixel from that pixel's corner.
        box = FaceBox(*(points.min(0) + 0.5).tolist(), *(points.max(0) + 0.5).tolist())
        crops[i] = crop_face(frame, box, size, MARGIN)[:, :, None]
    return crops


def ffpp_mini_store(compression: str = "c23", *, progress: ProgressCallback | None = None) -> CropStore:
    """Open the crop store of FF++-mini, building it in the cache folder on first use.

    Photographs: the Database of Faces, by courtesy of AT&T Laboratories Cambridge.

    Args:
        compression: ``raw``, ``c23`` or ``c40``.
        progress: Called with (people done, people in all) while building.

    Returns:
        A store with the reals, the four manipulations and the ``identity`` control.

    Raises:
        BenchError: If the compression is unknown, the photographs are not installed, or the cache cannot be written.
    """
    if compression not in RATE_FACTORS:
        raise unknown_name("compression of FF++-mini", compression, RATE_FACTORS)
    return build_store(ffpp_mini_place(compression), compression, progress=progress)


def ffpp_mini_place(compression: str) -> Path:
    """Return the folder in which the crop store of FF++-mini is, or would be built."""
    return cache_folder() / "stores" / f"{DATASET}-{compression}-v{VERSION}"


def build_store(
    path: Path,
    compression: str,
    numbers: Sequence[int] = range(PEOPLE),
    *,
    progress: ProgressCallback | None = None,
) -> CropStore:
    """Open the store at ``path``, building it first if it is not there.

    Args:
        path: The store's folder.
        compression: ``raw``, ``c23`` or ``c40``.
        numbers: Target people, 0 to 39.
        progress: Called with (people done, people in all) while building.

    Raises:
        BenchError: As ``ffpp_mini_store`` does.
    """

    def write(writer: CropStoreWriter) -> None:
        # Threads, not processes: the work is in OpenCV, Qhull and x264, which release the interpreter lock, and a
        # caller's script needs no `if __name__ == "__main__"`. Results come in order for any number. The linear
        # algebra inside keeps to one thread each: with more they wait for one another, ten times as long.
        with threadpool_limits(1), ThreadPoolExecutor(max_workers=2) as pool:
            work = pool.map(lambda number: _crops_of(number, compression), numbers)
            for done, (crops, rows) in enumerate(work, start=1):
                writer.add(crops, rows)
                if progress:
                    progress(done, len(numbers))
        writer.finish(
            {
                "photographs": "Database of Faces, by courtesy of AT&T Laboratories Cambridge",
                "packages": package_versions(),
            }
        )

    return open_or_build(
        path,
        write,
        size=CROP_SIZE,
        name=f"{DATASET}-{compression}",
        detector="landmarks that come with FF++-mini",
        margin=MARGIN,
    )


def _enlarge(frames: Image) -> Image:
    height, width = frames.shape[1:]
    large = (width * ENLARGED, height * ENLARGED)
    return np.stack([cv2.resize(frame, large, interpolation=cv2.INTER_CUBIC) for frame in frames])


def _crops_of(number: int, compression: str) -> tuple[Image, pd.DataFrame]:
    crops, rows = [], []
    for clip in clips(numbers=[number]):
        crops.append(crop_faces(code(clip.frames, compression), clip.landmarks))
        rows.append(_rows(clip, compression))
    return np.concatenate(crops), pd.concat(rows, ignore_index=True)


def _rows(clip: Clip, compression: str) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "path": path_of(clip.method, clip.video, compression),
            "dataset": DATASET,
            "method": clip.method,
            "compression": compression,
            "split": clip.target.split,
            "label": REAL if clip.method == "real" else FAKE,
            "video": clip.video,
            "source": clip.source.name,
            "target": clip.target.name,
            "frame": np.arange(FRAMES),
        }
    )
