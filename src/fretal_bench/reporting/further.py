"""Test sets that were never trained on: what each detector is worth there at the end, and after the first domain."""

from __future__ import annotations

import functools
import statistics
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, cast

import numpy as np

from fretal_bench.benchmark.runner.results import CellResult, Results
from fretal_bench.errors import BenchError
from fretal_bench.metrics import registry
from fretal_bench.metrics.intervals import mean_interval
from fretal_bench.metrics.matrices import COLUMNS, LEVELS
from fretal_bench.metrics.numbers import or_none
from fretal_bench.metrics.videos import MEAN, level_key, video_level
from fretal_bench.reporting.inputs import corrupted_sets, unique
from fretal_bench.reporting.quantities import CellMeasures, DomainSize, of_all_folds

if TYPE_CHECKING:
    import pandas as pd

When = Literal["end", "first"]
"""After the last domain, or after the first."""
_SAMPLES: Final = ["row", "label", "video"]


@dataclass(frozen=True)
class Measured:
    """A metric of one cell on one further test set after one step."""

    label: str
    seed: int
    set: str
    step: int
    metric: str
    level: str
    value: float


@dataclass(frozen=True, eq=False)
class Further:
    """What was measured on test sets that were never trained on.

    Attributes:
        sets: How large each of them is, in the order in which the cells have them.
        values: Every metric at every level after every step that was judged.
        steps: The steps after the last and after the first domain, by name.
        undefined: Why values are NaN, in words.
        video: How videos are scored, one of ``videos.VIDEO_SCORES``.
    """

    sets: tuple[DomainSize, ...]
    values: tuple[Measured, ...]
    steps: Mapping[When, int]
    undefined: tuple[str, ...]
    video: str = MEAN

    def by_seed(self, set: str, label: str, metric: str, level: str, when: When) -> dict[int, float]:
        """Give the values of a strategy on a set by seed; none where it was not judged there."""
        if when not in self.steps:
            return {}
        return self._by_key.get((set, label, metric, level, self.steps[when]), {})

    @functools.cached_property
    def _by_key(self) -> dict[tuple[str, str, str, str, int], dict[int, float]]:
        by_key: dict[tuple[str, str, str, str, int], dict[int, float]] = {}
        for of in self.values:
            by_key.setdefault((of.set, of.label, of.metric, of.level, of.step), {})[of.seed] = of.value
        return by_key


def measure_further(
    results: Results, measured: tuple[CellMeasures, ...], video: str = MEAN
) -> Further | None:
    """Measure the cells of the stream's own order on the further test sets that they were judged on.

    Args:
        results: Results as ``load_results`` gives them.
        measured: The cells that the report has numbers of; others are left out here too.
        video: How videos are scored, one of ``videos.VIDEO_SCORES``.

    Returns:
        None if no cell was judged on any.

    Raises:
        BenchError: The samples of a set are not the same in all cells of a fold and after all steps, a sample is there
            twice, or a column is missing.
    """
    usable = {(measures.label, measures.seed) for measures in measured}
    corrupted = corrupted_sets(results.plan)
    samples: dict[tuple[str, int], tuple[pd.DataFrame, Path]] = {}
    sizes: dict[str, dict[bytes, DomainSize]] = {}
    values: list[Measured] = []
    undefined: list[str] = []
    for cell in results.cells:
        if (cell.label, cell.seed) not in usable:
            continue
        for name, step, frame in judged_sets(cell):
            if name in corrupted:
                continue
            first, other = samples.setdefault((name, cell.fold), (frame[_SAMPLES], cell.path))
            if not frame[_SAMPLES].equals(first):
                raise BenchError(
                    f"{cell.path}: its samples of the test set {name!r} after step {step} are not those of {other}; "
                    "the scores of one of them are of another set: judge both again"
                )
            tables = {"frame": frame, "video": video_level(frame, video)}
            # Where every fold is judged on the same samples, they are there once.
            sizes.setdefault(name, {})[frame["row"].to_numpy().tobytes()] = _size(
                name, frame, len(tables["video"])
            )
            for level, metric, value, reason in _metrics(tables):
                values.append(Measured(cell.label, cell.seed, name, step, metric, level, value))
                if reason:
                    title = registry.find(metric).title
                    undefined.append(f"{title} ({level} level) does not exist on {name}: {reason}")
    if not sizes:
        return None
    last = len(measured[0].matrix.domains) - 1
    steps: dict[When, int] = {"end": last, "first": 0} if last else {"end": last}
    whole = tuple(of_all_folds(of_set.values()) for of_set in sizes.values())
    return Further(whole, tuple(values), steps, unique(undefined), video)


