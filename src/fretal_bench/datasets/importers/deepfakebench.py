"""DeepfakeBench's JSON: ``{set: {label: {split: {[compression:] {video: {label, frames}}}}}}``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from fretal_bench import parsing
from fretal_bench.datasets.importers.family import Import, Importer, Match
from fretal_bench.datasets.importers.lists import DAMAGED, kind_of, read_json
from fretal_bench.datasets.importers.located import Locator
from fretal_bench.datasets.importers.names import (
    compression_of,
    frame_numbers,
    label_of_last_word,
    recorded_faces,
    split_of,
)
from fretal_bench.datasets.importers.options import ReadOptions
from fretal_bench.datasets.importers.rows import ManifestRow, Rows, rooted
from fretal_bench.datasets.importers.walk import Tree, is_plain
from fretal_bench.datasets.manifest import FAKE, REAL
from fretal_bench.errors import BenchError
from fretal_bench.names import shown

_FFPP: Final = {
    "FF-DF": "Deepfakes",
    "FF-F2F": "Face2Face",
    "FF-FS": "FaceSwap",
    "FF-NT": "NeuralTextures",
    "FF-FH": "FaceShifter",
    "FF-SH": "FaceShifter",
}
_LETTERED: Final = ("dfdcp_fakea", "dfdcp_fakeb")
"""The preview's two methods, the only names of a class that is no word of its own."""
_PRIORITY: Final = ("test", "train", "val")
_CORRECT: Final = "correct the JSON"


@dataclass(frozen=True)
class Listed:
    """A video as the JSON lists it; ``method`` is "" where the label alone names it."""

    dataset: str
    group: str
    split: str
    compression: str
    method: str
    video: str
    label: str
    frames: tuple[str, ...]


def label_of(name: str) -> int | None:
    """Read a DeepfakeBench label by its name, never by a published number: two sets had theirs inverted."""
    return FAKE if name in _FFPP or name.lower() in _LETTERED else label_of_last_word(name)


def recognise(root: Path) -> Match:
    """Look for a JSON file of that shape: the given file, or one in the given folder."""
    folder, name = rooted(root)
    if not folder.is_dir():
        return Match(0, missed=("<set>.json",))
    if name.endswith(".json"):
        # Nothing else could be meant by it, so that its damage is the answer.
        lists = [name] if has_shape(parsing.read_json(root, "list")) else []
    else:
        lists = [path for path in _candidates(Tree(folder), name) if _is_list(folder / path)]
    return Match(
        0.9 if lists else 0,
        tuple(lists),
        () if lists else ('JSON file {"<set>": {"<label>": {"train": ...}}}',),
    )


def read(root: Path, options: ReadOptions) -> Import:
    """Read the frames listed in the JSON files of a folder, or in one file; they must be below the JSON's folder.

    Published paths begin with somebody's own folders; as many leading ones are dropped as it takes to find a frame. A
    video listed in several splits (some sets list validation and test alike, or everything everywhere) goes to the test
    alone, else to train.
    """
    folder, name = rooted(root)
    rows = Rows(Tree(folder))
    listed = [video for path in _candidates(rows.tree, name) for video in listed_videos(rows, path)]
    locator = Locator(rows)
    for video in in_one_split(rows, listed):
        take(rows, locator, video)
    locator.report()
    return rows.finish("deepfakebench", options, "as in the JSON", has_val="val" in rows.splits)


def _candidates(tree: Tree, name: str) -> list[str]:
    return [entry.path for entry in tree.files("", {".json"}) if name in ("", entry.name)]


def _is_list(path: Path) -> bool:
    try:
        return has_shape(parsing.read_json(path, "list"))
    except BenchError:
        return False


def has_shape(data: Any) -> bool:
    """Whether a label of the JSON holds splits; what else is in it is looked at when it is read."""
    bodies = [body for body in data.values() if isinstance(body, dict)] if isinstance(data, dict) else []
    labels = [group for body in bodies for group in body.values() if isinstance(group, dict)]
    return any(group and all(map(split_of, group)) for group in labels)


def listed_videos(rows: Rows, path: str) -> Iterator[Listed]:
    """The videos that a JSON lists; a finding for what in it is of another shape."""
    data = read_json(rows, rows.tree.root / path, path)
    if not has_shape(data):
        if data is not DAMAGED:
            rows.note(path, "note", "info", "a JSON of another kind; not read")
        return
    for dataset, groups in data.items():
        for group, splits in _items(rows, path, dataset, groups):
            for name, level in _items(rows, path, group, splits):
                split = split_of(name)
                if split is None:
                    words = f"{shown(group)}: expected the split train, val or test, found {shown(name)}"
                    rows.note(path, "split", "error", words, _CORRECT)
                    continue
                for compression, method, videos in _levels(rows, path, f"{group}/{name}", level):
                    for video, values in videos.items():
                        if fault := _fault((dataset, group, method or group, video), values):
                            rows.note(path, "bad-file", "error", f"{shown(video)}: {fault}", _CORRECT)
                            continue
                        frames, label = tuple(values["frames"]), values["label"]
                        yield Listed(dataset, group, split, compression, method, video, label, frames)


