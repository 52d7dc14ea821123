"""Preparation of one unit in one process: open its videos, find the faces, cut them out, write the part."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from fretal_bench.datasets.faces.boxes import FaceBox
from fretal_bench.datasets.faces.crops import as_jpeg, centre_box, crop_face
from fretal_bench.datasets.faces.detector import open_detector
from fretal_bench.datasets.faces.frames import Frame
from fretal_bench.datasets.faces.groups import Unit, Video
from fretal_bench.datasets.faces.opening import Opened, archived_paths, open_video, path_of
from fretal_bench.datasets.faces.options import PrepareOptions
from fretal_bench.datasets.faces.parts import NewPart, VideoPart, new_part
from fretal_bench.datasets.faces.reasons import Failure
from fretal_bench.datasets.faces.sharing import Where, Whereabouts, whereabouts
from fretal_bench.datasets.importers.archives import unpack
from fretal_bench.datasets.media.reasons import Cause, Reason, Unreadable
from fretal_bench.errors import RunError


def prepare_unit(unit: Unit, options: PrepareOptions, root: Path, stem: Path) -> None:
    """Make the part of a unit.

    Args:
        unit: Its videos.
        options: With compression and detector decided.
        root: The data set's root.
        stem: Path of the part without extension.

    Raises:
        RunError: The disk is full; or something is missing and ``on_missing`` is ``error``.
        BenchError: The detector cannot be loaded, or the folder cannot be written.
    """
    members = [path for video in unit.videos for path in archived_paths(video, options.frames)]
    with new_part(stem) as part:
        if not members:
            _prepare_groups(unit, options, root, {}, part)
            return
        with tempfile.TemporaryDirectory(prefix=f".{stem.name}.", dir=stem.parent) as folder:
            _prepare_groups(unit, options, root, unpack(root, members, Path(folder)), part)


def _prepare_groups(
    unit: Unit, options: PrepareOptions, root: Path, unpacked: Mapping[str, Path], part: NewPart
) -> None:
    for group in unit.groups:
        part.videos += _prepare_group(group, options, root, unpacked, part)


def _prepare_group(
    group: Sequence[Video],
    options: PrepareOptions,
    root: Path,
    unpacked: Mapping[str, Path],
    part: NewPart,
) -> list[VideoPart]:
    """Prepare a real video and its fakes, or a single video."""
    parts = {video.number: VideoPart(video.number) for video in group}
    readable: list[Opened] = []
    for video in group:
        try:
            opened = open_video(video, options.frames, root, unpacked, options.limits)
        except Unreadable as error:
            _fail(parts[video.number], Failure(video.path, -1, error.cause), options)
            continue
        readable.append(opened)
        if opened.short is not None:
            parts[video.number].failures.append(Failure(video.path, -1, opened.short))
    places: dict[int, Whereabouts] = {}
    if options.detector != "none":
        detector = open_detector(str(options.detector), options.detector_model)
        places = whereabouts(readable, group[0], detector, options, root)
    for opened in readable:
        video_part = parts[opened.video.number]
        face = places.get(opened.video.number)
        if face is not None:
            video_part.boxes = face.boxes
        if face is not None and face.rivalled:
            video_part.failures.append(Failure(opened.video.path, -1, Cause(Reason.SEVERAL)))
        _cut(opened, face and face.where, video_part, options, part)
    return list(parts.values())


def _cut(
    opened: Opened, where: Where | None, video_part: VideoPart, options: PrepareOptions, part: NewPart
) -> None:
    """Cut the face out of every wanted frame, into the part; what gives no crop is counted."""
    losses: list[tuple[int, Cause]] = []
    for frame in opened.source.read(opened.wanted):
        box = _box_in(frame, where, options)
        if isinstance(box, Cause):
            losses.append((frame.number, box))
            if options.on_missing == "error":
                break
            continue
        assert frame.image is not None
        crop = crop_face(frame.image, box, options.size, options.margin)
        part.add(crop if options.jpeg is None else as_jpeg(crop, options.jpeg))
        video_part.frames.append(frame.number)
    causes = {cause for _, cause in losses}
    if len(causes) == 1 and not video_part.frames and options.on_missing != "error":
        cause = causes.pop().more(f"in none of {len(losses)} frames")
        video_part.failures.append(Failure(opened.video.path, -1, cause))
        return
    for number, cause in losses:
        _fail(video_part, Failure(path_of(opened.video, number), number, cause), options)


def _box_in(frame: Frame, where: Where | None, options: PrepareOptions) -> FaceBox | Cause:
    """The box to cut out of a frame, or why there is none."""
    if frame.image is None:
        return frame.cause
    middle = centre_box(frame.image, options.margin)
    if where is None:
        return middle
    place = where(frame.number)
    if place.box is not None and (place.seen or options.on_missing == "interpolate"):
        return place.box
    return middle if options.on_missing == "centre" else Cause(place.unseen or Reason.NO_FACE)


def _fail(video_part: VideoPart, failure: Failure, options: PrepareOptions) -> None:
    """Count a failure, or stop at it if that is wanted."""
    if options.on_missing == "error":
        where = f"{failure.path}, frame {failure.frame}" if failure.frame >= 0 else failure.path
        raise RunError(
            f"{where}: {failure.cause}; repair or remove it, or let it be counted with --on-missing interpolate"
        )
    video_part.failures.append(failure)
