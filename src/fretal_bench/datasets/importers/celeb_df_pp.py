"""Celeb-DF++: Celeb-DF v2 with fakes of 22 methods in three scenarios; its reals, names and test list are v2's kind."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from fretal_bench.datasets.importers.celeb_df import (
    FOLDERS,
    LINE,
    LISTED,
    TEST_LIST,
    as_recording,
    finish,
    listed_split,
    row_of,
    scenario_folders,
    shelves,
)
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
from fretal_bench.names import shown

DATASET: Final = "celeb-df-pp"
METHODS: Final[Mapping[str, tuple[str, ...]]] = {
    "FaceSwap": (
        *("Celeb-DF", "BlendFace", "GHOST", "HifiFace"),
        *("InSwapper", "MobileFaceSwap", "SimSwap", "UniFace"),
    ),
    "FaceReenact": ("DaGAN", "FSRT", "HyperReenact", "LIA", "LivePortrait", "MCNET", "TPSMM"),
    "TalkingFace": ("AniTalker", "EchoMimic", "EDTalk", "FLOAT", "IP_LAP", "Real3DPortrait", "SadTalker"),
}
"""Scenario -> its methods, as the repository's README names their folders."""
_OLD: Final = "Celeb-DF"
"""The fakes of version 2; the archive has their folder as ``Celeb-DF-v2``."""
_SWAPS: Final = "FaceSwap"
_TALKING: Final = re.compile(r"(?P<target>id\d+)_(?P<take>\d{4})_test_.+", re.ASCII)
_AGAIN: Final = "restore the list of the download"
_README: Final = "Celeb-DF++ repository README"

Key = tuple[str, str]


class _Fake(NamedTuple):
    """Whose recording a fake was made in, whose face was put there ("" for nobody's), and that recording."""

    target: str
    source: str
    filmed: str


class _Line(NamedTuple):
    """A line of the test list that can be understood."""

    number: int
    path: str
    digit: str
    label: int
    key: Key


def recognise(root: Path) -> Match:
    """Look for a scenario below Celeb-synthesis/."""
    tree = Tree(root) if root.is_dir() else None
    signs = tuple(f"{path}/" for path in scenario_folders(tree)) if tree is not None else ()
    return Match(0.97 if signs else 0, signs, () if signs else ("Celeb-synthesis/{FaceSwap,...}/<method>/",))


def read(root: Path, options: ReadOptions) -> Import:
    """Read the tree. Who is in a video is in its name; see ``docs/layouts.md`` for the three kinds of names."""
    rows = Rows(Tree(root))
    by_identity = options.splits == "identity"
    listed = {} if by_identity else _test_list(rows)
    on_disk: set[Key] = set()
    for folder, shelf, scenario in _shelves(rows):
        label = FAKE if scenario else REAL
        for recording in recordings(rows, shelf, options):
            key = folder, recording.video
            on_disk.add(key)
            if scenario:
                row, filmed = _fake_row(rows, shelf, scenario, recording)
            else:
                row, filmed = row_of(rows, folder, shelf, recording, REAL), ""
            if row is not None and not by_identity:
                split = listed_split(rows, label, key, shelf, recording, listed)
                row = as_recording(row, filmed, split) if split is not None else None
            if row is not None:
                add_recording(rows, recording, row)
    return finish(rows, DATASET, options, (listed or {}).keys() - on_disk)


def _shelves(rows: Rows) -> Iterator[tuple[str, Shelf, str]]:
    """The folders with videos: how the list names them, the shelf, and the scenario ("" for reals)."""
    for folder, shelf, label in shelves(rows, DATASET):
        if label == REAL:
            yield folder, shelf, ""
            continue
        scenarios = scenario_folders(rows.tree)
        for entry in rows.tree.folders(shelf.folder):
            if entry.path not in scenarios:
                words = f"expected one of {', '.join(METHODS)}, found {entry.name!r}"
                rows.note(entry.path, "name", "warning", words, "read Celeb-DF v2's own folder by itself")
        for path, scenario in scenarios.items():
            for entry in rows.tree.folders(path):
                method = _method(scenario, entry.name)
                if method is None:
                    words = f"expected one of {', '.join(METHODS[scenario])}, found {entry.name!r}"
                    rows.note(entry.path, "name", "warning", words, "rename it, or leave it: it is not read")
                else:
                    yield _folder(scenario, method), Shelf(entry.path, DATASET, method, "none"), scenario


def _method(scenario: str, name: str) -> str | None:
    lowered = name.lower()
    if scenario == _SWAPS and lowered == "celeb-df-v2":
        return _OLD
    return next((method for method in METHODS[scenario] if method.lower() == lowered), None)


def _folder(scenario: str, method: str) -> str:
    return f"celeb-synthesis/{scenario}/{method}".lower()


