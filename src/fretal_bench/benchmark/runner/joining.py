"""The steps of a cell put together as the done cell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from fretal_bench import files, parsing
from fretal_bench.benchmark.runner import cell_calibration, documents, score_table
from fretal_bench.benchmark.runner.documents import StreamContent
from fretal_bench.benchmark.runner.environment import Phases, joined_environments
from fretal_bench.benchmark.runner.folder import REMEDY, ResultFolder, write_frame
from fretal_bench.benchmark.runner.graph import SOURCE, Step, TestSet, judged_rows
from fretal_bench.benchmark.runner.plan import Cell
from fretal_bench.benchmark.runner.pool import AGAIN, Cost, Pool, Scored
from fretal_bench.benchmark.runner.score_table import Split
from fretal_bench.benchmark.runner.seals import seal
from fretal_bench.datasets.manifest import people_key, video_key
from fretal_bench.datasets.streams.domain import Domain
from fretal_bench.datasets.streams.stream import Stream
from fretal_bench.errors import BenchError

_TABLES: Final[dict[Split, str]] = {"test": "scores.parquet", "val": "validation.parquet"}


def finish_cell(cell: Cell, stream: Stream, folder: ResultFolder, pool: Pool) -> None:
    """Put the steps of a cell together as the done cell, unless another process has.

    Args:
        cell: The cell, all of whose steps are in the pool.
        stream: Its stream, in its order.
        folder: The result folder.
        pool: The pool.

    Raises:
        BenchError: A file of the pool is damaged, or the strategy's scores are no probabilities.
    """
    with folder.hold(cell.id):
        if not folder.is_done(cell.id):
            _finish(cell, stream, folder, pool)
        folder.forget_failure(cell.id)


def _finish(cell: Cell, stream: Stream, folder: ResultFolder, pool: Pool) -> None:
    content = documents.build(StreamContent, stream.fingerprint(), f"stream {stream.name!r}")
    # From before any training to after the last domain.
    rows = judged_rows(cell.path)
    by_step = {id: Judgements(pool, pool.judge_of(id)) for id in dict.fromkeys(step.id for _, step in rows)}
    judgements = {number: by_step[step.id] for number, step in rows}
    with files.folder(folder.cell(cell.id), remedy=REMEDY) as part:
        for split, name in _TABLES.items():
            tables = [_samples(stream, of) for of in in_order(cell.sets, stream) if of.split == split]
            parts = [
                samples.scored(number, judged) for number, judged in judgements.items() for samples in tables
            ]
            write_frame(part / name, pd.concat(parts, ignore_index=True) if parts else _nothing())
            joined = score_table.read_table((part / name).read_bytes(), name)
            score_table.check_table(joined, content, split, name)
        _calibrate(part, stream)
        made_with = _made_with(cell, pool, judgements)
        for name, values in (("environment", made_with), ("cell", _about(cell, stream))):
            (part / f"{name}.json").write_text(parsing.to_json(values), "utf-8")
        seal(part)


def _calibrate(part: Path, stream: Stream) -> None:
    """Fit temperatures and thresholds on the validation samples of a cell in the making."""
    content = (part / _TABLES["val"]).read_bytes()
    validation = score_table.to_frame(score_table.read_table(content, _TABLES["val"]))
    steps = cell_calibration.calibrate(validation, [domain.name for domain in stream])
    (part / cell_calibration.NAME).write_text(cell_calibration.to_json(steps), "utf-8")


class Judgements:
    """All scores of one step that the pool has.

    Args:
        pool: The pool.
        step: The step that was judged.
    """

    def __init__(self, pool: Pool, step: str) -> None:
        self.step, self.pool = step, pool
        self._places = pool.judged(step)
        self._read: dict[Path, Scored] = {}

    def of(self, set: str) -> Scored:
        """Return the batch of scores in which a test set is."""
        place = self._places.get(set)
        if place is None:
            raise BenchError(
                f"{self.pool.path / 'scores' / self.step}: expected scores on test set {set}, found none; "
                "run the same command again"
            )
        if place not in self._read:
            self._read[place] = self.pool.scores(place)
        return self._read[place]


def in_order(sets: Iterable[TestSet], stream: Stream) -> list[TestSet]:
    """Return test sets in the order of a stream's domains."""
    place = {domain.name: number for number, domain in enumerate(stream)}
    return sorted(sets, key=lambda of: place[of.domain])


