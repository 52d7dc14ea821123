"""DFIL's lists: ``label,path`` a line (one has a space), the path a frame or a folder of frames; 0 is real."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from fretal_bench import files
from fretal_bench.datasets.importers.faceforensics import DFD_METHOD, METHODS
from fretal_bench.datasets.importers.family import Import, Importer, Match
from fretal_bench.datasets.importers.lists import read_text
from fretal_bench.datasets.importers.located import Locator
from fretal_bench.datasets.importers.names import (
    Contradiction,
    compression_of,
    dataset_of_folder,
    frame_numbers,
    label_of_class,
    recorded_faces,
    split_of,
)
from fretal_bench.datasets.importers.options import ReadOptions
from fretal_bench.datasets.importers.rows import ManifestRow, Rows, rooted
from fretal_bench.datasets.importers.walk import Entry, Tree
from fretal_bench.datasets.manifest import FAKE, REAL
from fretal_bench.datasets.media.suffixes import IMAGE_SUFFIXES
from fretal_bench.errors import BenchError
from fretal_bench.names import shown

_LINE: Final = re.compile(r"(?P<label>[01])(?:\s*,\s*|\s+)(?P<path>[^,]+?)")
_METHODS: Final = {
    name.lower(): name for name in (*METHODS, DFD_METHOD, "Celeb-synthesis", "method_A", "method_B")
}
_REAL_FOLDERS: Final = frozenset(
    {"original_sequences", "celeb-real", "youtube-real", "original_videos", "actors"}
)
_FAKE_FOLDERS: Final = frozenset({"manipulated_sequences", *_METHODS})
_SAMPLE: Final = 20
_HEAD: Final = 64 * 1024


def recognise(root: Path) -> Match:
    """Look for a text file whose first lines are all ``0`` or ``1`` and a path."""
    folder, name = rooted(root)
    if not folder.is_dir():
        return Match(0, missed=("*.txt of 'label,path' lines",))
    lists = tuple(entry.path for entry in _lists(Tree(folder), name) if _has_shape(folder / entry.path))
    return Match(0.85 if lists else 0, lists, () if lists else ("*.txt of 'label,path' lines",))


def read(root: Path, options: ReadOptions) -> Import:
    """Read the lists of a folder, or one list; its name gives the split, its paths start from its folder."""
    folder, name = rooted(root)
    rows = Rows(Tree(folder))
    locator = Locator(rows)
    splits = set()
    for entry in _lists(rows.tree, name):
        if _has_shape(rows.tree.root / entry.path):
            dataset, split = _named(entry.stem, dataset_of_folder(rows.tree.root.name))
            splits.add(split)
            _read_list(rows, locator, entry, dataset, split)
        else:
            rows.note(entry.path, "note", "info", "no list of 'label,path' lines; not read")
    locator.report()
    if "" in splits and options.splits != "identity":
        rows.note(
            "", "split", "info", "a list whose name has no train, val or test, so all is split by identity"
        )
    return rows.finish(
        "dfil", options, "the lists' names", official="" not in splits, has_val="val" in splits
    )


def _lists(tree: Tree, name: str) -> list[Entry]:
    return [entry for entry in tree.files("", {".txt", ".csv", ".list"}) if name in ("", entry.name)]


def _has_shape(path: Path) -> bool:
    try:
        with files.opened(path, "list") as file:
            head = file.read(_HEAD)
        # A cut may fall into a character, and into a line.
        lines = head.decode("utf-8-sig", "ignore" if len(head) == _HEAD else "strict").splitlines()
    except (BenchError, UnicodeDecodeError):
        return False
    sample = [line.strip() for line in lines[:_SAMPLE] if line.strip()]
    return bool(sample) and sum(_LINE.fullmatch(line) is not None for line in sample) * 2 > len(sample)


def _named(stem: str, folder: str) -> tuple[str, str]:
    """Data set and split of a list by its name: ``ff_train`` is the training list of ``ff``."""
    words = re.split(r"[_\-.]", stem)
    splits = [split for word in words if (split := split_of(word)) is not None]
    rest = "_".join(word for word in words if split_of(word) is None)
    return rest or folder, splits[0] if len(set(splits)) == 1 else ""


def _read_list(rows: Rows, locator: Locator, entry: Entry, dataset: str, split: str) -> None:
    for number, line in enumerate(read_text(rows, entry).splitlines(), 1):
        if not line.strip():
            continue
        match = _LINE.fullmatch(line.strip())
        if match is None:
            words = f"line {number}: expected 'label,path' with the label 0 or 1, found {shown(line.strip())}"
            rows.note(entry.path, "bad-file", "error", words, "correct the line")
            continue
        place = locator.entry(match["path"], entry.path)
        if place is not None:
            _take(rows, place, dataset, split, int(match["label"]), f"{entry.path} line {number}")


def _take(rows: Rows, place: Entry, dataset: str, split: str, label: int, where: str) -> None:
    folders = place.path.split("/")[:-1] + ([place.name] if place.is_folder else [])
    path_label = _label_of_path(folders)
    named = next((_METHODS[part.lower()] for part in folders if part.lower() in _METHODS), "fake")
    method = "real" if label == REAL else named
    compression = next((level for part in folders if (level := compression_of(part))), "none")
    if place.is_folder:
        images = [entry for entry in rows.tree.files(place.path) if entry.suffix in IMAGE_SUFFIXES]
        video = place.name
    else:
        images = [place] if place.suffix in IMAGE_SUFFIXES else []
        video = folders[-1] if folders else place.stem
    if not images:
        rows.note(
            place.path,
            "wrong-extension",
            "error",
            f"{where}: expected an image or a folder of images",
            "correct it",
        )
        return
    if path_label is not None and path_label != label:
        words = f"{where} says {'real' if label == REAL else 'fake'}, the path the opposite"
        for image in images:
            rows.leave_out(image.path, "label", words, "correct the list", dataset=dataset, method=method)
        return
    target, source, original = recorded_faces(video, label)
    numbers = frame_numbers([image.stem for image in images])
    for image, frame in zip(images, numbers, strict=True):
        rows.add(
            ManifestRow(
                path=image.path,
                dataset=dataset,
                method=method,
                compression=compression,
                label=label,
                video=video,
                source=source,
                target=target,
                split=split,
                frame=frame,
                original=original,
            )
        )


def _label_of_path(folders: list[str]) -> int | None:
    """The label that a path's folders name; None if they name none, or both."""
    labels: set[int] = set()
    for part in folders:
        lower = part.lower()
        label = REAL if lower in _REAL_FOLDERS else FAKE if lower in _FAKE_FOLDERS else label_of_class(part)
        if label is not None and not isinstance(label, Contradiction):
            labels.add(label)
    return labels.pop() if len(labels) == 1 else None


IMPORTER: Final = Importer(
    name="dfil",
    title="DFIL lists",
    layout="<set>_{train,val,test}.txt of 'label,path' lines, over its frames",
    recognises=recognise,
    read=read,
    unit="videos",
    cropped=True,
)
