"""The courses of a cell's steps put together, with what the finished steps say of the same people, as the cell's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from fretal_bench import files, parsing
from fretal_bench.benchmark.runner import course_table, score_table
from fretal_bench.benchmark.runner.cell_course import FORMAT
from fretal_bench.benchmark.runner.course_table import Point
from fretal_bench.benchmark.runner.folder import REMEDY, ResultFolder
from fretal_bench.benchmark.runner.graph import SOURCE, Step
from fretal_bench.benchmark.runner.joining import Judgements
from fretal_bench.benchmark.runner.plan import Cell
from fretal_bench.benchmark.runner.pool import Pool
from fretal_bench.benchmark.runner.seals import Sealed, seal
from fretal_bench.errors import BenchError
from fretal_bench.strategies.registry import find_strategy

if TYPE_CHECKING:
    from numpy.typing import NDArray


def is_watchable(strategy: str) -> bool:
    """Whether a strategy, or the source model, can be judged while it is trained: see ``StrategyInfo``."""
    return strategy == SOURCE or find_strategy(strategy).watchable


def finish_course(cell: Cell, every: int, folder: ResultFolder, pool: Pool) -> None:
    """Put together the course of a done cell, unless another process has.

    Args:
        cell: The cell, whose steps have courses in the pool where they can have one.
        every: Updates between two evaluations.
        folder: The result folder.
        pool: The pool.

    Raises:
        BenchError: A file is damaged, or the scores of the done cell are not those of the steps in the pool.
    """
    place = folder.course(cell.id, every)
    with folder.hold(cell.id):
        if not place.is_dir():
            _finish(cell, every, place, folder, pool)


def _finish(cell: Cell, every: int, place: Path, folder: ResultFolder, pool: Pool) -> None:
    watched = is_watchable(cell.strategy)
    ends = _Ends(cell, folder, pool)
    frames, updates = [], []
    seconds = training_seconds = 0.0
    # The source model's course is that of the first domain; what adopted it is what its end says.
    finished = {step.number: step for step in cell.path if step.before is not None}
    trained = {step.number: step for step in cell.path if step.kind == "trained"}
    for number, step in sorted(trained.items()):
        last = 0
        if watched:
            about, frame = pool.read_course(pool.course(step.id, every))
            frames.append(frame)
            last = about.updates
            seconds, training_seconds = seconds + about.seconds, training_seconds + about.training_seconds
        updates.append(last)
        frames.append(ends.rows(finished[number], last))
    content = {
        "format": FORMAT,
        "cell": cell.id,
        "every": every,
        "watched": watched,
        "updates": updates,
        "seconds": round(seconds, 3),
        "training_seconds": round(training_seconds, 3),
    }
    with files.folder(place, remedy=REMEDY) as part:
        table = course_table.to_bytes(pd.concat(frames, ignore_index=True))
        (part / course_table.NAME).write_bytes(table)
        (part / "course.json").write_text(parsing.to_json(content), "utf-8")
        seal(part)


class _Ends:
    """What the finished steps of a cell say of validation samples: the cell's scores, which are those of the pool."""

    def __init__(self, cell: Cell, folder: ResultFolder, pool: Pool) -> None:
        self.cell, self.pool = cell, pool
        self.path = folder.cell(cell.id) / "validation.parquet"
        content = Sealed(self.path.parent).read(self.path.name, "scores")
        frame = score_table.to_frame(score_table.read_table(content, str(self.path)))
        self.by_key = dict(iter(frame.groupby(["step", "domain"], sort=False, observed=True)))
        self.sets = {of.domain: of.id for of in cell.sets if of.split == "val"}

    def rows(self, step: Step, update: int) -> pd.DataFrame:
        """Return the rows of a finished step."""
        judged = Judgements(self.pool, self.pool.judge_of(step.id))
        rows = []
        for domain, name in enumerate(step.order[: step.number + 1]):
            part = self.by_key[step.number, name]
            scores: NDArray[np.float32] = part["score"].to_numpy()
            of_step = judged.of(self.sets[name]).by_set[self.sets[name]][1]
            if not np.array_equal(of_step, scores):
                raise BenchError(
                    f"{self.path}: its scores after domain {step.domain!r} are not those of step {step.id} in "
                    f"{self.pool.path}: its course would be of another training; run with --watch from the beginning, "
                    "into another --out and --pool"
                )
            point: Point = (step.number, update, True, domain)
            rows.append(course_table.row(point, part["label"].to_numpy(), scores))
        return course_table.frame_of(rows)
