"""The metrics of one test set by name, the suite's own and those of plugins, all of one record."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from fretal_bench import guard
from fretal_bench.errors import BenchWarning, unknown_name
from fretal_bench.metrics import detection, losses, rates
from fretal_bench.metrics.checks import OfSamples, Samples, why_undefined
from fretal_bench.metrics.numbers import NAN
from fretal_bench.metrics.plugin_metrics import MetricInfo
from fretal_bench.plugins import Plugin, register, words

_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class Metric:
    """A metric of one test set.

    Attributes:
        name: Lower-case words joined by ``_``: the name in ``--metric``, in files of tables and in CSV.
        title: How tables write it.
        higher_is_better: False for error rates.
        summary: One line: the formula or definition.
        function: ``(labels int64 [n], scores float64 [n]) -> float``; a label is 0 (real) or 1 (fake), a score P(fake).
            Where the metric does not exist it returns NaN, or raises ``ValueError`` with the reason.
        needs_both_classes: Whether it does not exist where only reals or only fakes are there; the function is not
            called then.
        origin: What brought it, for one of a plugin; empty for the suite's own.
        needs_class: ``real`` or ``fake`` for a metric of one class, which does not exist without it; else empty.
    """

    name: str
    title: str
    higher_is_better: bool
    summary: str
    function: Callable[[npt.NDArray[np.int64], npt.NDArray[np.float64]], float]
    needs_both_classes: bool = False
    origin: str = ""
    needs_class: Literal["", "real", "fake"] = ""

    @property
    def classes(self) -> tuple[int, ...]:
        """The labels that it cannot do without."""
        if self.needs_both_classes:
            return (0, 1)
        return {"": (), "real": (0,), "fake": (1,)}[self.needs_class]

    def evaluate(self, labels: npt.ArrayLike, scores: npt.ArrayLike) -> tuple[float, str]:
        """Compute the metric of one test set.

        Args:
            labels: ``[n]``, 0 = real, 1 = fake.
            scores: ``[n]``, P(fake).

        Returns:
            The value and an empty text, or NaN and why there is none, in a few words. Whatever a plugin's function
            raises is such a reason, so that it stops no report.

        Raises:
            BenchError: The suite's own metric refuses the labels or scores.
        """
        reason = why_undefined(labels, scores, classes=self.classes)
        return (NAN, reason) if reason else self.compute(labels, scores)

    def of(self, samples: Samples) -> tuple[float, str]:
        """Compute the metric of checked samples where ``why_undefined`` has nothing to say; else as ``evaluate``."""
        if isinstance(self.function, OfSamples) and not self.origin:
            if self.function not in samples.values:
                samples.values[self.function] = self.function.value(samples)
            return samples.values[self.function], ""
        return self.compute(samples.labels, samples.scores)

    def compute(self, labels: npt.ArrayLike, scores: npt.ArrayLike) -> tuple[float, str]:
        """Compute the metric where ``why_undefined`` has nothing to say; else as ``evaluate``."""
        # Copies: a function that sorts its arguments in place must not change those of the next one.
        y, s = np.array(labels, np.int64), np.array(scores, np.float64)
        if not self.origin:
            return float(self.function(y, s)), ""
        try:
            with guard.off_stdout(), guard.guarded():
                value = float(self.function(y, s))
        except Exception as error:
            own = isinstance(error, ValueError | guard.Ended)
            return NAN, words(error) if own else guard.named(error)
        return (value, "") if np.isfinite(value) else (NAN, f"the function returned {value}")


OWN: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("accuracy", "accuracy", True, "share of (score >= 0.5) == fake", detection.accuracy),
        Metric(
            "balanced_accuracy",
            "balanced accuracy",
            True,
            "mean of the accuracy on reals and on fakes",
            detection.balanced_accuracy,
            needs_both_classes=True,
        ),
        Metric(
            "auc",
            "AUC",
            True,
            "area under the ROC curve (Mann-Whitney, ties count half)",
            detection.auc,
            needs_both_classes=True,
        ),
        Metric(
            "ap",
            "AP",
            True,
            "average precision of the fakes (step function); its mean over domains is CDDB's mAP",
            detection.average_precision,
            needs_both_classes=True,
        ),
        Metric(
            "eer",
            "EER",
            False,
            "error where FPR = FNR (linear interpolation of the ROC)",
            detection.eer,
            needs_both_classes=True,
        ),
        Metric(
            "ece",
            "ECE",
            False,
            f"calibration error of P(fake) over {detection.ECE_BINS} equal-width bins",
            detection.ece,
        ),
        Metric(
            "real_accuracy",
            "accuracy on reals",
            True,
            "share of reals with score < 0.5",
            rates.real_accuracy,
            needs_class="real",
        ),
        Metric(
            "fake_accuracy",
            "accuracy on fakes",
            True,
            "share of fakes with score >= 0.5",
            rates.fake_accuracy,
            needs_class="fake",
        ),
        Metric(
            "f1",
            "F1",
            True,
            "2 TP / (2 TP + FP + FN) of the fakes, threshold 0.5",
            rates.f1,
            needs_both_classes=True,
        ),
        *(
            Metric(
                f"tpr_at_fpr{percent}",
                f"TPR at FPR {percent}%",
                True,
                f"largest share of fakes found with at most {percent}% of the reals called fake, whole reals",
                at_budget,
                needs_both_classes=True,
            )
            for percent, at_budget in rates.TPR_AT.items()
        ),
        Metric("brier", "Brier score", False, "mean of (score - label)^2", losses.brier),
        Metric(
            "nll",
            "NLL",
            False,
            "mean of -ln P(label) in nats, P cut to [2^-24, 1 - 2^-24]",
            losses.nll,
        ),
    )
}
"""The suite's own, in the order of tables."""


