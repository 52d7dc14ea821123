"""Metrics of one test set from its labels and scores: accuracy, AUC, AP, EER, ECE; and scores of videos.

Everywhere: labels are 0 (real) and 1 (fake); a score is P(fake). A value that does not exist is NaN, never 0
or 0.5, and :func:`why_undefined` says in words why.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fretal_bench.errors import BenchError
from fretal_bench.metrics.numbers import NAN, Floats, Labels

if TYPE_CHECKING:
    import pandas as pd

THRESHOLD = 0.5
ECE_BINS = 15


def accuracy(labels: npt.ArrayLike, scores: npt.ArrayLike) -> float:
    """Share of samples on the right side of the threshold.

    ``mean((score >= 0.5) == (label == 1))``: a score of exactly 0.5 counts as "fake".

    Args:
        labels: ``[n]``, 0 = real, 1 = fake.
        scores: ``[n]``, P(fake) in [0, 1].

    Returns:
        A value in [0, 1], higher is better; NaN for no samples or scores that are not finite.

    Raises:
        BenchError: If the shapes differ, a label is neither 0 nor 1, or a score lies outside [0, 1].
    """
    y, s = _probabilities(labels, scores)
    if why_undefined(y, s, both_classes=False):
        return NAN
    return float(np.mean((s >= THRESHOLD) == (y == 1)))


def balanced_accuracy(labels: npt.ArrayLike, scores: npt.ArrayLike) -> float:
    """Mean of the accuracy on the reals and the accuracy on the fakes, with the threshold of :func:`accuracy`.

    ``(TPR + TNR) / 2``; 0.5 for a detector that always gives the same answer, whatever the share of fakes.

    Args:
        labels: ``[n]``, 0 = real, 1 = fake.
        scores: ``[n]``, P(fake) in [0, 1].

    Returns:
        A value in [0, 1], higher is better; NaN unless both classes are there and all scores are finite.

    Raises:
        BenchError: If the shapes differ, a label is neither 0 nor 1, or a score lies outside [0, 1].
    """
    y, s = _probabilities(labels, scores)
    if why_undefined(y, s):
        return NAN
    called_fake = s >= THRESHOLD
    return float((np.mean(called_fake[y == 1]) + np.mean(~called_fake[y == 0])) / 2)


def auc(labels: npt.ArrayLike, scores: npt.ArrayLike) -> float:
    """Area under the ROC curve: the probability that a random fake scores higher than a random real.

    ``(#{fake > real} + #{fake = real} / 2) / (n_fake * n_real)`` over all pairs: the Mann-Whitney statistic,
    exact with ties (the pairs are counted in integers).

    Args:
        labels: ``[n]``, 0 = real, 1 = fake.
        scores: ``[n]``, any scale on which higher means more fake.

    Returns:
        A value in [0, 1], higher is better, 0.5 = chance; NaN unless both classes are there and all scores
        are finite.

    Raises:
        BenchError: If the shapes differ or a label is neither 0 nor 1.
    """
    y, s = _checked(labels, scores)
    if why_undefined(y, s):
        return NAN
    reals, fakes = np.sort(s[y == 0]), s[y == 1]
    below = np.searchsorted(reals, fakes, side="left").sum(dtype=np.int64)
    below_or_equal = np.searchsorted(reals, fakes, side="right").sum(dtype=np.int64)
    return float(int(below) + int(below_or_equal)) / (2 * len(reals) * len(fakes))


def average_precision(labels: npt.ArrayLike, scores: npt.ArrayLike) -> float:
    """Area under the precision-recall curve as a step function; the fakes are the positives.

    ``sum_k (recall_k - recall_{k-1}) * precision_k`` over the distinct scores from the highest to the lowest:
    scikit-learn's ``average_precision_score``, without interpolation.

    Args:
        labels: ``[n]``, 0 = real, 1 = fake.
        scores: ``[n]``, any scale on which higher means more fake.

    Returns:
        A value in (0, 1], higher is better, the share of fakes = chance; NaN unless both classes are there
        (with fakes alone it would be 1 whatever the detector does) and all scores are finite.

    Raises:
        BenchError: If the shapes differ or a label is neither 0 nor 1.
    """
    y, s = _checked(labels, scores)
    if why_undefined(y, s):
        return NAN
    fakes, reals = _counts_above(y, s)
    recall = fakes / fakes[-1]
    precision = fakes[1:] / (fakes[1:] + reals[1:])
    return float(np.sum(np.diff(recall) * precision))


def eer(labels: npt.ArrayLike, scores: npt.ArrayLike) -> float:
    """Equal error rate: where as many reals are called fake as fakes are called real.

    At every distinct score t, "fake" means score >= t, which gives a point (FPR_k, FNR_k), from (0, 1) with
    the threshold above all scores to (1, 0) with it at the lowest. FNR - FPR falls strictly along these
    points; between the last point where it is positive and the next, FPR and FNR are interpolated linearly
    and the EER is their common value at the crossing. That is the ROC polygon cut by the line FPR + TPR = 1;
    ties between reals and fakes make one slanted edge.

    Args:
        labels: ``[n]``, 0 = real, 1 = fake.
        scores: ``[n]``, any scale on which higher means more fake.

    Returns:
        A value in [0, 1], LOWER is better, 0.5 = chance; NaN unless both classes are there and all scores are
        finite.

    Raises:
        BenchError: If the shapes differ or a label is neither 0 nor 1.
    """
    y, s = _checked(labels, scores)
    if why_undefined(y, s):
        return NAN
    fakes, reals = _counts_above(y, s)
    fpr, fnr = reals / reals[-1], 1 - fakes / fakes[-1]
    gap = fnr - fpr
    after = int(np.argmax(gap <= 0))
    share = gap[after - 1] / (gap[after - 1] - gap[after])
    return float(fpr[after - 1] + share * (fpr[after] - fpr[after - 1]))


def ece(labels: npt.ArrayLike, scores: npt.ArrayLike, bins: int = ECE_BINS) -> float:
    """Expected calibration error of P(fake), the binary form: is a score of 0.8 right in 80% of cases?

    ``sum_k n_k / n * |share of fakes in bin k - mean score in bin k|`` over 15 equal-width bins of P(fake),
    bin k holding ``k/15 <= score < (k+1)/15`` and the last one 1.0 too (Naeini et al., AAAI 2015; the binary
    form of scikit-learn's ``calibration_curve`` and of torchmetrics). It is NOT the multi-class form of Guo
    et al. (2017), which bins the predicted class's confidence: with two classes that would leave the lower
    half of the bins empty.

    Args:
        labels: ``[n]``, 0 = real, 1 = fake.
        scores: ``[n]``, P(fake) in [0, 1].
        bins: Number of bins.

    Returns:
        A value in [0, 1], LOWER is better; NaN for no samples or scores that are not finite.

    Raises:
        BenchError: If the shapes differ, a label is neither 0 nor 1, or a score lies outside [0, 1].
    """
    y, s = _probabilities(labels, scores)
    if why_undefined(y, s, both_classes=False):
        return NAN
    edges = np.arange(1, bins) / bins
    which = np.searchsorted(edges, s, side="right")
    # n_k * |share - mean| is |sum of labels - sum of scores| of the bin, so empty bins need no special case.
    excess = np.bincount(which, weights=y - s, minlength=bins)
    return float(np.sum(np.abs(excess)) / len(s))


def why_undefined(
    labels: npt.ArrayLike, scores: npt.ArrayLike | None = None, *, both_classes: bool = True
) -> str | None:
    """Say why a metric of these samples does not exist.

    Args:
        labels: ``[n]``, 0 = real, 1 = fake.
        scores: ``[n]``; without them only the labels are judged.
        both_classes: Whether the metric needs reals and fakes (``Metric.needs_both_classes``).

    Returns:
        The reason in a few words, e.g. ``"no real sample among 12"``, or None if the metric exists.
    """
    y = np.asarray(labels)
    if y.size == 0:
        return "no samples"
    if both_classes:
        for label, name in ((0, "real"), (1, "fake")):
            if not (y == label).any():
                return f"no {name} sample among {y.size}"
    if scores is not None:
        finite = np.isfinite(np.asarray(scores, dtype=np.float64))
        if not finite.all():
            return f"{int(np.sum(~finite))} of {y.size} scores are not finite"
    return None


def video_level(frame: pd.DataFrame) -> pd.DataFrame:
    """Scores of frames -> scores of videos: the mean of a video's frame scores, and the video's label.

    A video is known by its key (data set, method, compression and id, as in the ``video`` column of the
    scores), and is looked at apart in each ``step`` and ``domain`` where the frame has such columns: a real
    video may stand in many domains.

    Args:
        frame: Columns ``video``, ``label``, ``score``, and if wanted ``step`` and ``domain``; one row a frame
            of a video.

    Returns:
        One row a video, in order of first appearance: the key columns, ``label``, ``score`` (float64),
        ``frames`` (their number).

    Raises:
        BenchError: If a column is missing, or one video key holds two labels (then the key does not name one
            video).
    """
    missing = [name for name in ("video", "label", "score") if name not in frame.columns]
    if missing:
        raise BenchError(
            f"scores have no column {missing[0]!r} but {', '.join(map(str, frame.columns)) or 'none'}; "
            "give video, label and score"
        )
    keys = [name for name in ("step", "domain", "video") if name in frame.columns]
    wide = frame[[*keys, "label", "score"]].astype({"score": np.float64})
    groups = wide.groupby(keys, sort=False, observed=True)
    videos = groups.agg(
        label=("label", "first"), top=("label", "max"), low=("label", "min"), frames=("label", "size")
    )
    # pandas leaves NaN out of a mean: a video with a frame that has no score would get one from the others.
    videos["score"] = groups["score"].mean().where(groups["score"].count() == videos["frames"])
    mixed = videos.index[videos["top"] != videos["low"]]
    if len(mixed):
        key = mixed[0][-1] if isinstance(mixed[0], tuple) else mixed[0]
        raise BenchError(
            f"video {key!r} holds both real and fake frames ({len(mixed)} such); a video key must name one video: "
            "use dataset/method/compression/video"
        )
    return videos.reset_index()[[*keys, "label", "score", "frames"]]


def _checked(labels: npt.ArrayLike, scores: npt.ArrayLike) -> tuple[Labels, Floats]:
    """Turn the arguments into arrays ``[n]`` and refuse what cannot be labels and scores."""
    y: npt.NDArray[Any] = np.asarray(labels)
    s = np.asarray(scores, dtype=np.float64)
    if y.ndim != 1 or y.shape != s.shape:
        raise BenchError(f"labels have shape {y.shape} and scores {s.shape}; both must be [n], one a sample")
    wrong = y[(y != 0) & (y != 1)]
    if len(wrong):
        raise BenchError(f"label {wrong[0]!s} found; labels are 0 (real) and 1 (fake)")
    return y.astype(np.int8), s


def _probabilities(labels: npt.ArrayLike, scores: npt.ArrayLike) -> tuple[Labels, Floats]:
    """Check the arguments and that scores lie in [0, 1]: a logit compared with 0.5 would be silently wrong."""
    y, s = _checked(labels, scores)
    outside = s[(s < 0) | (s > 1)]
    if len(outside):
        raise BenchError(
            f"score {outside[0]:.6g} found; a score is P(fake) in [0, 1]: apply the softmax first"
        )
    return y, s


def _counts_above(labels: Labels, scores: Floats) -> tuple[Floats, Floats]:
    """Count fakes and reals with score >= t, for t above all scores and then at each distinct score, falling."""
    order = np.argsort(-scores, kind="stable")
    falling = scores[order]
    ends = np.append(np.flatnonzero(np.diff(falling)), len(falling) - 1)
    fakes = np.cumsum(labels[order], dtype=np.float64)[ends]
    return np.append(0.0, fakes), np.append(0.0, ends + 1 - fakes)
