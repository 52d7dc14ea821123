"""What a call of ``bench predict`` names, found before anything slow is imported: the detector, and the files."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from fretal_bench import files
from fretal_bench.benchmark.prediction.addresses import results_in
from fretal_bench.datasets.media.suffixes import CLIP_SUFFIXES, IMAGE_SUFFIXES
from fretal_bench.errors import BenchError
from fretal_bench.names import shown

Kind = Literal["cell", "step", "onnx", "weights"]
"""What a detector is named by."""
MEDIA: Final = IMAGE_SUFFIXES | CLIP_SUFFIXES | {".gif", ".avif"}
"""Suffixes of the files of a folder that are judged."""
_WEIGHTS: Final = (".safetensors", ".pt", ".pth")
_GIVE: Final = (
    "give results/NAME:STRATEGY:SEED or results/NAME/cells/ID of a finished `bench run`, a file of `bench export`, or "
    "weights of your own with "
    "--backbone"
)
_LISTED: Final = 4


@dataclass(frozen=True)
class Found:
    """The files that a call names.

    Attributes:
        files: Videos and pictures, each once, in the order in which they are named; those of a folder by name.
        left_out: By suffix, how many files of folders are neither.
    """

    files: tuple[str, ...]
    left_out: Mapping[str, int]

    @property
    def left_out_words(self) -> str:
        """What was left out, in one line; empty for nothing."""
        count = sum(self.left_out.values())
        if not count:
            return ""
        kinds = sorted(self.left_out.items(), key=lambda pair: (-pair[1], pair[0]))
        listed = ", ".join(f"{number} {suffix or 'without a suffix'}" for suffix, number in kinds[:_LISTED])
        more = ", ..." if len(kinds) > _LISTED else ""
        files = "1 file" if count == 1 else f"{count} files"
        return f"{files} in folders left out that are no pictures or videos ({listed}{more})"


def kind_of_detector(path: str | os.PathLike[str]) -> Kind:
    """Say what a path names as a detector, by what is there and its name; nothing is read.

    Raises:
        BenchError: There is nothing, or nothing that is one.
    """
    place = files.expanded(path)
    if place.is_dir():
        return "step" if (place / "step.json").exists() else "cell"
    if not os.path.lexists(place) and results_in(os.fspath(path)) is not None:
        return "cell"
    if not os.path.lexists(place) and place.name != "checkpoint.pt":
        raise BenchError(f"{os.fspath(path)}: expected a detector, found nothing there; {_GIVE}")
    suffix = place.suffix.lower()
    if suffix == ".torchscript":
        raise BenchError(
            f"{os.fspath(path)}: a TorchScript file is a program, and nothing that is loaded is executed here; judge by "
            "the same detector as .onnx or .safetensors"
        )
    # Of an earlier version: the checkpoint inside a cell.
    if place.name == "checkpoint.pt" and (place.parent / "cell.json").exists():
        return "cell"
    if suffix == ".onnx":
        return "onnx"
    if suffix in _WEIGHTS:
        return "weights"
    raise BenchError(
        f"{os.fspath(path)}: expected a detector, found {files.kind_of(place)} of another kind; {_GIVE}"
    )


def files_to_judge(named: Sequence[str | os.PathLike[str]]) -> Found:
    """Find the files that paths, folders (with all below them) and patterns such as ``clips/**/*.mp4`` name.

    Args:
        named: Paths and patterns. A file is taken whatever its name says; of a folder those that are pictures or videos
            by their suffix, but for hidden ones.

    Raises:
        BenchError: There is nothing at a path, a pattern fits no file, or a folder has no picture or video.
    """
    found: dict[str, None] = {}
    left_out: Counter[str] = Counter()
    for name in named:
        path = str(files.expanded(name))
        if os.path.isdir(path):
            inside, others = _in_folder(path)
            if not inside:
                raise BenchError(
                    f"{path}: expected pictures or videos, found none in this folder; check the path"
                )
            found.update(dict.fromkeys(inside))
            left_out += others
        elif os.path.lexists(path):
            found[path] = None
        elif glob.has_magic(path):
            fitting = [place for place in sorted(glob.glob(path, recursive=True)) if not os.path.isdir(place)]
            if not fitting:
                raise BenchError(
                    f"{shown(path, 200)}: expected files that fit this pattern, found none; check it"
                )
            found.update(dict.fromkeys(fitting))
        else:
            raise BenchError(
                f"{path}: expected a picture, a video or a folder, found nothing there; check the path"
            )
    return Found(tuple(found), dict(left_out))


def _in_folder(folder: str) -> tuple[list[str], Counter[str]]:
    """Return the pictures and videos below a folder, by name, and how many other files there are, by suffix."""
    inside: list[str] = []
    others: Counter[str] = Counter()

    def refuse(error: OSError) -> None:
        raise BenchError(
            f"{error.filename}: cannot be read ({error.strerror}); give this user the right to"
        ) from error

    for place, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if name.startswith("."):
                continue
            suffix = Path(name).suffix.lower()
            if suffix in MEDIA:
                inside.append(os.path.join(place, name))
            else:
                others[suffix] += 1
    return inside, others
