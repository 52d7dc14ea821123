"""Cutting a face out of a picture: a square around its box, padded, resized, and re-encoded if asked for."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from fretal_bench.datasets.faces.boxes import Box

Image = npt.NDArray[np.uint8]


def crop_face(image: Image, box: Box, size: int, margin: float) -> Image:
    """Cut the square around a box, ``margin`` times its longer side, and resize it.

    What of the square lies outside the picture repeats the picture's border, for real and fake alike. A larger square is
    averaged down (``INTER_AREA``), a smaller one interpolated up.

    Args:
        image: uint8 [H, W, 3].
        box: The face, in pixels of ``image``.
        size: Height and width of the crop, pixels.
        margin: Side of the square over the longer side of the box.

    Returns:
        uint8 [size, size, 3].
    """
    height, width = image.shape[:2]
    side = max(1, round(box.side * margin))
    x, y = box.centre
    left, top = round(x - side / 2), round(y - side / 2)
    # A box may lie wholly outside a picture of another size; one row or column of it is then repeated.
    inner_left, inner_top = min(max(left, 0), width - 1), min(max(top, 0), height - 1)
    inner_right = max(min(left + side, width), inner_left + 1)
    inner_bottom = max(min(top + side, height), inner_top + 1)
    cut = image[inner_top:inner_bottom, inner_left:inner_right]
    before = max(0, inner_left - left), max(0, inner_top - top)
    after = side - before[0] - cut.shape[1], side - before[1] - cut.shape[0]
    if any(before) or any(room > 0 for room in after):
        border = (before[1], max(0, after[1]), before[0], max(0, after[0]))
        cut = cv2.copyMakeBorder(cut, *border, cv2.BORDER_REPLICATE)
    way = cv2.INTER_AREA if side > size else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(cut, (size, size), interpolation=way), dtype=np.uint8)


def centre_box(image: Image, margin: float) -> Box:
    """The box whose crop is the largest square in the middle of a picture."""
    height, width = image.shape[:2]
    half = min(height, width) / margin / 2
    return Box(width / 2 - half, height / 2 - half, width / 2 + half, height / 2 + half)


def as_jpeg(crop: Image, quality: int) -> Image:
    """Encode a crop as JPEG and decode it again, as the paper's low-quality copies were made.

    Args:
        crop: uint8 [H, W, 3], RGB.
        quality: 1 to 100, as in libjpeg; 25 in the paper.
    """
    _, data = cv2.imencode(".jpg", crop[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), dtype=np.uint8)
    return np.ascontiguousarray(decoded[:, :, ::-1])
