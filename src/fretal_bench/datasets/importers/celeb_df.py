"""Celeb-DF v1 and v2: celebrities' interviews and swaps between them; its test list writes 1 for real."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from fretal_bench import files
from fretal_bench.datasets.importers.family import Import, Importer, Match, Official
from fretal_bench.datasets.importers.lists import read_text
from fretal_bench.datasets.importers.names import celeb_faces
from fretal_bench.datasets.importers.options import ReadOptions
from fretal_bench.datasets.importers.recordings import (
    Recording,
    Shelf,
    add_recording,
    leave_out_recording,
    recordings,
)
from fretal_bench.datasets.importers.rows import ManifestRow, Rows
from fretal_bench.datasets.importers.walk import Tree, leaves_root
from fretal_bench.datasets.manifest import FAKE, REAL
from fretal_bench.errors import BenchError
from fretal_bench.names import shown

TEST_LIST: Final = "List_of_testing_videos.txt"
FAKE_METHOD: Final = "Celeb-synthesis"
FOLDERS: Final = {"celeb-real": REAL, "youtube-real": REAL, "celeb-synthesis": FAKE}
# The list's own labels, the other way round than ours and nearly everybody's.
LISTED: Final = {"1": REAL, "0": FAKE}
LINE: Final = re.compile(r"(?P<label>\S+)\s+(?P<path>\S.*)")
SCENARIOS: Final = ("FaceSwap", "FaceReenact", "TalkingFace")
"""Folders of Celeb-synthesis in Celeb-DF++ (its repository's README); in versions 1 and 2 the fakes are there."""
_VERSION: Final = re.compile(r"(?:^|[^a-z0-9])v([12])(?:[^a-z0-9]|$)")
# Version 1 tests 100 videos, version 2 tests 518.
_V2_LINES: Final = 200


def _recognise(root: Path, version: int) -> Match:
    tree = Tree(root) if root.is_dir() else None
    if tree is None or tree.child("", "Celeb-synthesis") is None:
        return Match(0, missed=("Celeb-real/", "Celeb-synthesis/", TEST_LIST))
    if scenario_folders(tree):
        return Match(0.1, missed=("videos in Celeb-synthesis/ itself",))
    names = ("Celeb-real", "YouTube-real", "Celeb-synthesis", TEST_LIST)
    signs = tuple(name for name in names if tree.child("", name) is not None)
    named = _VERSION.search(tree.root.name.lower())
    if named is not None:
        return Match(0.95 if int(named[1]) == version else 0.3, (*signs, f"folder name {tree.root.name!r}"))
    listed = tree.child("", TEST_LIST)
    lines = _lines(tree.root / listed.path) if listed and not listed.is_folder else 0
    # Too short a list for version 2 may also be a part of it; version 2 is what people mean by Celeb-DF.
    is_v1 = 80 <= lines < _V2_LINES
    return Match(0.9 if is_v1 == (version == 1) else 0.4, (*signs, f"{lines} lines in {TEST_LIST}"))


def _lines(path: Path) -> int:
    try:
        return len(files.read_text(path, "list").splitlines())
    except BenchError:
        return 0


def scenario_folders(tree: Tree) -> dict[str, str]:
    """The folders by which Celeb-DF++ differs: path -> scenario."""
    scenarios = {name.lower(): name for name in SCENARIOS}
    fakes = tree.child("", "Celeb-synthesis")
    inner = tree.folders(fakes.path) if fakes is not None and fakes.is_folder else ()
    return {entry.path: scenarios[entry.name.lower()] for entry in inner if entry.name.lower() in scenarios}


def _read(root: Path, options: ReadOptions, dataset: str) -> Import:
    tree = Tree(root)
    if scenarios := scenario_folders(tree):
        raise BenchError(
            f"{root}: this is Celeb-DF++, not Celeb-DF v1 or v2: its fakes are in {next(iter(scenarios))}/ and the "
            "like; read it with --as celeb-df-pp"
        )
    rows = Rows(tree)
    by_identity = options.splits == "identity"
    listed = {} if by_identity else read_test_list(rows)
    on_disk: set[tuple[str, str]] = set()
    for folder, shelf, label in shelves(rows, dataset):
        for recording in recordings(rows, shelf, options):
            on_disk.add((folder, recording.video))
            row = row_of(rows, folder, shelf, recording, label)
            if row is not None and not by_identity:
                key = folder, recording.video
                split = listed_split(rows, label, key, shelf, recording, listed)
                row = as_recording(row, row.original, split) if split is not None else None
            if row is not None:
                add_recording(rows, recording, row)
    return finish(rows, dataset, options, (listed or {}).keys() - on_disk)


def finish(rows: Rows, dataset: str, options: ReadOptions, absent: Iterable[tuple[str, str]]) -> Import:
    """Build the manifest, after telling what the test list names in vain (folder and video) and what it keeps apart."""
    for folder, video in sorted(absent):
        rows.note(
            f"{folder}/{video}.mp4",
            "missing",
            "warning",
            f"{TEST_LIST} names it; it isn't there",
            "download it again",
        )
    if options.splits != "identity" and len(rows):
        words = (
            "the official list tests people who are trained on too; recordings are kept apart, people are not"
        )
        rows.note(TEST_LIST, "crossing", "warning", words, "for unseen people use --splits identity")
    return rows.finish(dataset, options, f"test as in {TEST_LIST}", has_val=False)


def listed_split(
    rows: Rows,
    label: int,
    key: tuple[str, str],
    shelf: Shelf,
    recording: Recording,
    listed: Mapping[tuple[str, str], int | None] | None,
) -> str | None:
    """The split by the test list; None, and counted, if there is no list or it contradicts the folder.

    Args:
        rows: Takes what is left out.
        label: What the video's folder says.
        key: The video as the list has it: folder and name.
        shelf: Its folder.
        recording: The video.
        listed: The list: ``key`` -> label, None for one that has both; None if there is no list.
    """
    if listed is None:
        words = f"{TEST_LIST} is missing, so its split isn't known"
        leave_out_recording(rows, recording, shelf, "split", words, "copy the list to the root")
        return None
    listed_label = listed.get(key, label)
    if listed_label != label:
        word = {REAL: "real", FAKE: "fake", None: "both real and fake"}[listed_label]
        words = f"{TEST_LIST} says {word}, its folder {'real' if label == REAL else 'fake'}"
        leave_out_recording(rows, recording, shelf, "label", words, "restore the list of the download")
        return None
    return "test" if key in listed else "train"


def shelves(rows: Rows, dataset: str) -> Iterator[tuple[str, Shelf, int]]:
    """The folders of reals and fakes that are there: name in lower case, shelf, label; absent ones are told."""
    for entry in rows.tree.folders():
        label = FOLDERS.get(entry.name.lower())
        if label is not None:
            method = "real" if label == REAL else FAKE_METHOD
            yield entry.name.lower(), Shelf(entry.path, dataset, method, "none"), label
    for name in FOLDERS:
        if rows.tree.child("", name) is None:
            rows.note(
                name, "missing", "warning", f"no folder {name} (letter case aside)", "download it again"
            )


def row_of(rows: Rows, folder: str, shelf: Shelf, recording: Recording, label: int) -> ManifestRow | None:
    """The row of a video with the people in it, or None if its name fits no rule."""
    target = source = original = ""
    if folder == "youtube-real":
        if re.fullmatch(r"[0-9]{5}", recording.video):
            target = source = f"youtube-{recording.video}"
        pattern = "00000"
    else:
        faces = celeb_faces(recording.video)
        if faces is not None and bool(faces.original) == (label == FAKE):
            target, source, original = faces
        pattern = "id0_0000" if label == REAL else "id0_id1_0000"
    if not target:
        words = f"expected a name like {pattern}, found {recording.video!r}"
        leave_out_recording(rows, recording, shelf, "name", words, "rename or remove it")
        return None
    return ManifestRow(
        "", shelf.dataset, shelf.method, "none", label, recording.video, source, target, original=original
    )


def as_recording(row: ManifestRow, filmed: str, split: str) -> ManifestRow:
    """Name the recording in place of the person: the official list keeps at most recordings apart.

    Args:
        row: With the people in it.
        filmed: The recording that a fake was made in; "" for a real video, which is one.
        split: By the list.
    """
    recording = filmed or (row.video if row.video.startswith("id") else row.target)
    source = recording if row.label == REAL else ""
    return replace(row, source=source, target=recording, split=split)


def read_test_list(rows: Rows, folder: str = "") -> dict[tuple[str, str], int | None] | None:
    """Read the test list of a folder: (folder, video) -> our label, None for one that has both; None if there is none."""
    entry = rows.tree.child(folder, TEST_LIST)
    if entry is None:
        action = "copy it from the download to the root, or use --splits identity"
        rows.note(TEST_LIST, "missing", "error", "no test list, and no other official split", action)
        return None
    text = read_text(rows, entry)
    if not text.strip():
        # Without a line everything would be training data.
        rows.note(entry.path, "bad-file", "error", "no line that can be read", "copy it from the download")
        return None
    listed: dict[tuple[str, str], int | None] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        match = LINE.fullmatch(line.strip())
        parts = match["path"].split("/") if match is not None else []
        if match is None or match["label"] not in LISTED or len(parts) < 2 or parts[0].lower() not in FOLDERS:
            kind = "outside" if match is not None and leaves_root(match["path"]) else "bad-file"
            example = "'0 Celeb-synthesis/id0_id1_0000.mp4' or the like"
            words = f"line {number}: expected {example}, found {shown(line.strip())}"
            rows.note(entry.path, kind, "error", words, "restore the list of the download")
            continue
        video = (parts[0].lower(), parts[-1].rpartition(".")[0] or parts[-1])
        if leaves_root(match["path"]):
            rows.note(
                entry.path,
                "outside",
                "error",
                f"line {number}: a path that leaves the root",
                "restore the list",
            )
        elif listed.setdefault(video, LISTED[match["label"]]) != LISTED[match["label"]]:
            rows.note(
                entry.path,
                "label",
                "error",
                f"line {number}: {shown(match['path'])} twice, real and fake",
                "restore the list",
            )
            listed[video] = None
    return listed


def _importer(version: int, official: tuple[Official, ...]) -> Importer:
    dataset = f"celeb-df-v{version}"
    return Importer(
        name=dataset,
        title=f"Celeb-DF v{version}",
        layout=f"Celeb-real/*.mp4, YouTube-real/*.mp4, Celeb-synthesis/*.mp4, {TEST_LIST}",
        recognises=lambda root: _recognise(root, version),
        read=lambda root, options: _read(root, options, dataset),
        official=official,
        shares_track=True,
    )


V1: Final = _importer(
    1,
    (
        Official(408, "Celeb-DF v1 README: 158 celebrity and 250 other videos", "real"),
        Official(795, "Celeb-DF v1 README", FAKE_METHOD),
    ),
)
V2: Final = _importer(
    2,
    (
        Official(890, "Celeb-DF v2 README: 590 celebrity and 300 other videos", "real"),
        Official(5639, "Celeb-DF v2 README", FAKE_METHOD),
        Official(518, "Celeb-DF v2 README", split="test"),
    ),
)
