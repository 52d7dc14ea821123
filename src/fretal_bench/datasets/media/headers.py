"""Headers of picture files: what they say, and the opening of a file, both before anything is decoded."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

from PIL import Image as pillow
from PIL import UnidentifiedImageError

from fretal_bench.datasets.media import orientation
from fretal_bench.datasets.media.limits import check_file
from fretal_bench.datasets.media.reasons import Cause, Reason, Unreadable

FORMATS: Final = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM", "AVIF")
_ALPHA: Final = ("RGBA", "LA", "PA", "RGBa", "La")
_KEYED: Final = ("P", "L", "RGB", "1")
"""Modes in which one colour, or entries of the palette, may be transparent."""
_WIDTH, _HEIGHT, _ORIENTATION = 0x0100, 0x0101, 0x0112
"""Tags of a TIFF file."""


@dataclass(frozen=True)
class PictureHeader:
    """What the header of a picture says.

    Attributes:
        kind: Format: ``PNG``, ``JPEG``, ``BMP``, ``GIF``, ``WEBP``, ``TIFF``, ``PPM`` or ``AVIF``.
        width: Pixels as stored, before it is turned.
        height: Pixels as stored.
        mode: Pillow's mode, e.g. ``RGB``, ``CMYK``, ``P``.
        transparent: Whether it has an alpha channel or a transparent colour.
        orientation: 1 to 8 as in Exif, 1 upright.
    """

    kind: str
    width: int
    height: int
    mode: str
    transparent: bool
    orientation: int

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width as it is shown."""
        return (self.width, self.height) if self.orientation >= 5 else (self.height, self.width)


def picture_header(path: Path) -> PictureHeader:
    """Read what the header of a picture file says, without decoding its pixels.

    Raises:
        Unreadable: There is no such regular file, or no picture of a known format in it.
    """
    check_file(path)
    with open_picture(path) as (picture, file):
        return header_of(picture, file)


@contextlib.contextmanager
def open_picture(path: Path) -> Iterator[tuple[Any, BinaryIO]]:
    """The picture opened by Pillow, which decodes nothing yet, and its file; whatever either says is ``Unreadable``."""
    before = pillow.MAX_IMAGE_PIXELS
    try:
        # The limit is this suite's own, which says what to do.
        pillow.MAX_IMAGE_PIXELS = None
        with path.open("rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with pillow.open(file, formats=FORMATS) as picture:
                yield picture, file
    except UnidentifiedImageError as error:
        raise Unreadable(Cause(Reason.UNDECODABLE, "no picture of a known format")) from error
    except OSError as error:
        raise Unreadable(
            Cause(Reason.UNDECODABLE, error.strerror or "its picture is damaged or cut short")
        ) from error
    except Unreadable:
        raise
    except (
        Exception
    ) as error:  # Pillow's plugins raise what they meet: SyntaxError, struct.error, KeyError, ...
        raise Unreadable(Cause(Reason.UNDECODABLE, "its header or picture is damaged")) from error
    finally:
        pillow.MAX_IMAGE_PIXELS = before


def format_of(picture: Any) -> str:
    """Format of an opened picture; of MPO, several JPEGs in one file, the first is read."""
    return "JPEG" if picture.format == "MPO" else str(picture.format)


def header_of(picture: Any, file: BinaryIO) -> PictureHeader:
    """What the header of an opened picture says."""
    kind = format_of(picture)
    transparent = picture.mode in _ALPHA or ("transparency" in picture.info and picture.mode in _KEYED)
    width, height = picture.size
    if kind == "TIFF":
        # Pillow gives the size as it is shown.
        width, height = picture.tag_v2[_WIDTH], picture.tag_v2[_HEIGHT]
    return PictureHeader(kind, width, height, picture.mode, transparent, _orientation(kind, picture, file))


def _orientation(kind: str, picture: Any, file: BinaryIO) -> int:
    if kind == "TIFF":
        return orientation.known(picture.tag_v2.get(_ORIENTATION))
    if kind != "PNG":
        return orientation.in_exif(picture.info.get("exif") or b"")
    place = file.tell()
    try:
        return orientation.in_png(file)
    finally:
        file.seek(place)
