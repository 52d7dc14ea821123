"""The views of a report: ranking, leaderboard and pairs by other metrics, at both levels, and at fitted thresholds."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from fretal_bench.benchmark.runner.cell_calibration import ValidationSteps
from fretal_bench.benchmark.runner.results import Results
from fretal_bench.metrics.matrices import LEVELS
from fretal_bench.metrics.numbers import NAN
from fretal_bench.reporting.calibration import decided
from fretal_bench.reporting.inference import infer_levels
from fretal_bench.reporting.quantities import (
    BACKWARD,
    STREAM,
    CellMeasures,
    LaidOut,
    StreamMeasures,
    quantities,
    stream_measures,
)
from fretal_bench.reporting.summary import MeanMatrix, StrategySummary, Summary, intervals, mean_matrix

OTHERS: Final = ("auc", "eer")
"""The metrics of the views besides accuracy, or whatever the report is of."""


@dataclass(frozen=True)
class View:
    """A metric and a level.

    Attributes:
        metric: The metric's name.
        level: ``frame`` or ``video``.
        fitted: Whether decisions are by the thresholds that validation people give after each step, not by 0.5.
    """

    metric: str
    level: str
    fitted: bool = False


class Views:
    """The views of a report: its own metric, accuracy, AUC, EER and accuracy at fitted thresholds, at both levels."""

    def __init__(self, results: Results, summary: Summary) -> None:
        """Name them; nothing is computed.

        Args:
            results: Results as ``load_results`` gives them.
            summary: What ``summarize`` makes of them.
        """
        self._results, self._summary = results, summary
        calibration = summary.calibration
        # Balanced accuracy where a class is far larger: then the report is of that, or its thresholds are.
        accuracy = "accuracy" if calibration is None else calibration.metric
        names = dict.fromkeys((summary.metric, accuracy, *OTHERS))
        levels = (summary.level, *(level for level in LEVELS if level != summary.level))
        every = [View(name, level) for name in names for level in levels]
        if calibration is not None and not calibration.without:
            every += [View(calibration.metric, level, fitted=True) for level in levels]
        self.views = tuple(every)

    @functools.cached_property
    def thresholds(self) -> Mapping[str, Mapping[tuple[str, int], Sequence[float]]]:
        """The thresholds of validation people after each step, by level, label and seed; NaN where there is none."""
        return {level: self._thresholds(level) for level in LEVELS}

    def _thresholds(self, level: str) -> dict[tuple[str, int], list[float]]:
        calibration = self._summary.calibration
        if calibration is None:
            return {}
        if level == calibration.level:
            return {
                (cell.label, cell.seed): [NAN if s.threshold is None else s.threshold for s in cell.steps]
                for cell in calibration.cells
            }
        known = {(cell.label, cell.seed) for cell in calibration.cells}
        thresholds = {}
        for cell in self._results.cells:
            if (cell.label, cell.seed) in known:
                domains = self._summary.domains
                steps = ValidationSteps(cell.validation(), domains, level, self._summary.video)
                fitted = [steps.threshold(step) for step in range(len(domains))]
                thresholds[cell.label, cell.seed] = [NAN if of.reason else of.value for of in fitted]
        return thresholds

    def summary_of(self, view: View) -> Summary:
        """Give the summary by a view's metric and level: what its verdict, leaderboard, matrices and pairs need.

        Quantities are those of the first table and of costs. Matrices of forgetting and of accuracy by class and
        sign-flip tests, which no view shows, are not computed: they are NaN.
        """
        summary = self._summary
        if view == View(summary.metric, summary.level):
            return summary
        measured = [self._measures(cell, view) for cell in summary.cells]
        of_view = quantities(view.metric, summary.video)
        of_stream = {name: of_view[name] for name in STREAM}
        bounds = [strategy.label for strategy in summary.strategies if strategy.bound]
        inference, best = {}, {}
        for name, quantity in of_stream.items():
            inference[name], best[name] = infer_levels(
                measured,
                quantity,
                summary.clusters,
                bounds,
                with_pairs=name == BACKWARD,
                with_sign_flips=False,
            )
        costs = {name: quantity for name, quantity in summary.quantities.items() if quantity.table == "cost"}
        return dataclasses.replace(
            summary,
            metric=view.metric,
            level=view.level,
            fitted=view.fitted,
            quantities={**of_stream, **costs},
            strategies=tuple(_strategy(strategy, measured) for strategy in summary.strategies),
            inference=inference,
            best=best,
        )

    def _measures(self, cell: CellMeasures, view: View) -> StreamMeasures:
        """Measure a cell by a view."""
        laid_out = cell.laid_out[view.level]
        if view.fitted:
            thresholds = self.thresholds[view.level][cell.label, cell.seed]
            laid_out = LaidOut(decided(laid_out.scores, lambda step, _: thresholds[step]))
        return stream_measures(cell, laid_out, view.metric, STREAM)


def _strategy(strategy: StrategySummary, measured: Sequence[StreamMeasures]) -> StrategySummary:
    """Give a strategy by what was measured of its cells."""
    cells = sorted((cell for cell in measured if cell.label == strategy.label), key=lambda cell: cell.seed)
    by_seed = {name: {cell.seed: cell.values[name] for cell in cells} for name in STREAM}
    nothing = MeanMatrix(*(np.full_like(strategy.forgetting.mean, NAN) for _ in range(2)))
    of_class = MeanMatrix(*(np.full_like(strategy.by_class.mean, NAN) for _ in range(2)))
    return dataclasses.replace(
        strategy,
        by_seed={**strategy.by_seed, **by_seed},
        values={**strategy.values, **intervals(by_seed, cells)},
        accuracy=mean_matrix(cells, lambda of: of.matrix.values, lambda of: of.matrix[:, 1:]),
        baseline=mean_matrix(cells, lambda of: of.matrix.baseline, lambda of: of.matrix[:, 0]),
        forgetting=nothing,
        by_class=of_class,
    )
