"""DeepFakeDetection (Google and Jigsaw): 28 actors, inside the FaceForensics++ tree, without an official split."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from fretal_bench.datasets.importers.faceforensics import DFD_METHOD, dfd_shelves
from fretal_bench.datasets.importers.family import Import, Importer, Match, Official
from fretal_bench.datasets.importers.options import ReadOptions
from fretal_bench.datasets.importers.recordings import add_recording, leave_out_recording, recordings
from fretal_bench.datasets.importers.rows import ManifestRow, Rows
from fretal_bench.datasets.importers.walk import Tree
from fretal_bench.datasets.manifest import REAL

DATASET: Final = "dfd"
_REAL: Final = re.compile(r"(?P<target>\d{2})__(?P<scene>.+)", re.ASCII)
_FAKE: Final = re.compile(r"(?P<target>\d{2})_(?P<source>\d{2})__(?P<scene>.+)__[A-Z0-9]{8}", re.ASCII)
_SOURCE: Final = "Celeb-DF paper, table 1"
_PLACES: Final = ("original_sequences/actors", f"manipulated_sequences/{DFD_METHOD}")


def recognise(root: Path) -> Match:
    """Look for the actors and their fakes; FaceForensics++ itself is the surer reading of a tree with both."""
    tree = Tree(root) if root.is_dir() else None
    signs = tuple(f"{path}/" for path in _PLACES if tree is not None and tree.has(path))
    missed = tuple(f"{path}/" for path in _PLACES if f"{path}/" not in signs)
    return Match(0.9 if signs else 0, signs, missed)


def read(root: Path, options: ReadOptions) -> Import:
    """Read the actors' videos (``NN__scene``) and the fakes (``TT_SS__scene__HASH``), and split them by actor."""
    rows = Rows(Tree(root))
    for shelf, label in dfd_shelves(rows, DATASET):
        for recording in recordings(rows, shelf, options):
            match = (_REAL if label == REAL else _FAKE).fullmatch(recording.video)
            if match is None:
                pattern = "01__scene" if label == REAL else "01_02__scene__ABCDEFGH"
                words = f"expected a name like {pattern}, found {recording.video!r}"
                leave_out_recording(rows, recording, shelf, "name", words, "rename or remove it")
                continue
            target = match["target"]
            row = ManifestRow(
                path="",
                dataset=DATASET,
                method=shelf.method,
                compression=shelf.compression,
                label=label,
                video="",
                source=target if label == REAL else match["source"],
                target=target,
                original="" if label == REAL else f"{target}__{match['scene']}",
            )
            add_recording(rows, recording, row)
    return rows.finish(DATASET, options, "", official=False)


IMPORTER: Final = Importer(
    name=DATASET,
    title="DeepFakeDetection (DFD)",
    layout="original_sequences/actors/<compression>/videos/NN__scene.mp4, "
    "manipulated_sequences/DeepFakeDetection/<compression>/videos/TT_SS__scene__HASH.mp4",
    recognises=recognise,
    read=read,
    official=(
        Official(363, _SOURCE, "real", each=True),
        Official(3068, _SOURCE, DFD_METHOD, each=True),
    ),
    shares_track=True,
    ignores=(
        "*/masks/*",
        "*/models/*",
        "downloaded_videos*",
        "*/youtube/*",
        *(
            f"manipulated_sequences/{method}/*"
            for method in ("Deepfakes", "Face2Face", "FaceS*", "NeuralTextures")
        ),
    ),
)
