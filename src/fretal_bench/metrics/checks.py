"""What labels and scores must be, why a metric of them does not exist, and what several metrics count of them."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from fretal_bench.errors import BenchError
from fretal_bench.metrics.numbers import NAN, Floats, Labels

CLASSES: Final = {0: "real", 1: "fake"}
"""What the labels stand for."""


def why_undefined(
    labels: npt.ArrayLike, scores: npt.ArrayLike | None = None, *, classes: Collection[int] = (0, 1)
) -> str | None:
    """Say why a metric of these samples does not exist.

    Args:
        labels: ``[n]``, 0 = real, 1 = fake.
        scores: ``[n]``; without them only the labels are judged.
        classes: The labels that the metric cannot do without (``Metric.classes``).

    Returns:
        The reason in a few words, e.g. ``"no real sample among 12"``, or None if the metric exists.
    """
    y = np.asarray(labels)
    if y.size == 0:
        return "no samples"
    for label in classes:
        if not (y == label).any():
            return f"no {CLASSES[label]} sample among {y.size}"
    if scores is not None:
        finite = np.isfinite(np.asarray(scores, dtype=np.float64))
        if not finite.all():
            return f"{int(np.sum(~finite))} of {y.size} scores are not finite"
    return None


@dataclass(frozen=True, eq=False)
class Samples:
    """Checked labels and scores of one test set; what several metrics need of them is computed once.

    Attributes:
        labels: ``[n]``, 0 = real, 1 = fake.
        scores: ``[n]``.
    """

    labels: Labels
    scores: Floats

    @functools.cached_property
    def values(self) -> dict[Any, float]:
        """What metrics of the suite are of these samples, by their functions, as far as they were asked for."""
        return {}

    @functools.cached_property
    def is_finite(self) -> bool:
        """Whether all scores are."""
        return bool(np.isfinite(self.scores).all())

    @functools.cached_property
    def are_fakes(self) -> npt.NDArray[np.bool_]:
        """``[n]``: which of the samples are fakes."""
        are_fakes: npt.NDArray[np.bool_] = self.labels == 1
        return are_fakes

    @functools.cached_property
    def probabilities(self) -> Floats:
        """The scores; a logit compared with 0.5 would be silently wrong, so one outside of [0, 1] is refused."""
        outside = self.scores[(self.scores < 0) | (self.scores > 1)]
        if len(outside):
            raise BenchError(
                f"score {float(outside[0])!r} found; a score is P(fake) in [0, 1]: apply the softmax first"
            )
        return self.scores

    @functools.cached_property
    def counts_above(self) -> tuple[Floats, Floats]:
        """Fakes and reals with score >= t, for t above all scores and then at each distinct score, falling."""
        order = np.argsort(-self.scores, kind="stable")
        falling = self.scores[order]
        ends = np.append(np.flatnonzero(np.diff(falling)), len(falling) - 1)
        fakes = np.cumsum(self.labels[order], dtype=np.float64)[ends]
        return np.append(0.0, fakes), np.append(0.0, ends + 1 - fakes)


def samples_of(labels: npt.ArrayLike, scores: npt.ArrayLike) -> Samples:
    """Turn the arguments into arrays ``[n]`` and refuse what cannot be labels and scores."""
    y: npt.NDArray[Any] = np.asarray(labels)
    s = np.asarray(scores, dtype=np.float64)
    if y.ndim != 1 or y.shape != s.shape:
        raise BenchError(f"labels have shape {y.shape} and scores {s.shape}; both must be [n], one a sample")
    wrong = y[(y != 0) & (y != 1)]
    if len(wrong):
        raise BenchError(f"label {wrong[0]!s} found; labels are 0 (real) and 1 (fake)")
    return Samples(y.astype(np.int8), s)


_SHARED: Final[weakref.WeakValueDictionary[tuple[bytes, bytes], Samples]] = weakref.WeakValueDictionary()


def shared_samples(labels: npt.ArrayLike, scores: npt.ArrayLike) -> Samples:
    """Give the samples of arrays that will not be changed; those that are equal to the byte are one object.

    Before any training and after the first domain all strategies of a seed have the same scores, of which every metric is
    so computed once.
    """
    samples = samples_of(labels, scores)
    return _SHARED.setdefault((samples.labels.tobytes(), samples.scores.tobytes()), samples)


class OfSamples:
    """A metric of one test set: called with labels and scores, ``value`` is the formula for samples that are checked.

    Attributes:
        value: ``(samples) -> value``, called only where the metric exists.
    """

    def __init__(self, value: Callable[..., float], classes: Collection[int], probabilities: bool) -> None:
        """Wrap a formula; arguments as ``of_samples``."""
        self.value, self._classes, self._probabilities = value, classes, probabilities
        functools.update_wrapper(self, value)

    def __call__(self, labels: npt.ArrayLike, scores: npt.ArrayLike, *parameters: Any) -> float:
        """Check the arguments and compute the metric; NaN where it does not exist."""
        samples = samples_of(labels, scores)
        if self._probabilities:
            _ = samples.probabilities
        if why_undefined(samples.labels, samples.scores, classes=self._classes):
            return NAN
        return self.value(samples, *parameters)


def of_samples(
    *, classes: Collection[int] = (0, 1), probabilities: bool = True
) -> Callable[[Callable[..., float]], OfSamples]:
    """Make a metric that is called with labels and scores of a formula for checked samples.

    Args:
        classes: The labels that it cannot do without.
        probabilities: Whether its scores must lie in [0, 1].
    """
    return lambda value: OfSamples(value, classes, probabilities)
