"""DeeperForensics-1.0: eleven variants of 1,000 face swaps onto FaceForensics++'s videos, which are its reals."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from fretal_bench.datasets.importers.family import Import, Importer, Match, Official
from fretal_bench.datasets.importers.lists import read_text
from fretal_bench.datasets.importers.options import ReadOptions
from fretal_bench.datasets.importers.recordings import (
    Shelf,
    add_recording,
    leave_out_recording,
    recordings,
)
from fretal_bench.datasets.importers.rows import ManifestRow, Rows
from fretal_bench.datasets.importers.walk import Entry, Tree
from fretal_bench.datasets.manifest import FAKE, REAL, SPLITS
from fretal_bench.names import shown

DATASET: Final = "deeperforensics"
VARIANTS: Final = (
    "end_to_end",
    "reenact_postprocess",
    *(f"end_to_end_level_{level}" for level in range(1, 6)),
    "end_to_end_random_level",
    *(f"end_to_end_mix_{kinds}_distortions" for kinds in range(2, 5)),
)
_FAKE: Final = re.compile(r"(?P<target>\d{3})_(?P<source>[MW]\d{3})", re.ASCII)
_SOURCE: Final = "DeeperForensics-1.0 repository, dataset/README.md"


def recognise(root: Path) -> Match:
    """Look for manipulated_videos/ with a known variant, in the root or in a folder of it."""
    tree = Tree(root) if root.is_dir() else None
    place = _find(tree, "manipulated_videos") if tree is not None else None
    if tree is None or place is None:
        return Match(0, missed=("manipulated_videos/<variant>/", "lists/splits/"))
    variants = [entry.name for entry in tree.folders(place.path) if entry.name in VARIANTS]
    signs = (f"{place.path}/", *(f"variant {name}" for name in variants))
    # FaceForensics++'s originals may be in the same folder; with its fakes too, the folder is FaceForensics++.
    return Match((0.9 if tree.has("manipulated_sequences") else 0.97) if variants else 0.6, signs)


def read(root: Path, options: ReadOptions) -> Import:
    """Read the fakes by the split lists, and as reals the c23 originals of FaceForensics++ that they were made from.

    Both have the compression ``none``: the set has one quality, and its README names FaceForensics++'s c23 as reals.
    """
    rows = Rows(Tree(root))
    by_identity = options.splits == "identity"
    place = _find(rows.tree, "manipulated_videos")
    base = "" if place is None else place.path.rpartition("/")[0]
    splits = {} if by_identity else _splits(rows, base)
    targets: dict[str, str] = {}
    for variant in rows.tree.folders(place.path) if place is not None else ():
        shelf = Shelf(variant.path, DATASET, variant.name, "none")
        if variant.name not in VARIANTS:
            words = f"expected one of the eleven variants, such as end_to_end, found {variant.name!r}"
            rows.note(variant.path, "name", "warning", words, "rename it, if it is one of them")
        for recording in recordings(rows, shelf, options):
            match = _FAKE.fullmatch(recording.video)
            if match is None:
                words = f"expected a name like 000_M101, found {recording.video!r}"
                leave_out_recording(rows, recording, shelf, "name", words, "rename or remove it")
                continue
            split = splits.get(recording.video, "")
            if not split and not by_identity:
                action = "restore lists/splits, or use --splits identity"
                words = "no split list names it, or two do"
                leave_out_recording(rows, recording, shelf, "split", words, action)
                continue
            target = match["target"]
            targets.setdefault(target, split)
            row = ManifestRow(
                "", DATASET, variant.name, "none", FAKE, "", match["source"], target, split, original=target
            )
            add_recording(rows, recording, row)
    _add_reals(rows, targets, options)
    return rows.finish(DATASET, options, "lists/splits/{train,val,test}.txt")


def _find(tree: Tree, path: str) -> Entry | None:
    """A folder in the root, or in one folder of the root."""
    places = ("", *(f"{entry.path}/" for entry in tree.folders()))
    return next(
        (folder for place in places if (folder := tree.has(place + path)) is not None and folder.is_folder),
        None,
    )


def _splits(rows: Rows, base: str) -> dict[str, str]:
    splits: dict[str, str] = {}
    twice: set[str] = set()
    for split in SPLITS:
        path = f"{base}/lists/splits/{split}.txt".lstrip("/")
        entry = rows.tree.has(path)
        if entry is None:
            action = "copy lists/ from the download, or use --splits identity"
            rows.note(path, "missing", "error", "no such split list; its videos are left out", action)
            continue
        for line in read_text(rows, entry).split():
            video = line.rpartition(".")[0] or line
            if splits.setdefault(video, split) != split:
                twice.add(video)
                words = f"{shown(line)} is in two lists; it is left out"
                rows.note(path, "crossing", "error", words, "restore the lists")
    return {video: split for video, split in splits.items() if video not in twice}


def _add_reals(rows: Rows, targets: dict[str, str], options: ReadOptions) -> None:
    place = _find(rows.tree, "original_sequences/youtube/c23")
    if place is None:
        words = "its reals are FaceForensics++'s c23 originals, and no original_sequences/youtube/c23 is in the folder"
        action = "put both data sets into one folder and give that folder"
        rows.note("original_sequences/youtube/c23", "missing", "error", words, action)
        return
    shelf = Shelf(place.path, DATASET, "real", "none")
    found_targets = set()
    for recording in recordings(rows, shelf, options):
        split = targets.get(recording.video)
        if split is not None:
            found_targets.add(recording.video)
            video = recording.video
            add_recording(
                rows, recording, ManifestRow("", DATASET, "real", "none", REAL, video, video, video, split)
            )
    missing = sorted(targets.keys() - found_targets)
    if missing:
        words = f"the originals of {len(missing)} targets aren't there, {missing[0]} among them"
        rows.note(place.path, "missing", "warning", words, "download FaceForensics++'s c23 originals")


def _official() -> tuple[Official, ...]:
    sizes = {"train": 703, "val": 96, "test": 201}
    return tuple(
        Official(n, _SOURCE, variant, "none", split) for variant in VARIANTS for split, n in sizes.items()
    )


IMPORTER: Final = Importer(
    name=DATASET,
    title="DeeperForensics-1.0",
    layout="manipulated_videos/<variant>/TTT_<actor>.mp4, lists/splits/{train,val,test}.txt, and FaceForensics++'s "
    "original_sequences/youtube/c23 in the same folder or one next to it",
    recognises=recognise,
    read=read,
    official=_official(),
    shares_track=True,
    ignores=("*source_videos/*", "*manipulated_sequences/*", "*original_sequences/*"),
)