def metrics() -> dict[str, Metric]:
    """Return every metric by name: the suite's own, then those of plugins.

    A plugin names a ``Metric`` (or several) in the entry-point group ``fretal_bench.metrics``, or as ``METRIC`` (or
    ``METRICS``) in a file given with ``--plugin``; see ``plugins.register`` for one that is wrong.
    """
    return register("metrics", OWN, _read)


def names() -> tuple[str, ...]:
    """Return the name of every metric, the suite's own first."""
    return tuple(metrics())


def find(name: str) -> Metric:
    """Return the metric called ``name``.

    Raises:
        BenchError: There is none; the nearest names are in the message.
    """
    # Plugins cannot take these names, so that they need not be looked at.
    if name in OWN:
        return OWN[name]
    known = metrics()
    if name not in known:
        raise unknown_name("metric", name, known)
    return known[name]


def _read(plugin: Plugin, value: object) -> Iterator[tuple[str, Metric]]:
    if isinstance(value, MetricInfo):
        value = _of_old(value, plugin)
    if not isinstance(value, Metric):
        raise TypeError(f"expected a fretal_bench.metrics.registry.Metric, found {type(value).__name__}")
    if not (isinstance(value.name, str) and _NAME.fullmatch(value.name)):
        raise ValueError(f"metric name {value.name!r}: expected lower-case words joined by '_'")
    if not callable(value.function):
        raise TypeError(f"metric {value.name!r}: function cannot be called")
    for key, kind in (
        ("title", str),
        ("summary", str),
        ("higher_is_better", bool),
        ("needs_both_classes", bool),
    ):
        if not isinstance(getattr(value, key), kind):
            raise TypeError(
                f"metric {value.name!r}: {key} must be a {kind.__name__}, found {getattr(value, key)!r}"
            )
    one_line = {key: " ".join(getattr(value, key).split()) for key in ("title", "summary")}
    if value.needs_class not in ("", "real", "fake"):
        raise TypeError(
            f"metric {value.name!r}: needs_class must be 'real', 'fake' or empty, found {value.needs_class!r}"
        )
    yield value.name, Metric(**{**vars(value), **one_line, "origin": plugin.origin})


def _of_old(old: MetricInfo, plugin: Plugin) -> Metric:
    """Return the metric of a ``MetricInfo``, whose function takes the scores first."""
    warnings.warn(
        f"{plugin.origin}: metric {old.name!r} is a MetricInfo, which the next version no longer takes; give a "
        "fretal_bench.metrics.registry.Metric, whose function takes labels first, then scores",
        BenchWarning,
        stacklevel=2,
    )

    def function(labels: npt.NDArray[Any], scores: npt.NDArray[Any]) -> float:
        return old.function(scores, labels)

    # What is no function stays none, so that it is refused.
    swapped: Any = function if callable(old.function) else old.function
    return Metric(old.name, old.name, old.higher_is_better, old.summary, swapped)
