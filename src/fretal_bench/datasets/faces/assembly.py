"""The crop store put together from finished parts, in the manifest's order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from fretal_bench.datasets.faces.crops import Image
from fretal_bench.datasets.faces.groups import Deal
from fretal_bench.datasets.faces.parts import Part, VideoPart
from fretal_bench.datasets.faces.reasons import Failure
from fretal_bench.datasets.store.store import CropStoreWriter
from fretal_bench.errors import RunError

# Checking a manifest costs the same for one row as for thousands, so crops are handed on in batches.
_BATCH_BYTES: Final = 4 << 20
# The videos of a unit are far apart in the manifest (reals first, then method by method).
_OPEN_PARTS: Final = 256


def assemble(
    writer: CropStoreWriter, frame: pd.DataFrame, deal: Deal, stems: Callable[[int], Path], size: int
) -> tuple[Counter[str], list[Failure]]:
    """Write every crop of the parts.

    Args:
        writer: The store to be.
        frame: The manifest.
        deal: How it was dealt.
        stems: Number of a unit -> path of its part without extension.
        size: Height and width of a crop, pixels.

    Returns:
        How many videos were prepared with boxes of their ``own``, with ``shared`` ones, and with ``none``; and what
        gave no crop.

    Raises:
        RunError: A part has vanished.
    """
    boxes: Counter[str] = Counter()
    failures: list[Failure] = []
    batch: list[tuple[Image, pd.DataFrame]] = []
    held = 0
    for video, part, content in _parts(deal, stems, size):
        failures += content.failures
        if not content.frames:
            continue
        boxes[content.boxes] += 1
        crops = part.crops(video, size)
        batch.append((crops, _rows(frame, deal.rows_of(video), content.frames)))
        held += crops.nbytes
        if held >= _BATCH_BYTES:
            _hand_on(writer, batch)
            held = 0
    _hand_on(writer, batch)
    return boxes, failures


def _parts(deal: Deal, stems: Callable[[int], Path], size: int) -> Iterator[tuple[int, Part, VideoPart]]:
    @lru_cache(maxsize=_OPEN_PARTS)
    def opened(unit: int) -> tuple[Part, dict[int, VideoPart]]:
        part = Part.open(stems(unit), size)
        if part is None:
            raise RunError(
                f"{stems(unit)}: this part has vanished; run the same command again, and leave the folder alone"
            )
        return part, {video.number: video for video in part.videos}

    for number in range(deal.videos):
        part, contents = opened(int(deal.unit_of[number]))
        yield number, part, contents[number]


def _rows(frame: pd.DataFrame, rows: npt.NDArray[np.int64], numbers: list[int]) -> pd.DataFrame:
    """The manifest rows of a video's crops."""
    video_rows = frame.iloc[rows]
    if len(video_rows) == 1 and video_rows["frame"].iloc[0] < 0:
        return video_rows.loc[video_rows.index.repeat(len(numbers))].assign(
            frame=np.asarray(numbers, np.int32)
        )
    if video_rows["frame"].is_unique:
        return video_rows.set_index("frame", drop=False).loc[numbers]
    # Numbers that repeat were replaced by places.
    return video_rows.iloc[numbers]


def _hand_on(writer: CropStoreWriter, batch: list[tuple[Image, pd.DataFrame]]) -> None:
    if batch:
        crops, rows = zip(*batch, strict=True)
        writer.add(np.concatenate(crops), pd.concat(rows, ignore_index=True))
    batch.clear()
