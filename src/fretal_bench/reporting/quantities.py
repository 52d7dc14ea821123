"""The numbers a report gives of one cell: their names, formulas and directions, and their computation."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from fretal_bench.benchmark.runner.results import CellResult
from fretal_bench.metrics import registry
from fretal_bench.metrics.cluster_values import ClusterMatrices, ClusterMetrics
from fretal_bench.metrics.clusters import Clusters
from fretal_bench.metrics.continual import (
    CONTINUAL_METRICS,
    average_accuracy,
    forgetting_matrices,
    forgetting_matrix,
    linear_weights,
    without_best,
    without_columns,
)
from fretal_bench.metrics.inference import pseudo_values
from fretal_bench.metrics.matrices import (
    LEVELS,
    Matrix,
    StreamScores,
    align,
    align_levels,
    matrix,
    micro_average,
)
from fretal_bench.metrics.numbers import NAN, Floats
from fretal_bench.metrics.rates import TPR_AT, least_reals
from fretal_bench.metrics.videos import MEAN, level_words
from fretal_bench.reporting.inputs import unique

BACKWARD: Final = "backward_transfer"
"""The quantity by which strategies are ranked: what a strategy forgets is -BWT."""
FORGETTING: Final = "forgetting"
LEARNING: Final = "learning"
AVERAGE: Final = "average"
MICRO: Final = "average_micro"
SECONDS: Final = "train_seconds"
UPDATES: Final = "updates"
IMAGES: Final = "images_seen"
MEMORY: Final = "peak_memory_mb"
TRAINABLE: Final = "trainable_percent"
EXTRA: Final = "extra_percent"
KEPT: Final = "kept_mb"
FOOTPRINT: Final = (TRAINABLE, EXTRA, KEPT)
WEIGHTS: Final = "model_weights"
"""Weights of the recipe's model, which these are shares of; no column of a table."""
SAMPLES: Final = "samples_kept"
"""Training samples held for later domains, the most after any; no column of a table."""

TableName = Literal["summary", "transfer", "detection", "cost"]
"""What a stream comes to, what else it does, what the final detector is worth, and what it costs."""

STREAM: Final = (BACKWARD, FORGETTING, LEARNING, AVERAGE, "minimum_old")
_TRANSFER: Final = ("incremental", "relative_forgetting", "forward_transfer", "zero_shot")
_DIFFERENCES: Final = (BACKWARD, "forward_transfer")
_DETECTION: Final = {
    "final_reals": ("frame", "real_accuracy"),
    "final_fakes": ("frame", "fake_accuracy"),
    "final_auc": ("frame", "auc"),
    "final_ap": ("frame", "ap"),
    "final_eer": ("frame", "eer"),
    "final_ece": ("frame", "ece"),
    "video_accuracy": ("video", "accuracy"),
    "video_auc": ("video", "auc"),
}
"""Name -> the level and the metric whose mean over domains, at the end, it is."""
_TITLES: Final = {"final_ap": "mAP"}
"""Titles of columns that have a name of their own in the field."""
BY_CLASS: Final = ("real_accuracy", "fake_accuracy")
"""The metrics that stand next to every matrix: which of the two classes was forgotten."""
_EVALUATION: Final = frozenset({"evaluate test", "evaluate val"})
"""The phases of a cell that are no training."""


@dataclass(frozen=True)
class Quantity:
    """One number of a cell.

    Attributes:
        name: Key.
        title: How tables write it.
        formula: Formula and source, in one line; R[i,j] = value on domain j after step i, T steps.
        better: ``higher`` or ``lower``.
        table: The table that it is a column of.
        digits: Decimals in tables.
        signed: Whether tables write a plus sign.
        added: Whether a plugin brought it, so that its table must say what it is.
    """

    name: str
    title: str
    formula: str
    better: str
    table: TableName
    digits: int = 3
    signed: bool = False
    added: bool = False


@dataclass(frozen=True)
class DomainSize:
    """How large the test set of a domain is: frames by label, and videos; of several folds all of them together."""

    name: str
    reals: int
    fakes: int
    videos: int
    folds: int = 1


def of_all_folds(of_folds: Iterable[DomainSize]) -> DomainSize:
    """Add up the test sets of a domain in the folds that were tested, one at least: nobody is tested in two of them."""
    sizes = [*of_folds]
    reals, fakes, videos = (sum(getattr(size, key) for size in sizes) for key in ("reals", "fakes", "videos"))
    return DomainSize(sizes[0].name, reals, fakes, videos, len(sizes))


