"""WildDeepfake: face crops of videos from the internet, one tar.gz (or unpacked folder) a video."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from fretal_bench.datasets.importers.archives import (
    ArchiveLimits,
    DamagedArchive,
    LargeArchive,
    list_members,
    member_path,
)
from fretal_bench.datasets.importers.family import Import, Importer, Match, Official
from fretal_bench.datasets.importers.names import Contradiction, frame_numbers, label_of_class
from fretal_bench.datasets.importers.options import ReadOptions
from fretal_bench.datasets.importers.rows import ManifestRow, Rows
from fretal_bench.datasets.importers.walk import ARCHIVE_SUFFIXES, Tree
from fretal_bench.datasets.manifest import FAKE, REAL
from fretal_bench.datasets.media.suffixes import IMAGE_SUFFIXES

DATASET: Final = "wilddeepfake"
_FOLDER: Final = re.compile(r"(?P<label>real|fake)[ _-](?P<split>train|test)", re.IGNORECASE)


def recognise(root: Path) -> Match:
    """Look for the four folders, in the root or in deepfake_in_the_wild/."""
    tree = Tree(root) if root.is_dir() else None
    signs = tuple(f"{path}/" for path, _, _ in _folders(tree)) if tree is not None else ()
    return Match(
        0.95 if len(signs) > 1 else 0.6 if signs else 0,
        signs,
        () if signs else ("{real,fake}_{train,test}/",),
    )


def read(root: Path, options: ReadOptions) -> Import:
    """Read archives and folders alike; nothing is unpacked. A sequence is a video, an archive one unnamed person."""
    rows = Rows(Tree(root))
    folders = _folders(rows.tree)
    for label_name in ("real", "fake"):
        for split in ("train", "test"):
            if not any((s, n) == (split, label_name) for _, s, n in folders):
                name = f"{label_name}_{split}"
                rows.note(
                    name, "missing", "warning", "no such folder", "download it, if it belongs to your copy"
                )
    for folder, split, label_name in folders:
        for entry in rows.tree.entries(folder):
            group = _without_archive_suffix(entry.name)
            if entry.is_folder:
                inside = [file.path.removeprefix(f"{entry.path}/") for file in rows.tree.descend(entry.path)]
                _add_group(rows, f"{entry.path}/", group, split, label_name, inside)
            elif group != entry.name:
                limits = ArchiveLimits().times(options.archive_limits)
                _add_archive(rows, entry.path, group, split, label_name, limits)
            else:
                words = f"expected a tar.gz archive or a folder of crops, found a {entry.suffix or 'nameless'} file"
                _lose(rows, entry.path, "wrong-extension", words, label_name)
    return rows.finish(DATASET, options, "train and test as in the folders' names", has_val=False)


def _folders(tree: Tree) -> list[tuple[str, str, str]]:
    """Each of the four folders that is there: path, split, ``real`` or ``fake``."""
    inner = tree.child("", "deepfake_in_the_wild")
    folders = []
    for place in ("", inner.path if inner is not None else ""):
        for entry in tree.folders(place):
            match = _FOLDER.fullmatch(entry.name)
            if match is not None:
                folders.append((entry.path, match["split"].lower(), match["label"].lower()))
    return sorted(set(folders))


def _add_archive(
    rows: Rows, path: str, group: str, split: str, label_name: str, limits: ArchiveLimits
) -> None:
    file = rows.tree.root / path
    try:
        names, refused = list_members(file, limits)
    except LargeArchive as error:
        _lose(rows, path, "size", f"nothing of it is read: {error}", label_name)
        return
    except DamagedArchive as error:
        empty = file.is_file() and file.stat().st_size == 0
        words = "zero bytes" if empty else f"cannot be read to its end: {error}"
        _lose(rows, path, "empty" if empty else "unreadable", words, label_name)
        return
    for name, refusal in refused.items():
        _lose(rows, member_path(path, name), refusal.kind, f"refused: {refusal.words}", label_name)
    _add_group(rows, member_path(path, ""), group, split, label_name, names)


def _add_group(
    rows: Rows, prefix: str, group: str, split: str, label_name: str, inside: Iterable[str]
) -> None:
    """Add the images of one archive or folder, given their paths within it."""
    sequences: dict[str, list[str]] = {}
    for name in inside:
        folder, _, file = name.rpartition("/")
        if "." + file.lower().rpartition(".")[2] in IMAGE_SUFFIXES:
            sequences.setdefault(folder, []).append(name)
        else:
            _lose(rows, prefix + name, "wrong-extension", "expected images here", label_name)
    label = REAL if label_name == "real" else FAKE
    person = f"{label_name}_{split}/{group}"
    for folder, names in sorted(sequences.items()):
        contrary = _contrary(folder, label)
        # An archive mostly repeats its own name inside; unpacked in place it doesn't.
        below = "/".join(part for n, part in enumerate(folder.split("/")) if part and (n or part != group))
        video = "/".join(part for part in (split, group, below) if part)
        numbers = frame_numbers([name.rpartition("/")[2].rpartition(".")[0] for name in names])
        for name, number in zip(names, numbers, strict=True):
            if contrary:
                _lose(rows, prefix + name, "label", contrary, label_name)
                continue
            source = person if label == REAL else ""
            rows.add(
                ManifestRow(
                    prefix + name, DATASET, label_name, "none", label, video, source, person, split, number
                )
            )


def _contrary(folder: str, label: int) -> str:
    """What in a path inside contradicts the folder that the archive is in; "" if nothing does."""
    for part in folder.split("/"):
        inner = label_of_class(part)
        if isinstance(inner, Contradiction):
            return inner.words
        if inner is not None and inner != label:
            return f"its folder says {'real' if label == REAL else 'fake'}, inside it lies in {part!r}"
    return ""


def _without_archive_suffix(name: str) -> str:
    for suffix in ARCHIVE_SUFFIXES:
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return name


def _lose(rows: Rows, path: str, kind: str, words: str, label_name: str) -> None:
    actions = {
        "empty": "download it again",
        "unreadable": "download it again",
        "size": "raise --archive-limits, if it is what it should be",
    }
    action = actions.get(kind, "remove or correct it")
    rows.leave_out(path, kind, words, action, dataset=DATASET, method=label_name, compression="none")


IMPORTER: Final = Importer(
    name=DATASET,
    title="WildDeepfake",
    layout="{real,fake}_{train,test}/N.tar.gz, or the folders they unpack to",
    recognises=recognise,
    read=read,
    unit="sequences",
    official=(Official(7314, "WildDeepfake repository README"),),
    cropped=True,
)
