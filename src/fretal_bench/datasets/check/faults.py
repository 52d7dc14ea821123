"""Faults of a data set's files: unreadable ones, copies of one another, files that no rule mentions."""

from __future__ import annotations

import fnmatch
import os
from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from fretal_bench import files
from fretal_bench.datasets.check.facts import Facts, clip_facts, suffix_of
from fretal_bench.datasets.check.probe import probe_container
from fretal_bench.datasets.importers.archives import archive_of, is_member
from fretal_bench.datasets.importers.family import Finding, Import, Importer
from fretal_bench.datasets.importers.walk import ARCHIVE_SUFFIXES
from fretal_bench.datasets.media.suffixes import CLIP_SUFFIXES, IMAGE_SUFFIXES
from fretal_bench.datasets.progress import ProgressCallback

_MEDIA: Final = CLIP_SUFFIXES | IMAGE_SUFFIXES
_ACTIONS: Final = {
    "empty": "download it again",
    "unreadable": "download it again",
    "wrong-extension": "rename or convert it",
    "deep": "convert it; stores leave it out",
    "large": "raise the limit when preparing; stores leave it out",
}
_LOST: Final = ("empty", "unreadable")


def unreadable_files(
    read: Import, clips: dict[str, Facts], progress: ProgressCallback | None
) -> Iterator[Finding]:
    """Files, read or left out, whose container is empty, damaged, or of another kind than its name says.

    Also clips that hold more than crops can.

    Args:
        read: The data set.
        clips: Where the facts of clips are kept by path, so that each is opened once.
        progress: Told how many files were opened, and of how many.
    """
    # Members of archives were listed to the archive's end already.
    listable = {out.path for out in read.left_out if out.kind != "wrong-extension"}
    paths = sorted(path for path in {*read.frame["path"].unique(), *listable} if not is_member(path))
    for number, path in enumerate(paths, 1):
        file, suffix = read.root / path, suffix_of(path)
        problem = probe_container(file) if suffix in _MEDIA and file.is_file() else None
        if problem is None and suffix in CLIP_SUFFIXES and file.is_file():
            clips[path], problem = clip_facts(file)
        if problem is not None:
            kind, words = problem
            yield Finding(path, kind, "error" if kind in _LOST else "warning", words, _ACTIONS[kind])
        if progress is not None:
            progress(number, len(paths))


def copied_videos(read: Import) -> Iterator[Finding]:
    """Videos that are byte for byte another: a method's folder copied over another's, a fake that is its original."""
    whole = read.frame.loc[read.frame["frame"] < 0, "path"].unique()
    videos = sorted(path for path in whole if not is_member(path))
    by_size: dict[int, list[str]] = defaultdict(list)
    for path in videos:
        by_size[(read.root / path).stat().st_size].append(path)
    for size, paths in by_size.items():
        first_of: dict[str, str] = {}
        for path in paths if len(paths) > 1 and size else ():
            first = first_of.setdefault(files.sha256(read.root / path), path)
            if first != path:
                yield Finding(
                    path,
                    "duplicate",
                    "error",
                    f"byte for byte the same as {first}",
                    "find out which is right",
                )


def stray_files(read: Import, family: Importer, paths: list[str]) -> Iterator[Finding]:
    """Media files that no rule of the layout mentions, a finding a folder."""
    known = {archive_of(path) for path in read.frame["path"].unique()}
    known |= {archive_of(left.path) for left in read.left_out} | set(read.claimed)
    strange = [
        path for path in paths if path not in known and _is_media(path) and not _is_ignored(path, family)
    ]
    if not strange:
        return
    # A file may have been read through a link inside the folder.
    linked = {os.path.realpath(read.root / path) for path in known}
    by_folder: dict[str, list[str]] = defaultdict(list)
    for path in strange:
        if str(read.root / path) not in linked:
            by_folder[path.rpartition("/")[0]].append(path)
    for folder, strays in by_folder.items():
        example = os.path.basename(strays[0])
        words = f"{len(strays)} media files that no rule of the layout mentions, {example} among them"
        yield Finding(
            folder,
            "stray",
            "warning",
            words,
            "move them where the layout has them, or leave them: they are not read",
        )


def _is_media(path: str) -> bool:
    lower = path.lower()
    return os.path.splitext(lower)[1] in _MEDIA or lower.endswith(ARCHIVE_SUFFIXES)


def _is_ignored(path: str, family: Importer) -> bool:
    return any(fnmatch.fnmatchcase(path, pattern) for pattern in family.ignores)
