"""Picture files read in one stated way: size and kind before anything is decoded, upright, 8-bit RGB.

The rules, for every format alike:

- *Size*: read from the header; larger than the limit is not decoded.
- *Orientation*: applied, wherever the file says it (``orientation.py``), by this suite and not by the decoder.
- *Alpha*, a palette's or GIF's transparency, a transparent colour: composed on grey 128; what lies under it is not seen.
- *Palette, grey, 1 bit*: become RGB.
- *16 bits a channel*: the higher 8 are taken.
- *CMYK*: by its embedded profile to sRGB (LittleCMS, perceptual); without one R = (255 - C) (255 - K) / 255 and so on.
- *RGB with an embedded profile*: the values are taken as they are; no profile is applied.
- *Animated, or several pages*: the first.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image as pillow
from PIL import ImageCms

from fretal_bench.datasets.media import orientation
from fretal_bench.datasets.media.headers import FORMATS, PictureHeader, header_of, open_picture
from fretal_bench.datasets.media.limits import MediaLimits, check_file
from fretal_bench.datasets.media.noise import heard, kept_off
from fretal_bench.datasets.media.reasons import Cause, Reason, Unreadable
from fretal_bench.datasets.media.suffixes import IMAGE_SUFFIXES

Image = npt.NDArray[np.uint8]

_GREY: Final = 128
_JPEG_STREAMS: Final = (".mjpeg", ".mjpg")
"""Suffixes of videos that begin as a JPEG does."""
_MAGIC: Final = (b"\x89PNG", b"\xff\xd8\xff", b"II*\x00", b"MM\x00*")
_DAMAGE: Final = ("premature end", "bad huffman code")
"""What libjpeg says of a picture part of which it had to invent."""
_ROWS: Final = 256
"""Rows composed at once, so that a large picture needs little memory besides itself."""


def is_picture(path: Path) -> bool:
    """Whether a file is a picture, by its name or its first bytes; GIF and AVIF count as videos, as libav reads them.

    Raises:
        Unreadable: There is no such regular file, or it cannot be opened.
    """
    check_file(path)
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError as error:
        detail = f"cannot be read: {error.strerror}"
        raise Unreadable(Cause(Reason.UNDECODABLE, detail)) from error
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return True
    if path.suffix.lower() in _JPEG_STREAMS:
        return False
    return head.startswith(_MAGIC) or (head[:4], head[8:12]) == (b"RIFF", b"WEBP")


def read_picture(path: Path, limits: MediaLimits | None = None) -> Image:
    """Read a picture file by the rules of this module.

    Args:
        path: The file.
        limits: The largest size; the default limits if not given.

    Returns:
        uint8 [H, W, 3], RGB, upright.

    Raises:
        Unreadable: There is no such regular file, it is larger than the limit, or it cannot be decoded.
    """
    limits = limits or MediaLimits()
    check_file(path, limits.file_bytes)
    with kept_off(), open_picture(path) as (picture, file):
        header = header_of(picture, file)
        cause = limits.too_large(header.width, header.height)
        if cause is not None:
            raise Unreadable(cause)
        file.seek(0)
        content = bytearray(file.read())
        if header.kind == "TIFF":
            orientation.say_upright(content)
        image = _decoded(content, header)
    return orientation.turn_of(header.orientation).applied(image)


def _decoded(content: bytearray, header: PictureHeader) -> Image:
    """Decode a picture as it is stored: by Pillow what has alpha, CMYK or is AVIF, by OpenCV everything else."""
    if header.mode != "CMYK" and not header.transparent and header.kind != "AVIF":
        return _by_opencv(content)
    with pillow.open(io.BytesIO(content), formats=FORMATS) as picture:
        if header.mode == "CMYK":
            return _from_cmyk(picture)
        if header.transparent:
            return _on_grey(np.asarray(picture.convert("RGBA")))
        return np.asarray(picture.convert("RGB"))


def _by_opencv(content: bytearray) -> Image:
    heard()
    try:
        flags = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION
        image = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    except cv2.error as error:
        raise Unreadable(Cause(Reason.UNDECODABLE, "OpenCV cannot decode it")) from error
    if image is None:
        raise Unreadable(Cause(Reason.UNDECODABLE, "no picture that OpenCV can decode"))
    lines = heard().lower()
    if any(damage in lines for damage in _DAMAGE):
        raise Unreadable(Cause(Reason.UNDECODABLE, "damaged or cut short: part of its picture is not there"))
    if image.dtype == np.uint16:
        image = (image >> 8).astype(np.uint8)
    if image.dtype != np.uint8:
        raise Unreadable(Cause(Reason.UNDECODABLE, f"values of type {image.dtype}, not 8 or 16 bits"))
    return np.asarray(image[:, :, ::-1])


def _on_grey(image: Image) -> Image:
    """Compose uint8 [H, W, 4] on grey 128."""
    composed = np.empty((*image.shape[:2], 3), np.uint8)
    for row in range(0, len(image), _ROWS):
        colour, alpha = image[row : row + _ROWS, :, :3], image[row : row + _ROWS, :, 3:].astype(np.uint16)
        composed[row : row + _ROWS] = (colour * alpha + _GREY * (255 - alpha) + 127) // 255
    return composed


def _from_cmyk(picture: Any) -> Image:
    profile = picture.info.get("icc_profile")
    if not profile:
        return np.asarray(picture.convert("RGB"))
    try:
        given = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        converted = ImageCms.profileToProfile(
            picture, given, ImageCms.createProfile("sRGB"), ImageCms.Intent.PERCEPTUAL, outputMode="RGB"
        )
    except (ImageCms.PyCMSError, OSError) as error:
        raise Unreadable(Cause(Reason.UNDECODABLE, "its CMYK profile cannot be applied")) from error
    return np.asarray(converted)
