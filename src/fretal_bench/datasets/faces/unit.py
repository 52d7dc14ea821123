"""Preparing one unit in one process: open its videos, find the faces, cut them out, write the part."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from fretal_bench.datasets.faces.archives import unpack
from fretal_bench.datasets.faces.boxes import Box
from fretal_bench.datasets.faces.crops import as_jpeg, centre_box, crop_face
from fretal_bench.datasets.faces.detector import open_detector
from fretal_bench.datasets.faces.frames import Unreadable
from fretal_bench.datasets.faces.groups import Unit, Video
from fretal_bench.datasets.faces.opening import Opened, archived_paths, open_video, path_of
from fretal_bench.datasets.faces.options import PrepareOptions
from fretal_bench.datasets.faces.parts import PartWriter, VideoPart
from fretal_bench.datasets.faces.search import Place
from fretal_bench.datasets.faces.sharing import Where, whereabouts
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
    with PartWriter(stem) as part:
        if not members:
            part.finish(_prepare_groups(unit, options, root, {}, part))
            return
        with tempfile.TemporaryDirectory(prefix=f".{stem.name}.", dir=stem.parent) as folder:
            unpacked = unpack(root, members, Path(folder))
            part.finish(_prepare_groups(unit, options, root, unpacked, part))


def _prepare_groups(
    unit: Unit, options: PrepareOptions, root: Path, unpacked: Mapping[str, Path], part: PartWriter
) -> list[VideoPart]:
    return [made for group in unit.groups for made in _prepare_group(group, options, root, unpacked, part)]


def _prepare_group(
    group: Sequence[Video],
    options: PrepareOptions,
    root: Path,
    unpacked: Mapping[str, Path],
    part: PartWriter,
) -> list[VideoPart]:
    """Prepare a real video and its fakes, or a single video."""
    made = {video.number: VideoPart(video.number) for video in group}
    opened: list[Opened] = []
    for video in group:
        out = made[video.number]
        try:
            opened.append(open_video(video, options.frames, root, unpacked))
        except Unreadable as reason:
            _fail(out, video.path, -1, str(reason), options)
            continue
        if opened[-1].short:
            out.failures.append((video.path, -1, opened[-1].short))
    where: dict[int, tuple[str, Where]] = {}
    if options.detector != "none":
        detector = open_detector(str(options.detector), options.detector_model)
        where = whereabouts(opened, group[0], detector, options.every, root)
    for one in opened:
        out = made[one.video.number]
        out.boxes, place = where.get(one.video.number, ("none", None))
        _cut(one, place, out, options, part)
    return list(made.values())


def _cut(one: Opened, where: Where | None, out: VideoPart, options: PrepareOptions, part: PartWriter) -> None:
    """Cut the face out of every wanted frame, into the part; what gives no crop is counted."""
    lost: list[tuple[int, str]] = []
    for frame in one.source.read(one.wanted):
        box, reason = None, frame.reason
        if frame.image is not None:
            middle = centre_box(frame.image, options.margin)
            box, reason = (middle, "") if where is None else _box(where(frame.number), middle, options)
        if frame.image is None or box is None:
            lost.append((frame.number, reason))
            if options.on_missing == "error":
                break
            continue
        crop = crop_face(frame.image, box, options.size, options.margin)
        part.add(crop if options.jpeg is None else as_jpeg(crop, options.jpeg))
        out.frames.append(frame.number)
    reasons = {reason for _, reason in lost}
    if len(reasons) == 1 and not out.frames and options.on_missing != "error":
        out.failures.append((one.video.path, -1, f"{reasons.pop()}: in none of {len(lost)} frames"))
        return
    for number, reason in lost:
        _fail(out, path_of(one.video, number), number, reason, options)


def _box(place: Place, middle: Box, options: PrepareOptions) -> tuple[Box | None, str]:
    """The box to cut, or the reason why there is none."""
    if place.seen:
        return place.box, ""
    if options.on_missing == "centre":
        return middle, ""
    if options.on_missing == "interpolate" and place.box is not None:
        return place.box, ""
    return None, place.reason


def _fail(out: VideoPart, path: str, frame: int, reason: str, options: PrepareOptions) -> None:
    """Count a failure, or stop at it if that is wanted."""
    if options.on_missing == "error":
        where = f"{path}, frame {frame}" if frame >= 0 else path
        raise RunError(
            f"{where}: {reason}; mend or remove it, or let it be counted with --on-missing interpolate"
        )
    out.failures.append((path, frame, reason))
