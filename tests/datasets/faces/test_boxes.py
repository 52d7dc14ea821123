"""Boxes: overlap, tracks, boxes between detections, and which of several faces is meant."""

from __future__ import annotations

import random

import pytest

from fretal_bench.datasets.faces.boxes import Face, FaceBox, Track, agree, choose, link, overlap


def face(left, top, side, score=0.9):
    return Face(FaceBox(left, top, left + side, top + side), score)


def test_overlap_is_intersection_over_union():
    assert overlap(FaceBox(0, 0, 10, 10), FaceBox(0, 0, 10, 10)) == 1
    assert overlap(FaceBox(0, 0, 10, 10), FaceBox(5, 0, 15, 10)) == pytest.approx(50 / 150)
    assert overlap(FaceBox(0, 0, 10, 10), FaceBox(10, 0, 20, 10)) == 0
    assert overlap(FaceBox(0, 0, 0, 0), FaceBox(0, 0, 0, 0)) == 0


def test_a_box_between_two_detections_lies_between_them_and_there_is_none_outside():
    track = Track({10: FaceBox(0, 0, 100, 100), 20: FaceBox(50, 20, 170, 140)})
    assert track.at(10) == FaceBox(0, 0, 100, 100)
    assert track.at(15) == FaceBox(25, 10, 135, 120)
    assert track.at(9) is None
    assert track.at(21) is None


def test_faces_are_linked_by_nearness_whatever_their_order_and_score():
    rng = random.Random(0)
    faces_by_frame = {}
    for frame in range(0, 100, 10):
        faces = [
            face(100 + frame, 50, 80, rng.random()),
            face(400 - frame, 60, 90, rng.random()),
        ]
        rng.shuffle(faces)
        faces_by_frame[frame] = faces
    left, right = sorted(link(faces_by_frame), key=lambda track: track.boxes[0].left)
    assert [box.left for box in left.boxes.values()] == [100 + frame for frame in faces_by_frame]
    assert [box.left for box in right.boxes.values()] == [400 - frame for frame in faces_by_frame]


def test_a_face_elsewhere_or_of_another_size_begins_a_track_of_its_own():
    assert len(link({0: [face(0, 0, 50)], 1: [face(200, 0, 50)]})) == 2
    assert len(link({0: [face(0, 0, 50)], 1: [face(0, 0, 120)]})) == 2
    assert len(link({0: [face(0, 0, 50)], 1: [], 2: [face(10, 0, 50)]})) == 1


def test_the_longest_track_is_chosen_and_of_equals_the_largest():
    short, long, large = (
        {n: face(0, 0, side).box for n in range(count)} for count, side in ((2, 300), (5, 40), (5, 60))
    )
    assert choose([Track(short), Track(long)]).boxes == long
    assert choose([Track(long), Track(large)]).boxes == large
    assert choose([]) is None


def test_a_mask_decides_before_length_unless_it_covers_nobody():
    long, masked = Track({n: face(0, 0, 40).box for n in range(9)}), Track({0: face(0, 0, 40).box})
    assert choose([long, masked], [0.0, 0.6]) is masked
    assert choose([long, masked], [0.0, 0.01]) is long


def test_frames_agree_only_if_every_face_of_one_is_in_the_other():
    assert agree([face(0, 0, 100)], [face(2, 1, 100)])
    assert not agree([face(0, 0, 100)], [face(20, 0, 100)])
    assert not agree([face(0, 0, 100)], [face(0, 0, 100), face(300, 0, 100)])
    assert not agree([], [])
    # Two faces may not both answer to the same one.
    assert not agree([face(0, 0, 100), face(1, 0, 100)], [face(0, 0, 100), face(300, 0, 100)])
