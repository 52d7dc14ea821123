"""Files judged one after the other: faces found and followed, crops cut by the detector's rule, scores averaged."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

import cv2
import numpy as np

from fretal_bench.benchmark.prediction.detectors import Detector, Scores
from fretal_bench.benchmark.prediction.judgement import (
    AVERAGES,
    Average,
    JudgedFace,
    LookedAt,
    Of,
    Prediction,
)
from fretal_bench.datasets.faces.boxes import FaceBox, Track, prominent, rivalled
from fretal_bench.datasets.faces.crops import Image, centre_box, crop_face
from fretal_bench.datasets.faces.detector import Detector as FaceFinder
from fretal_bench.datasets.faces.detector import open_detector
from fretal_bench.datasets.faces.frames import Frame, ImageFiles, Source, VideoFile, evenly
from fretal_bench.datasets.faces.search import search
from fretal_bench.datasets.media.limits import MediaLimits
from fretal_bench.datasets.media.noise import kept_off
from fretal_bench.datasets.media.pictures import is_picture
from fretal_bench.datasets.media.reasons import Cause, Reason, Unreadable
from fretal_bench.errors import BenchError
from fretal_bench.metrics.calibration import with_temperature

_BATCH: Final = 64
"""Crops that are judged at once: a video's are never all in memory."""
_CUT: Final = 0.9
"""A crop that is less than this share of what the rule asks for is cut off by the picture's edge."""
_ENLARGED: Final = 2.0
"""A face enlarged this much has lost what a detector looks for."""
_THUMBNAIL: Final = 112
_QUALITY: Final = 85


@dataclass(frozen=True)
class Looking:
    """How files are looked at.

    Attributes:
        frames: Frames of a video that are looked at, evenly spaced.
        faces: Face detector: ``mtcnn``, ``yunet`` with ``faces_model``, or ``none``: every picture is a crop already.
        faces_model: YuNet's model file.
        limits: What one file may ask for.
        average: How a face's score is made of those of its frames.
        of: Which of several faces has the file's score.
        thumbnails: Keep a small picture of every face.
    """

    frames: int = 16
    faces: str = "mtcnn"
    faces_model: Path | None = None
    limits: MediaLimits = field(default_factory=MediaLimits)
    average: Average = "mean"
    of: Of = "highest"
    thumbnails: bool = False


def predict(
    detector: Detector, files: Sequence[str | os.PathLike[str]], looking: Looking | None = None
) -> Iterator[Prediction]:
    """Judge videos and pictures, one after the other; a file that cannot be judged stops no other.

    Args:
        detector: What judges.
        files: Videos and pictures.
        looking: How they are looked at.

    Yields:
        One prediction a file, in order.

    Raises:
        BenchError: The face detector is not there, the detector gives what is no probability, or its crop rule has no
            margin.
    """
    looking = looking or Looking()
    if looking.faces != "none" and not detector.use.crop.margin:
        raise BenchError(
            f"{detector.use.name}: learned from crops whose margin is not known, so that faces cannot be cropped alike; "
            "give pictures that are cropped as those were, with --detector none"
        )
    finder = None if looking.faces == "none" else open_detector(looking.faces, looking.faces_model)
    for file in files:
        with kept_off():
            prediction = _predict(detector, Path(file), finder, looking)
        yield prediction


def other_boxes(detector: Detector, looking: Looking) -> str:
    """Say that faces are found by other means here than for the crops that a detector learned from; empty if not."""
    by = detector.use.crop.detector
    if looking.faces == "none" or by in ("", looking.faces):
        return ""
    return f"faces are found by {looking.faces}, the detector learned from crops by {by}: scores may differ"


def _predict(detector: Detector, file: Path, finder: FaceFinder | None, looking: Looking) -> Prediction:
    begun = time.perf_counter()
    duration = 0.0
    try:
        source = _open(file, looking.limits)
        duration = _duration(source)
        numbers = evenly(source.numbers, looking.frames)
        tracks, others, rival = _tracks(source, numbers, finder)
        faces, notes, causes = _judged(detector, source, tracks, looking)
        reason = "" if faces else _no_face(source, len(numbers), finder, detector, causes)
    except Unreadable as error:
        return Prediction(
            str(file), None, "", (), str(error), seconds=time.perf_counter() - begun, duration=duration
        )
    taken = time.perf_counter() - begun
    if not faces:
        return Prediction(str(file), None, "", (), reason, seconds=taken, duration=duration)
    if others:
        notes.append(
            f"{others} smaller or briefer faces were left out"
            if others > 1
            else "a smaller or briefer face was left out"
        )
    if looking.of == "main" and rival:
        notes.append(Reason.SEVERAL.value)
    if looking.of == "highest":
        faces.sort(key=lambda face: -face.score)
    score = faces[0].score
    decision: Literal["fake", "real"] = "fake" if score >= detector.use.limit else "real"
    return Prediction(str(file), score, decision, tuple(faces), "", tuple(notes), taken, duration)


def _open(file: Path, limits: MediaLimits) -> Source:
    """Open a picture or a video, told apart by content.

    Raises:
        Unreadable: It is neither, beyond the limits, or HDR.
    """
    if is_picture(file):
        return ImageFiles({0: file}, limits)
    clip = VideoFile(file, limits)
    if clip.facts.hdr:
        remedy = "convert it to SDR with a tone mapping of your choice"
        raise Unreadable(Cause(Reason.HDR, f"{clip.facts.hdr}; {remedy}"))
    return clip


def _duration(source: Source) -> float:
    """Return the seconds of a video; 0 for a picture, or where neither its header nor its rate says."""
    if not isinstance(source, VideoFile):
        return 0.0
    facts = source.facts
    return facts.seconds or (len(source.numbers) / facts.rate if facts.rate else 0.0)


