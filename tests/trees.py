"""Small data sets on disk in their published layouts, with real files, for the importers' tests."""

from __future__ import annotations

import io
import json
import struct
import tarfile
import zlib
from fractions import Fraction
from functools import cache
from pathlib import Path

import numpy as np

COLUMNS = ["path", "method", "compression", "split", "label", "video", "source", "target", "frame"]


@cache
def clip() -> bytes:
    """Three frames of H.264 in an MP4 container."""
    import av

    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(25))
        stream.width = stream.height = 32
        stream.pix_fmt = "yuv420p"
        for level in (40, 120, 200):
            image = np.full((32, 32, 3), level, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    return file.getvalue()


def png(level: int) -> bytes:
    """A 2 x 2 grey PNG."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 2, 8, 0, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(bytes([0, level, level, 0, level, level])))
    return b"\x89PNG\r\n\x1a\n" + header + pixels + chunk(b"IEND", b"")


class Tree:
    """A folder to fill; every file is of its own content."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)

    def video(self, *paths: str) -> None:
        for path in paths:
            name = path.encode()
            # An MP4 may end with a box of free space: the name there makes each file its own.
            self.data(path, clip() + struct.pack(">I", 8 + len(name)) + b"free" + name)

    def image(self, *paths: str) -> None:
        for path in paths:
            self.data(path, png(zlib.crc32(path.encode()) % 256))

    def data(self, path: str, data: bytes) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)

    def text(self, path: str, text: str) -> None:
        self.data(path, text.encode())

    def json(self, path: str, content: object) -> None:
        self.text(path, json.dumps(content))

    def truncate(self, path: str) -> None:
        file = self.root / path
        file.write_bytes(file.read_bytes()[:-200])

    def remove(self, path: str) -> None:
        (self.root / path).unlink()

    def link(self, path: str, to: str | Path) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.symlink_to(to)

    def tar(self, path: str, *names: str, links: tuple[tuple[str, str], ...] = ()) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        with tarfile.open(file, "w:gz") as archive:
            for number, name in enumerate(names):
                member = tarfile.TarInfo(name)
                data = png(number)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
            for name, target in links:
                member = tarfile.TarInfo(name)
                member.type = tarfile.SYMTYPE
                member.linkname = target
                archive.addfile(member)


def manifest(frame, columns=COLUMNS):
    """The manifest's rows as tuples, in its order."""
    return list(frame[columns].itertuples(index=False, name=None))


def told(findings, *severities):
    """Kind and file of each finding, of some severities or of all."""
    return {(f.kind, f.file) for f in findings if not severities or f.severity in severities}


def labels_by(frame, rule):
    """Assert that every row's label is what ``rule`` says of its path."""
    wrong = [row.path for row in frame.itertuples() if row.label != rule(row.path)]
    assert wrong == []
