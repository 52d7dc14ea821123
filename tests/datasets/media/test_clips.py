"""Clips: facts of the header, limits before and while decoding, frames in the order of display, turned ones."""

from __future__ import annotations

import os
import struct
from fractions import Fraction

import av
import numpy as np
import pytest

from fretal_bench.datasets.faces.frames import VideoFile
from fretal_bench.datasets.media.clips import clip_facts
from fretal_bench.datasets.media.limits import MediaLimits
from fretal_bench.datasets.media.reasons import Reason, Unreadable
from media_files import encoded, png_bomb, smooth, write_clip


def shades(count, height=48, width=64):
    """Frames that say their own number by their brightness."""
    return [np.full((height, width, 3), 10 + 4 * number, np.uint8) for number in range(count)]


def brightness(frame):
    return float(frame.image.mean())


def with_matrix(path, a, b, c, d):
    """Write a display matrix into an mp4's track header (ISO 14496-12, 8.3.2)."""
    data = bytearray(path.read_bytes())
    place = data.index(b"tkhd") + 44
    assert struct.unpack_from(">5i", data, place) == (1 << 16, 0, 0, 0, 1 << 16)
    struct.pack_into(">5i", data, place, a << 16, b << 16, 0, c << 16, d << 16)
    path.write_bytes(data)
    return path


def test_the_header_says_size_bits_codec_rate_and_duration(tmp_path):
    facts = clip_facts(write_clip(tmp_path / "clip.mp4", shades(10)))
    assert (facts.codec, facts.width, facts.height, facts.bits, facts.hdr) == ("h264", 64, 48, 8, "")
    assert (facts.frames, facts.rate) == (10, 25)
    assert facts.seconds == pytest.approx(0.4)
    assert facts.deep is None


@pytest.mark.parametrize(("transfer", "hdr"), [("smpte2084", "PQ"), ("arib-std-b67", "HLG"), ("bt709", "")])
def test_more_than_8_bits_and_hdr_are_told_from_the_header(tmp_path, transfer, hdr):
    colours = f"colorprim=bt2020:transfer={transfer}:colormatrix=bt2020nc"
    path = write_clip(tmp_path / "deep.mp4", shades(3), pixels="yuv420p10le", **{"x264-params": colours})
    facts = clip_facts(path)
    assert (facts.bits, facts.hdr) == (10, hdr)
    assert facts.deep.reason is Reason.DEEP
    assert f"10 bits{f', HDR ({hdr})' if hdr else ''}" in facts.deep.detail


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (
            MediaLimits(max_megapixels=0.003),
            "64 x 48 pixels are 0.0 megapixels, at most 0.003; --max-megapixels",
        ),
        (MediaLimits(max_frames=9), "10 frames, at most 9; --max-frames"),
        (MediaLimits(max_minutes=0.005), "0 minutes, at most 0.005; --max-minutes"),
    ],
)
def test_a_clip_beyond_a_limit_is_refused_before_a_frame_is_decoded(tmp_path, monkeypatch, limits, words):
    path = write_clip(tmp_path / "clip.mp4", shades(10))
    monkeypatch.setattr("fretal_bench.datasets.faces.frames._decoded", None)
    with pytest.raises(Unreadable) as refusal:
        VideoFile(path, limits)
    assert words in str(refusal.value)


def test_frames_are_limited_too_where_the_header_does_not_declare_them(tmp_path):
    path = write_clip(tmp_path / "clip.mkv", shades(10))
    assert clip_facts(path).frames == 0
    with pytest.raises(Unreadable, match="at most 9; --max-frames"):
        VideoFile(path, MediaLimits(max_frames=9))


def test_a_stream_that_grows_beyond_the_limit_loses_the_frames_from_there_on(tmp_path):
    path = tmp_path / "grows.ts"
    with av.open(str(path), "w", format="mpegts") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        start = 0
        # libav looks at the first 5 MB or 5 s before it says a size.
        for height, width, count in ((48, 64, 200), (480, 640, 4)):
            encoder = av.CodecContext.create("libx264", "w")
            encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
            encoder.time_base, encoder.framerate = Fraction(1, 25), 25
            encoder.options = {"preset": "ultrafast", "tune": "zerolatency"}
            for number in range(count + 1):
                picture = None
                if number < count:
                    picture = av.VideoFrame.from_ndarray(
                        np.zeros((height, width, 3), np.uint8), format="rgb24"
                    )
                    picture.pts, picture.time_base = start + number, Fraction(1, 25)
                for packet in encoder.encode(picture):
                    packet.stream, packet.time_base = stream, Fraction(1, 25)
                    container.mux(packet)
            start += count
    source = VideoFile(path, MediaLimits(max_megapixels=0.1))
    frames = list(source.read(source.numbers[198:]))
    assert [frame.image is None for frame in frames] == [False, False, True, True, True, True]
    assert {frame.cause.reason for frame in frames[2:]} == {Reason.TOO_LARGE}