def _fake_row(
    rows: Rows, shelf: Shelf, scenario: str, recording: Recording
) -> tuple[ManifestRow | None, str]:
    """The row of a fake with the people in it, and the recording it was made in; no row if its name fits no rule."""
    fake = _fake(scenario, recording.video)
    if fake is None:
        pattern = "id0_0000_test_NAME" if scenario == "TalkingFace" else "id0_id1_0000"
        words = f"expected a name like {pattern}, found {recording.video!r}"
        leave_out_recording(rows, recording, shelf, "name", words, "rename or remove it")
        return None, ""
    row = ManifestRow(
        *("", DATASET, shelf.method, "none", FAKE, recording.video, fake.source, fake.target),
        # Of the other scenarios some methods cut the face out, so that it is elsewhere than in the recording.
        original=fake.filmed if scenario == _SWAPS else "",
    )
    return row, fake.filmed


def _fake(scenario: str, video: str) -> _Fake | None:
    if scenario == "TalkingFace":
        match = _TALKING.fullmatch(video)
        return _Fake(match["target"], "", f"{match['target']}_{match['take']}") if match is not None else None
    faces = celeb_faces(video)
    return _Fake(*faces) if faces is not None and faces.original else None


def _test_list(rows: Rows) -> dict[Key, int | None] | None:
    """Read the test list: folder and video -> our label, None for a contradiction; None if there is no list.

    The folder says what a video is; the digit in front of it only has to agree. Which digit stands for real is nowhere
    published: as in version 2, or the other way round where that is so in every line.
    """
    entry = rows.tree.child("", TEST_LIST)
    if entry is None:
        action = "copy it from the download to the root, or use --splits identity"
        rows.note(TEST_LIST, "missing", "error", "no test list, and no other official split", action)
        return None
    text = read_text(rows, entry)
    lines = [line for number, text in enumerate(text.splitlines(), 1) for line in _line(rows, number, text)]
    if not lines:
        # Without a line everything would be training data.
        rows.note(entry.path, "bad-file", "error", "no line that can be read", "copy it from the download")
        return None
    inverse = all(LISTED[line.digit] != line.label for line in lines)
    listed: dict[Key, int | None] = {}
    for line in lines:
        label = 1 - LISTED[line.digit] if inverse else LISTED[line.digit]
        if listed.setdefault(line.key, label) != label:
            words = f"line {line.number}: {shown(line.path)} twice, real and fake"
            rows.note(entry.path, "label", "error", words, _AGAIN)
            listed[line.key] = None
    return listed


def _line(rows: Rows, number: int, text: str) -> Iterator[_Line]:
    """What a line of the list says; nothing, and a finding, if it fits no rule."""
    if not text.strip():
        return
    match = LINE.fullmatch(text.strip())
    if match is not None and leaves_root(match["path"]):
        words = f"line {number}: a path that leaves the root: {shown(match['path'])}"
        rows.note(TEST_LIST, "outside", "error", words, _AGAIN)
        return
    digit, path = (match["label"], match["path"]) if match is not None else ("", "")
    *folders, name = path.split("/")
    folder = _listed_folder([folder for folder in folders if folder.lower() != "videos"])
    if digit not in LISTED or folder is None:
        example = "'0 Celeb-synthesis/FaceSwap/SimSwap/id0_id1_0000.mp4' or the like"
        rows.note(
            *(
                TEST_LIST,
                "bad-file",
                "error",
                f"line {number}: expected {example}, found {shown(text.strip())}",
            ),
            _AGAIN,
        )
        return
    label = FOLDERS.get(folder, FAKE)
    yield _Line(number, path, digit, label, (folder, name.rpartition(".")[0] or name))


def _listed_folder(folders: list[str]) -> str | None:
    """The folder that a line's path names, as ``_shelves`` names it."""
    lowered = [folder.lower() for folder in folders]
    if len(lowered) == 1 and FOLDERS.get(lowered[0]) == REAL:
        return lowered[0]
    if len(lowered) == 3 and lowered[0] == "celeb-synthesis":
        scenario = next((name for name in METHODS if name.lower() == lowered[1]), None)
        method = _method(scenario, folders[2]) if scenario is not None else None
        return _folder(scenario, method) if scenario is not None and method is not None else None
    return None


def _official() -> Iterator[Official]:
    yield Official(890, "Celeb-DF v2 README: 590 celebrity and 300 other videos", "real")
    yield Official(178, _README, "real", split="test")
    yield Official(5639, "Celeb-DF v2 README", _OLD)
    for scenario, methods in METHODS.items():
        for method in methods:
            if method != _OLD:
                yield Official(300 if scenario == "TalkingFace" else 200, _README, method, split="test")


IMPORTER: Final = Importer(
    name=DATASET,
    title="Celeb-DF++",
    layout="Celeb-real/*.mp4, YouTube-real/*.mp4, Celeb-synthesis/{FaceSwap,FaceReenact,TalkingFace}/<method>/*.mp4, "
    f"{TEST_LIST}",
    recognises=recognise,
    read=read,
    official=tuple(_official()),
    shares_track=True,
)
