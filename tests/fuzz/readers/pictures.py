"""Readers of pictures and clips, by prepare."""

from __future__ import annotations

import json
import shutil
import struct
import zlib
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from fuzz.damage import BYTES, PLACES, Random, damages
from fuzz.judging import TOLD, Claim, Unreadable
from fuzz.readers import reader
from fuzz.readers.checkpoints import judge_pictures, strict
from fuzz.running import Bench

SIDE: Final = 32
CLOSE: Final = 24
"""How far decoders of one lossy picture may be apart, in the mean of 0 to 255."""


def prepared(bench: Bench, root: str, layout: str, *words: str) -> dict[str, Any]:
    """Cut pictures out; gives each one's crop by path and frame, ``TOLD`` where the store counts it as left out."""
    from fretal_bench.datasets.store.store import CropStore

    bench(
        *("data", "prepare", root, "--as", layout, "--out", "made", "--detector", "none", "--size", SIDE),
        *("--margin", "1", "--jobs", "1", "--json", *words),
        findings=True,
    )
    store = CropStore.open("made")
    crops = {
        f"{path}#{frame}": (np.array(store.crops[row]), int(label))
        for row, (path, frame, label) in enumerate(
            zip(store.index["path"], store.index["frame"], store.index["label"], strict=True)
        )
    }
    failures = json.loads(Path("made/store.json").read_text("utf-8"))["failures"]
    return crops | {f"{failure['path']}#{failure['frame']}": TOLD for failure in failures}


_NAMED: Final = tuple(
    f"train/{kind}/x.{suffix}"
    for kind, suffixes in (("fake", ("bmp", "png", "webp")), ("real", ("jpg", "tiff")))
    for suffix in suffixes
)
"""The pictures that are damaged."""


def _decoded(path: Path) -> Any:
    """A picture as another library sees it; ``Unreadable`` where that says it is damaged."""
    if path.is_symlink() or not path.is_file():
        return Unreadable("it is no file")
    try:
        with Image.open(path) as image:
            image.load()
            if image.size != (SIDE, SIDE) or image.mode not in ("RGB", "L"):
                # What becomes of other sizes and modes is the suite's own rule.
                return None
            return np.asarray(image.convert("RGB"))
    except Exception as error:
        return Unreadable(f"another decoder says: {type(error).__name__}")


@reader(
    "pictures by prepare",
    "pictures",
    parts="pictures",
    file="pictures/*/*/x.*",
    damages=(*BYTES, *BYTES, *PLACES, *damages()),
    writes=("made*", ".made.*"),
    weight=4,
)
def pictures(bench: Bench) -> Claim:
    crops = prepared(bench, "pictures", "image-folders", "--frames", "0")
    used: dict[str, Any] = {}
    for key, value in crops.items():
        if value is TOLD:
            used[key] = TOLD
            continue
        crop, label = value
        path = Path("pictures", key.partition("#")[0])
        seen = _decoded(path) if path.stem == "x" else None
        if isinstance(seen, Unreadable):
            used[key] = {"label": label, "picture": f"accepted, though {seen.reason}"}
        elif seen is not None and np.abs(crop.astype(int) - seen).mean() > CLOSE:
            used[key] = {"label": label, "picture": "other pixels than another decoder sees"}
        else:
            used[key] = {"label": label, "picture": "as another decoder sees it"}
    # A folder's pictures stand in no list: one that is gone, or a link to nothing, is not missed.
    gone = [name for name in _NAMED if not Path("pictures", name).is_file()]
    return Claim({**used, **{f"{name}#0": TOLD for name in gone}}, lenient=TOLD in used.values())


def a_size_that_lies(path: Path, random: Random) -> str:
    """Another size in the header of a PNG, its checksum right again."""
    data = bytearray(path.read_bytes())
    sizes = (
        (2**31 - 1, 2**31 - 1),
        (65535, 65535),
        (0, 32),
        (32, 0),
        (30000, 30000),
        (32, 33),
        (33, 32),
        (1, 1),
    )
    width, height = sizes[int(random.integers(len(sizes)))]
    data[16:24] = struct.pack(">II", width, height)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    path.write_bytes(data)
    return f"a header that says {width} x {height}"


