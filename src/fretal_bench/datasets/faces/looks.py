"""Looks of faces: small normalised copies that tell whether two people have changed places."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from fretal_bench.datasets.faces.boxes import FaceBox
from fretal_bench.datasets.faces.crops import Image, crop_face

Look = npt.NDArray[np.float32]
"""A face in 16 x 16 pixels, less its mean, of length 1."""

_SIDE: Final = 16
_MARGIN: Final = 1.2


def look_of(image: Image, box: FaceBox) -> Look:
    """The look of a face in a picture, uint8 [H, W, 3]; float32 [768]."""
    crop = crop_face(image, box, 4 * _SIDE, _MARGIN)
    small = cv2.resize(crop, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    values = np.asarray(small, np.float32).ravel()
    values -= values.mean()
    return values / max(float(np.linalg.norm(values)), 1e-6)


def unlike(first: Look, second: Look) -> float:
    """One minus the correlation of two looks: 0 for the same picture, about 0.2 for a person, 0.5 for two, at most 2."""
    return 1 - float(first @ second)
