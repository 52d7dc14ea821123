"""Searching a video: how few frames are looked at, where the face is in the others, and which face it is."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from faces_support import face, grey_clip, turn
from fretal_bench.datasets.faces.boxes import FaceBox
from fretal_bench.datasets.faces.frames import Frame, VideoFile
from fretal_bench.datasets.faces.reasons import Reason
from fretal_bench.datasets.faces.search import choice_of, mask_of, open_mask, place_in, search
from fretal_bench.datasets.ffpp_mini.photographs import people


class Scene:
    """A video whose frames hold their number, and a detector that answers by it."""

    declared = 100
    shape = (120, 200)
    numbers = range(100)

    def __init__(self, faces, lost=()):
        self.faces, self.lost, self.looked = faces, lost, []

    def read(self, numbers):
        for number in numbers:
            bad = number in self.lost
            yield Frame(
                number, None if bad else np.full((120, 200, 3), number, np.uint8), "bad" if bad else ""
            )

    def detect(self, image):
        self.looked.append(int(image[0, 0, 0]))
        return self.faces(self.looked[-1])


WANTED = list(range(0, 90, 10))


def test_a_still_face_is_looked_for_in_every_kth_frame_alone():
    scene = Scene(lambda n: [face(50, 20, 60)])
    searched = search(scene, WANTED, scene, every=4)
    assert scene.looked == [0, 40, 80]
    track = choice_of(searched).track
    places = [place_in(searched, track, n) for n in WANTED]
    assert all(place.seen and place.box == FaceBox(50, 20, 110, 80) for place in places)


def test_a_slow_face_is_placed_between_its_detections():
    scene = Scene(lambda n: [face(50 + n / 10, 20, 60)])
    searched = search(scene, WANTED, scene, every=4)
    assert scene.looked == [0, 40, 80]
    assert place_in(searched, choice_of(searched).track, 30).box.left == pytest.approx(53)


def test_a_face_that_moves_is_looked_for_everywhere():
    scene = Scene(lambda n: [face(n, 20, 60)])
    searched = search(scene, WANTED, scene, every=4)
    assert sorted(scene.looked) == WANTED
    assert [place_in(searched, choice_of(searched).track, n).box.left for n in WANTED] == WANTED


def test_every_frame_is_looked_at_if_asked_for():
    scene = Scene(lambda n: [face(50, 20, 60)])
    search(scene, WANTED, scene, every=1)
    assert scene.looked == WANTED


def test_frames_around_a_gap_are_looked_at_and_what_is_not_found_there_says_so():
    scene = Scene(lambda n: [] if n in (40, 50) else [face(50, 20, 60)])
    searched = search(scene, WANTED, scene, every=4)
    track = choice_of(searched).track
    assert sorted(scene.looked) == WANTED
    for n in (40, 50):
        place = place_in(searched, track, n)
        assert place.unseen is Reason.NO_FACE
        assert place.box == FaceBox(50, 20, 110, 80)
    assert place_in(searched, track, 30).seen


def test_before_the_first_and_after_the_last_detection_there_is_no_box():
    scene = Scene(lambda n: [face(50, 20, 60)] if 20 <= n <= 60 else [])
    searched = search(scene, WANTED, scene, every=1)
    places = [place_in(searched, choice_of(searched).track, n) for n in WANTED]
    assert [place.box is None for place in places] == [True, True, *[False] * 5, True, True]


def test_frames_that_cannot_be_decoded_are_not_looked_at_even_the_last():
    scene = Scene(lambda n: [face(50, 20, 60)], lost=(0, 40, 80))
    searched = search(scene, WANTED, scene, every=4)
    assert sorted(scene.looked) == [10, 20, 30, 50, 60, 70]
    assert place_in(searched, choice_of(searched).track, 60).seen


def test_of_several_faces_the_longest_track_is_taken_and_frames_with_only_the_other_say_so():
    main, other = face(20, 20, 60), face(120, 30, 70)
    scene = Scene(lambda n: [other] if n in (0, 10) else [main, other] if n < 40 else [main])
    searched = search(scene, WANTED, scene, every=1)
    track = choice_of(searched).track
    assert track.at(30) == main.box
    assert place_in(searched, track, 0).unseen is Reason.OTHER_FACE


class Cast:
    """A video of ORL's people: ``who`` says of each frame which person stands where, by the left edge of the face."""

    declared = 16
    shape = (240, 480)
    numbers = range(16)

    def __init__(self, who, sides=None):
        self.who, self.sides, self.looked = who, sides or {}, []

    def read(self, numbers):
        for number in numbers:
            image = np.full((240, 480, 3), 90, np.uint8)
            for left, person in self.who(number).items():
                photograph = people()[person].frames[number % 2]
                side = self.sides.get(person, 120)
                image[40 : 40 + side, left : left + side] = cv2.resize(photograph, (side, side))[:, :, None]
            image[0, 0] = number
            yield Frame(number, image)

    def detect(self, image):
        number = int(image[0, 0, 0])
        self.looked.append(number)
        return [face(left, 40, self.sides.get(who, 120)) for left, who in self.who(number).items()]


