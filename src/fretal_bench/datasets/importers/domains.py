"""Folders of domains, ``<domain>/<split>/{real,fake}``: which there are, what they hold, and their reading."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from fretal_bench.datasets.importers.classes import ClassFolder, class_folders, split_folders
from fretal_bench.datasets.importers.family import Match
from fretal_bench.datasets.importers.names import dataset_of_folder, label_of_class, split_of
from fretal_bench.datasets.importers.options import ReadOptions
from fretal_bench.datasets.importers.rows import Rows
from fretal_bench.datasets.importers.walk import Entry, Tree
from fretal_bench.datasets.manifest import SPLITS
from fretal_bench.datasets.media.suffixes import IMAGE_SUFFIXES, VIDEO_SUFFIXES

Add = Callable[[Rows, ClassFolder, str], None]
"""Takes the files of a class folder, given the path of its domain ("" or with a slash at its end)."""
_SOME: Final = 200
_KINDS: Final = {**dict.fromkeys(VIDEO_SUFFIXES, "videos"), **dict.fromkeys(IMAGE_SUFFIXES, "images")}


def domain_match(root: Path, kind: str) -> Match:
    """How well a folder fits: whether it has domains, and whether their class folders hold ``images`` or ``videos``.

    Where some hold the one and some the other, it is read as images; every file of the other kind is counted then.
    """
    tree = Tree(root) if root.is_dir() else None
    domains = _domains(tree) if tree is not None else []
    if tree is None or not domains:
        return Match(0, missed=(_missed(tree),))
    kinds = _kinds_in(tree, domains)
    if kind == "images":
        score = 0.3 if kinds == {"videos"} else 0.7
    else:
        score = 0.0 if "videos" not in kinds else 0.7 if kinds == {"videos"} else 0.4
    missed = () if score else (f"<domain>/<split>/{{real,fake}}/ with {kind}",)
    return Match(score, tuple(path or "." for path, _ in domains), missed)


def read_domains(rows: Rows, options: ReadOptions, add: Add) -> bool:
    """Read every domain's class folders; tell which lack a split, and what lies beside them.

    Returns:
        Whether a validation split is there.
    """
    domains = _domains(rows.tree)
    splits: set[str] = set()
    for path, name in domains:
        own_splits = []
        for entry, split in split_folders(rows.tree, path, split_of):
            own_splits.append(split)
            for folder in class_folders(rows, entry, name, split, depth=0):
                add(rows, folder, f"{path}/" if path else "")
            if loose := rows.tree.files(entry.path):
                words = f"{len(loose)} files next to the class folders; nothing says whether they are real"
                rows.note(entry.path, "name", "warning", words, "move them into real/ or fake/")
        splits.update(own_splits)
        lacking = [split for split in SPLITS if split not in own_splits and split != "val"]
        if lacking:
            rows.note(
                path,
                "missing",
                "warning",
                f"no {' and no '.join(lacking)} folder",
                "add it, or use --splits identity",
            )
    for entry in rows.tree.folders():
        if domains and domains[0][0] and entry.path not in {path for path, _ in domains}:
            rows.note(
                entry.path,
                "name",
                "warning",
                "no split with real/ and fake/ in it",
                "lay it out like the others",
            )
    return "val" in splits


def _domains(tree: Tree) -> list[tuple[str, str]]:
    """Path and name of each domain; the root is one if it holds splits itself."""
    if _is_domain(tree, ""):
        return [("", dataset_of_folder(tree.root.name))]
    return [(entry.path, entry.name) for entry in tree.folders()[:_SOME] if _is_domain(tree, entry.path)]


def _is_domain(tree: Tree, path: str) -> bool:
    return bool(_classes(tree, path))


def _classes(tree: Tree, path: str) -> list[Entry]:
    return [
        inner
        for entry, _ in split_folders(tree, path, split_of)
        for inner in tree.folders(entry.path)
        if label_of_class(inner.name) is not None
    ]


def _kinds_in(tree: Tree, domains: list[tuple[str, str]]) -> set[str]:
    """What the first media file of each class folder is."""
    folders = [folder for path, _ in domains for folder in _classes(tree, path)][:_SOME]
    files = (tree.descend(folder.path) for folder in folders)
    first = (next((_KINDS[file.suffix] for file in of if file.suffix in _KINDS), None) for of in files)
    return {kind for kind in first if kind is not None}


def _missed(tree: Tree | None) -> str:
    """What was looked for; with the folders of a split whose names say no class, and classes without a split."""
    words = "<domain>/<split>/{real,fake}/"
    if tree is None:
        return words
    domains = ("", *(entry.path for entry in tree.folders()[:_SOME]))
    splits = (split for path in domains for split, _ in split_folders(tree, path, split_of))
    if strange := next((inner for split in splits for inner in tree.folders(split.path)), None):
        return f"{words}: {strange.path}/ says neither real nor fake"
    classes = (
        entry
        for path in domains
        for entry in tree.folders(path)
        if isinstance(label_of_class(entry.name), int)
    )
    if loose := next(classes, None):
        return f"{words}: {loose.path}/ is in no train/, val/ or test/"
    return words
