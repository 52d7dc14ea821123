"""What the tables and plots of a report show: every quantity, R and F of each strategy, over its seeds."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from fretal_bench.benchmark.runner.results import CellResult, Results
from fretal_bench.errors import BenchError, unknown_name
from fretal_bench.metrics import registry
from fretal_bench.metrics.clusters import Clusters
from fretal_bench.metrics.continual import average_accuracy
from fretal_bench.metrics.intervals import Interval, mean_and_half, mean_interval
from fretal_bench.metrics.matrices import LEVELS
from fretal_bench.metrics.numbers import NAN, Floats, or_none
from fretal_bench.metrics.videos import MEAN, check_video_score, level_key, level_words
from fretal_bench.reporting.anytime import Anytime, anytime_record, measure_anytime
from fretal_bench.reporting.calibration import Calibration, calibration_record, measure_calibration
from fretal_bench.reporting.further import Further, further_record, measure_further
from fretal_bench.reporting.inference import (
    Inference,
    best_labels,
    infer,
    inference_record,
    run_clusters,
    seeds_of,
)
from fretal_bench.reporting.inputs import (
    Problem,
    absent_cells,
    domain_names,
    order_name,
    strategy_info,
    stream_words,
    tuning_words,
    unique,
    usual_metric,
    versions_words,
)
from fretal_bench.reporting.order_data import orders_record
from fretal_bench.reporting.orders import Orders, across_orders
from fretal_bench.reporting.progress import Progress, progress
from fretal_bench.reporting.quantities import (
    SAMPLES,
    CellMeasures,
    DomainSize,
    Quantity,
    StreamMeasures,
    measure,
    of_all_folds,
    quantities,
)
from fretal_bench.reporting.robustness import Robustness, measure_robustness, robustness_record
from fretal_bench.reporting.source_model import UNTRAINED, doubts, words_before

if TYPE_CHECKING:
    import pandas as pd

    from fretal_bench.strategies.record import StrategyInfo

AT_FITTED: Final = " at the validation threshold"
"""After a metric's title where decisions are by fitted thresholds."""
NONE: Final = "none"
UNKNOWN: Final = "unknown"
"""How many old training samples a strategy keeps, where it is no number."""


@dataclass(frozen=True, eq=False)
class MeanMatrix:
    """A matrix over seeds.

    Attributes:
        mean: Mean of each cell; NaN where a seed has no value.
        half: Half the width of each cell's 95% interval; NaN for one seed.
    """

    mean: Floats
    half: Floats


@dataclass(frozen=True, eq=False)
class StrategySummary:
    """One strategy (with its hyperparameters) over its seeds.

    Attributes:
        label: What it is called everywhere in the report.
        strategy: The strategy's name.
        hyperparameters: All of them.
        bound: Whether it is a reference, not a competitor.
        summary: The registry's line about it; empty for a plugin that is not installed here.
        old_samples: Training samples of past domains that it keeps: how many it held at most after a domain, over seeds
            (``40``, ``38 to 40``); of results in which that was not counted its budget (``up to 500``) or ``some``;
            ``all``, ``none``, or ``unknown`` for a plugin that is not installed here.
        seeds: Seeds with numbers.
        by_seed: Quantity name -> seed -> value.
        values: Quantity name -> mean and interval.
        accuracy: R, ``[T, T]``.
        baseline: b, ``[T]``.
        forgetting: F, ``[T, T]``.
        by_class: Accuracy on reals and on fakes, ``[2, T + 1, T]``; row 0 = before any training.
        source: What its result folder is called where several are compared; empty for one.
    """

    label: str
    strategy: str
    hyperparameters: Mapping[str, Any]
    bound: bool
    summary: str
    old_samples: str
    seeds: tuple[int, ...]
    by_seed: dict[str, dict[int, float]]
    values: dict[str, Interval]
    accuracy: MeanMatrix
    baseline: MeanMatrix
    forgetting: MeanMatrix
    by_class: MeanMatrix
    source: str = ""