def a_bomb(path: Path, random: Random) -> str:
    """30,000 x 30,000 black pixels of one bit, whole and sound, in a hundred kilobytes."""
    side = 30_000
    row = bytes(1 + side // 8)
    packed = zlib.compressobj(1)
    body = b"".join([*(packed.compress(row * 100) for _ in range(side // 100)), packed.flush()])

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    )
    return "30,000 x 30,000 pixels"


def a_chunk_changed(path: Path, random: Random) -> str:
    """A chunk of a PNG left out, doubled or given another kind."""
    data = path.read_bytes()
    chunks, at = [], 8
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        chunks.append(data[at : at + 12 + length])
        at += 12 + length
    place, how = int(random.integers(len(chunks))), int(random.integers(3))
    kind = chunks[place][4:8].decode()
    if how == 0:
        del chunks[place]
    elif how == 1:
        chunks.insert(place, chunks[place])
    else:
        chunks.reverse()
    path.write_bytes(data[:8] + b"".join(chunks))
    return f"{kind} {('left out', 'twice', 'and all others in reverse')[how]}"


reader(
    "PNG headers by prepare",
    "pictures",
    parts="pictures",
    file="pictures/train/fake/x.png",
    damages=damages(a_size_that_lies, a_size_that_lies, a_chunk_changed, a_bomb),
    writes=("made*", ".made.*"),
    weight=2,
)(pictures)


def a_number_changed(path: Path, random: Random) -> str:
    """A number in a box of an MP4 header: sizes, counts, times, the matrix."""
    data = bytearray(path.read_bytes())
    names = (
        b"tkhd",
        b"mdhd",
        b"stsz",
        b"stts",
        b"stsc",
        b"stco",
        b"stss",
        b"avc1",
        b"mvhd",
        b"elst",
        b"ctts",
        b"hdlr",
    )
    there = [name for name in names if name in data]
    name = there[int(random.integers(len(there)))]
    at = data.index(name) + 4 + 4 * int(random.integers(0, 12))
    values = (0, 1, 2**31 - 1, 2**32 - 1, 65535, 2**31, 25)
    value = values[int(random.integers(len(values)))]
    data[at : at + 4] = struct.pack(">I", value)
    path.write_bytes(data)
    return f"{name.decode()}: {value} at byte {at}"


def a_box_of_another_size(path: Path, random: Random) -> str:
    data = bytearray(path.read_bytes())
    names = [name for name in (b"moov", b"trak", b"mdat", b"stbl", b"minf", b"ftyp", b"avcC") if name in data]
    name = names[int(random.integers(len(names)))]
    at = data.index(name) - 4
    value = (0, 1, 7, 2**31, 2**32 - 1)[int(random.integers(5))]
    data[at : at + 4] = struct.pack(">I", value)
    path.write_bytes(data)
    return f"{name.decode()} of {value} bytes"


def a_clip_of_many_pixels(path: Path, random: Random) -> str:
    shutil.copyfile(path.parent.parent / "large.mp4", path)
    return "two frames of 8,192 x 8,192"


@reader(
    "clips by prepare",
    "pictures",
    parts="clips",
    file="clips/x/fake0.mp4",
    damages=(
        *BYTES,
        *PLACES,
        *damages(
            a_number_changed, a_number_changed, a_number_changed, a_box_of_another_size, a_clip_of_many_pixels
        ),
    ),
    writes=("made*", ".made.*"),
    weight=3,
)
def clips(bench: Bench) -> Claim:
    crops = prepared(bench, "clips/list.csv", "csv", "--frames", "2")
    used: dict[str, Any] = {}
    for key, value in crops.items():
        damaged = key.startswith("x/fake0.mp4")
        # What a damaged clip still shows can't be known; its label can, and every other clip's frames.
        used[key] = (
            TOLD if value is TOLD or (damaged and value[1] == 1) else {"label": value[1], "crop": value[0]}
        )
    return Claim(used, lenient=TOLD in used.values())


@reader(
    "picture by predict",
    "pictures",
    parts="results picture",
    file="face.png",
    damages=(*BYTES, *PLACES, *damages(a_size_that_lies, a_chunk_changed, a_bomb)),
    weight=2,
)
def judged(bench: Bench) -> Claim:
    """What ``bench predict`` says of a picture; one that another decoder calls damaged has no score."""
    outcome = judge_pictures(bench, "face.png")
    (prediction,) = strict(outcome.out)["files"]
    if prediction["score"] is None:
        return Claim(TOLD)
    seen = _decoded(Path("face.png"))
    return Claim(prediction, seen) if isinstance(seen, Unreadable) else Claim(TOLD, whole=prediction)