def test_a_picture_bomb_under_a_videos_name_is_refused(tmp_path):
    path = tmp_path / "bomb.mp4"
    path.write_bytes(png_bomb(9000, 6000))
    with pytest.raises(Unreadable, match="no picture size, or one beyond the limit"):
        VideoFile(path)


def test_a_list_of_other_files_is_no_video(tmp_path):
    clip = write_clip(tmp_path / "part.ts", shades(5))
    path = tmp_path / "clip.m3u8"
    path.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{clip.name}\n#EXT-X-ENDLIST\n")
    with pytest.raises(Unreadable, match="it cannot be decoded"):
        VideoFile(path)


def test_a_pipe_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "clip.mp4")
    with pytest.raises(Unreadable, match="it is no regular file: a pipe"):
        VideoFile(tmp_path / "clip.mp4")


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_frames_of_a_variable_rate_with_b_frames_are_numbered_in_the_order_of_display(tmp_path, suffix):
    times = np.cumsum([0, *np.random.default_rng(0).choice([1500, 3003, 9000, 90], 39)]).tolist()
    path = write_clip(
        tmp_path / f"vfr.{suffix}", shades(40), times=times, bf="3", crf="1", **{"x264-params": "b-adapt=0"}
    )
    with av.open(str(path)) as container:
        order = [packet.pts for packet in container.demux(video=0) if packet.size]
    assert order != sorted(order), "no B-frames in it"
    source = VideoFile(path)
    assert list(source.numbers) == list(range(40))
    whole = {frame.number: brightness(frame) for frame in source.read(source.numbers)}
    assert np.abs(np.array(list(whole.values())) - (10 + 4 * np.arange(40))).max() < 2
    for numbers in ([0], [39], [3, 17, 18], list(range(1, 40, 5))):
        assert [(f.number, brightness(f)) for f in source.read(numbers)] == [(n, whole[n]) for n in numbers]


def test_a_video_of_one_frame_is_one_frame(tmp_path):
    source = VideoFile(write_clip(tmp_path / "one.mp4", shades(1)))
    assert list(source.numbers) == [0]
    assert [frame.number for frame in source.read([0])] == [0]


@pytest.mark.parametrize(
    ("matrix", "shown"),
    [
        ((1, 0, 0, 1), lambda image: image),
        ((0, 1, -1, 0), lambda image: np.rot90(image, -1)),
        ((-1, 0, 0, -1), lambda image: np.rot90(image, 2)),
        ((0, -1, 1, 0), lambda image: np.rot90(image)),
        ((-1, 0, 0, 1), lambda image: image[:, ::-1]),
        ((1, 0, 0, -1), lambda image: image[::-1]),
        ((0, 1, 1, 0), lambda image: image.transpose(1, 0, 2)),
    ],
)
def test_a_display_matrix_turns_and_mirrors_the_frames_and_their_height_and_width(tmp_path, matrix, shown):
    image = smooth(48, 64)
    path = write_clip(tmp_path / "plain.mp4", [image, image], crf="1")
    (plain,) = VideoFile(path).read([0])
    if matrix != (1, 0, 0, 1):
        with_matrix(path, *matrix)
    source = VideoFile(path)
    (frame,) = source.read([0])
    assert source.shape == frame.image.shape[:2] == shown(image).shape[:2]
    assert np.array_equal(frame.image, shown(plain.image))


def test_libav_is_not_heard(tmp_path, capfd):
    noise = np.random.default_rng(0).integers(0, 255, (20, 48, 64, 3), dtype=np.uint8)
    path = write_clip(tmp_path / "clip.mp4", noise)
    data = bytearray(path.read_bytes())
    start = data.index(b"mdat") + 9000
    data[start : start + 400] = bytes(400)
    path.write_bytes(data)
    list(VideoFile(path).read(range(20)))
    (tmp_path / "text.mp4").write_bytes(encoded(smooth(), "PNG")[:500])
    with pytest.raises(Unreadable):
        VideoFile(tmp_path / "text.mp4")
    assert capfd.readouterr().err == ""


def test_a_codec_that_nobody_knows_is_a_reason(tmp_path):
    path = write_clip(tmp_path / "a.mp4", shades(3))
    content = path.read_bytes()
    assert content.count(b"avc1")
    path.write_bytes(content.replace(b"avc1", b"zzz9").replace(b"avcC", b"zzzC"))
    with pytest.raises(Unreadable) as error:
        clip_facts(path)
    assert error.value.cause.reason is Reason.UNDECODABLE