@dataclass(frozen=True, eq=False)
class Summary:
    """What a report shows.

    Attributes:
        metric: Metric of the matrices.
        level: ``frame`` or ``video``, of the matrices.
        domains: In the order in which they are learned.
        quantities: By name, in the order of the tables.
        strategies: In the plan's order, bounds last.
        seeds: Every seed that was asked for, ascending.
        problems: Cells without numbers.
        undefined: Why values are NaN, in words.
        sizes: The test set of each domain.
        stream: The stream's name and protocol in a few words, for captions.
        tuning: Where hyperparameters come from, in one sentence.
        versions: Which versions of the suite made the cells, in one sentence; none where all were made by one.
        cells: What was measured of each cell, in the plan's order.
        progress: How many cells are done, failed and missing, by order of the domains and seed.
        orders: The run in several orders of the domains; everything else is of the stream's own.
        further: The test sets that were never trained on.
        video: How videos are scored, one of ``videos.VIDEO_SCORES``.
        cautions: Of metrics that promise more than the test sets can hold, what to know, by the metric's name.
        robustness: What the final detectors are worth on corrupted test sets.
        anytime: What validation people were judged to be while domains were learned.
        inference: What the quantities of the first table say of other people and seeds, by their names.
        clusters: The clusters of the test samples; None for a summary that was made without.
        best: The labels that are bold in a column, by the column: a quantity's name, ``final/DOMAIN``, ``metric/NAME``.
        calibration: What thresholds and temperatures of validation people do.
        before: What is judged before any training, in words.
        doubts: What speaks against a source model that was brought, a sentence each.
        fitted: Whether decisions are by the thresholds of validation people, not by 0.5 (``reporting.views``).
    """

    metric: str
    level: str
    domains: tuple[str, ...]
    quantities: dict[str, Quantity]
    strategies: tuple[StrategySummary, ...]
    seeds: tuple[int, ...]
    problems: tuple[Problem, ...]
    undefined: tuple[str, ...]
    sizes: tuple[DomainSize, ...]
    stream: str
    tuning: str
    versions: tuple[str, ...]
    cells: tuple[CellMeasures, ...]
    progress: tuple[Progress, ...] = ()
    orders: Orders | None = None
    further: Further | None = None
    video: str = MEAN
    cautions: Mapping[str, str] = field(default_factory=dict)
    robustness: Robustness | None = None
    anytime: Anytime | None = None
    inference: Mapping[str, Inference] = field(default_factory=dict)
    clusters: Clusters | None = None
    best: Mapping[str, frozenset[str]] = field(default_factory=dict)
    calibration: Calibration | None = None
    before: str = UNTRAINED
    doubts: tuple[str, ...] = ()
    fitted: bool = False

    @property
    def own_problems(self) -> tuple[Problem, ...]:
        """Cells without numbers of the stream's own order of the domains."""
        return tuple(p for p in self.problems if p.order in ("", order_name(self.domains)))

    @property
    def tested(self) -> tuple[DomainSize, ...]:
        """The test sets that have samples."""
        return tuple(size for size in self.sizes if size.videos)

    @property
    def have_same_seeds(self) -> bool:
        """Whether every strategy has numbers for the same seeds, so that their means are of the same."""
        return len({strategy.seeds for strategy in self.strategies}) < 2

    def marked(self, strategy: StrategySummary) -> str:
        """Name a strategy; one that has fewer seeds than others with how many it has."""
        most = max(len(other.seeds) for other in self.strategies)
        count = len(strategy.seeds)
        return strategy.label if count == most else f"{strategy.label} ({count} of {most} seeds)"

    @property
    def competitors(self) -> tuple[StrategySummary, ...]:
        """The strategies that are not bounds."""
        return tuple(strategy for strategy in self.strategies if not strategy.bound)

    @property
    def metric_title(self) -> str:
        """How tables write the metric."""
        return registry.find(self.metric).title + (AT_FITTED if self.fitted else "")

    @property
    def level_words(self) -> str:
        """The level of the matrices in a sentence, with how videos are scored where that is not by the mean."""
        return level_words(self.level, self.video)


