"""Tables of courses as Parquet: what the validation people of every domain were judged to be while a domain was learned.

One row a domain at one moment: ``step`` (int16, the domain being learned), ``update`` (int32, updates of that domain so
far), ``ended`` (bool: the finished step, as it judges for ever), ``domain`` (int16, the domain judged), ``reals``,
``fakes``, ``reals_right``, ``fakes_right`` (int32, samples, and those on the right side of 0.5), ``auc`` and ``loss``
(float64; NaN where they do not exist).

Counts and two means, and no scores: these would take a number a sample at each of thousands of moments. Accuracy, also of
reals and fakes apart, is exact from counts; what else may be asked of a course needs AUC (it does not mind a threshold
that drifts) and the loss (which moves before a sample changes sides).
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fretal_bench.errors import BenchError
from fretal_bench.metrics.detection import THRESHOLD, auc

TYPES: Final = {
    "step": "int16",
    "update": "int32",
    "ended": "bool",
    "domain": "int16",
    "reals": "int32",
    "fakes": "int32",
    "reals_right": "int32",
    "fakes_right": "int32",
    "auc": "float64",
    "loss": "float64",
}
NAME: Final = "course.parquet"
MOST: Final = 999_999
"""The largest number of updates between two evaluations: what is over that has no name as a folder."""
_CLIP: Final = 1e-7
"""P is kept this far from 0 and 1 in the loss: one sample that is surely wrong would make it infinite."""
_MOST_ROWS: Final = 2_000_000
Point = tuple[int, int, bool, int]
"""Step, update, ended, domain."""


@dataclass(frozen=True)
class NewCourse:
    """The course of one step that was computed, and is to be kept.

    Args:
        number: The step's.
        every: Updates between two evaluations.
        updates: Updates of the domain, altogether.
        rows: The table's rows.
        seconds: What the judging took; it is no part of the step's training.
        training_seconds: What the training took besides.
    """

    number: int
    every: int
    updates: int
    rows: tuple[Mapping[str, Any], ...] = field(repr=False)
    seconds: float
    training_seconds: float


def folder_of(every: int) -> str:
    """Return the name of the folder of courses that were judged every so many updates."""
    return f"{every:06d}"


def row(point: Point, labels: NDArray[Any], scores: NDArray[np.float32]) -> dict[str, Any]:
    """Return the row of one domain at one moment.

    Args:
        point: Which.
        labels: [N], 0 = real, 1 = fake.
        scores: P(fake), float32 [N]; if some are not finite, as in a training that diverges, they are on no side.
    """
    fake, called_fake = labels == 1, scores >= THRESHOLD
    right = (called_fake == fake) & np.isfinite(scores)
    finite = bool(np.isfinite(scores).all())
    p = np.clip(scores.astype(np.float64), _CLIP, 1 - _CLIP)
    loss = float(-np.log(np.where(fake, p, 1 - p)).mean()) if finite and len(scores) else float("nan")
    return {
        **dict(zip(("step", "update", "ended", "domain"), point, strict=True)),
        "reals": int((~fake).sum()),
        "fakes": int(fake.sum()),
        "reals_right": int((right & ~fake).sum()),
        "fakes_right": int((right & fake).sum()),
        "auc": auc(labels, scores) if finite else float("nan"),
        "loss": loss,
    }


def frame_of(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Return rows as a frame with the columns and types of a course."""
    return pd.DataFrame(list(rows), columns=list(TYPES)).astype(TYPES)


def to_bytes(frame: pd.DataFrame) -> bytes:
    """Return a course as the bytes of its file."""
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    return buffer.getvalue()


@dataclass(frozen=True)
class Grid:
    """The moments at which a step was judged: before the first update, every so many of them, and at its end.

    What is learned last is the step as it was finished: of its last update there is nothing else to say.

    Args:
        step: Number of the domain that is learned.
        every: Updates between two evaluations; 0 where the step was judged at its end alone.
        updates: Updates of the domain.
        ended: Whether the finished step is among them.
    """

    step: int
    every: int
    updates: int
    ended: bool

    @property
    def rows(self) -> int:
        """How many rows they take."""
        during = -(-self.updates // self.every) if self.every else 0
        return (during + self.ended) * (self.step + 1)

    def points(self) -> list[Point]:
        """Return them in the order of the rows."""
        during = range(0, self.updates, self.every) if self.every else ()
        moments = [(update, False) for update in during] + ([(self.updates, True)] if self.ended else [])
        return [
            (self.step, update, end, domain) for update, end in moments for domain in range(self.step + 1)
        ]


def read(content: bytes, grids: Sequence[Grid], where: str, remedy: str) -> pd.DataFrame:
    """Read a course.

    Args:
        content: The file.
        grids: The moments that it must have, in order.
        where: Its path, for the errors.
        remedy: What to do if it is damaged.

    Raises:
        BenchError: It is no such file, or not of these moments, or more samples are right than there are.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(io.BytesIO(content))
        rows, expected = file.metadata.num_rows, sum(grid.rows for grid in grids)
        # Before anything of that size is made.
        if rows != expected or rows > _MOST_ROWS:
            raise BenchError(f"{where}: expected {expected:,} rows, found {rows:,}; {remedy}")
        frame: pd.DataFrame = file.read(use_threads=False).to_pandas()
    except (OSError, ValueError, KeyError, TypeError, NotImplementedError, pa.ArrowException) as error:
        raise BenchError(
            f"{where}: expected a Parquet file, found a damaged or another one; {remedy}"
        ) from error
    types = {str(name): str(kind) for name, kind in frame.dtypes.items()}
    if types != TYPES:
        raise BenchError(f"{where}: expected the columns {TYPES}, found {str(types)[:300]}; {remedy}")
    if fault := _fault(frame, [point for grid in grids for point in grid.points()]):
        raise BenchError(f"{where}: {fault}; {remedy}")
    return frame


def _fault(frame: pd.DataFrame, expected: Sequence[Point]) -> str:
    moments = list(
        zip(*(frame[name].tolist() for name in ("step", "update", "ended", "domain")), strict=True)
    )
    for number, (moment, of_grid) in enumerate(zip(moments, expected, strict=True)):
        if moment != of_grid:
            return f"row {number}: expected step, update, ended and domain {of_grid}, found {moment}"
    for kind in ("reals", "fakes"):
        if (frame[f"{kind}_right"] < 0).any() or (frame[f"{kind}_right"] > frame[kind]).any():
            return f"column '{kind}_right': expected 0 to as many as there are {kind}"
        if (frame.groupby("domain")[kind].nunique() > 1).any():
            return f"column {kind!r}: the same domain has not the same samples at every moment"
    if ((frame["auc"] < 0) | (frame["auc"] > 1)).any() or (frame["loss"] < 0).any():
        return "some values of auc or loss are impossible"
    return ""
