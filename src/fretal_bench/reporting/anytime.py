"""What a report says of validation people while domains are learned: courses of cells, and their anytime metrics."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from fretal_bench.benchmark.runner.cell_course import CellCourse
from fretal_bench.benchmark.runner.results import CellResult, Results
from fretal_bench.metrics.anytime import (
    WINDOWS,
    Course,
    minimum_accuracy,
    recovered_share,
    stability_gap,
    windowed_forgetting,
    windowed_plasticity,
    worst_case_accuracy,
)
from fretal_bench.metrics.intervals import mean_interval
from fretal_bench.metrics.numbers import NAN, or_none
from fretal_bench.reporting.quantities import CellMeasures

if TYPE_CHECKING:
    import pandas as pd

    from fretal_bench.metrics.numbers import Floats

METRICS: Final = {"accuracy": "ACC", "auc": "AUC"}
"""The metrics of courses, and how they are written in the names of measures."""


@dataclass(frozen=True)
class Measure:
    """An anytime metric as a column: its key, its title with ``{}`` for the metric, its better side, its computation."""

    name: str
    title: str
    better: str
    compute: Callable[[Course], float]


MEASURES: Final = (
    Measure("minimum", "min-{}", "higher", minimum_accuracy),
    Measure("worst_case", "WC-{}", "higher", worst_case_accuracy),
    *(
        Measure(
            f"windowed_forgetting_{w}", f"WF^{w}", "lower", functools.partial(windowed_forgetting, window=w)
        )
        for w in WINDOWS
    ),
    *(
        Measure(
            f"windowed_plasticity_{w}", f"WP^{w}", "higher", functools.partial(windowed_plasticity, window=w)
        )
        for w in WINDOWS
    ),
    Measure("stability_gap", "gap", "lower", stability_gap),
    Measure("recovered", "recovered", "higher", recovered_share),
)


@dataclass(frozen=True, eq=False)
class Watched:
    """A cell with a course.

    Attributes:
        label: The strategy's label.
        seed: The seed.
        of_cell: Its course as it was kept.
        courses: Its values by metric.
        values: Every measure by metric and name.
    """

    label: str
    seed: int
    of_cell: CellCourse
    courses: Mapping[str, Course]
    values: Mapping[tuple[str, str], float]


@dataclass(frozen=True, eq=False)
class Anytime:
    """The courses of a report, all of one grid.

    Attributes:
        every: Updates between two evaluations.
        cells: The cells with such a course.
        other_grids: How many cells have a course of another grid alone, by its updates between two evaluations.
        lacking: Seeds without any course, by the label of a strategy that the report has numbers of.
        frames: The least and the largest number of validation frames of a domain.
    """

    every: int
    cells: tuple[Watched, ...]
    other_grids: Mapping[int, int]
    lacking: Mapping[str, tuple[int, ...]]
    frames: tuple[int, int]

    def by_seed(self, label: str, metric: str, name: str) -> dict[int, float]:
        """Give a measure of a strategy by seed."""
        return {cell.seed: cell.values[metric, name] for cell in self.cells if cell.label == label}

    @property
    def ends_only(self) -> tuple[str, ...]:
        """The strategies that were judged at the ends of domains alone."""
        return tuple(dict.fromkeys(cell.label for cell in self.cells if not cell.of_cell.about.watched))

    @property
    def share(self) -> float:
        """What the judging took, as a share of what the training took; NaN where nothing was trained."""
        training = sum(cell.of_cell.about.training_seconds for cell in self.cells)
        return sum(cell.of_cell.about.seconds for cell in self.cells) / training if training else NAN


def measure_anytime(results: Results, measured: tuple[CellMeasures, ...]) -> Anytime | None:
    """Measure the courses of the cells of the stream's own order, all of the grid that most of them have.

    Numbers of different grids do not compare: of those that equally many cells have it is the finest.

    Args:
        results: Results as ``load_results`` gives them.
        measured: The cells that the report has numbers of; others are left out here too.

    Returns:
        None if no cell has a course.
    """
    usable = {(measures.label, measures.seed) for measures in measured}
    cells = [cell for cell in results.cells if (cell.label, cell.seed) in usable]
    counts = Counter(every for cell in cells for every in cell.courses)
    if not counts:
        return None
    every = min(counts, key=lambda grid: (-counts[grid], grid))
    watched = tuple(_watched(cell, cell.courses[every]) for cell in cells if every in cell.courses)
    others = Counter(min(cell.courses) for cell in cells if cell.courses and every not in cell.courses)
    lacking: dict[str, tuple[int, ...]] = {}
    for cell in cells:
        if not cell.courses:
            lacking[cell.label] = (*lacking.get(cell.label, ()), cell.seed)
    frames = [n for cell in watched for n in _frames(cell.of_cell.frame)]
    return Anytime(every, watched, dict(sorted(others.items())), lacking, (min(frames), max(frames)))


def _watched(cell: CellResult, course: CellCourse) -> Watched:
    courses = {metric: course_of(course, metric) for metric in METRICS}
    values = {
        (metric, measure.name): measure.compute(of_metric)
        for metric, of_metric in courses.items()
        for measure in MEASURES
    }
    return Watched(cell.label, cell.seed, course, courses, values)


def _frames(frame: pd.DataFrame) -> list[int]:
    return [int(n) for n in (frame["reals"] + frame["fakes"]).unique()]


def course_of(course: CellCourse, metric: str) -> Course:
    """Bring the rows of a course into the form that metrics take: one value a domain after every update.

    After a domain's last update that is what the finished step says. What is judged before the next one's first update
    has learned as much, and counts for the new domain alone. Of a cell that was judged at the ends alone nothing is known
    of updates: each domain counts as one.
    """
    frame = course.frame
    lengths = np.maximum(1, np.array(course.about.updates, dtype=np.int64))
    ends = np.cumsum(lengths)
    step, ended = frame["step"].to_numpy(), frame["ended"].to_numpy()
    update = np.where(ended, lengths[step], frame["update"].to_numpy()) + (ends - lengths)[step]
    updates = np.unique(update)
    values = np.full((len(ends), len(updates)), np.nan)
    domain, column = frame["domain"].to_numpy(), np.searchsorted(updates, update)
    of_rows = values_of(frame, metric)
    for last in (False, True):
        rows = ended == last
        values[domain[rows], column[rows]] = of_rows[rows]
    return Course(values, updates, ends)


def values_of(frame: pd.DataFrame, metric: str) -> Floats:
    """Return a metric of every row of a course."""
    if metric == "auc":
        return frame["auc"].to_numpy(np.float64)
    right, count = frame["reals_right"] + frame["fakes_right"], frame["reals"] + frame["fakes"]
    return (right / count).to_numpy(np.float64)


def course_frame(anytime: Anytime, domains: tuple[str, ...]) -> pd.DataFrame:
    """Give every evaluation of every cell, a row a domain at one moment; ``update`` counts from where a domain begins."""
    import pandas as pd

    parts = []
    for cell in anytime.cells:
        frame = cell.of_cell.frame
        parts.append(
            pd.DataFrame(
                {
                    "label": cell.label,
                    "seed": cell.seed,
                    "every": anytime.every,
                    "learning": [domains[at] for at in frame["step"]],
                    "update": frame["update"],
                    "ended": frame["ended"],
                    "domain": [domains[at] for at in frame["domain"]],
                    **{name: frame[name] for name in ("reals", "fakes", "reals_right", "fakes_right")},
                    "accuracy": values_of(frame, "accuracy"),
                    **{name: frame[name] for name in ("auc", "loss")},
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def anytime_record(anytime: Anytime) -> dict[str, Any]:
    """Give the measures as plain data for ``json.dumps``; a value that does not exist is None."""
    values = []
    for label in dict.fromkeys(cell.label for cell in anytime.cells):
        for metric in METRICS:
            for measure in MEASURES:
                by_seed = anytime.by_seed(label, metric, measure.name)
                over = mean_interval(list(by_seed.values()))
                values.append(
                    {
                        "label": label,
                        "metric": metric,
                        "measure": measure.name,
                        "seeds": sorted(by_seed),
                        **{key: or_none(getattr(over, key)) for key in ("mean", "low", "high")},
                    }
                )
    return {"every": anytime.every, "ends_only": list(anytime.ends_only), "values": values}