def _samples(stream: Stream, of: TestSet) -> Samples:
    return Samples(next(domain for domain in stream if domain.name == of.domain), of)


class Samples:
    """The samples of a test set, what of a table of scores is the same for every step.

    Args:
        domain: The domain that they are of.
        of: The test set.
    """

    def __init__(self, domain: Domain, of: TestSet) -> None:
        self.set, self.domain = of.id, domain.name
        self.rows = domain.batches(of.split).rows
        about = domain.store.index.iloc[self.rows]
        self.labels = about["label"].astype("int8").to_numpy()
        self.videos = video_key(about).to_numpy()
        self.people = people_key(about).to_numpy()

    def scored(self, number: int, judged: Judgements) -> pd.DataFrame:
        """Return their scores by step ``number``: step, domain, row, label, video, people, score.

        Raises:
            BenchError: The pool's rows are not those of the test set.
        """
        rows, scores = judged.of(self.set).by_set[self.set]
        if not np.array_equal(rows, self.rows):
            raise BenchError(
                f"{judged.pool.path / 'scores' / judged.step}: its rows of test set {self.set} are not those of domain "
                f"{self.domain!r}; {AGAIN}"
            )
        return pd.DataFrame(
            {
                "step": pd.Series([number] * len(rows), dtype="int16"),
                "domain": pd.Series([self.domain] * len(rows), dtype="str"),
                "row": pd.Series(rows, dtype="int64"),
                "label": self.labels,
                "video": self.videos,
                "people": self.people,
                "score": scores,
            }
        )


def _nothing() -> pd.DataFrame:
    """Return a table without rows: no domain has such samples."""
    types = {
        "step": "int16",
        "domain": "str",
        "row": "int64",
        "label": "int8",
        "video": "str",
        "people": "str",
        "score": "float32",
    }
    return pd.DataFrame({name: pd.Series([], dtype=kind) for name, kind in types.items()})


def _about(cell: Cell, stream: Stream) -> dict[str, Any]:
    store = stream[0].store
    return {
        "id": cell.id,
        # Its name: what opens it may be a path, which means nothing on another machine.
        "stream": stream.name,
        "strategy": cell.strategy,
        "origin": cell.origin,
        "revision": cell.revision,
        "hyperparameters": dict(cell.hyperparameters),
        "recipe": {"name": cell.recipe.name, **cell.recipe.content()},
        "seed": cell.seed,
        "steps": [step.id for step in cell.path],
        **({"brought": dict(source.content)} if (source := cell.path[0].source) is not None else {}),
        "crop": {"size": store.size, "margin": store.info.margin, "detector": store.info.detector},
    }


def _made_with(cell: Cell, pool: Pool, by_number: Mapping[int, Judgements]) -> dict[str, Any]:
    """Say what a cell was made with: the last step's environment, all phases, and the others' where they differ."""
    environments: dict[str, Mapping[str, Any]] = {}
    phases: Phases = []
    for step in cell.path:
        if step.before is not None:
            environments["source" if step.strategy == SOURCE else f"step {step.number}"] = pool.environment(
                step.id
            )
            phases += pool.phases(step.id)
        judged = by_number[step.number]
        # A source model that is not judged for itself, or what judges as the source model, has no scores of its own.
        if judged.step == step.id:
            phases += _judging(cell, step, judged)
    return {**joined_environments(environments), "seed": cell.seed, "phases": phases}


def _judging(cell: Cell, step: Step, judged: Judgements) -> Phases:
    """Say what it took to judge a step on the test sets of a cell, by split."""
    phases: Phases = []
    for split in _TABLES:
        costs = [judged.of(of.id).costs[of.id] for of in cell.sets if of.split == split]
        if costs:
            phases.append({"phase": f"evaluate {split}", "step": step.number, **_total(costs)})
    return phases


def _total(costs: list[Cost]) -> dict[str, Any]:
    """Add up seconds; memory is the largest."""
    memory = [cost.peak_memory_mb for cost in costs if cost.peak_memory_mb is not None]
    cpu = [cost.cpu_seconds for cost in costs if cost.cpu_seconds is not None]
    return {
        "seconds": round(sum(cost.seconds for cost in costs), 3),
        **({"cpu_seconds": round(sum(cpu), 3)} if cpu else {}),
        "peak_memory_mb": max(memory) if memory else None,
    }