def summarize(
    results: Results,
    metric: str | None = None,
    level: str = "frame",
    video: str = MEAN,
    fpr: float | None = None,
) -> Summary:
    """Compute what a report shows.

    Args:
        results: Results as ``load_results`` gives them.
        metric: Metric of the matrices and of everything computed from them; by default accuracy, or balanced accuracy
            where a class is far larger than the other.
        level: ``frame`` or ``video``.
        video: How videos are scored, one of ``videos.VIDEO_SCORES``.
        fpr: A share of reals that may be called fake, for one more threshold.

    Returns:
        The summary. A cell whose scores cannot be used is left out and named in ``problems``.

    Raises:
        BenchError: If the metric, the level or the way to score videos is unknown, two cells have the same label
            and seed, or no cell can be used.
    """
    check_video_score(video)
    if level not in LEVELS:
        raise unknown_name("level", level, LEVELS)
    metric = usual_metric(results, level) if metric is None else metric
    of_report = quantities(metric, video)
    own = order_name(domain_names(results.plan)) if results.in_other_orders else ""
    clusters = run_clusters(results.cells)
    measured, unusable = _measured(results, metric, level, own, video, clusters)
    by_label: dict[str, list[CellMeasures]] = {}
    for measures in measured:
        by_label.setdefault(measures.label, []).append(measures)
    problems = (*absent_cells(results, own), *unusable)
    if not measured:
        why = f" (first of {len(problems)}: {problems[0].label}: {problems[0].reason})" if problems else ""
        raise BenchError(f"{results.path} holds no finished cell{why}; `bench run` makes some")
    orders = across_orders(results, measured, problems, metric, level, video)
    parts = progress(own, (measures.seed for measures in measured), problems)
    for order in orders.others if orders is not None else ():
        parts += progress(
            order.name, (s for by_seed in order.cells.values() for s in by_seed), order.problems
        )
        problems += order.problems
    further = measure_further(results, measured, video)
    cells = {cell.label: cell for cell in results.cells}
    # What no cell has is no column: results of earlier versions have no footprint.
    known = tuple(dict.fromkeys(name for measures in measured for name in measures.values))
    of_report = {name: quantity for name, quantity in of_report.items() if name in known}
    strategies = [_over_seeds(by_seed, cells[label], known) for label, by_seed in by_label.items()]
    bounds = [strategy.label for strategy in strategies if strategy.bound]
    inference = {
        name: infer(measured, quantity, clusters, bounds)
        for name, quantity in of_report.items()
        if quantity.table == "summary"
    }
    seeds = {seed for strategy in strategies for seed in strategy.seeds}
    seeds.update(problem.seed for problem in problems)
    return Summary(
        metric,
        level,
        domain_names(results.plan),
        of_report,
        tuple(sorted(strategies, key=lambda strategy: strategy.bound)),
        tuple(sorted(seeds)),
        problems,
        unique(
            (
                *(
                    note
                    for by_seed in by_label.values()
                    for measures in by_seed
                    for note in measures.undefined
                ),
                *(further.undefined if further is not None else ()),
            )
        ),
        _sizes(results, measured),
        stream_words(results.plan),
        tuning_words(
            results.plan,
            unique(strategy.strategy for strategy in strategies if strategy.hyperparameters),
            any("(" in strategy.label for strategy in strategies),
        ),
        versions_words(results),
        measured,
        parts,
        orders,
        further,
        video,
        measured[0].cautions,
        measure_robustness(results, measured, video),
        measure_anytime(results, measured),
        inference,
        clusters,
        _best(measured, of_report, inference, bounds),
        measure_calibration(results, measured, metric, level, video, fpr),
        words_before(results.plan),
        doubts(results),
    )


def _best(
    cells: Sequence[CellMeasures],
    quantities: Mapping[str, Quantity],
    inference: Mapping[str, Inference],
    bounds: Sequence[str],
) -> dict[str, frozenset[str]]:
    """Give the labels that are bold in every column of which there are values by cluster."""
    best = {name: of.best for name, of in inference.items()}
    for name, quantity in quantities.items():
        if name not in best and quantity.table != "cost":
            best[name] = best_labels(
                cells,
                lambda cell, name=name: cell.values[name],  # type: ignore[misc]
                lambda of, name=name: of.values[name],  # type: ignore[misc]
                bounds,
                higher_is_better=quantity.better == "higher",
            )
    matrix = cells[0].matrix
    for column, domain in enumerate(matrix.domains):
        best[f"final/{domain}"] = best_labels(
            cells,
            lambda cell, column=column: float(cell.matrix.whole[-1, column]),  # type: ignore[misc]
            lambda of, column=column: of.matrix[:, -1, column],  # type: ignore[misc]
            bounds,
            higher_is_better=matrix.higher_is_better,
        )
    for metric in registry.names():
        best[f"metric/{metric}"] = best_labels(
            cells,
            lambda cell, metric=metric: average_accuracy(cell.matrices[matrix.level, metric].values),  # type: ignore[misc]
            lambda of, metric=metric: of.finals[metric],  # type: ignore[misc]
            bounds,
            higher_is_better=registry.find(metric).higher_is_better,
        )
    return best


