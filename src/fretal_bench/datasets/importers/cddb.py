"""CDDB, the continual deepfake detection benchmark: twelve tasks of images, whose ``val`` is the reported test."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from fretal_bench.datasets.importers.classes import add_images, class_folders, split_folders
from fretal_bench.datasets.importers.family import Import, Importer, Match
from fretal_bench.datasets.importers.options import ReadOptions
from fretal_bench.datasets.importers.rows import Rows
from fretal_bench.datasets.importers.walk import Entry, Tree
from fretal_bench.datasets.manifest import REAL

EASY: Final = ("gaugan", "biggan", "cyclegan", "imle", "deepfake", "crn", "wild")
HARD: Final = ("gaugan", "biggan", "wild", "whichfaceisreal", "san")
LONG: Final = (*EASY, "glow", "stargan_gf", "stylegan", "whichfaceisreal", "san")
SEQUENCES: Final = {"EASY": EASY, "HARD": HARD, "LONG": LONG}
# The published numbers are measured on ``val``, so here it is the test, and validation comes out of train.
_SPLITS: Final = {"train": "train", "val": "test"}


def recognise(root: Path) -> Match:
    """Look for the tasks' names with train/ and val/, in the root or in CDDB/."""
    tree = Tree(root) if root.is_dir() else None
    tasks = [entry.name for entry in _tasks(tree)] if tree is not None else []
    known = tuple(f"task {name}" for name in tasks if name in LONG)
    score = 0.96 if len(known) > 1 else 0.85 if known else 0
    return Match(score, known, () if known else ("<task>/{train,val}/0_real/ of a task such as gaugan",))


def read(root: Path, options: ReadOptions) -> Import:
    """Read the tasks; each is a data set ``cddb-<task>`` of its own, since each has its own real images."""
    rows = Rows(Tree(root))
    tasks = _tasks(rows.tree)
    for task in tasks:
        if task.name not in LONG:
            rows.note(
                task.path,
                "name",
                "info",
                f"{task.name!r} is no task of EASY, HARD or LONG; it is read as a task",
            )
        for entry, split in split_folders(rows.tree, task.path, _SPLITS.get):
            for folder in class_folders(rows, entry, f"cddb-{task.name}", split, depth=1):
                method = "real" if folder.label == REAL else task.name
                add_images(rows, folder, folder.domain, method, f"{task.path}/")
        for entry in rows.tree.folders(task.path):
            if entry.name not in _SPLITS:
                rows.note(
                    entry.path, "name", "warning", f"expected train or val, found {entry.name!r}", "rename it"
                )
    present = {task.name for task in tasks}
    for name, members in SEQUENCES.items():
        lacking = [task for task in members if task not in present]
        words = f"{name}: {len(members) - len(lacking)} of {len(members)} tasks"
        rows.note("", "note", "info", words + (f"; {', '.join(lacking)} not there" if lacking else ""))
    return rows.finish("cddb", options, "val is the reported test", has_val=False)


def _tasks(tree: Tree) -> list[Entry]:
    inner = tree.child("", "CDDB")
    place = inner.path if inner is not None and inner.is_folder else ""
    return [entry for entry in tree.folders(place) if any(tree.child(entry.path, split) for split in _SPLITS)]


IMPORTER: Final = Importer(
    name="cddb",
    title="CDDB",
    layout="<task>/{train,val}/[<class>/]{0_real,1_fake}/*",
    recognises=recognise,
    read=read,
    unit="images",
    cropped=True,
)
