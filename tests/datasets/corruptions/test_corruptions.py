"""Corruptions of crops against OpenCV and PyAV called by hand, and their names."""

from __future__ import annotations

import io
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest
import torch

from fretal_bench.datasets.corruptions import KINDS, Corruption, corruption, corruptions
from fretal_bench.datasets.streams import corrupted
from fretal_bench.datasets.streams.corrupted import CorruptedSource
from fretal_bench.datasets.streams.stream import open_stream
from fretal_bench.errors import BenchError
from tests_support import tiny_stream


@pytest.fixture(scope="module")
def crops():
    """Five smooth crops with a bright square that moves; an odd size, that H.264 must pad."""
    y, x = np.mgrid[:33, :35]
    frames = []
    for k in range(5):
        crop = np.stack([4 * y + 3 * x, 200 - 2 * y, 100 + x + 5 * k], axis=2).astype(np.uint8)
        crop[8 + k : 16 + k, 6 + 2 * k : 14 + 2 * k] = 240
        frames.append(crop)
    return np.stack(frames)


def of(name, crops):
    return corruption(name).apply(crops)


def test_jpeg_is_opencvs_at_that_quality(crops):
    for crop, seen in zip(crops, of("jpeg-30", crops), strict=True):
        file = cv2.imencode(".jpg", crop[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 30])[1]
        assert np.array_equal(seen, cv2.imdecode(file, cv2.IMREAD_COLOR)[:, :, ::-1])


def test_blur_is_opencvs_gaussian(crops):
    for crop, seen in zip(crops, of("blur-1.5", crops), strict=True):
        assert np.array_equal(seen, cv2.GaussianBlur(crop, (0, 0), 1.5))


def test_resize_is_opencvs_area_down_and_bilinear_up(crops):
    for crop, seen in zip(crops, of("resize-0.25", crops), strict=True):
        small = cv2.resize(crop, (9, 8), interpolation=cv2.INTER_AREA)
        assert np.array_equal(seen, cv2.resize(small, (35, 33), interpolation=cv2.INTER_LINEAR))


def test_h264_is_pyavs_clip_of_the_crops_in_order(crops):
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        options = {"crf": "40", "preset": "veryfast", "threads": "1", "x264-params": "asm=0"}
        stream = container.add_stream("libx264", rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = 36, 34, "yuv420p"
        for number, crop in enumerate(crops):
            even = np.pad(crop, ((0, 1), (0, 1), (0, 0)), mode="edge")
            picture = av.VideoFrame.from_ndarray(cv2.cvtColor(even, cv2.COLOR_RGB2YUV_I420), format="yuv420p")
            picture.pts, picture.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    file.seek(0)
    with av.open(file) as container:
        frames = [picture.to_ndarray() for picture in container.decode(video=0)]
    expected = [cv2.cvtColor(frame, cv2.COLOR_YUV2RGB_I420)[:33, :35] for frame in frames]
    assert np.array_equal(of("h264-40", crops), np.stack(expected))


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_crops_give_the_same_bytes_and_more_severity_more_error(kind, crops):
    errors = []
    for severity in KINDS[kind].severities:
        one, other = (Corruption(kind, severity).apply(crops) for _ in range(2))
        assert one.shape == crops.shape
        assert one.dtype == np.uint8
        assert np.array_equal(one, other)
        errors.append(np.abs(one.astype(int) - crops).mean())
    assert 0 < errors[0] < errors[-1] < 60


@pytest.mark.parametrize("name", ["blur-0", "resize-1"])
def test_no_severity_changes_nothing(name, crops):
    assert np.array_equal(of(name, crops), crops)


def test_all_is_every_kind_at_its_default_severities():
    every = [Corruption(kind, severity) for kind, about in KINDS.items() for severity in about.severities]
    assert list(corruptions("all")) == every
    assert [one.name for one in corruptions("jpeg, blur-0.5,jpeg-30")] == ["jpeg-70", "jpeg-30", "blur-0.5"]


@pytest.mark.parametrize("name", [one.name for one in corruptions("all")])
def test_a_name_is_read_back(name):
    assert corruption(name).name == name


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("jpg", "unknown corruption 'jpg'; did you mean 'jpeg'"),
        ("", "unknown corruption ''"),
        ("jpeg-0", "a whole number from 1 to 100"),
        ("jpeg-30.5", "a whole number from 1 to 100"),
        ("jpeg-", "found ''"),
        ("blur-1.0", "written as in blur-1"),
        ("blur-nan", "found 'nan'"),
        ("h264-52", "from 0 to 51"),
        ("resize-2", "from 0.01 to 1"),
    ],
)
def test_what_is_no_corruption_is_refused_in_one_line(text, message):
    with pytest.raises(BenchError) as raised:
        corruptions(text)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.fixture(scope="module")
def domain(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corrupted")
    return open_stream(tiny_stream(folder))[0]


@pytest.mark.parametrize("held", [True, False])
@pytest.mark.parametrize("name", ["h264-40", "jpeg-30", "blur-0"])
def test_a_source_gives_each_crop_as_its_video_is_seen_in_any_order(name, held, domain, monkeypatch):
    monkeypatch.setattr(corrupted, "HELD", 1 << 28 if held else 0)
    rows = domain.rows["test"]
    about = domain.store.index.iloc[rows]
    expected = np.empty((len(rows), *domain.store.crops.shape[1:]), np.uint8)
    for _, members in about.reset_index(drop=True).groupby(["method", "video"]):
        at = members.sort_values("frame").index.to_numpy()
        expected[at] = of(name, domain.store.crops[rows[at]])
    source = CorruptedSource(domain, corruption(name))
    assert len(source) == len(rows)
    assert np.array_equal(source.targets, about["label"])
    index = torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))
    for part in index.split(4):
        assert np.array_equal(source.images(part), expected[part])
    assert source.images(index[:0]).shape == (0, *expected.shape[1:])