def _measured(
    results: Results, metric: str, level: str, order: str, video: str, clusters: Clusters
) -> tuple[tuple[CellMeasures, ...], tuple[Problem, ...]]:
    """Measure every cell, and name those whose scores cannot be used."""
    domains = domain_names(results.plan)
    measured: dict[tuple[str, int], CellMeasures] = {}
    unusable = []
    for cell in results.cells:
        if (cell.label, cell.seed) in measured:
            raise BenchError(
                f"{results.path}: two cells are called {cell.label!r} with seed {cell.seed}; give one its own label"
            )
        try:
            measured[cell.label, cell.seed] = measure(cell, metric, level, domains, video, clusters)
        except BenchError as error:
            unusable.append(Problem(cell.label, cell.seed, "unusable", str(error), order))
    return tuple(measured.values()), tuple(unusable)


def _sizes(results: Results, measured: tuple[CellMeasures, ...]) -> tuple[DomainSize, ...]:
    """Give the test set of each domain: of all folds that cells were tested in."""
    draws = results.plan["stream"]["protocol"].get("draws", 1)
    # Where folds are draws of training videos, all test the same.
    fold_of = {(cell.label, cell.seed): cell.fold if draws == 1 else 0 for cell in results.cells}
    by_fold = {fold_of[measures.label, measures.seed]: measures.sizes for measures in measured}
    return tuple(
        of_all_folds(sizes[place] for sizes in by_fold.values()) for place in range(len(measured[0].sizes))
    )


def tidy_values(summary: Summary) -> pd.DataFrame:
    """Give every quantity of every cell: label, seed, metric, level, quantity, value; one row a value."""
    import pandas as pd

    rows = [
        (strategy.label, seed, summary.metric, level_key(summary.level, summary.video), name, value)
        for strategy in summary.strategies
        for name, by_seed in strategy.by_seed.items()
        for seed, value in by_seed.items()
    ]
    return pd.DataFrame(rows, columns=["label", "seed", "metric", "level", "quantity", "value"])


def tidy_matrices(summary: Summary) -> pd.DataFrame:
    """Give R and b of every cell for every metric at both levels, one row a value.

    Returns:
        Columns label, seed, metric, level, step (-1 = b), domain, value.
    """
    import pandas as pd

    matrices = [(cell, of) for cell in summary.cells for of in cell.matrices.values()]
    count = len(summary.domains) * (len(summary.domains) + 1)
    heads = [
        (cell.label, cell.seed, of.metric, level_key(of.level, summary.video))
        for cell, of in matrices
        for _ in range(count)
    ]
    frame = pd.DataFrame(heads, columns=["label", "seed", "metric", "level"])
    steps = np.repeat(np.arange(-1, len(summary.domains)), len(summary.domains))
    frame["step"] = np.tile(steps, len(matrices))
    frame["domain"] = list(summary.domains) * (len(summary.domains) + 1) * len(matrices)
    frame["value"] = np.concatenate([of.whole.ravel() for _, of in matrices])
    return frame


def summary_record(summary: Summary) -> dict[str, Any]:
    """Give a summary as plain data for ``json.dumps``; a value that does not exist is None."""
    record: dict[str, Any] = {
        "metric": summary.metric,
        "level": summary.level,
        "video": summary.video,
        "domains": list(summary.domains),
        "seeds": list(summary.seeds),
        "test": [asdict(size) for size in summary.sizes],
        "strategies": [
            {
                "label": s.label,
                "strategy": s.strategy,
                "hyperparameters": dict(s.hyperparameters),
                "bound": s.bound,
                "seeds": list(s.seeds),
                "values": {
                    name: {
                        "mean": or_none(v.mean),
                        "low": or_none(v.low),
                        "high": or_none(v.high),
                        "n": v.n,
                        "covers": v.covers,
                    }
                    for name, v in s.values.items()
                },
                "accuracy": or_none(s.accuracy.mean.tolist()),
                "untrained": or_none(s.baseline.mean.tolist()),
                "forgetting": or_none(s.forgetting.mean.tolist()),
                "accuracy_by_class": {
                    name: or_none(of_class[1:].tolist())
                    for name, of_class in zip(("reals", "fakes"), s.by_class.mean, strict=True)
                },
            }
            for s in summary.strategies
        ],
        "problems": [_without_order(problem) for problem in summary.problems],
        "inference": {name: inference_record(of) for name, of in summary.inference.items()},
        "undefined": list(summary.undefined),
        "cautions": dict(summary.cautions),
        **({"before": summary.before} if summary.before != UNTRAINED else {}),
        **({"doubts": list(summary.doubts)} if summary.doubts else {}),
    }
    if summary.further is not None:
        record["further"] = further_record(summary.further, summary.metric)
    if summary.robustness is not None:
        record["robustness"] = robustness_record(summary.robustness)
    if summary.anytime is not None:
        record["anytime"] = anytime_record(summary.anytime)
    if summary.calibration is not None:
        record["calibration"] = calibration_record(summary.calibration)
    if summary.orders is not None:
        record["orders"] = orders_record(summary.orders)
    if summary.problems:
        record["progress"] = [_without_order(part) for part in summary.progress]
    return record