@dataclass(frozen=True, eq=False)
class StreamByCluster:
    """The numbers of one cell's stream by cluster of test data.

    Attributes:
        numbers: The clusters that the cell is tested on, ``[P]``, ascending.
        values: Quantity name -> the values of each, ``[P]``: their mean is the quantity where it is linear over samples;
            else they are the jackknife's pseudo-values.
        matrix: Of b above R, ``[P, T + 1, T]``.
    """

    numbers: npt.NDArray[np.int64]
    values: Mapping[str, Floats]
    matrix: Floats


@dataclass(frozen=True, eq=False)
class ByCluster(StreamByCluster):
    """The numbers of one cell by cluster of test data.

    Attributes:
        forgetting: Of F, ``[P, T, T]``.
        by_class: Of accuracy on reals and on fakes, ``[P, 2, T + 1, T]``.
        finals: Of the mean over domains of every metric at the end, at the report's level, ``[P]``, by the metric's name.
    """

    forgetting: Floats
    by_class: Floats
    finals: Mapping[str, Floats]


@dataclass(frozen=True, eq=False)
class LaidOut:
    """The scores of one cell at one level, and what all metrics by cluster need of them."""

    scores: StreamScores

    @functools.cached_property
    def by_cluster(self) -> ClusterMetrics:
        """The samples of every domain by cluster."""
        return ClusterMetrics(self.scores)


@dataclass(frozen=True, eq=False)
class StreamMeasures:
    """The numbers of one cell's stream, by one metric at one level.

    Attributes:
        label: The strategy's label.
        seed: The seed.
        values: Quantity name -> value.
        matrix: R and b.
        clusters: The numbers by cluster; None where clusters were not asked for.
    """

    label: str
    seed: int
    values: dict[str, float]
    matrix: Matrix
    clusters: StreamByCluster | None


@dataclass(frozen=True, eq=False)
class CellMeasures(StreamMeasures):
    """The numbers of one cell; ``matrix`` is of the report's metric and level.

    Attributes:
        clusters: The numbers by cluster; None where clusters were not asked for.
        matrices: R and b of every metric at every level, by level and metric.
        forgetting: F, ``[T, T]``.
        by_class: Accuracy on reals and on fakes, ``[2, T + 1, T]``, at the report's level; row 0 = before any training.
        undefined: Why values are NaN, in words.
        cautions: Of metrics that promise more than the test sets can hold, what to know, by the metric's name.
        sizes: The test sets that it was scored on.
        laid_out: The scores, by level.
    """

    clusters: ByCluster | None
    matrices: Mapping[tuple[str, str], Matrix]
    forgetting: Floats
    by_class: Floats
    undefined: tuple[str, ...]
    cautions: Mapping[str, str]
    sizes: tuple[DomainSize, ...]
    laid_out: Mapping[str, LaidOut]


def quantities(metric: str = "accuracy", video: str = MEAN) -> dict[str, Quantity]:
    """Give every quantity of a report whose matrices hold ``metric``, by name, in the order of the tables.

    Args:
        metric: The metric's name.
        video: How videos are scored, one of ``videos.VIDEO_SCORES``.
    """
    of_report = registry.find(metric)
    micro = Quantity(
        MICRO,
        f"average {of_report.title}, micro",
        f"{of_report.title} of all domains' test samples pooled, at the end",
        _better(of_report.higher_is_better),
        "transfer",
    )
    columns = (
        *_continual(STREAM, "summary", of_report),
        micro,
        *_continual(_TRANSFER, "transfer", of_report),
        *_detection(video),
        *_COST,
    )
    return {quantity.name: quantity for quantity in columns}


def _continual(names: Iterable[str], table: TableName, of_report: registry.Metric) -> Iterator[Quantity]:
    """Give continual metrics as quantities."""
    for name in names:
        known = CONTINUAL_METRICS[name]
        yield Quantity(
            name,
            known.title.format(metric=of_report.title),
            f"{known.formula}; {known.source}",
            _better(known.higher_is_better(of_report.higher_is_better)),
            table,
            signed=name in _DIFFERENCES,
        )


def _detection(video: str) -> Iterator[Quantity]:
    """Give the columns of the final detector: the suite's own, then those of plugins."""
    for name, (level, metric) in _final_metrics().items():
        known = registry.find(metric)
        yield Quantity(
            name,
            _TITLES.get(name, known.title if level == "frame" else f"video {known.title}"),
            f"mean over domains at the end, {level_words(level, video)}: {known.summary}",
            _better(known.higher_is_better),
            "detection",
            added=bool(known.origin),
        )


def _final_metrics() -> dict[str, tuple[str, str]]:
    """Give the level and the metric of each column of the final detector."""
    added = (metric.name for metric in registry.metrics().values() if metric.origin)
    return {**_DETECTION, **{f"plugin_{name}": ("frame", name) for name in added}}


