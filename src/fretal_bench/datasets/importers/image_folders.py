"""Folders of images, one a domain, as CoReD and many others lay them out: ``<domain>/<split>/{real,fake}``."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from fretal_bench.datasets.importers.classes import add_images, class_folders, split_folders
from fretal_bench.datasets.importers.family import Import, Importer, Match
from fretal_bench.datasets.importers.names import dataset_of_folder, label_of_class, split_of
from fretal_bench.datasets.importers.options import ReadOptions
from fretal_bench.datasets.importers.rows import Rows
from fretal_bench.datasets.importers.walk import Tree
from fretal_bench.datasets.manifest import REAL, SPLITS

_SOME: Final = 200


def recognise(root: Path) -> Match:
    """Look for a split with a class in it, below a domain or in the root itself."""
    tree = Tree(root) if root.is_dir() else None
    domains = [path or "." for path, _ in _domains(tree)] if tree is not None else []
    return Match(0.7 if domains else 0, tuple(domains), () if domains else (_missed(tree),))


def read(root: Path, options: ReadOptions) -> Import:
    """Read the domains; each is a data set of its own, with the method ``fake``."""
    rows = Rows(Tree(root))
    domains = _domains(rows.tree)
    splits: set[str] = set()
    for path, name in domains:
        own_splits = []
        for entry, split in split_folders(rows.tree, path, split_of):
            own_splits.append(split)
            for folder in class_folders(rows, entry, name, split, depth=0):
                add_images(
                    rows, folder, name, "real" if folder.label == REAL else "fake", f"{path}/" if path else ""
                )
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
    return rows.finish("image-folders", options, "the folders' names", has_val="val" in splits)


def _domains(tree: Tree) -> list[tuple[str, str]]:
    """Path and name of each domain; the root is one if it holds splits itself."""
    if _is_domain(tree, ""):
        return [("", dataset_of_folder(tree.root.name))]
    return [(entry.path, entry.name) for entry in tree.folders()[:_SOME] if _is_domain(tree, entry.path)]


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


def _is_domain(tree: Tree, path: str) -> bool:
    return any(
        label_of_class(inner.name) is not None
        for entry, _ in split_folders(tree, path, split_of)
        for inner in tree.folders(entry.path)
    )


IMPORTER: Final = Importer(
    name="image-folders",
    title="image folders",
    layout="<domain>/{train,val,test}/{real,fake}/*",
    recognises=recognise,
    read=read,
    unit="images",
    cropped=True,
)
