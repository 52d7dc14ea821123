"""Probe of a media file: whether it can be read, told from its container alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from fretal_bench.datasets.check.facts import clip_facts

_MP4_SUFFIXES: Final = frozenset({".mp4", ".m4v", ".mov"})
_KIND_OF_SUFFIX: Final = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".bmp": "BMP",
    ".webp": "WebP",
    ".pgm": "PGM",
    ".ppm": "PPM",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".avi": "AVI",
    ".mkv": "Matroska",
    ".webm": "Matroska",
    **dict.fromkeys(_MP4_SUFFIXES, "MP4"),
}
_MAGIC: Final = (
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"BM", "BMP"),
    (b"P5", "PGM"),
    (b"P6", "PPM"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"\x1aE\xdf\xa3", "Matroska"),
    (b"\x1f\x8b", "gzip"),
    (b"PK\x03\x04", "zip"),
    (b"GIF8", "GIF"),
)
_BOXES: Final = frozenset({b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"moof", b"styp", b"uuid"})
_CLIPS: Final = ("MP4", "AVI", "Matroska")
_HEAD: Final = 16
# A JPEG may carry some bytes of an editor's behind its end mark.
_TAIL: Final = 4096


def probe(path: Path) -> tuple[str, str] | None:
    """Say what is wrong with a video or image file: ``probe_container``, then of a video the streams' headers."""
    problem = probe_container(path)
    if problem is None and _KIND_OF_SUFFIX.get(path.suffix.lower()) in _CLIPS:
        problem = clip_facts(path)[1]
        # What is larger or deeper than a store takes is sound.
        return problem if problem is not None and problem[0] == "unreadable" else None
    return problem


def probe_container(path: Path) -> tuple[str, str] | None:
    """Say what is wrong with the container of a video or image file.

    Reads the first and last bytes; of an MP4 the box headers.

    Args:
        path: The file.

    Returns:
        None for a file that looks sound; else the kind of finding (``empty``, ``unreadable``, ``wrong-extension``) and
        what was found.
    """
    try:
        size = path.stat().st_size
        if size == 0:
            return "empty", "zero bytes"
        with path.open("rb") as file:
            kind = _kind_of(file.read(_HEAD))
            expected = _KIND_OF_SUFFIX.get(path.suffix.lower())
            if kind and expected and kind != expected:
                return "wrong-extension", f"its name says {expected}, its content is {kind}"
            if expected == "MP4":
                damage = _mp4_damage(file, size)
            elif kind in ("PNG", "JPEG"):
                file.seek(-min(size, _TAIL), os.SEEK_END)
                tail = file.read()
                whole = tail[-12:-4].endswith(b"IEND") if kind == "PNG" else b"\xff\xd9" in tail
                damage = "" if whole else f"cut short: a {kind} without its end mark"
            else:
                damage = "" if kind else "no container that is known here"
    except OSError as error:
        return "unreadable", f"cannot be read: {error.strerror or error}"
    return ("unreadable", damage) if damage else None


def _kind_of(head: bytes) -> str:
    if head[4:8] in _BOXES:
        return "MP4"
    if head[:4] == b"RIFF":
        return {b"WEBP": "WebP", b"AVI ": "AVI"}.get(head[8:12], "")
    return next((kind for magic, kind in _MAGIC if head.startswith(magic)), "")


def _mp4_damage(file: BinaryIO, size: int) -> str:
    names = set()
    for name, end in _boxes(file, size):
        if end > size:
            return f"cut short: its {name} box ends at byte {end:,}, the file at {size:,}"
        names.add(name)
    if "moov" not in names:
        return "no moov box, so nothing says where its frames are; it was cut short or never finished"
    return ""


def _boxes(file: BinaryIO, size: int) -> Iterator[tuple[str, int]]:
    """Name and end of each top-level box; a size that cannot be reads as one that goes past the end."""
    start = 0
    while start < size:
        file.seek(start)
        head = file.read(_HEAD)
        length = int.from_bytes(head[:4], "big")
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        elif length == 0:
            length = size - start
        end = start + length if length >= 8 and len(head) >= 8 else size + 1
        yield head[4:8].decode("latin-1"), end
        start = end
