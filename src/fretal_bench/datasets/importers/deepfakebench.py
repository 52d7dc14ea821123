"""DeepfakeBench's JSON: ``{set: {label: {split: {[compression:] {video: {label, frames}}}}}}``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from fretal_bench.datasets.importers.family import Import, Importer, Match
from fretal_bench.datasets.importers.lists import read_json_object
from fretal_bench.datasets.importers.located import Locator
from fretal_bench.datasets.importers.names import compression_of, frame_numbers, recorded_faces, split_of
from fretal_bench.datasets.importers.options import ReadOptions
from fretal_bench.datasets.importers.rows import ManifestRow, Rows, rooted
from fretal_bench.datasets.importers.walk import Tree, is_plain
from fretal_bench.datasets.manifest import FAKE, REAL

_FFPP: Final = {
    "FF-DF": "Deepfakes",
    "FF-F2F": "Face2Face",
    "FF-FS": "FaceSwap",
    "FF-NT": "NeuralTextures",
    "FF-FH": "FaceShifter",
}
_PRIORITY: Final = ("test", "train", "val")


@dataclass(frozen=True)
class _Listed:
    """A video as the JSON lists it."""

    dataset: str
    group: str
    split: str
    compression: str
    video: str
    label: str
    frames: tuple[str, ...]


def label_of(name: str) -> int | None:
    """Read a DeepfakeBench label by its name, never by a published number: two sets had theirs inverted."""
    lower = name.lower()
    if name in _FFPP or lower.endswith(("fake", "_fakea", "_fakeb")):
        return FAKE
    return REAL if lower.endswith("real") else None


def recognise(root: Path) -> Match:
    """Look for a JSON file of that shape: the given file, or one in the given folder."""
    folder, name = rooted(root)
    if not folder.is_dir():
        return Match(0, missed=("<set>.json",))
    lists = tuple(path for path in _candidates(Tree(folder), name) if _has_shape(folder / path))
    return Match(
        0.9 if lists else 0, lists, () if lists else ('JSON file {"<set>": {"<label>": {"train": ...}}}',)
    )


def read(root: Path, options: ReadOptions) -> Import:
    """Read the frames listed in the JSON files of a folder, or in one file; they must be below the JSON's folder.

    Published paths begin with somebody's own folders; as many leading ones are dropped as it takes to find a frame. A
    video listed in several splits (some sets list validation and test alike, or everything everywhere) goes to the test
    alone, else to train.
    """
    folder, name = rooted(root)
    rows = Rows(Tree(folder))
    listed = [video for path in _candidates(rows.tree, name) for video in _listed(rows, path)]
    locator = Locator(rows)
    for video in _in_one_split(rows, listed):
        _take(rows, locator, video)
    locator.report()
    return rows.finish("deepfakebench", options, "as in the JSON", has_val="val" in rows.splits)


def _candidates(tree: Tree, name: str) -> list[str]:
    return [entry.path for entry in tree.files("", {".json"}) if name in ("", entry.name)]


def _has_shape(path: Path) -> bool:
    try:
        data = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, RecursionError):
        return False
    labels = (
        [group for body in data.values() if isinstance(body, dict) for group in body.values()]
        if isinstance(data, dict)
        else []
    )
    return bool(labels) and all(
        isinstance(group, dict) and group and all(map(split_of, group)) for group in labels
    )


def _listed(rows: Rows, path: str) -> Iterator[_Listed]:
    entry = rows.tree.has(path)
    if entry is None or not _has_shape(rows.tree.root / path):
        if entry is not None:
            rows.note(path, "note", "info", "a JSON of another kind; not read")
        return
    for dataset, groups in read_json_object(rows, entry).items():
        for group, splits in groups.items():
            for split_name, level in splits.items():
                split = split_of(split_name)
                for compression, videos in _levels(level):
                    for video, values in videos.items():
                        named = all(name and is_plain(name) for name in (dataset, group, video))
                        if not (
                            named and isinstance(values, dict) and isinstance(values.get("frames"), list)
                        ):
                            words = f"{video!r}: expected plain names, a label and a list of frames"
                            rows.note(path, "bad-file", "error", words, "correct it")
                            continue
                        frames = tuple(str(frame) for frame in values["frames"])
                        label = str(values.get("label"))
                        yield _Listed(dataset, group, split or "", compression, video, label, frames)


def _levels(level: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The videos of a split, by compression where the JSON has that level."""
    if not isinstance(level, dict):
        return
    plain: dict[str, Any] = {}
    for name, below in level.items():
        compression = compression_of(name)
        if compression is not None and isinstance(below, dict) and "frames" not in below:
            yield compression, below
        else:
            plain[name] = below
    if plain:
        yield "none", plain


def _in_one_split(rows: Rows, listed: list[_Listed]) -> Iterator[_Listed]:
    """Each video once: of several splits the test, else train."""
    by_video: dict[tuple[str, str, str, str], dict[str, _Listed]] = {}
    for video in listed:
        key = (_dataset(video), video.group, video.compression, video.video)
        by_video.setdefault(key, {}).setdefault(video.split, video)
    several = [key for key, splits in by_video.items() if len(splits) > 1]
    if several:
        words = f"{len(several)} videos are listed in several splits; each was taken once, for the test if it is in it"
        rows.note(
            "", "crossing", "warning", words, "none needed; it is so in the published files of some sets"
        )
    for splits in by_video.values():
        yield next(splits[split] for split in _PRIORITY if split in splits)


def _dataset(listed: _Listed) -> str:
    """The manifest's data set: one for all of FaceForensics++, whose originals are in the JSON of every method."""
    return "ffpp" if listed.group in _FFPP or listed.group == "FF-real" else listed.dataset.replace("/", "-")


def _take(rows: Rows, locator: Locator, listed: _Listed) -> None:
    label, group = label_of(listed.label), label_of(listed.group)
    dataset = _dataset(listed)
    method = "real" if group == REAL else _FFPP.get(listed.group, listed.group.replace("/", "-"))
    paths = [
        path for frame in listed.frames if (path := locator.find(frame, f"{listed.dataset}/{listed.video}"))
    ]
    if label is None or group is None or label != group:
        words = f"{listed.video} has the label {listed.label!r} and stands under {listed.group!r}"
        for path in paths:
            rows.leave_out(path, "label", words, "correct the JSON", dataset=dataset, method=method)
        if not paths:
            rows.note(listed.video, "label", "error", words, "correct the JSON")
        return
    target, source, original = recorded_faces(listed.video, label)
    numbers = frame_numbers([Path(path).stem for path in paths])
    for path, number in zip(paths, numbers, strict=True):
        rows.add(
            ManifestRow(
                path=path,
                dataset=dataset,
                method=method,
                compression=listed.compression,
                label=label,
                video=listed.video,
                source=source,
                target=target,
                split=listed.split,
                frame=number,
                original=original,
            )
        )


IMPORTER: Final = Importer(
    name="deepfakebench",
    title="DeepfakeBench JSON",
    layout='<set>.json ({"<set>": {"<label>": {"train": {["c23":] {"<video>": {"label", "frames"}}}}}}) over its frames',
    recognises=recognise,
    read=read,
    unit="videos",
    cropped=True,
)
