"""The numbers a report gives of one cell: their names, formulas and directions, and their computation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fretal_bench.metrics.continual import CONTINUAL_METRICS, average_accuracy, forgetting_matrix
from fretal_bench.metrics.detection import DETECTION_METRICS, detection_metric
from fretal_bench.metrics.matrices import Matrix, StreamScores, align, matrix, micro_average, undefined_cells
from fretal_bench.metrics.registry import final_mean, plugin_metrics
from fretal_bench.reporting.inputs import CellLike, unique

Floats = npt.NDArray[np.float64]

FORGETTING = "forgetting"
LEARNING = "learning"
AVERAGE = "average"

# What a stream comes to, what else it does, what the final detector is worth, and what it costs: one table
# each.
STREAM = (FORGETTING, LEARNING, AVERAGE, "minimum_old", "backward_transfer")
TRANSFER = ("average_micro", "incremental", "forward_transfer", "zero_shot")
DETECTION = ("final_auc", "final_ap", "final_eer", "final_ece", "video_accuracy", "video_auc")
COST = ("train_seconds", "peak_memory_mb")
PLUGIN = "plugin_"
"""What the names of plugins' metrics begin with; they stand beside the detection metrics."""


@dataclass(frozen=True)
class Quantity:
    """One number of a cell.

    Attributes:
        name: Key.
        title: How tables write it.
        formula: Formula and source, in one line; R[i,j] = value on domain j after step i, T steps.
        better: ``higher`` or ``lower``.
        digits: Decimals in tables.
        signed: Whether tables write a plus sign.
    """

    name: str
    title: str
    formula: str
    better: str
    digits: int = 3
    signed: bool = False


@dataclass(frozen=True)
class DomainSize:
    """How large the test set of a domain is: frames by label, and videos."""

    name: str
    reals: int
    fakes: int
    videos: int


@dataclass(frozen=True, eq=False)
class CellMeasures:
    """The numbers of one cell.

    Attributes:
        label: The strategy's label.
        seed: The seed.
        values: Quantity name -> value.
        matrix: R and b of the report's metric and level.
        forgetting: F, ``[T, T]``.
        undefined: Why values are NaN, in words.
        sizes: The test sets that it was scored on.
    """

    label: str
    seed: int
    values: dict[str, float]
    matrix: Matrix
    forgetting: Floats
    undefined: tuple[str, ...]
    sizes: tuple[DomainSize, ...]


def quantities(metric: str = "accuracy") -> dict[str, Quantity]:
    """Give every quantity of a report whose matrices hold ``metric``, by name, in the order of the tables."""
    info = detection_metric(metric)
    found = [
        Quantity(
            name,
            known.title.format(metric=info.title),
            f"{known.formula}; {known.source}",
            "higher" if known.higher_is_better(info.higher_is_better) else "lower",
            signed=name.endswith("transfer"),
        )
        for name, known in CONTINUAL_METRICS.items()
    ]
    found.append(
        Quantity(
            "average_micro",
            f"average {info.title}, micro",
            f"{info.title} of all domains' test samples pooled, at the end",
            "higher" if info.higher_is_better else "lower",
        )
    )
    for level, names in (("frame", ("auc", "ap", "eer", "ece")), ("video", ("accuracy", "auc"))):
        for name in names:
            known_metric = DETECTION_METRICS[name]
            found.append(
                Quantity(
                    f"{'final' if level == 'frame' else 'video'}_{name}",
                    known_metric.title if level == "frame" else f"video {known_metric.title}",
                    f"mean over domains at the end, {level} level: {known_metric.description}",
                    "higher" if known_metric.higher_is_better else "lower",
                )
            )
    found.append(
        Quantity(
            "train_seconds",
            "training, s",
            "seconds of all phases but evaluation, first domain included; CPU time where a CPU trains",
            "lower",
            digits=1,
        )
    )
    found.append(
        Quantity("peak_memory_mb", "memory, MiB", "peak of all phases but evaluation", "lower", digits=0)
    )
    added = [
        Quantity(
            f"{PLUGIN}{name}",
            name,
            f"mean over domains at the end, frame level: {known_plugin.summary}",
            "higher" if known_plugin.higher_is_better else "lower",
        )
        for name, known_plugin in plugin_metrics().items()
    ]
    by_name = {quantity.name: quantity for quantity in (*found, *added)}
    beside = (quantity.name for quantity in added)
    return {name: by_name[name] for name in (*STREAM, *TRANSFER, *DETECTION, *beside, *COST)}


