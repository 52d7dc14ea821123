"""Crops of a picture: a square around a face box, resized, and re-encoded as JPEG where asked for."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from fretal_bench.datasets.faces.boxes import FaceBox

Image = npt.NDArray[np.uint8]


def crop_face(image: Image, box: FaceBox, size: int, margin: float) -> Image:
    """Cut the square around a box, ``margin`` times its longer side, and resize it.

    A square that would leave the picture is moved back into it, and shrunk if it is larger than the picture: as in
    FaceForensics++'s own crops no pixel is invented. A larger square is averaged down (``INTER_AREA``), a smaller one
    interpolated up.

    Args:
        image: uint8 [H, W, 3].
        box: The face, in pixels of ``image``.
        size: Height and width of the crop, pixels.
        margin: Side of the square over the longer side of the box.

    Returns:
        uint8 [size, size, 3].
    """
    height, width = image.shape[:2]
    side = max(1, min(round(box.side * margin), height, width))
    x, y = box.centre
    left = min(max(round(x - side / 2), 0), width - side)
    top = min(max(round(y - side / 2), 0), height - side)
    interpolation = cv2.INTER_AREA if side > size else cv2.INTER_LINEAR
    cut = image[top : top + side, left : left + side]
    return np.asarray(cv2.resize(cut, (size, size), interpolation=interpolation), dtype=np.uint8)


def centre_box(image: Image, margin: float) -> FaceBox:
    """The box whose crop is the largest square in the middle of a picture."""
    height, width = image.shape[:2]
    half = min(height, width) / margin / 2
    return FaceBox(width / 2 - half, height / 2 - half, width / 2 + half, height / 2 + half)


def as_jpeg(crop: Image, quality: int) -> Image:
    """Encode a crop as JPEG and decode it again, as the paper's low-quality copies were made.

    Args:
        crop: uint8 [H, W, 3], RGB.
        quality: 1 to 100, as in libjpeg; 25 in the paper.
    """
    _, data = cv2.imencode(".jpg", crop[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), dtype=np.uint8)
    return np.ascontiguousarray(decoded[:, :, ::-1])
