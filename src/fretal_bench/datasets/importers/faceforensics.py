"""FaceForensics++: five manipulations of 1,000 videos at three compressions, with official splits of pairs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from fretal_bench.datasets.importers.family import Import, Importer, Match, Official
from fretal_bench.datasets.importers.lists import DAMAGED, read_json
from fretal_bench.datasets.importers.names import compression_of, ffpp_faces
from fretal_bench.datasets.importers.options import ReadOptions
from fretal_bench.datasets.importers.recordings import Shelf, add_recording, leave_out_recording, recordings
from fretal_bench.datasets.importers.rows import ManifestRow, Rows
from fretal_bench.datasets.importers.walk import Tree
from fretal_bench.datasets.manifest import FAKE, REAL, SPLITS
from fretal_bench.errors import BenchError

DATASET: Final = "ffpp"
METHODS: Final = ("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures", "FaceShifter")
DFD_METHOD: Final = "DeepFakeDetection"
_NOT_READ: Final = ("masks", "models")
_SOURCE: Final = "FaceForensics repository, dataset/README.md and splits/"


def recognise(root: Path) -> Match:
    """Look for the tree's two branches and a method or the YouTube originals in them."""
    if not root.is_dir():
        return Match(0, missed=("original_sequences/youtube/",))
    tree = Tree(root)
    folders = ["original_sequences/youtube", *(f"manipulated_sequences/{method}" for method in METHODS)]
    signs = tuple(f"{path}/" for path in folders if tree.has(path))
    if not signs:
        return Match(0, missed=("original_sequences/youtube/", "manipulated_sequences/<method>/"))
    return Match(0.95, signs)


def read(root: Path, options: ReadOptions) -> Import:
    """Read the tree; what no split lists is left out and counted."""
    rows = Rows(Tree(root))
    by_identity = options.splits == "identity"
    splits = {} if by_identity else official_splits(rows, options)
    for shelf, label in shelves(rows):
        for recording in recordings(rows, shelf, options):
            faces = ffpp_faces(recording.video)
            if faces is None or bool(faces.original) != (label == FAKE):
                pattern = "NNN" if label == REAL else "TTT_SSS"
                words = f"expected a name like {pattern} (three digits each), found {recording.video!r}"
                leave_out_recording(rows, recording, shelf, "name", words, "rename or remove it")
                continue
            split = "" if by_identity else splits.get(faces.target, "")
            if not by_identity and (not split or splits.get(faces.source) != split):
                words = f"{recording.video} is in no pair of the split files, or its two ids are in different splits"
                leave_out_recording(
                    rows, recording, shelf, "split", words, "check the split files, or use --splits identity"
                )
                continue
            row = ManifestRow(
                path="",
                dataset=DATASET,
                method=shelf.method,
                compression=shelf.compression,
                label=label,
                video="",
                source=faces.source,
                target=faces.target,
                split=split,
                original=faces.original,
            )
            add_recording(rows, recording, row)
    if rows.tree.has(f"manipulated_sequences/{DFD_METHOD}") or rows.tree.has("original_sequences/actors"):
        rows.note("", "note", "info", "DeepFakeDetection lies in the same tree", "read it with --as dfd")
    return rows.finish(DATASET, options, "official pairs (train.json, val.json, test.json)")


def shelves(rows: Rows) -> Iterator[tuple[Shelf, int]]:
    """The folders that hold videos of one method at one compression; folders that fit no rule are reported."""
    yield from _compressions(rows, "original_sequences/youtube", DATASET, "real", REAL)
    branch = rows.tree.has("manipulated_sequences")
    for folder in rows.tree.folders("manipulated_sequences") if branch is not None else ():
        method = {name.lower(): name for name in METHODS}.get(folder.name.lower())
        if method is not None:
            yield from _compressions(rows, folder.path, DATASET, method, FAKE)
        elif folder.name != DFD_METHOD:
            words = f"expected one of {', '.join(METHODS)}, found {folder.name!r}"
            rows.note(folder.path, "name", "warning", words, "rename it, or read it as another data set")