_COST: Final = (
    Quantity(
        SECONDS,
        "training, s",
        "seconds of all phases but evaluation, first domain included; CPU time where a CPU trains",
        "lower",
        "cost",
        digits=1,
    ),
    Quantity(MEMORY, "memory, MiB", "peak of all phases but evaluation", "lower", "cost", digits=0),
    Quantity(
        UPDATES,
        "updates",
        "updates of the weights, over all domains, the first included",
        "lower",
        "cost",
        digits=0,
    ),
    Quantity(
        IMAGES,
        "images seen",
        "images of all updates, new and replayed, counted each time they pass through the model that learns",
        "lower",
        "cost",
        digits=0,
    ),
    Quantity(
        TRAINABLE,
        "trainable, %",
        "weights that learn on a later domain, in % of the weights of the recipe's model; the most of any domain",
        "lower",
        "cost",
        digits=2,
    ),
    Quantity(
        EXTRA,
        "extra, %",
        "numbers that judging needs beyond the recipe's model (adapters, heads, statistics), in % of its weights",
        "lower",
        "cost",
        digits=2,
    ),
    Quantity(
        KEPT,
        "kept, MiB",
        "bytes stored from one domain to the next beyond one plain model: state, and the images that a memory names as "
        "the crop store has them; the most after any domain",
        "lower",
        "cost",
        digits=2,
    ),
)


def measure(
    cell: CellResult,
    metric: str,
    level: str,
    domains: tuple[str, ...],
    video: str = MEAN,
    clusters: Clusters | None = None,
) -> CellMeasures:
    """Compute every quantity of one cell.

    Args:
        cell: The cell.
        metric: Metric of the matrices.
        level: ``frame`` or ``video``, of the matrices.
        domains: In the order in which they are learned.
        video: How videos are scored, one of ``videos.VIDEO_SCORES``.
        clusters: The clusters of the run's test samples, for the numbers by cluster.

    Raises:
        BenchError: If the scores are not what the suite writes.
    """
    scores = align_levels(cell.scores, domains, video, clusters, cell.untested)
    laid_out = {name: LaidOut(of) for name, of in scores.items()}
    matrices = {
        (of_level, of_metric): matrix(scores[of_level], of_metric)
        for of_level in LEVELS
        for of_metric in registry.names()
    }
    r = matrices[level, metric]
    values = _of_stream(r, scores[level])
    final = {name: matrices[of_column] for name, of_column in _final_metrics().items()}
    values.update({name: average_accuracy(of_column.values) for name, of_column in final.items()})
    values.update(cost(cell.environment))
    return CellMeasures(
        cell.label,
        cell.seed,
        values,
        r,
        _by_cluster(laid_out, matrices, r, values[MICRO]) if scores[level].clusters else None,
        matrices,
        forgetting_matrix(r.values, higher_is_better=r.higher_is_better),
        _by_class(matrices, level),
        _why_nan(cell, r, final),
        _few_reals(scores[level]),
        _sizes(scores),
        laid_out,
    )


def stream_measures(
    cell: CellMeasures, laid_out: LaidOut, metric: str, names: Iterable[str]
) -> StreamMeasures:
    """Compute some continual metrics of a cell by another metric, at another level or of other scores.

    Args:
        cell: The cell.
        laid_out: Its scores, or the decisions that take their place.
        metric: The metric.
        names: Keys of ``CONTINUAL_METRICS``.
    """
    level = laid_out.scores.level
    own = laid_out is cell.laid_out[level]
    r = cell.matrices[level, metric] if own else matrix(laid_out.scores, metric)
    higher = r.higher_is_better
    values = {name: CONTINUAL_METRICS[name].function(r.values, r.baseline, higher) for name in names}
    if not laid_out.scores.clusters:
        return StreamMeasures(cell.label, cell.seed, values, r, None)
    parts = laid_out.by_cluster.matrices(metric, r.whole)
    by_cluster = {name: _by_cluster_of_stream(name, r, parts) for name in values}
    of_clusters = StreamByCluster(laid_out.by_cluster.clusters, by_cluster, parts.own)
    return StreamMeasures(cell.label, cell.seed, values, r, of_clusters)


def class_accuracies(cell: CellMeasures, level: str) -> tuple[Floats, Floats | None]:
    """Give accuracy on reals and on fakes at a level, ``[2, T + 1, T]`` (row 0 = untrained), and the same by cluster."""
    wholes = [cell.matrices[level, name].whole for name in BY_CLASS]
    if not cell.laid_out[level].scores.clusters:
        return np.stack(wholes), None
    by_cluster = cell.laid_out[level].by_cluster
    parts = [by_cluster.matrices(name, whole).own for name, whole in zip(BY_CLASS, wholes, strict=True)]
    return np.stack(wholes), np.stack(parts, axis=1)