def _metrics(tables: Mapping[str, pd.DataFrame]) -> Iterator[tuple[str, str, float, str]]:
    """Compute every metric at every level: level, metric, value, and why there is none."""
    for level, table in tables.items():
        labels, scores = table["label"].to_numpy(), table["score"].to_numpy(np.float64)
        for metric in registry.names():
            yield level, metric, *registry.find(metric).evaluate(labels, scores)


def judged_sets(cell: CellResult) -> Iterator[tuple[str, int, pd.DataFrame]]:
    """Cut the further scores of a cell by set and step, each sorted by row, and check that no sample is there twice.

    Returns:
        The set's name, the step and the scores; nothing of a cell that was judged on none.

    Raises:
        BenchError: A sample is there twice, or a column is missing.
    """
    scores, path = cell.further, cell.path
    if scores is None:
        return
    missing = [column for column in COLUMNS if column not in scores.columns]
    if missing:
        raise BenchError(
            f"{path}: scores on further test sets have no column {missing[0]!r}; judge the cell again"
        )
    for key, frame in scores.groupby(["domain", "step"], sort=False, observed=True):
        name, step = cast("tuple[str, int]", key)
        ordered = frame.sort_values("row", kind="stable").reset_index(drop=True)
        twice = ordered["row"].duplicated()
        if twice.any():
            raise BenchError(
                f"{path}: row {ordered['row'][twice].iloc[0]} of the test set {name!r} is there twice after step "
                f"{step}; two sets have one name, or the file is damaged: judge the cell again"
            )
        yield name, int(step), ordered


def _size(name: str, frame: pd.DataFrame, videos: int) -> DomainSize:
    """Count the samples of a set."""
    labels = frame["label"]
    return DomainSize(name, int((labels == 0).sum()), int((labels == 1).sum()), videos)


def further_frame(further: Further) -> pd.DataFrame:
    """Give every metric of every cell on every further test set after every step that was judged; a row a value."""
    import pandas as pd

    rows = [{**asdict(of), "level": level_key(of.level, further.video)} for of in further.values]
    return pd.DataFrame(rows)


def further_record(further: Further, metric: str) -> dict[str, Any]:
    """Give the values of one metric as plain data for ``json.dumps``; a value that does not exist is None."""
    labels = unique(of.label for of in further.values)
    values = [
        {"set": size.name, "label": label, "level": level, "when": when, **_record(by_seed)}
        for size in further.sets
        for label in labels
        for level in LEVELS
        for when in further.steps
        if (by_seed := further.by_seed(size.name, label, metric, level, when))
    ]
    return {"sets": [asdict(size) for size in further.sets], "values": values}


def _record(by_seed: Mapping[int, float]) -> dict[str, Any]:
    """Give the mean over seeds with its interval and standard deviation as plain data."""
    values = list(by_seed.values())
    over = mean_interval(values)
    deviation = statistics.stdev(values) if len(values) > 1 else None
    return {
        "seeds": sorted(by_seed),
        "mean": or_none(over.mean),
        "low": or_none(over.low),
        "high": or_none(over.high),
        "deviation": None if deviation is None else or_none(deviation),
    }
