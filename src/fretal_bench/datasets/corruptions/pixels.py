"""What corruptions do to the pixels of crops: JPEG, Gaussian blur, resizing, H.264."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from fretal_bench.datasets.media.h264 import h264_coded

Crops = npt.NDArray[np.uint8]
"""uint8 [n, H, W, 3], RGB."""


def jpeg(crops: Crops, quality: float) -> Crops:
    """Code each crop as JPEG and decode it: libjpeg's quality, chroma at half the size (4:2:0)."""
    coded = []
    for crop in crops:
        parameters = [cv2.IMWRITE_JPEG_QUALITY, int(quality)]
        _, file = cv2.imencode(".jpg", cv2.cvtColor(crop, cv2.COLOR_RGB2BGR), parameters)
        coded.append(cv2.cvtColor(cv2.imdecode(file, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB))
    return np.stack(coded).astype(np.uint8, copy=False)


def blur(crops: Crops, sigma: float) -> Crops:
    """Blur each crop by a Gaussian of so many pixels of the crop; 0 changes nothing."""
    if sigma == 0:
        return crops
    return np.stack([cv2.GaussianBlur(crop, (0, 0), sigma) for crop in crops]).astype(np.uint8, copy=False)


def resize(crops: Crops, factor: float) -> Crops:
    """Shrink each crop by a factor (mean over areas) and enlarge it again (bilinear); 1 changes nothing."""
    if factor == 1:
        return crops
    height, width = crops.shape[1:3]
    small = (max(1, round(width * factor)), max(1, round(height * factor)))
    return np.stack(
        [
            cv2.resize(
                cv2.resize(crop, small, interpolation=cv2.INTER_AREA),
                (width, height),
                interpolation=cv2.INTER_LINEAR,
            )
            for crop in crops
        ]
    ).astype(np.uint8, copy=False)


def h264(crops: Crops, rate_factor: float) -> Crops:
    """Code the crops of one video, in the order of their frames, as one H.264 clip and decode it.

    x264 at a constant rate factor, one thread, preset veryfast, 4:2:0, 25 frames a second; an odd edge is doubled first
    and cut off again. Crops of a store are a few frames of a video, further apart than frames are, so prediction between
    them is worse, and the clip larger, than that of the whole video at the same factor.
    """
    height, width = crops.shape[1:3]
    planes = [
        cv2.cvtColor(
            cv2.copyMakeBorder(crop, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE),
            cv2.COLOR_RGB2YUV_I420,
        )
        for crop in crops
    ]
    seen = h264_coded(np.stack(planes).astype(np.uint8, copy=False), int(rate_factor), "yuv420p")
    shown = [cv2.cvtColor(frame, cv2.COLOR_YUV2RGB_I420)[:height, :width] for frame in seen]
    return np.stack(shown).astype(np.uint8, copy=False)


FUNCTIONS: Final[dict[str, Callable[[Crops, float], Crops]]] = {
    "jpeg": jpeg,
    "blur": blur,
    "resize": resize,
    "h264": h264,
}
"""Kind -> ``(crops, severity) -> crops`` of the same shape; of ``h264`` the crops are those of one video."""