def _by_cluster(
    laid_out: Mapping[str, LaidOut],
    matrices: Mapping[tuple[str, str], Matrix],
    r: Matrix,
    micro: float,
) -> ByCluster:
    """Compute the numbers of a cell by cluster.

    Args:
        laid_out: The scores, by level.
        matrices: R and b of every metric at every level.
        r: Those of the report.
        micro: The micro average.
    """
    level = r.level
    of_level = {name: of.by_cluster for name, of in laid_out.items()}
    parts = of_level[level].matrices(r.metric, r.whole)
    values = {name: _by_cluster_of_stream(name, r, parts) for name in CONTINUAL_METRICS}
    last = len(r.domains)
    finals = {}
    columns = _final_metrics()
    for key in dict.fromkeys([*((level, name) for name in registry.names()), *columns.values()]):
        whole = matrices[key].whole
        own = of_level[key[0]].matrices(key[1], whole, first=last).own[:, last]
        finals[key] = own[:, [place for place in range(last) if place not in r.untested]].mean(axis=1)
    values |= {name: finals[key] for name, key in columns.items()}
    values[MICRO] = (
        ClusterMetrics(_pooled(laid_out[level].scores)).matrices(r.metric, np.array([[micro]])).own[:, 0, 0]
    )
    higher = r.higher_is_better
    forgotten = forgetting_matrices(parts.without[:, 1:], higher_is_better=higher)
    return ByCluster(
        of_level[level].clusters,
        values,
        parts.own,
        pseudo_values(forgetting_matrix(r.values, higher_is_better=higher), forgotten),
        np.stack(
            [of_level[level].matrices(name, matrices[level, name].whole).own for name in BY_CLASS], axis=1
        ),
        {name: finals[level, name] for name in registry.names()},
    )


def _by_cluster_of_stream(name: str, r: Matrix, parts: ClusterMatrices) -> Floats:
    """Compute a continual metric by cluster."""
    known, higher = CONTINUAL_METRICS[name], r.higher_is_better
    if known.linear:
        weights = linear_weights(name, len(r.domains), higher, r.untested)
        read = weights != 0
        return (
            np.asarray(parts.own[:, read] @ weights[read], dtype=np.float64)
            if read.any()
            else _nowhere(parts)
        )
    if known.of_all is not None and not r.untested:
        without = known.of_all(parts.without[:, 1:], higher)
    else:
        without = np.array(
            [known.function(without_columns(of[1:], r.untested), of[0], higher) for of in parts.without]
        )
    return pseudo_values(known.function(r.values, r.baseline, higher), without)


def _nowhere(parts: ClusterMatrices) -> Floats:
    return np.full(len(parts.own), NAN)


def _pooled(scores: StreamScores) -> StreamScores:
    """Pool the samples of all domains at the end into one."""
    last = np.concatenate([of_domain[-1] for of_domain in scores.scores])[None]
    labels, clusters = np.concatenate(scores.labels), np.concatenate(scores.clusters)
    return StreamScores(("all",), scores.level, (labels,), (last,), (clusters,))


def stream_values(
    cell: CellResult, metric: str, level: str, domains: tuple[str, ...], video: str = MEAN
) -> dict[str, float]:
    """Compute the quantities of one cell's stream and of its cost, none of the final detector; as ``measure``."""
    scores = align(cell.scores, level, domains, video, untested=cell.untested)
    return {**_of_stream(matrix(scores, metric), scores), **cost(cell.environment)}


def _of_stream(r: Matrix, scores: StreamScores) -> dict[str, float]:
    """Compute what a stream comes to and what else it does."""
    higher = r.higher_is_better
    values = {name: known.function(r.values, r.baseline, higher) for name, known in CONTINUAL_METRICS.items()}
    return {**values, MICRO: micro_average(scores, r.metric)}


def cost(environment: Mapping[str, Any]) -> dict[str, float]:
    """Add up what training took, all phases but evaluation (NaN where nothing was measured), and give the footprint.

    Seconds are the process's CPU time where that was recorded (training on a CPU), else the wall's.
    """
    phases = [phase for phase in environment.get("phases", ()) if phase.get("phase") not in _EVALUATION]
    seconds = [phase.get("cpu_seconds", phase.get("seconds")) for phase in phases]
    memory = [phase.get("peak_memory_mb") for phase in phases]
    measured = [float(value) for value in seconds if value is not None]
    return {
        SECONDS: sum(measured) if measured else NAN,
        MEMORY: max((float(value) for value in memory if value is not None), default=NAN),
        **_effort(phases),
        **_footprint(phases),
    }


