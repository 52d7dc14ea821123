"""The DeepFake Detection Challenge data set: training parts with metadata.json, a test set with labels.csv."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from fretal_bench.datasets.importers.family import Import, Importer, Match, Official
from fretal_bench.datasets.importers.lists import kind_of, read_csv, read_json_object, refused
from fretal_bench.datasets.importers.options import ReadOptions
from fretal_bench.datasets.importers.recordings import (
    Recording,
    Shelf,
    add_recording,
    leave_out_recording,
    recordings,
)
from fretal_bench.datasets.importers.rows import ManifestRow, Rows
from fretal_bench.datasets.importers.walk import Entry, Tree
from fretal_bench.datasets.manifest import FAKE, REAL
from fretal_bench.names import shown

DATASET: Final = "dfdc"
_PART: Final = re.compile(r"dfdc_train_part_([0-9]{1,9})")
_TRAIN_FOLDERS: Final = ("", "train", "train_videos")
_TEST_FOLDERS: Final = ("test", "test_videos", "")
_LABELS: Final = {"real": REAL, "fake": FAKE}
_CSV_LABELS: Final = {"0": REAL, "1": FAKE, **_LABELS}
_SOURCE: Final = "DFDC paper (2020): the 50 training parts, without the test set"


def recognise(root: Path) -> Match:
    """Look for training parts, or for a folder of videos with labels.csv."""
    tree = Tree(root) if root.is_dir() else None
    if tree is not None and (parts := list(_parts(tree))):
        return Match(0.95, (f"{len(parts)} folders dfdc_train_part_N/",))
    if tree is not None and (entry := _labels_file(tree)) is not None:
        return Match(0.7, (entry.path,))
    return Match(0, missed=("dfdc_train_part_N/metadata.json", "test/labels.csv"))


def read(root: Path, options: ReadOptions) -> Import:
    """Read parts and test set.

    With the official test set on disk, that is the test, and parts 35 to 39 validate; without it parts 40 to 49 are the
    test, as is common. The metadata names no people: a fake's target is its original recording, its source is unknown.
    """
    rows = Rows(Tree(root))
    labels_file = _labels_file(rows.tree)
    for number, entry in _parts(rows.tree):
        late = "test" if labels_file is None else "train"
        split = "val" if 35 <= number < 40 else late if number >= 40 else "train"
        _read_part(rows, entry, options, split)
    if labels_file is not None:
        _read_test(rows, labels_file, options)
    source = "parts 0-34 train, 35-39 validate, 40-49 test (common practice)"
    if labels_file is not None:
        source = f"test as in {labels_file.path}; parts 35-39 validate, the others train"
    return rows.finish(DATASET, options, source)


def _parts(tree: Tree) -> Iterator[tuple[int, Entry]]:
    for folder in _TRAIN_FOLDERS:
        for entry in tree.folders(folder) if not folder or tree.has(folder) else ():
            match = _PART.fullmatch(entry.name)
            if match is not None:
                yield int(match[1]), entry


def _labels_file(tree: Tree) -> Entry | None:
    places = (folder for folder in _TEST_FOLDERS if not folder or tree.has(folder))
    return next((entry for folder in places if (entry := tree.child(folder, "labels.csv")) is not None), None)


def _read_part(rows: Rows, folder: Entry, options: ReadOptions, split: str) -> None:
    shelf = Shelf(folder.path, DATASET, "", "none")
    entry = rows.tree.child(folder.path, "metadata.json")
    if entry is None:
        words = "no metadata.json, so nothing says which of its videos are fake; they are left out"
        rows.note(folder.path, "missing", "error", words, "copy metadata.json from the part's archive")
    metadata = {} if entry is None else read_json_object(rows, entry)
    for recording in recordings(rows, shelf, options):
        name = f"{recording.video}.mp4"
        label, original, why = _entry(metadata, name)
        if label is None:
            leave_out_recording(rows, recording, shelf, "label", why, "restore the part's metadata.json")
            continue
        add_recording(rows, recording, _row(label, recording, split, original))
    if entry is None:
        return
    listed = [name for name in metadata if not refused(rows, entry.path, name)]
    missing = [name for name in listed if not _is_there(rows, folder, name)]
    if missing:
        words = f"metadata.json names {len(missing)} videos that aren't there, {missing[0]} among them"
        rows.note(folder.path, "missing", "warning", words, "fetch the part again")


def _is_there(rows: Rows, folder: Entry, name: str) -> bool:
    stem = name.rpartition(".")[0]
    places = (name, f"videos/{name}", f"images/{stem}", f"frames/{stem}", f"faces/{stem}")
    return any(rows.tree.has(f"{folder.path}/{place}") for place in places)


def _entry(metadata: dict[str, Any], name: str) -> tuple[int | None, str, str]:
    """A video's label, the id of its original, and what is wrong if there is no label."""
    if name not in metadata:
        return None, "", "metadata.json doesn't name it"
    values = metadata[name]
    if not isinstance(values, dict):
        return None, "", f"expected an object with its label, found {kind_of(values)}"
    label = _LABELS.get(str(values.get("label")).lower())
    if label is None:
        return None, "", f"expected the label REAL or FAKE, found {shown(str(values.get('label')))}"
    original = values.get("original")
    if (label == FAKE) != (isinstance(original, str) and original != ""):
        return None, "", f"its label is {values['label']}, but its original is {shown(str(original))}"
    parent = metadata.get(original) if isinstance(original, str) else None
    if isinstance(parent, dict) and str(parent.get("label")).lower() != "real":
        return None, "", f"its original {original} is labelled {shown(str(parent.get('label')))}"
    return label, original.rpartition(".")[0] if isinstance(original, str) else "", ""


