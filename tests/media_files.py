"""Pictures and clips that tests make: PNG chunk by chunk, orientation written in every way, bombs, clips of any kind."""

from __future__ import annotations

import io
import struct
import zlib
from fractions import Fraction

import av
import cv2
import numpy as np
from PIL import Image

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""What was done to an upright picture that has to be shown with this orientation (Exif 2.32, tag 0x0112)."""

HEADER = b"Exif\x00\x00"


def smooth(height=40, width=60, seed=0):
    """A smooth picture without any symmetry, uint8 [H, W, 3]."""
    small = np.random.default_rng(seed).integers(0, 255, (5, 7, 3), dtype=np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


def stored(image, orientation):
    """The picture as a camera that was held otherwise stores it."""
    picture = Image.fromarray(image)
    return picture.transpose(TURNS[orientation]) if orientation in TURNS else picture


def encoded(picture, kind, **options):
    """The bytes of a picture (Pillow's or an array)."""
    buffer = io.BytesIO()
    (Image.fromarray(picture) if isinstance(picture, np.ndarray) else picture).save(buffer, kind, **options)
    return buffer.getvalue()


def exif(orientation, order="<"):
    """A bare Exif block with one entry."""
    head = b"II*\x00" if order == "<" else b"MM\x00*"
    return head + struct.pack(f"{order}IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)


def chunk(name, data):
    """A PNG chunk."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png_with(png, chunks, *, last=False):
    """A PNG with further chunks behind its header, or behind its pixels."""
    place = len(png) - 12 if last else 33
    return png[:place] + chunks + png[place:]


def raw_profile(block):
    """The PNG text in which ImageMagick writes an Exif block."""
    digits = block.hex().encode()
    lines = b"\n".join(digits[n : n + 72] for n in range(0, len(digits), 72))
    text = b"\nexif\n%8d\n%s\n" % (len(block), lines)
    return chunk(b"zTXt", b"Raw profile type exif\x00\x00" + zlib.compress(text))


def webp_with(webp, block, size):
    """A simple WebP as an extended one with an EXIF chunk."""
    width, height = size
    block += b"\x00" * (len(block) % 2)
    canvas = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = b"VP8X" + struct.pack("<I", 10) + bytes([8, 0, 0, 0]) + canvas + webp[12:]
    body += b"EXIF" + struct.pack("<I", len(block)) + block
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def oriented(image, orientation):
    """Name -> bytes: the picture stored so that it is to be shown with this orientation, in every way to say so."""
    picture = stored(image, orientation)
    png, webp = encoded(picture, "PNG"), encoded(picture, "WEBP", lossless=True)
    bare, big = exif(orientation), exif(orientation, ">")
    return {
        "bare.png": png_with(png, chunk(b"eXIf", bare)),
        "big-endian.png": png_with(png, chunk(b"eXIf", big)),
        "header.png": png_with(png, chunk(b"eXIf", HEADER + bare)),
        "last.png": png_with(png, chunk(b"eXIf", bare), last=True),
        "raw.png": png_with(png, raw_profile(HEADER + bare)),
        "bare.webp": webp_with(webp, bare, picture.size),
        "header.webp": webp_with(webp, HEADER + big, picture.size),
        "plain.tif": encoded(picture, "TIFF", tiffinfo={0x0112: orientation}),
        "packed.tif": encoded(picture, "TIFF", tiffinfo={0x0112: orientation}, compression="tiff_lzw"),
        "alpha.tif": encoded(picture.convert("RGBA"), "TIFF", tiffinfo={0x0112: orientation}),
        "photo.jpg": encoded(picture, "JPEG", quality=95, subsampling=0, exif=HEADER + bare),
    }


def png_bomb(width, height):
    """A PNG of one colour that is small on disk and huge in memory."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    packer = zlib.compressobj(1)
    row = bytes(1 + 3 * width)
    data = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def write_clip(path, frames, *, times=None, codec="libx264", pixels="yuv420p", rate=25, **options):
    """Write uint8 [n, H, W, 3] as a clip; ``times`` are the frames' numbers in units of 1/90000 s."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, options={"threads": "1", **options})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pixels
        if times is not None:
            stream.codec_context.time_base = stream.time_base = Fraction(1, 90000)
        for number, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            picture = picture.reformat(format=pixels)
            if times is not None:
                picture.pts, picture.time_base = times[number], Fraction(1, 90000)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path