def _effort(phases: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Add up the updates and their images; what is not known of every domain, as of earlier versions, is left out."""
    values = {}
    for name, key in ((UPDATES, "updates"), (IMAGES, "images")):
        counts = [phase.get(key) for phase in phases if phase.get("phase") == "train"]
        if counts and None not in counts:
            values[name] = float(sum(count for count in counts if count is not None))
    return values


def _footprint(phases: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Give the footprint of a cell; what is not known of every later domain, as of earlier versions, is left out."""
    later = [phase for phase in phases if phase.get("phase") == "train" and phase.get("step", 0) > 0]

    def most(key: str) -> float:
        values = [phase.get(key) for phase in later]
        return (
            max((float(value) for value in values if value is not None), default=NAN)
            if all(value is not None for value in values)
            else NAN
        )

    weights = most("weights")
    values = {
        TRAINABLE: 100 * most("trainable") / weights,
        EXTRA: 100 * most("extra") / weights,
        KEPT: most("kept") / 2**20,
        WEIGHTS: weights,
        SAMPLES: most("samples"),
    }
    return {name: value for name, value in values.items() if not math.isnan(value)}


def _by_class(matrices: Mapping[tuple[str, str], Matrix], level: str) -> Floats:
    """Stack accuracy on reals and on fakes, each with its row before any training."""
    return np.stack([matrices[level, metric].whole for metric in BY_CLASS])


def _few_reals(scores: StreamScores) -> dict[str, str]:
    """Say of each metric at a bounded FPR on which domains no real at all may be called fake."""
    labels = zip(scores.domains, scores.labels, strict=True)
    reals = {name: int(np.sum(of == 0)) for name, of in labels if len(of)}
    cautions = {}
    for percent in TPR_AT:
        few = [f"{name} ({count})" for name, count in reals.items() if count < least_reals(percent)]
        if few:
            name = f"tpr_at_fpr{percent}"
            cautions[name] = (
                f"{registry.find(name).title} ({scores.level} level): fewer than {least_reals(percent)} reals on "
                f"{', '.join(few)}: no real may be called fake there, and the value is the share of fakes above every "
                "real."
            )
    return cautions


def _better(higher_is_better: bool) -> str:
    return "higher" if higher_is_better else "lower"


def _sizes(scores: Mapping[str, StreamScores]) -> tuple[DomainSize, ...]:
    """Count the test samples of each domain."""
    frames, videos = scores["frame"], scores["video"]
    return tuple(
        DomainSize(name, int(np.sum(of == 0)), int(np.sum(of == 1)), len(keys))
        for name, of, keys in zip(frames.domains, frames.labels, videos.labels, strict=True)
    )


def _why_nan(cell: CellResult, of_report: Matrix, final: Mapping[str, Matrix]) -> tuple[str, ...]:
    """Say in words which values do not exist; lost scores belong to the cell, lost classes to the domain.

    All metrics that need both classes lack them alike, so that of the suite's own columns the AUC speaks for all.
    """
    notes = [
        f"{of_report.domains[place]} has no test set: it is no part of any mean over domains"
        for place in of_report.untested
    ]
    for of_column in (of_report, final["final_auc"], final["video_auc"]):
        for value in of_column.undefined:
            if value.step < 0 and cell.imported is not None and not cell.imported.untrained:
                # Said once, of all cells (``inputs.versions_words``).
                continue
            if value.lost:
                where = f"{cell.label}, seed {cell.seed}, {value.domain} after step {value.step}"
                notes.append(f"{where}: {value.reason}")
            else:
                notes.append(_absent(of_column, value.domain, value.reason))
    for name, of_column in final.items():
        if name not in _DETECTION:
            last = (value for value in of_column.undefined if value.step == len(of_column.domains) - 1)
            notes += [_absent(of_column, value.domain, value.reason) for value in last if not value.lost]
    lost = without_best(of_report.values, higher_is_better=of_report.higher_is_better)
    if lost:
        title, names = registry.find(of_report.metric).title, (of_report.domains[j] for j in lost)
        notes.append(
            f"relative forgetting does not exist in {cell.label}, seed {cell.seed}: the best {title} on "
            f"{', '.join(names)} is 0"
        )
    return unique(notes)


def _absent(values: Matrix, domain: str, reason: str) -> str:
    title = registry.find(values.metric).title
    return f"{title} ({values.level} level) does not exist on {domain}: {reason}"