def _without_order(of_cells: Problem | Progress) -> dict[str, Any]:
    """Give a record as plain data, without the place, and the order of the domains where the run has one only."""
    return {
        key: value for key, value in asdict(of_cells).items() if key != "place" and (key != "order" or value)
    }


def _over_seeds(measures: list[CellMeasures], cell: CellResult, known: tuple[str, ...]) -> StrategySummary:
    """Bring the cells of one label together; ``cell`` is any of them, ``known`` the quantities of the report."""
    in_order = sorted(measures, key=lambda of_seed: of_seed.seed)
    info = strategy_info(cell.strategy)
    by_seed = {name: {of_seed.seed: of_seed.values.get(name, NAN) for of_seed in in_order} for name in known}
    return StrategySummary(
        cell.label,
        cell.strategy,
        cell.hyperparameters,
        info is not None and info.bound,
        "" if info is None else info.summary,
        _old_samples(info, cell.hyperparameters, by_seed.get(SAMPLES, {}).values()),
        tuple(of_seed.seed for of_seed in in_order),
        by_seed,
        intervals(by_seed, in_order),
        mean_matrix(in_order, lambda of: of.matrix.values, lambda of: of.matrix[:, 1:]),
        mean_matrix(in_order, lambda of: of.matrix.baseline, lambda of: of.matrix[:, 0]),
        mean_matrix(in_order, lambda of: of.forgetting, lambda of: of.forgetting),
        mean_matrix(in_order, lambda of: of.by_class, lambda of: of.by_class),
        cell.source,
    )


def intervals(
    by_seed: Mapping[str, Mapping[int, float]], cells: Sequence[StreamMeasures]
) -> dict[str, Interval]:
    """Give the mean of every quantity with its interval: over people and seeds where its values by cluster are known."""
    seeds = seeds_of(cells)
    if seeds is None:
        return {name: mean_interval(list(values.values())) for name, values in by_seed.items()}
    parts = [of.clusters.values for of in cells if of.clusters is not None]
    names = [name for name in by_seed if all(name in of for of in parts)]
    halves = seeds.halves([np.stack([of[name] for name in names], axis=1) for of in parts])
    half_of = dict(zip(names, halves, strict=True))
    of_all = {}
    for name, values in by_seed.items():
        if name in half_of:
            mean, half = float(seeds.mean(list(values.values()))), half_of[name]
            of_all[name] = Interval(mean, mean - half, mean + half, len(cells), seeds.covers)
        else:
            of_all[name] = mean_interval(list(values.values()))
    return of_all


def mean_matrix(
    cells: Sequence[StreamMeasures], values: Callable[[Any], Floats], parts: Callable[[Any], Floats]
) -> MeanMatrix:
    """Give the mean of a matrix over seeds with its intervals.

    Args:
        cells: What was measured of the cells of one strategy.
        values: The matrix of a cell.
        parts: The matrix of every cluster of a cell, from its numbers by cluster.
    """
    seeds = seeds_of(cells)
    if seeds is None:
        return MeanMatrix(*mean_and_half([values(of) for of in cells]))
    halves = seeds.halves([parts(of.clusters) for of in cells if of.clusters is not None])
    return MeanMatrix(seeds.mean([values(of) for of in cells]), halves)


def _old_samples(
    info: StrategyInfo | None, hyperparameters: Mapping[str, Any], counts: Collection[float]
) -> str:
    """Say how many old training samples a strategy keeps; ``counts`` are what its cells held, NaN if not counted."""
    if info is not None and info.memory != "budget":
        return info.memory
    if counts and not any(math.isnan(count) for count in counts):
        least, most = int(min(counts)), int(max(counts))
        if most == 0:
            return NONE
        return str(most) if least == most else f"{least} to {most}"
    if info is None:
        return UNKNOWN
    budget = hyperparameters.get("memory")
    return "some" if budget is None else f"up to {budget}"
