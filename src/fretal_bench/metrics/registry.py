"""Metrics that plugins add: columns beside the suite's own, computed from the same stored scores."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fretal_bench.metrics.detection import DETECTION_METRICS
from fretal_bench.metrics.matrices import StreamScores
from fretal_bench.plugins import Plugin, register

_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class MetricInfo:
    """A metric of one test set, as a plugin gives it.

    Attributes:
        name: Lower-case words joined by ``_``; tables write it so.
        function: ``(scores float64 [N], labels int64 [N]) -> float``; a score is P(fake), a label 0 (real) or 1 (fake).
            Where the metric does not exist it returns NaN, or raises ``ValueError`` with the reason.
        higher_is_better: False for error rates.
        summary: One line: the formula or definition.
    """

    name: str
    function: Callable[[npt.NDArray[np.float64], npt.NDArray[np.int64]], float]
    higher_is_better: bool
    summary: str


def plugin_metrics() -> dict[str, MetricInfo]:
    """Return the metrics of plugins by name.

    A plugin names a ``MetricInfo`` (or several) in the entry-point group ``fretal_bench.metrics``, or as ``METRIC`` (or
    ``METRICS``) in a file given with ``--plugin``; see ``plugins.register`` for one that is wrong.
    """
    found: dict[str, MetricInfo] = register("metrics", {}, _read)
    return found


def final_mean(metric: MetricInfo, scores: StreamScores) -> tuple[float, tuple[str, ...]]:
    """Compute a plugin's metric of the final detector, mean over domains.

    Args:
        metric: The metric.
        scores: Checked scores of one cell.

    Returns:
        The mean; NaN if it does not exist on some domain, and then why, in words: whatever the function raises stops no
        report.
    """
    values, reasons = [], []
    for domain, labels, rows in zip(scores.domains, scores.labels, scores.scores, strict=True):
        value, reason = _value(metric, np.asarray(rows[-1], np.float64), np.asarray(labels, np.int64))
        values.append(value)
        if reason:
            reasons.append(f"{metric.name} (frame level) does not exist on {domain}: {reason}")
    return float(np.mean(values)), tuple(reasons)


def _value(metric: MetricInfo, scores: npt.NDArray[Any], labels: npt.NDArray[Any]) -> tuple[float, str]:
    # Copies: a function that sorts its arguments in place must not spoil the next one's.
    try:
        value = float(metric.function(scores.copy(), labels.copy()))
    except Exception as error:
        first = (str(error).splitlines() or [""])[0]
        return float("nan"), first if isinstance(error, ValueError) else f"{type(error).__name__}: {first}"
    return (value, "") if np.isfinite(value) else (float("nan"), f"the function returned {value}")


def _read(plugin: Plugin, value: object) -> Iterator[tuple[str, MetricInfo]]:
    if not isinstance(value, MetricInfo):
        raise TypeError(f"expected a MetricInfo, found {type(value).__name__}")
    if not (isinstance(value.name, str) and _NAME.fullmatch(value.name)):
        raise ValueError(f"metric name {value.name!r}: expected lower-case words joined by '_'")
    if value.name in DETECTION_METRICS:
        raise ValueError(f"the name {value.name!r} is taken")
    if not callable(value.function):
        raise TypeError(f"metric {value.name!r}: function cannot be called")
    if not isinstance(value.higher_is_better, bool) or not isinstance(value.summary, str):
        raise TypeError(f"metric {value.name!r}: higher_is_better must be a bool and summary a text")
    yield value.name, value
