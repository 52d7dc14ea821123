"""Facts read from headers: what they are, and that nothing is decoded for them."""

import io
from fractions import Fraction

import cv2
import numpy as np
import pytest

from fretal_bench.datasets.check.check import check
from fretal_bench.datasets.check.facts import Facts, clip_facts, file_facts
from fretal_bench.datasets.media import clips
from fretal_bench.datasets.media.limits import MediaLimits
from trees import Tree, clip


def picture(tmp_path, suffix, options=(), dtype=np.uint8, channels=3):
    file = tmp_path / f"x{suffix}"
    image = np.random.default_rng(0).integers(0, 255, (40, 60, channels)).astype(dtype)
    assert cv2.imwrite(str(file), image, list(options))
    return file


@pytest.mark.parametrize("quality", [1, 10, 49, 50, 75, 90, 95, 100])
def test_the_quality_of_a_jpeg_is_told_from_its_tables(tmp_path, quality):
    header = file_facts(picture(tmp_path, ".jpg", [cv2.IMWRITE_JPEG_QUALITY, quality]))

    assert header.quality == quality
    assert (header.suffix, header.format, header.width, header.height) == (".jpg", "JPEG", 60, 40)
    assert header.tables


@pytest.mark.parametrize(
    ("suffix", "format"),
    [(".png", "PNG"), (".webp", "WEBP"), (".bmp", "BMP"), (".tif", "TIFF"), (".ppm", "PPM")],
)
def test_pictures_of_other_formats_have_size_and_format(tmp_path, suffix, format):
    header = file_facts(picture(tmp_path, suffix))

    assert (header.format, header.width, header.height, header.bits, header.pixels) == (
        format,
        60,
        40,
        8,
        "RGB",
    )
    assert header.tables == ""


def test_the_bits_of_a_png_are_those_of_its_header(tmp_path):
    assert file_facts(picture(tmp_path, ".png", dtype=np.uint16)).bits == 16


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"II*\x00\xff\xff\xff\xff"]
)
def test_of_what_cannot_be_read_the_suffix_is_known_alone(tmp_path, content):
    file = tmp_path / "x.png"
    file.write_bytes(content)

    assert repr(file_facts(file)) == repr(Facts(".png"))
    assert repr(file_facts(tmp_path / "gone.tar::x.png")) == repr(Facts(".png"))
    assert clip_facts(tmp_path / "gone.mp4")[1]


def test_the_header_of_a_large_picture_costs_no_memory_for_its_pixels(tmp_path):
    header = picture(tmp_path, ".png").read_bytes()
    file = tmp_path / "large.png"
    # Width and height of 30,000, which would be 2.7 GB.
    file.write_bytes(header[:16] + (30_000).to_bytes(4, "big") * 2 + header[24:])

    assert file_facts(file).width in (0, 30_000)


def test_a_clip_has_codec_size_and_rates(tmp_path):
    file = tmp_path / "x.mp4"
    file.write_bytes(clip())

    header, problem = clip_facts(file)

    assert problem is None
    assert (header.format, header.pixels, header.bits, header.width, header.height) == (
        "h264",
        "yuv420p",
        8,
        32,
        32,
    )
    assert header.frame_rate == 25
    assert header.duration == pytest.approx(3 / 25, abs=0.05)
    assert header.bit_rate > 0


def deep_clip(transfer):
    import av

    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx265", rate=Fraction(25), options={"x265-params": "log-level=none"})
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p10le"
        if transfer:
            stream.codec_context.color_trc = transfer
        images = (np.full((64, 64, 3), level, np.uint8) for level in (40, 120))
        frames = (av.VideoFrame.from_ndarray(image, format="rgb24") for image in images)
        packets = [
            *(packet for frame in frames for packet in stream.encode(frame.reformat(format="yuv420p10le"))),
            *stream.encode(),
        ]
        # x265 leaves the times of packets unset or half set, from run to run, which the container then refuses.
        for number, packet in enumerate(packets):
            packet.pts = packet.dts = number
            packet.time_base = Fraction(1, 25)
            container.mux(packet)
    return file.getvalue()


@pytest.mark.parametrize(
    ("transfer", "words"), [(0, "10 bits;"), (16, "10 bits, HDR (PQ)"), (18, "10 bits, HDR (HLG)")]
)
def test_a_check_warns_of_clips_that_hold_more_than_crops_can(tmp_path, transfer, words):
    tree = Tree(tmp_path)
    tree.video("a.mp4", "b.mp4")
    tree.data("c.mp4", deep_clip(transfer))
    tree.text("all.csv", "path,label,split\na.mp4,0,train\nb.mp4,1,train\nc.mp4,1,test\n")

    findings = check(tmp_path / "all.csv").findings

    (finding,) = (finding for finding in findings if finding.kind == "deep")
    assert (finding.file, finding.severity) == ("c.mp4", "warning")
    assert words in finding.found


def test_a_check_warns_of_a_clip_beyond_the_limits_and_does_not_call_it_damaged(tmp_path, monkeypatch):
    tree = Tree(tmp_path)
    tree.video("a.mp4", "b.mp4")
    tree.text("all.csv", "path,label,split\na.mp4,0,train\nb.mp4,1,train\n")
    monkeypatch.setattr(clips, "MediaLimits", lambda: MediaLimits(max_megapixels=32 * 31 / 1e6))

    findings = check(tmp_path / "all.csv").findings

    assert {(f.kind, f.file, f.severity) for f in findings} >= {
        ("large", "a.mp4", "warning"),
        ("large", "b.mp4", "warning"),
    }
    assert not [f for f in findings if f.kind == "unreadable"]
