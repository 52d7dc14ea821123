"""The DFDC preview set: two methods, and one dataset.json with label, split and both people of every video."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from fretal_bench.datasets.importers.family import Import, Importer, Match, Official
from fretal_bench.datasets.importers.lists import read_json_object, refused
from fretal_bench.datasets.importers.names import split_of
from fretal_bench.datasets.importers.options import ReadOptions
from fretal_bench.datasets.importers.rows import ManifestRow, Rows
from fretal_bench.datasets.importers.walk import Tree
from fretal_bench.datasets.manifest import FAKE, REAL
from fretal_bench.datasets.media.suffixes import VIDEO_SUFFIXES
from fretal_bench.names import shown

DATASET: Final = "dfdc-preview"
LIST: Final = "dataset.json"
_FOLDERS: Final = {"original_videos": REAL, "method_A": FAKE, "method_B": FAKE}
_LABELS: Final = {"real": REAL, "fake": FAKE}


def recognise(root: Path) -> Match:
    """Look for dataset.json next to the three folders."""
    tree = Tree(root) if root.is_dir() else None
    names = (LIST, *_FOLDERS)
    signs = tuple(name for name in names if tree is not None and tree.has(name))
    folders = [name for name in signs if name != LIST]
    return Match(
        0.95 if len(folders) > 1 else 0.8 if folders and LIST in signs else 0,
        signs,
        tuple(name for name in names if name not in signs),
    )


def read(root: Path, options: ReadOptions) -> Import:
    """Read what dataset.json lists; files it doesn't list are left out and counted."""
    rows = Rows(Tree(root))
    entry = rows.tree.child("", LIST)
    if entry is None:
        words = f"no {LIST}, so nothing says label and split; every video is left out"
        rows.note(LIST, "missing", "error", words, "copy it from the download")
    listed = {} if entry is None else read_json_object(rows, entry)
    missing = []
    for path, values in sorted(listed.items()):
        if refused(rows, LIST, path):
            continue
        file = rows.tree.has(path)
        if file is None or file.is_folder:
            missing.append(path)
        elif file.suffix in VIDEO_SUFFIXES:
            _take(rows, path, values)
    if missing:
        words = f"it names {len(missing)} videos that aren't there, {missing[0]} among them"
        rows.note(LIST, "missing", "warning", words, "download them again")
    for folder in _FOLDERS:
        for file in rows.tree.descend(folder) if rows.tree.has(folder) else ():
            kind = "split" if file.suffix in VIDEO_SUFFIXES else "wrong-extension"
            if file.path not in listed or kind != "split":
                words = (
                    f"{LIST} doesn't name it"
                    if kind == "split"
                    else f"expected mp4 videos here, found {file.suffix}"
                )
                _lose(rows, file.path, kind, words)
    return rows.finish(DATASET, options, f"train and test as in {LIST}", has_val=False)


def _take(rows: Rows, path: str, values: Any) -> None:
    folder, _, rest = path.partition("/")
    label = _FOLDERS.get(folder)
    stated = _LABELS.get(str(values.get("label")).lower()) if isinstance(values, dict) else None
    if label is None or stated is None or label != stated:
        listed = values.get("label") if isinstance(values, dict) else values
        words = f"{LIST} says {shown(str(listed))}, its folder is {shown(folder)}"
        _lose(rows, path, "label", words)
        return
    split = split_of(str(values.get("set")))
    if split is None:
        _lose(rows, path, "split", f"expected the set train or test, found {shown(str(values.get('set')))}")
        return
    target, swapped = values.get("target_id"), values.get("swapped_id")
    if not all(type(person) in (int, str, type(None)) for person in (target, swapped)):
        words = f"expected people by number or name, found {shown(str(target))} and {shown(str(swapped))}"
        _lose(rows, path, "bad-file", words)
        return
    person = str(target) if target is not None else ""
    source = person if label == REAL else str(swapped) if swapped is not None else ""
    method = "real" if label == REAL else folder
    video = rest.rpartition(".")[0]
    rows.add(ManifestRow(path, DATASET, method, "none", label, video, source, person, split))


def _lose(rows: Rows, path: str, kind: str, words: str) -> None:
    folder = path.partition("/")[0]
    method = "real" if folder == "original_videos" else folder
    action = f"restore {LIST}" if kind != "wrong-extension" else "convert or remove it"
    rows.leave_out(path, kind, words, action, dataset=DATASET, method=method, compression="none")


IMPORTER: Final = Importer(
    name=DATASET,
    title="DFDC preview",
    layout="dataset.json, original_videos/.../*.mp4, method_A/.../*.mp4, method_B/.../*.mp4",
    recognises=recognise,
    read=read,
    # Papers disagree on the number of fakes (4,113 and 4,119), so none is stated.
    official=(Official(1131, "Celeb-DF paper, table 1", "real"),),
)
