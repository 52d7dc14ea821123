"""Frames: which are taken, that they are exactly those, that little else is decoded, and what damage costs."""

from __future__ import annotations

import av
import cv2
import numpy as np
import pytest

from faces_support import grey_clip, numbered, turn
from fretal_bench.datasets.faces import frames as frames_module
from fretal_bench.datasets.faces.frames import ImageFiles, Unreadable, VideoFile, evenly


def decode_all(path):
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def clip_with_b_frames(path, count=60, faststart=False):
    """A still scene with one moving disc, as x264 codes a talking head: mostly B-frames, several GOPs."""
    options = {"movflags": "+faststart"} if faststart else {}
    with av.open(str(path), "w", format="mp4", options=options) as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "23", "preset": "fast", "g": "24"})
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        scene = cv2.GaussianBlur(
            np.random.default_rng(0).integers(0, 255, (96, 160, 3), dtype=np.uint8), (0, 0), 4
        )
        for n in range(count):
            image = scene.copy()
            cv2.circle(image, (40 + n, 48), 20, (200, 160, 40 + n), -1)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def test_frames_are_taken_from_the_middle_of_equal_stretches():
    assert evenly(range(10), 5) == [1, 3, 5, 7, 9]
    assert evenly(range(300), 1) == [150]
    assert evenly([3, 5, 9], 3) == [3, 5, 9]
    assert evenly(range(4), 32) == [0, 1, 2, 3]
    assert evenly(range(4), 0) == [0, 1, 2, 3]
    chosen = evenly(range(301), 32)
    assert len(set(chosen)) == 32
    gaps = np.diff(chosen)
    assert set(gaps) <= {9, 10}


def test_wanted_frames_are_the_same_bits_as_of_a_whole_decode_and_fewer_are_decoded(tmp_path, monkeypatch):
    path = clip_with_b_frames(tmp_path / "clip.mp4")
    whole = decode_all(path)
    source = VideoFile(path)
    assert list(source.numbers) == list(range(60))
    assert source.shape == (96, 160)

    decoded = []
    plain = frames_module._decoded
    monkeypatch.setattr(frames_module, "_decoded", lambda *a: (decoded.append(f) or f for f in plain(*a)))
    numbers = evenly(source.numbers, 8)
    frames = list(source.read(numbers))

    assert [frame.number for frame in frames] == numbers
    assert all(np.array_equal(frame.image, whole[frame.number]) for frame in frames)
    assert 8 <= len(decoded) < 48


def test_a_single_late_frame_and_frames_in_any_order_are_right(tmp_path):
    path = clip_with_b_frames(tmp_path / "clip.mp4")
    whole = decode_all(path)
    for numbers in ([59], [0], [40, 3, 41], list(range(60))):
        frames = list(VideoFile(path).read(numbers))
        assert [frame.number for frame in frames] == sorted(numbers)
        assert all(np.array_equal(frame.image, whole[frame.number]) for frame in frames)


def test_a_file_cut_short_gives_the_frames_before_the_cut_and_says_how_many_there_should_be(tmp_path):
    path = clip_with_b_frames(tmp_path / "clip.mp4", faststart=True)
    whole = decode_all(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    source = VideoFile(path)
    assert source.declared == 60
    assert 10 < len(source.numbers) < 60
    frames = list(source.read(source.numbers))
    assert [frame.number for frame in frames] == list(source.numbers)
    good = [frame for frame in frames if frame.image is not None]
    assert len(good) >= len(frames) - 3
    assert all(np.array_equal(frame.image, whole[frame.number]) for frame in good[:-3])


def test_damage_inside_costs_frames_and_each_is_still_told_once(tmp_path):
    path = clip_with_b_frames(tmp_path / "clip.mp4")
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 200] = bytes(200)
    path.write_bytes(data)
    frames = list(VideoFile(path).read(range(60)))
    assert [frame.number for frame in frames] == list(range(60))
    assert all(str(frame.cause) == "the frame cannot be decoded" for frame in frames if frame.image is None)
    assert sum(frame.image is not None for frame in frames) > 20


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_phones_video_has_the_shape_of_its_frames_as_they_are_shown(tmp_path, degrees):
    frames = numbered(3)
    source = VideoFile(turn(grey_clip(tmp_path / "clip.mp4", frames), degrees))
    (shown,) = source.read([1])
    assert source.shape == shown.image.shape[:2] == ((64, 48) if degrees % 180 else (48, 64))
    assert np.array_equal(shown.image[:, :, 0], np.rot90(frames[1], -degrees // 90))


def test_a_video_that_vanished_since_it_was_opened_gives_no_frame_and_says_so(tmp_path):
    source = VideoFile(grey_clip(tmp_path / "clip.mp4", numbered(3)))
    (tmp_path / "clip.mp4").unlink()
    assert [(frame.number, frame.image) for frame in source.read([0, 2])] == [(0, None), (2, None)]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "the file is missing"),
        (b"", "it cannot be decoded"),
        (b"no video at all" * 50, "it cannot be decoded"),
    ],
)
def test_what_is_no_video_says_so(tmp_path, content, reason):
    path = tmp_path / "clip.mp4"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(Unreadable, match=reason):
        VideoFile(path)


def test_a_video_whose_end_with_the_index_is_gone_cannot_be_decoded(tmp_path):
    path = grey_clip(tmp_path / "clip.mp4", numbered(5))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(Unreadable, match="it cannot be decoded") as caught:
        VideoFile(path)
    assert str(tmp_path) not in str(caught.value)


def test_extracted_frames_are_read_by_number_and_bad_ones_are_told(tmp_path):
    files = {}
    for number in (4, 2, 9):
        files[number] = tmp_path / f"{number:04d}.png"
        cv2.imwrite(str(files[number]), np.full((20, 30, 3), (0, 0, number), np.uint8))
    files[9].write_bytes(files[9].read_bytes()[:-20])
    files[11] = tmp_path / "gone.png"
    source = ImageFiles(files)
    assert list(source.numbers) == [2, 4, 9, 11]
    assert source.shape == (20, 30)
    two, four, nine, eleven = source.read([11, 9, 4, 2])
    assert (two.number, four.number) == (2, 4)
    assert four.image[0, 0].tolist() == [4, 0, 0], "RGB"
    assert nine.image is None
    assert "cut short" in nine.cause.detail
    assert str(eleven.cause) == "the file is missing"
    with pytest.raises(Unreadable, match="missing"):
        ImageFiles({0: tmp_path / "gone.png"})
