"""Folders of videos, one a domain: ``<domain>/<split>/{real,fake}/*.mp4``, the whole picture in each."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from fretal_bench.datasets.importers.classes import ClassFolder
from fretal_bench.datasets.importers.domains import domain_match, read_domains
from fretal_bench.datasets.importers.family import Import, Importer, Match
from fretal_bench.datasets.importers.options import ReadOptions
from fretal_bench.datasets.importers.rows import ManifestRow, Rows
from fretal_bench.datasets.importers.walk import Tree
from fretal_bench.datasets.manifest import REAL
from fretal_bench.datasets.media.suffixes import VIDEO_SUFFIXES


def recognise(root: Path) -> Match:
    """Look for a split with a class of videos in it, below a domain or in the root itself."""
    return domain_match(root, "videos")


def read(root: Path, options: ReadOptions) -> Import:
    """Read the domains; each is a data set of its own, with the method ``fake``.

    A file's name says nothing of the people in it, so a video's only identity is itself: its path below the domain.
    """
    rows = Rows(Tree(root))
    has_val = read_domains(rows, options, _add)
    if len(rows):
        words = "nothing says who is in which video, so each counts as a person of its own"
        rows.note("", "note", "info", words, "where people are known, list the files in a CSV (--as csv)")
    return rows.finish("video-folders", options, "the folders' names", has_val=has_val)


def _add(rows: Rows, folder: ClassFolder, base: str) -> None:
    method = "real" if folder.label == REAL else "fake"
    for entry in rows.tree.descend(folder.path):
        if entry.suffix not in VIDEO_SUFFIXES:
            words = f"expected mp4 videos here, found a {entry.suffix or 'nameless'} file"
            rows.leave_out(
                *(entry.path, "wrong-extension", words, "convert or remove it"),
                dataset=folder.domain,
                method=method,
                compression="none",
            )
            continue
        video = entry.path.removeprefix(base)[: -len(entry.suffix)]
        source = video if folder.label == REAL else ""
        rows.add(
            ManifestRow(
                *(entry.path, folder.domain, method, "none", folder.label, video, source, video, folder.split)
            )
        )


IMPORTER: Final = Importer(
    name="video-folders",
    title="video folders",
    layout="<domain>/{train,val,test}/{real,fake}/*.mp4",
    recognises=recognise,
    read=read,
)
