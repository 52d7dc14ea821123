"""Crops: where the square lies, how it is resized, and the JPEG copy."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from fretal_bench.datasets.faces.boxes import FaceBox
from fretal_bench.datasets.faces.crops import as_jpeg, centre_box, crop_face


def picture(height=100, width=160):
    y, x = np.mgrid[:height, :width]
    return np.stack([x, y, (x + y) % 251], axis=-1).astype(np.uint8)


def test_the_square_is_centred_on_the_box_and_larger_by_the_margin():
    image = picture()
    crop = crop_face(image, FaceBox(50, 30, 80, 70), size=52, margin=1.3)
    # 1.3 x 40 = 52 pixels around (65, 50).
    assert np.array_equal(crop, image[24:76, 39:91])


@pytest.mark.parametrize(
    ("box", "left", "top"),
    [
        (FaceBox(-10, -10, 30, 30), 0, 0),
        (FaceBox(140, 80, 180, 120), 108, 48),
        (FaceBox(500, 400, 540, 440), 108, 48),
        (FaceBox(-900, 40, -860, 80), 0, 34),
    ],
)
def test_a_square_that_leaves_the_picture_is_moved_back_into_it(box, left, top):
    image = picture()
    assert np.array_equal(crop_face(image, box, 52, 1.3), image[top : top + 52, left : left + 52])


def test_a_square_larger_than_the_picture_is_shrunk_to_it():
    image = picture()
    assert np.array_equal(crop_face(image, FaceBox(0, 0, 160, 160), 100, 1.3), image[:, 30:130])


def test_shrinking_averages_and_enlarging_interpolates():
    image = np.zeros((64, 64, 3), np.uint8)
    image[::2, ::2] = 200
    assert np.all(crop_face(image, FaceBox(0, 0, 64, 64), 32, 1.0) == 50)
    large = crop_face(picture(), FaceBox(10, 10, 30, 30), 40, 1.0)
    assert np.array_equal(
        large, cv2.resize(picture()[10:30, 10:30], (40, 40), interpolation=cv2.INTER_LINEAR)
    )


def test_the_centre_box_gives_the_largest_middle_square_whatever_the_margin():
    image = picture()
    for margin in (1.0, 1.3, 2.7):
        assert np.array_equal(crop_face(image, centre_box(image, margin), 100, margin), image[:, 30:130])


def test_the_jpeg_copy_keeps_colours_in_their_order_and_loses_detail():
    crop = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    crop[..., 0] = 220
    again = as_jpeg(crop, 25)
    assert again.shape == crop.shape
    assert again[..., 0].mean() == pytest.approx(220, abs=15)
    assert np.abs(again.astype(int) - crop)[..., 1:].mean() > 5
    data = cv2.imencode(".jpg", crop[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 25])[1]
    assert np.array_equal(again, cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1])
