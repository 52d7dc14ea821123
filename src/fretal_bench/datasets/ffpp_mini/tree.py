"""FF++-mini as a FaceForensics++ tree on disk: real mp4 files in the official folders, names and splits."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fretal_bench import files
from fretal_bench.datasets.check.probe import probe
from fretal_bench.datasets.ffpp_mini.build import clips, path_of, source_of, split_pairs, video_of
from fretal_bench.datasets.ffpp_mini.codec import RATE_FACTORS, write_clip
from fretal_bench.datasets.ffpp_mini.manipulations import CONTROL, MANIPULATIONS
from fretal_bench.datasets.ffpp_mini.photographs import PEOPLE
from fretal_bench.datasets.progress import ProgressCallback
from fretal_bench.errors import BenchError, unknown_name

METHODS: Final = ("real", *(method for method in MANIPULATIONS if method != CONTROL))
"""The control is not in FaceForensics++."""


_ELSEWHERE: Final = "choose another folder"


@dataclass(frozen=True)
class MadeMini:
    """What was written.

    Attributes:
        root: The tree's folder.
        written: Number of videos written now.
        there: Number of videos that were there, whole, already.
    """

    root: Path
    written: int
    there: int


def make_mini(
    root: Path,
    compressions: Iterable[str] = tuple(RATE_FACTORS),
    numbers: Sequence[int] = range(PEOPLE),
    *,
    progress: ProgressCallback | None = None,
) -> MadeMini:
    """Write FF++-mini's videos and split files as FaceForensics++ lays them out.

    The frames are those of the built-in crop stores, coded alike. Every file is put into its place whole; what is there
    and can be read stays. Photographs: the Database of Faces, by courtesy of AT&T Laboratories Cambridge.

    Args:
        root: The folder; made if need be.
        compressions: Some of ``raw``, ``c23``, ``c40``.
        numbers: Target people, 0 to 39; with each its source, as the splits list pairs.
        progress: Called with (people done, people in all).

    Raises:
        BenchError: A compression or person is unknown, a person comes without its source, or the folder can't be written.
        RunError: The disk is full.
    """
    compressions = tuple(dict.fromkeys(compressions))
    for compression in compressions:
        if compression not in RATE_FACTORS:
            raise unknown_name("compression of FF++-mini", compression, RATE_FACTORS)
    for split, pairs in _splits(numbers).items():
        files.write(root / "splits" / f"{split}.json", json.dumps(pairs, indent=2) + "\n", remedy=_ELSEWHERE)
    written = there = 0
    for done, number in enumerate(numbers, start=1):
        missing = _missing(root, number, compressions)
        there += len(METHODS) * len(compressions) - len(missing)
        for clip in clips(dict.fromkeys(method for method, _ in missing), [number]) if missing else ():
            for compression in [level for method, level in missing if method == clip.method]:
                data = io.BytesIO()
                write_clip(clip.frames, compression, data)
                path = root / path_of(clip.method, clip.video, compression)
                files.write(path, data.getvalue(), remedy=_ELSEWHERE)
                written += 1
        if progress is not None:
            progress(done, len(numbers))
    return MadeMini(root, written, there)


def _splits(numbers: Sequence[int]) -> dict[str, list[list[str]]]:
    """The split files' pairs of these people; each gives two fakes, so it needs both people."""
    for number in numbers:
        if not 0 <= number < PEOPLE:
            raise BenchError(f"FF++-mini has no person {number}; there are 0 to {PEOPLE - 1}")
        if source_of(number) not in numbers:
            raise BenchError(
                f"person {number} is paired with person {source_of(number)} in the splits; name both"
            )
    names = {f"{number:03d}" for number in numbers}
    return {split: [pair for pair in pairs if names >= set(pair)] for split, pairs in split_pairs().items()}


def _missing(root: Path, number: int, compressions: Sequence[str]) -> list[tuple[str, str]]:
    """Method and compression of a person's videos that aren't there, or can't be read."""
    return [
        (method, compression)
        for method in METHODS
        for compression in compressions
        if probe(root / path_of(method, video_of(method, number), compression)) is not None
    ]