def _compressions(
    rows: Rows, folder: str, dataset: str, method: str, label: int
) -> Iterator[tuple[Shelf, int]]:
    for entry in rows.tree.folders(folder) if rows.tree.has(folder) else ():
        compression = compression_of(entry.name)
        if compression is not None:
            yield Shelf(entry.path, dataset, method, compression), label
        elif entry.name not in _NOT_READ:
            rows.note(
                entry.path,
                "name",
                "warning",
                f"expected raw, c0, c23 or c40, found {entry.name!r}",
                "rename it",
            )


def dfd_shelves(rows: Rows, dataset: str) -> Iterator[tuple[Shelf, int]]:
    """The same for DeepFakeDetection, which is in the same tree."""
    yield from _compressions(rows, "original_sequences/actors", dataset, "real", REAL)
    yield from _compressions(rows, f"manipulated_sequences/{DFD_METHOD}", dataset, DFD_METHOD, FAKE)


def official_splits(rows: Rows, options: ReadOptions) -> dict[str, str]:
    """Read the pairs: video id -> split. What is missing, malformed or listed twice is reported."""
    splits: dict[str, str] = {}
    twice: set[str] = set()
    for split in SPLITS:
        path, shown = _split_file(rows, options, split)
        if path is None:
            words = f"no {split}.json in splits/ or at the root; its videos are left out"
            action = "copy it from the FaceForensics repository (dataset/splits), or name its folder with --split-path"
            rows.note(shown, "missing", "error", words, action)
            continue
        for video in _pairs(rows, path, shown):
            if splits.setdefault(video, split) != split:
                twice.add(video)
    for video in sorted(twice):
        rows.note(
            "",
            "crossing",
            "error",
            f"id {video} is in two split files; its videos are left out",
            "restore the files",
        )
    return {video: split for video, split in splits.items() if video not in twice}


def _split_file(rows: Rows, options: ReadOptions, split: str) -> tuple[Path | None, str]:
    name = f"{split}.json"
    if options.split_path is not None:
        if not options.split_path.is_dir():
            raise BenchError(
                f"{options.split_path}: expected the folder of train.json, val.json and test.json, "
                "found no folder there; check the path"
            )
        path = options.split_path / name
        return (path if path.is_file() else None), name
    entry = rows.tree.has(f"splits/{name}") or rows.tree.has(name)
    return (rows.tree.root / entry.path, entry.path) if entry is not None else (None, f"splits/{name}")


def _pairs(rows: Rows, path: Path, shown: str) -> list[str]:
    data = read_json(rows, path, shown)
    if data is DAMAGED:
        return []
    is_pairs = isinstance(data, list) and all(
        isinstance(pair, list) and len(pair) == 2 and all(isinstance(video, str) for video in pair)
        for pair in data
    )
    if not is_pairs:
        rows.note(
            shown, "bad-file", "error", 'expected a list of pairs such as ["953", "974"]', "copy it again"
        )
        return []
    return [video for pair in data for video in pair]


def _official() -> tuple[Official, ...]:
    sizes = {"train": 720, "val": 140, "test": 140}
    methods = ("real", *METHODS)
    return tuple(
        Official(n, _SOURCE, method, None, split, each=True)
        for method in methods
        for split, n in sizes.items()
    )


IMPORTER: Final = Importer(
    name=DATASET,
    title="FaceForensics++",
    layout="original_sequences/youtube/<compression>/videos/NNN.mp4, manipulated_sequences/<method>/<compression>/videos/"
    "TTT_SSS.mp4, splits/{train,val,test}.json",
    recognises=recognise,
    read=read,
    official=_official(),
    shares_track=True,
    ignores=(
        "*/masks/*",
        "*/models/*",
        "downloaded_videos*",
        "*/actors/*",
        f"*/{DFD_METHOD}/*",
        "*downsampled/*",
    ),
)