@pytest.mark.parametrize(("one", "other"), [(0, 14), (3, 27), (9, 36)])
@pytest.mark.parametrize("every", [1, 3])
def test_two_people_who_change_places_are_not_one_track(one, other, every):
    video = Cast(lambda n: {60: one, 300: other} if n < 8 else {60: other, 300: one})
    searched = search(video, range(16), video, every)
    choice = choice_of(searched)
    assert sorted(len(track.boxes) for track in searched.tracks) == [len(searched.faces) // 2] * 4
    seen = [n for n in range(16) if place_in(searched, choice.track, n).box is not None]
    assert seen in (list(range(8)), list(range(8, 16)))
    assert choice.rivalled
    assert {place_in(searched, choice.track, n).unseen for n in range(16) if n not in seen} == {
        Reason.OTHER_FACE
    }


def test_whoever_takes_the_place_of_another_does_not_go_on_as_that_one():
    video = Cast(lambda n: {60: 0, 300: 14} if n < 6 else {300: 0})
    searched = search(video, range(16), video, every=1)
    assert sorted(len(track.boxes) for track in searched.tracks) == [6, 6, 10]
    assert sorted(choice_of(searched).track.boxes) == list(range(6, 16))


@pytest.mark.parametrize(("one", "other"), [(0, 14), (3, 27), (20, 21), (9, 36)])
def test_two_people_who_stay_where_they_are_keep_their_tracks(one, other):
    video = Cast(lambda n: {60: one, 300: other})
    searched = search(video, range(16), video, every=1)
    assert [len(track.boxes) for track in searched.tracks] == [16, 16]


def test_a_small_still_face_in_a_corner_is_not_taken_for_the_person_who_is_there_in_most_frames():
    video = Cast(lambda n: {420: 14} if n in (3, 4, 11, 12) else {60: 0, 420: 14}, sides={14: 50})
    choice = choice_of(search(video, range(16), video, every=1))
    assert choice.track.boxes[0].left == 60
    assert not choice.rivalled


def test_a_small_face_is_taken_where_a_larger_one_is_there_for_a_moment_only():
    video = Cast(lambda n: {60: 0, 420: 14} if n < 4 else {420: 14}, sides={14: 50})
    assert choice_of(search(video, range(16), video, every=1)).track.boxes[0].left == 420


def test_frames_too_large_to_be_kept_are_looked_at_at_once(monkeypatch):
    monkeypatch.setattr("fretal_bench.datasets.faces.search._HELD", 2 * 120 * 200 * 3)
    scene = Scene(lambda n: [face(50, 20, 60)])
    search(scene, WANTED, scene, every=100)
    assert scene.looked == [0, 30, 60, 80]


def test_the_mask_says_which_face_though_it_is_on_screen_for_less_long(tmp_path):
    main, other = face(20, 20, 60), face(120, 30, 60)
    scene = Scene(lambda n: [main, other] if n < 40 else [main])
    searched = search(scene, WANTED, scene, every=1)
    assert choice_of(searched).track.at(0) == main.box
    frames = np.zeros((100, 60, 100), np.uint8)  # half the size of the video's picture
    frames[:, 15:45, 60:90] = 255
    mask = open_mask(grey_clip(tmp_path / "mask.mp4", frames))
    assert choice_of(searched, [mask]).track.at(0) == other.box
    nobody = open_mask(grey_clip(tmp_path / "empty.mp4", np.zeros((100, 60, 100), np.uint8)))
    assert choice_of(searched, [nobody]).track.at(0) == main.box


def test_the_mask_of_a_video_that_is_shown_turned_lies_over_the_right_face(tmp_path):
    upper, lower = face(30, 10, 30), face(30, 120, 30)
    lying = np.full((10, 96, 160), 90, np.uint8)  # shown 160 high and 96 wide
    video = VideoFile(turn(grey_clip(tmp_path / "video.mp4", lying), 90))
    scene = Scene(lambda n: [upper, lower])
    mask = np.zeros((10, 160, 96), np.uint8)
    mask[:, 115:155, 25:65] = 255
    searched = search(video, range(10), scene, every=1)
    assert choice_of(searched, [open_mask(grey_clip(tmp_path / "mask.mp4", mask))]).track.at(0) == lower.box


def test_masks_lie_beside_the_compressions_of_a_faceforensics_tree():
    assert mask_of("manipulated_sequences/FaceSwap/c40/videos/000_003.mp4") == (
        "manipulated_sequences/FaceSwap/masks/videos/000_003.mp4"
    )
    assert mask_of("original_sequences/youtube/c23/videos/000.mp4") is None
    assert mask_of("Celeb-synthesis/id0_id1_0000.mp4") is None