def _items(rows: Rows, path: str, name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """What an object of the JSON holds; a finding if it is none."""
    if isinstance(value, dict):
        yield from value.items()
    else:
        words = f"{shown(name)}: expected an object, found {kind_of(value)}"
        rows.note(path, "bad-file", "error", words, _CORRECT)


def _levels(rows: Rows, path: str, where: str, level: Any) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """The videos of a split, by compression or method where the JSON has that level."""
    plain: dict[str, Any] = {}
    if isinstance(level, dict) and isinstance(level.get("frames"), list):
        # As its script writes the validation split of DFDC.
        words = f"{shown(where)}: one video without its name, which can't be told from the others; not read"
        rows.note(path, "bad-file", "warning", words, "none needed, if the test split has it")
        return
    for name, below in _items(rows, path, where, level):
        compression = compression_of(name)
        inner = isinstance(below, dict) and bool(below) and "frames" not in below
        if inner and compression is not None:
            yield compression, "", below
        elif inner and all(isinstance(video, dict) and "frames" in video for video in below.values()):
            yield "none", name, below
        else:
            plain[name] = below
    if plain:
        yield "none", "", plain


def _fault(names: tuple[str, ...], values: Any) -> str:
    """What is wrong with a video as it is listed, in words; "" if nothing is."""
    if not all(name and is_plain(name) for name in names):
        return "expected names without control characters and backslashes"
    if not isinstance(values, dict):
        return f"expected an object with a label and a list of frames, found {kind_of(values)}"
    label, frames = values.get("label"), values.get("frames")
    if not isinstance(label, str):
        return f"expected a label that is a text, found {kind_of(label)}"
    if not isinstance(frames, list) or not all(isinstance(frame, str) for frame in frames):
        return "expected frames that are a list of paths"
    return ""


def in_one_split(rows: Rows, listed: list[Listed]) -> Iterator[Listed]:
    """Each video once: of several splits the test, else train; with every label that it is given."""
    by_video: dict[tuple[str, ...], dict[str, Listed]] = {}
    labels: dict[tuple[str, ...], dict[str, None]] = {}
    for video in listed:
        key: tuple[str, ...] = (_dataset(video), video.group, video.method, video.compression, video.video)
        by_video.setdefault(key, {}).setdefault(video.split, video)
        labels.setdefault(key, {})[video.label] = None
    several = [key for key, splits in by_video.items() if len(splits) > 1]
    if several:
        words = f"{len(several)} videos are listed in several splits; each was taken once, for the test if it is in it"
        rows.note(
            "", "crossing", "warning", words, "none needed; it is so in the published files of some sets"
        )
    empty = [splits for splits in by_video.values() if not any(video.frames for video in splits.values())]
    if empty:
        example = next(iter(empty[0].values()))
        words = f"{len(empty)} videos are listed without a frame, {shown(example.video)} among them"
        rows.note("", "missing", "warning", words, "extract their frames, and make the JSON again")
    for key, splits in by_video.items():
        video = next(splits[split] for split in _PRIORITY if split in splits)
        yield replace(video, label=" and ".join(labels[key]))


def _dataset(listed: Listed) -> str:
    """The manifest's data set: one for all of FaceForensics++, whose originals are in the JSON of every method."""
    return "ffpp" if listed.group in _FFPP or listed.group == "FF-real" else listed.dataset.replace("/", "-")


def take(rows: Rows, locator: Locator, listed: Listed) -> None:
    """Add the rows of a listed video, or leave them out where its labels don't agree."""
    label, group = label_of(listed.label), label_of(listed.group)
    dataset = _dataset(listed)
    named = listed.method or _FFPP.get(listed.group, listed.group)
    method = "real" if group == REAL else named.replace("/", "-")
    paths = [
        path for frame in listed.frames if (path := locator.find(frame, f"{listed.dataset}/{listed.video}"))
    ]
    if label is None or group is None or label != group or (method == "real") != (group == REAL):
        place = "/".join(name for name in (listed.group, listed.method) if name)
        words = f"{listed.video} has the label {shown(listed.label)} and stands under {shown(place)}"
        for path in paths:
            rows.leave_out(path, "label", words, _CORRECT, dataset=dataset, method=method)
        if not paths:
            rows.note(listed.video, "label", "error", words, _CORRECT)
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