def _row(label: int, recording: Recording, split: str, original: str) -> ManifestRow:
    video = recording.video
    real = label == REAL
    method = "real" if real else "fake"
    return ManifestRow(
        "",
        DATASET,
        method,
        "none",
        label,
        video,
        video if real else "",
        original or video,
        split,
        original=original,
    )


def _read_test(rows: Rows, labels_file: Entry, options: ReadOptions) -> None:
    folder = labels_file.path.rpartition("/")[0]
    shelf = Shelf(folder, DATASET, "", "none")
    labels = _read_labels(rows, labels_file)
    metadata_file = rows.tree.child(folder, "metadata.json")
    metadata = {} if metadata_file is None else read_json_object(rows, metadata_file)
    for recording in recordings(rows, shelf, options):
        name = f"{recording.video}.mp4"
        label = labels.get(name)
        if label is None:
            words = "labels.csv doesn't name it, or gives it two labels"
            leave_out_recording(rows, recording, shelf, "label", words, "restore labels.csv")
        elif name in metadata and not _confirms(metadata[name], label):
            words = f"labels.csv says {'fake' if label else 'real'}, metadata.json doesn't"
            leave_out_recording(rows, recording, shelf, "label", words, "restore both files")
        else:
            add_recording(rows, recording, _row(label, recording, "test", ""))
    missing = [
        name
        for name in labels
        if not any(rows.tree.has(f"{folder}/{p}{name}".lstrip("/")) for p in ("", "videos/"))
    ]
    if missing and options.media != "frames":
        words = f"labels.csv names {len(missing)} videos that aren't there, {missing[0]} among them"
        rows.note(labels_file.path, "missing", "warning", words, "fetch the test set again")


def _confirms(values: Any, label: int) -> bool:
    """Whether the metadata of a test video gives that label, wherever it gives one."""
    if not isinstance(values, dict):
        return False
    stated = [values[key] for key in ("is_fake", "label") if key in values]
    return bool(stated) and all(_CSV_LABELS.get(str(word).lower()) == label for word in stated)


def _read_labels(rows: Rows, entry: Entry) -> dict[str, int]:
    """The label of every name; of one that has two, or a wrong one, none, however often it comes again."""
    labels: dict[str, int | None] = {}
    for number, line in read_csv(rows, entry, ("filename", "label")):
        name, label = line["filename"], _CSV_LABELS.get(line["label"].lower())
        if refused(rows, entry.path, name):
            continue
        if label is None or labels.setdefault(name, label) != label:
            fields = f"{shown(name)}, {shown(line['label'])}"
            words = f"line {number}: expected 'filename,label' with one label, 0 or 1, found {fields}"
            rows.note(entry.path, "label", "error", words, "restore labels.csv")
            labels[name] = None
    return {name: label for name, label in labels.items() if label is not None}


IMPORTER: Final = Importer(
    name=DATASET,
    title="DFDC",
    layout="dfdc_train_part_N/{*.mp4,metadata.json}, test/{*.mp4,labels.csv}",
    recognises=recognise,
    read=read,
    official=(
        Official(19154, _SOURCE, "real"),
        Official(100000, _SOURCE, "fake"),
    ),
    shares_track=True,
)
