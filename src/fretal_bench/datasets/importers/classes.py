"""Images in class folders: ``.../<split>/.../{real,fake}/...``, the reading that CDDB and plain image folders share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from fretal_bench.datasets.importers.names import Contradiction, label_of_class
from fretal_bench.datasets.importers.recordings import Shelf, frames_of
from fretal_bench.datasets.importers.rows import ManifestRow, Rows
from fretal_bench.datasets.importers.walk import Entry, Tree
from fretal_bench.datasets.manifest import REAL


@dataclass(frozen=True)
class ClassFolder:
    """A folder that holds one class of one split of one domain; ``group`` is the sub-folder it is in, or ""."""

    path: str
    domain: str
    split: str
    label: int
    group: str


def split_folders(
    tree: Tree, domain: str, split_of: Callable[[str], str | None]
) -> Iterator[tuple[Entry, str]]:
    """The folders of a domain that name a split."""
    for entry in tree.folders(domain):
        split = split_of(entry.name)
        if split is not None:
            yield entry, split


def class_folders(rows: Rows, folder: Entry, domain: str, split: str, depth: int) -> Iterator[ClassFolder]:
    """The class folders in a split's folder, at most ``depth`` sub-folders down; contradictions are reported."""
    yield from _class_folders(rows, folder.path, domain, split, depth, "")


def _class_folders(
    rows: Rows, folder: str, domain: str, split: str, depth: int, group: str
) -> Iterator[ClassFolder]:
    for entry in rows.tree.folders(folder):
        label = label_of_class(entry.name)
        if isinstance(label, Contradiction):
            rows.leave_out_folder(entry.path, "label", label.words, "rename the folder", domain)
        elif label is not None:
            yield ClassFolder(entry.path, domain, split, label, group)
        elif depth > 0:
            below = f"{group}/{entry.name}" if group else entry.name
            yield from _class_folders(rows, entry.path, domain, split, depth - 1, below)
        else:
            rows.not_understood(entry.path, entry.name)


def add_images(rows: Rows, folder: ClassFolder, dataset: str, method: str, root: str) -> None:
    """Add a class folder's images: each its own video, but a sub-folder of images is one video.

    The people are not known, so a video's only identity is itself: its path below ``root``.
    """
    shelf = Shelf(folder.path, dataset, method, "none")
    for path, _ in frames_of(rows, folder.path, shelf):
        _add(rows, folder, shelf, path.removeprefix(root), path, 0)
    below = (entry for inner in rows.tree.folders(folder.path) for entry in rows.tree.descend(inner.path))
    for inner_path in sorted({entry.path.rpartition("/")[0] for entry in below}):
        for path, number in frames_of(rows, inner_path, shelf):
            _add(rows, folder, shelf, inner_path.removeprefix(root), path, number)


def _add(rows: Rows, folder: ClassFolder, shelf: Shelf, video: str, path: str, frame: int) -> None:
    source = video if folder.label == REAL else ""
    rows.add(
        ManifestRow(
            path, shelf.dataset, shelf.method, "none", folder.label, video, source, video, folder.split, frame
        )
    )