def measure(cell: CellLike, metric: str, level: str, domains: tuple[str, ...] | None) -> CellMeasures:
    """Compute every quantity of one cell.

    Args:
        cell: The cell.
        metric: Metric of the matrices.
        level: ``frame`` or ``video``, of the matrices.
        domains: The order in which domains are learned; None = that of the scores.

    Raises:
        BenchError: If the scores are not what the suite writes.
    """
    scores = {name: align(cell.scores, name, domains) for name in ("frame", "video")}
    r = matrix(scores[level], metric)
    higher = r.higher_is_better
    values = {name: known.function(r.values, r.baseline, higher) for name, known in CONTINUAL_METRICS.items()}
    values["average_micro"] = micro_average(scores[level], metric)
    for name in ("auc", "ap", "eer", "ece"):
        values[f"final_{name}"] = average_accuracy(matrix(scores["frame"], name).values)
    for name in ("accuracy", "auc"):
        values[f"video_{name}"] = average_accuracy(matrix(scores["video"], name).values)
    why_not: list[str] = []
    for name, known_plugin in plugin_metrics().items():
        values[f"{PLUGIN}{name}"], reasons = final_mean(known_plugin, scores["frame"])
        why_not.extend(reasons)
    values.update(cost(cell.environment))
    return CellMeasures(
        cell.label,
        cell.seed,
        values,
        r,
        forgetting_matrix(r.values, higher_is_better=higher),
        unique((*_why_nan(cell, scores, metric, level), *why_not)),
        _sizes(scores),
    )


def cost(environment: Mapping[str, Any]) -> dict[str, float]:
    """Add up what training took: all phases but those called ``evaluate ...``; NaN where nothing was measured.

    Seconds are the process's CPU time where that was recorded (training on a CPU), else the wall's.
    """
    phases = [p for p in environment.get("phases", ()) if not str(p.get("phase", "")).startswith("eval")]
    taken = [p.get("cpu_seconds", p.get("seconds")) for p in phases]
    seconds = [float(value) for value in taken if value is not None]
    memory = [float(p["peak_memory_mb"]) for p in phases if p.get("peak_memory_mb") is not None]
    return {
        "train_seconds": sum(seconds) if seconds else float("nan"),
        "peak_memory_mb": max(memory) if memory else float("nan"),
    }


def _sizes(scores: Mapping[str, StreamScores]) -> tuple[DomainSize, ...]:
    """Count the test samples of each domain."""
    frames, videos = scores["frame"], scores["video"]
    return tuple(
        DomainSize(name, int(np.sum(of == 0)), int(np.sum(of == 1)), len(keys))
        for name, of, keys in zip(frames.domains, frames.labels, videos.labels, strict=True)
    )


def _why_nan(cell: CellLike, scores: Mapping[str, StreamScores], metric: str, level: str) -> tuple[str, ...]:
    """Say in words which values do not exist; lost scores belong to the cell, lost classes to the domain."""
    notes = []
    for of_level, name in ((level, metric), ("frame", "auc"), ("video", "auc")):
        for step, domain, reason in undefined_cells(scores[of_level], name):
            title = DETECTION_METRICS[name].title
            if "finite" in reason:
                notes.append(f"{cell.label}, seed {cell.seed}, {domain} after step {step}: {reason}")
            else:
                notes.append(f"{title} ({of_level} level) does not exist on {domain}: {reason}")
    return unique(notes)