def _tracks(
    source: Source, numbers: Sequence[int], finder: FaceFinder | None
) -> tuple[list[Track], int, bool]:
    """Return the faces to judge, how many others there are, and whether one is as prominent as the first.

    Without a finder the whole of every frame is the one face.
    """
    if finder is None:
        height, width = source.shape
        whole = FaceBox(0, 0, width, height)
        return [Track(dict.fromkeys(numbers, whole))], 0, False
    found = search(source, numbers, finder, every=1).tracks
    tracks = prominent(found)
    return tracks, len(found) - len(tracks), bool(tracks) and rivalled(found, tracks[0])


@dataclass
class _Face:
    """A face while its frames pass."""

    looked: list[tuple[int, FaceBox]] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    best: Image | None = None
    cut: float = 1.0
    enlarged: float = 0.0


def _judged(
    detector: Detector, source: Source, tracks: Sequence[Track], looking: Looking
) -> tuple[list[JudgedFace], list[str], list[Cause]]:
    """Judge the frames in which each face was seen.

    A guess between two frames is good enough to train on, not to accuse on.

    Returns:
        The faces that have a frame, what to know of them, and why frames are missing.
    """
    faces = [_Face() for _ in tracks]
    causes: list[Cause] = []
    waiting: list[tuple[_Face, int, FaceBox, Image]] = []
    size, margin = detector.use.crop.size, detector.use.crop.margin
    for frame in source.read(sorted({number for track in tracks for number in track.boxes})):
        if frame.image is None:
            causes.append(frame.cause)
            continue
        for face, track in zip(faces, tracks, strict=True):
            box = track.boxes.get(frame.number)
            if box is None:
                continue
            if looking.faces == "none":
                crop = crop_face(frame.image, centre_box(frame.image, 1.0), size, 1.0)
            else:
                crop = crop_face(frame.image, box, size, margin)
                _measure(face, frame, box, size, margin)
            waiting.append((face, frame.number, box, crop))
        if len(waiting) >= _BATCH:
            _take_in(detector, waiting, looking.thumbnails)
    _take_in(detector, waiting, looking.thumbnails)
    seen = [face for face in faces if face.scores]
    return [_finished(face, looking.average) for face in seen], _notes(seen, detector), causes


def _measure(face: _Face, frame: Frame, box: FaceBox, size: int, margin: float) -> None:
    """Keep how far the crops of a face are from what the rule asks for."""
    assert frame.image is not None
    asked = box.side * margin
    face.cut = min(face.cut, min(frame.image.shape[:2]) / asked)
    face.enlarged = max(face.enlarged, size / min(asked, *frame.image.shape[:2]))


def _take_in(detector: Detector, waiting: list[tuple[_Face, int, FaceBox, Image]], thumbnails: bool) -> None:
    """Judge crops that wait, and keep of each face the one with the highest score if its picture is wanted."""
    if not waiting:
        return
    raw = detector.score([crop for *_, crop in waiting])
    for (face, number, box, crop), score in zip(
        waiting, tempered(raw, detector.use.temperature), strict=True
    ):
        if thumbnails and (face.best is None or score > max(face.scores)):
            face.best = crop
        face.looked.append((number, box))
        face.scores.append(float(score))
    waiting.clear()


def tempered(scores: Scores, temperature: float) -> Scores:
    """Return ``with_temperature`` of every P(fake), float32 [N]; 0 and 1 stay certain, and for T = 1 all is unchanged."""
    if temperature == 1:
        return scores
    certain = (scores == 0) | (scores == 1)
    return np.where(certain, scores, with_temperature(scores, temperature)).astype(np.float32)


def _finished(face: _Face, average: Average) -> JudgedFace:
    frames = tuple(
        LookedAt(number, _rounded(box), score)
        for (number, box), score in zip(face.looked, face.scores, strict=True)
    )
    thumbnail = b"" if face.best is None else _jpeg(face.best)
    return JudgedFace(float(AVERAGES[average](face.scores)), frames, thumbnail)


def _notes(faces: Sequence[_Face], detector: Detector) -> list[str]:
    """Say in what the crops are not as the detector's rule asks for."""
    notes = []
    margin, size = detector.use.crop.margin, detector.use.crop.size
    cut = min((face.cut for face in faces), default=1.0)
    if cut < _CUT:
        notes.append(
            f"cut off at {cut * margin:.2f} times the face box, not {margin:g}: was it cropped before?"
        )
    enlarged = max((face.enlarged for face in faces), default=0.0)
    if enlarged > _ENLARGED:
        notes.append(f"the face is small: {size / enlarged:.0f} px enlarged to {size}")
    return notes


def _no_face(
    source: Source, frames: int, finder: FaceFinder | None, detector: Detector, causes: Sequence[Cause]
) -> str:
    """Say why no face was judged."""
    if causes:
        return str(causes[0])
    height, width = source.shape
    small = finder is not None and max(height, width) <= 2 * detector.use.crop.size
    hint = "; a picture that is a face crop already is judged with --detector none" if small else ""
    return f"no face found in {frames} frame{'s' * (frames != 1)}{hint}"


def _jpeg(crop: Image) -> bytes:
    side = min(_THUMBNAIL, crop.shape[0])
    small = cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA)
    _, data = cv2.imencode(".jpg", small[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return bytes(data.tobytes())


def _rounded(box: FaceBox) -> tuple[float, float, float, float]:
    left, top, right, bottom = (round(float(value), 1) for value in box)
    return left, top, right, bottom
