"""Orientation of a picture, however it is written in its file, and the turn that sets it upright."""

from __future__ import annotations

import os
import struct
import zlib
from typing import BinaryIO, Final, NamedTuple

import numpy as np
import numpy.typing as npt

UPRIGHT: Final = 1
_TAG: Final = 0x0112
_VALUE: Final = {3: "H", 4: "I"}
"""How the value of a SHORT or LONG is packed."""
_EXIF: Final = b"Exif\x00\x00"
_PROFILES: Final = (b"Raw profile type exif", b"Raw profile type APP1")
"""Keywords of PNG texts in which ImageMagick writes an Exif block as hexadecimal digits."""
_LARGEST_BLOCK: Final = 1 << 20
"""Bytes of an Exif block; in a JPEG it cannot be longer than 64 KiB."""


class Turn(NamedTuple):
    """How a picture is turned to be shown: whether rows become columns, and which axes are then flipped."""

    rows_are_columns: bool
    flips: tuple[int, ...]

    def applied(self, image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """A picture, [H, W, channels], as it is to be shown."""
        if self.rows_are_columns:
            image = image.transpose(1, 0, 2)
        return np.ascontiguousarray(np.flip(image, self.flips) if self.flips else image)


def in_exif(block: bytes) -> int:
    """Read the orientation of an Exif block.

    Args:
        block: A TIFF structure, bare, or after the six bytes ``Exif`` and two zeros that JPEG files need and many tools
            write elsewhere too.

    Returns:
        1 to 8 (Exif 2.32, tag 0x0112); 1, upright, if the block doesn't say or cannot be read.
    """
    while block.startswith(_EXIF):
        block = block[len(_EXIF) :]
    place = _place(block)
    return known(struct.unpack_from(place[0], block, place[1])[0]) if place is not None else UPRIGHT


def say_upright(tiff: bytearray) -> None:
    """Write into a TIFF file's bytes that it is upright; decoders differ in whether they turn a TIFF themselves."""
    place = _place(tiff)
    if place is not None:
        struct.pack_into(place[0], tiff, place[1], UPRIGHT)


def in_png(file: BinaryIO) -> int:
    """Read the orientation of a PNG: its eXIf chunk, before or behind the pixels, else a raw profile among its texts."""
    file.seek(8)
    profile = b""
    while len(head := file.read(8)) == 8:
        length, kind = int.from_bytes(head[:4], "big"), head[4:]
        if kind == b"eXIf":
            return in_exif(file.read(min(length, _LARGEST_BLOCK)))
        if kind in (b"zTXt", b"tEXt") and length <= _LARGEST_BLOCK and not profile:
            profile = _raw_profile(file.read(length), packed=kind == b"zTXt")
            file.seek(4, os.SEEK_CUR)
        elif kind == b"IEND":
            break
        else:
            file.seek(length + 4, os.SEEK_CUR)
    return in_exif(profile)


def known(value: object) -> int:
    """The value of an orientation tag; 1 for one that means nothing."""
    return value if isinstance(value, int) and 1 <= value <= 8 else UPRIGHT


def turn_of(orientation: int) -> Turn:
    """The turn that an orientation asks for.

    2 is mirrored left to right, 3 upside down, 4 mirrored top to bottom; 5 to 8 are the same with rows for columns.
    """
    flips = {2: (1,), 3: (0, 1), 4: (0,), 6: (1,), 7: (0, 1), 8: (0,)}.get(orientation, ())
    return Turn(orientation >= 5, flips)


def _place(tiff: bytes | bytearray) -> tuple[str, int] | None:
    """Format and offset of the orientation's value in a TIFF structure; None if it isn't there."""
    order = {b"II*\x00": "<", b"MM\x00*": ">"}.get(bytes(tiff[:4]))
    if order is None:
        return None
    try:
        (start,) = struct.unpack_from(f"{order}I", tiff, 4)
        (entries,) = struct.unpack_from(f"{order}H", tiff, start)
        for place in range(start + 2, start + 2 + 12 * entries, 12):
            tag, kind = struct.unpack_from(f"{order}HH", tiff, place)
            if tag == _TAG and kind in _VALUE and place + 12 <= len(tiff):
                return order + _VALUE[kind], place + 8
    except struct.error:
        pass
    return None


def _raw_profile(text: bytes, *, packed: bool) -> bytes:
    """The Exif block in a PNG text: a line with its name, one with its length, lines of hexadecimal digits."""
    keyword, _, content = text.partition(b"\x00")
    if keyword not in _PROFILES:
        return b""
    try:
        if packed:
            content = zlib.decompressobj().decompress(content[1:], 2 * _LARGEST_BLOCK)
        return bytes.fromhex(b"".join(content.split(b"\n")[3:]).decode("ascii"))
    except (zlib.error, ValueError):
        return b""
