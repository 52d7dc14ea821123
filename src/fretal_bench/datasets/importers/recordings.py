"""Videos of a folder, as files or as folders of extracted frames: what the video families have in common."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from fretal_bench.datasets.importers.names import frame_numbers
from fretal_bench.datasets.importers.options import ReadOptions
from fretal_bench.datasets.importers.rows import ManifestRow, Rows
from fretal_bench.datasets.importers.walk import Entry
from fretal_bench.datasets.media.suffixes import IMAGE_SUFFIXES, VIDEO_SUFFIXES

FRAME_FOLDERS: Final = ("images", "frames", "faces")


@dataclass(frozen=True)
class Recording:
    """One video: its id, and its files with their frame numbers (-1 for a video file, which holds all)."""

    video: str
    files: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Shelf:
    """A folder with recordings of one kind, and the data set, method and compression that losses there count for."""

    folder: str
    dataset: str
    method: str
    compression: str


def recordings(rows: Rows, shelf: Shelf, options: ReadOptions) -> Iterator[Recording]:
    """The recordings of a folder, by id; files of other kinds are left out and counted.

    Video files are in the folder or in its ``videos/``, frames in ``images/<video>/`` (or ``frames``, ``faces``). A video
    that is there both ways comes once.
    """
    files = _by_id(rows, shelf, _video_files(rows, shelf)) if options.media != "frames" else {}
    frames = _by_id(rows, shelf, _frame_folders(rows, shelf)) if options.media != "videos" else {}
    both = files.keys() & frames.keys()
    if both:
        rows.claimed.update(path for video in both for path, _ in frames[video].files)
        rows.note(
            shelf.folder,
            "note",
            "info",
            f"{len(both)} videos lie there as file and as frames; the files are used",
        )
    yield from (recording for _, recording in sorted({**frames, **files}.items()))


def add_recording(rows: Rows, recording: Recording, row: ManifestRow) -> None:
    """Add the rows of a recording: ``row`` with each file's path and frame."""
    for path, frame in recording.files:
        rows.add(replace(row, path=path, frame=frame, video=recording.video))


def leave_out_recording(
    rows: Rows, recording: Recording, shelf: Shelf, kind: str, words: str, action: str
) -> None:
    """Leave a whole recording out, for one reason."""
    rows.leave_out(
        recording.files[0][0],
        kind,
        words,
        action,
        dataset=shelf.dataset,
        method=shelf.method,
        compression=shelf.compression,
    )


def frames_of(rows: Rows, folder: str, shelf: Shelf) -> tuple[tuple[str, int], ...]:
    """The images of a folder with their frame numbers; other files are left out and counted."""
    images = []
    for entry in rows.tree.files(folder):
        if entry.suffix in IMAGE_SUFFIXES:
            images.append(entry)
        else:
            _wrong_extension(rows, entry, shelf, "images")
    numbers = frame_numbers([entry.stem for entry in images])
    return tuple((entry.path, number) for entry, number in zip(images, numbers, strict=True))


def _by_id(rows: Rows, shelf: Shelf, candidates: Iterator[Recording]) -> dict[str, Recording]:
    by_id: dict[str, Recording] = {}
    for recording in candidates:
        first = by_id.setdefault(recording.video, recording)
        if first is not recording:
            reason = f"the same video as {first.files[0][0]}"
            leave_out_recording(rows, recording, shelf, "duplicate", reason, "keep one of the two")
    return by_id


def _video_files(rows: Rows, shelf: Shelf) -> Iterator[Recording]:
    inner = rows.tree.child(shelf.folder, "videos")
    for folder in (shelf.folder, inner.path if inner is not None and inner.is_folder else None):
        for entry in rows.tree.files(folder) if folder is not None else ():
            if entry.suffix in VIDEO_SUFFIXES:
                yield Recording(entry.stem, ((entry.path, -1),))
            elif entry.path not in rows.claimed:
                _wrong_extension(rows, entry, shelf, "mp4 videos")


def _frame_folders(rows: Rows, shelf: Shelf) -> Iterator[Recording]:
    for name in FRAME_FOLDERS:
        inner = rows.tree.child(shelf.folder, name)
        for entry in rows.tree.folders(inner.path) if inner is not None and inner.is_folder else ():
            if files := frames_of(rows, entry.path, shelf):
                yield Recording(entry.name, files)
            else:
                rows.note(
                    entry.path,
                    "empty",
                    "warning",
                    "a folder for extracted frames without an image",
                    "extract them",
                )


def _wrong_extension(rows: Rows, entry: Entry, shelf: Shelf, expected: str) -> None:
    words = f"expected {expected} here, found a {entry.suffix or 'nameless'} file"
    rows.leave_out(
        entry.path,
        "wrong-extension",
        words,
        "convert or remove it",
        dataset=shelf.dataset,
        method=shelf.method,
        compression=shelf.compression,
    )
