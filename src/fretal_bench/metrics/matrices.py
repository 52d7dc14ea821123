"""The accuracy matrix R of a cell's scores, its baseline b, and micro averages.

``align`` checks the scores once and lays them out; any number of metrics is then computed from that layout.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fretal_bench.errors import BenchError, unknown_name
from fretal_bench.metrics import registry
from fretal_bench.metrics.checks import Samples, shared_samples, why_undefined
from fretal_bench.metrics.clusters import Clusters
from fretal_bench.metrics.continual import without_columns
from fretal_bench.metrics.numbers import NAN, Floats, Labels
from fretal_bench.metrics.videos import MEAN, check_video_score, scores_of_groups, video_level

if TYPE_CHECKING:
    import pandas as pd

LEVELS = ("frame", "video")
COLUMNS = ("step", "domain", "row", "label", "video", "score")


@dataclass(frozen=True, eq=False)
class StreamScores:
    """The scores of one cell, checked and laid out by domain.

    Attributes:
        domains: Names in the order in which they are learned, T of them.
        level: ``frame`` or ``video``.
        labels: For each domain an array ``[n]``; empty for a domain without a test set.
        scores: For each domain an array ``[T + 1, n]``; row 0 = before any training, row i + 1 = after step
            i.
        clusters: For each domain the cluster of each sample, ``[n]``; empty where clusters were not asked for.
    """

    domains: tuple[str, ...]
    level: str
    labels: tuple[Labels, ...]
    scores: tuple[Floats, ...]
    clusters: tuple[npt.NDArray[np.int64], ...] = ()

    @property
    def untested(self) -> tuple[int, ...]:
        """The places of domains without a test set."""
        return tuple(place for place, labels in enumerate(self.labels) if not len(labels))

    @functools.cached_property
    def samples(self) -> tuple[tuple[Samples, ...], ...]:
        """For each domain its samples with the scores of every step, so that all metrics share what they count."""
        return tuple(
            tuple(shared_samples(labels, of_step) for of_step in scores)
            for labels, scores in zip(self.labels, self.scores, strict=True)
        )


@dataclass(frozen=True)
class Undefined:
    """A value of R or b that does not exist.

    Attributes:
        step: After which step; -1 = before any training.
        domain: The domain that was tested.
        reason: Why, in a few words.
        lost: Whether the test set is whole, and it is the scores of this step that are not finite.
    """

    step: int
    domain: str
    reason: str
    lost: bool = False


@dataclass(frozen=True, eq=False)
class Matrix:
    """The values of one metric over a stream; the arrays are read-only.

    Attributes:
        values: R, ``[T, T]``: ``R[i, j]`` on domain j after step i; masked where a domain has no test set, so that means
            leave it out (``metrics.continual``).
        baseline: b, ``[T]``: before any training; masked likewise.
        domains: Names, T of them, in the order in which they are learned.
        metric: The metric's name in the registry.
        level: ``frame`` or ``video``.
        undefined: The NaN of R and b, by step, then in the order of domains.
        untested: The places of domains without a test set.
    """

    values: Floats
    baseline: Floats
    domains: tuple[str, ...]
    metric: str
    level: str
    undefined: tuple[Undefined, ...] = ()
    untested: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        self.values.setflags(write=False)
        self.baseline.setflags(write=False)

    @property
    def higher_is_better(self) -> bool:
        """Whether a higher value of the metric is better."""
        return registry.find(self.metric).higher_is_better

    @property
    def whole(self) -> Floats:
        """B above R, ``[T + 1, T]``; NaN where a domain has no test set."""
        return np.vstack([np.asarray(self.baseline), np.asarray(self.values)])


def accuracy_matrix(
    scores: pd.DataFrame,
    metric: str = "accuracy",
    level: str = "frame",
    domains: Sequence[str] | None = None,
    video: str = MEAN,
) -> Matrix:
    """Compute R and b of one cell.

    Args:
        scores: The frame of ``scores.parquet``: step (-1 to T - 1), domain, row, label, video, score.
        metric: A metric's name in the registry; any, the name of this function is the field's.
        level: ``frame``, or ``video`` for one score of each video.
        domains: The order in which domains are learned; by default the order of first appearance in the
            frame.
        video: How a video is scored, one of ``videos.VIDEO_SCORES``.

    Returns:
        The matrix; NaN where the metric does not exist, and why in ``undefined``.

    Raises:
        BenchError: If a (step, domain) is missing, steps differ in their rows, a video key holds two labels,
            or a name is unknown.
    """
    registry.find(metric)
    return matrix(align(scores, level, domains, video), metric)


def align(
    scores: pd.DataFrame,
    level: str = "frame",
    domains: Sequence[str] | None = None,
    video: str = MEAN,
    clusters: Clusters | None = None,
    untested: Collection[str] = (),
) -> StreamScores:
    """Check the scores of one cell and lay them out by domain; arguments and errors as ``accuracy_matrix``.

    ``untested`` are domains that have no test set: they have no scores.
    """
    if level not in LEVELS:
        raise unknown_name("level", level, LEVELS)
    check_video_score(video)
    samples = _samples(scores, domains, clusters, untested)
    frames = _frames(samples)
    return frames if level == "frame" else _videos(samples, video)


def align_levels(
    scores: pd.DataFrame,
    domains: Sequence[str] | None = None,
    video: str = MEAN,
    clusters: Clusters | None = None,
    untested: Collection[str] = (),
) -> dict[str, StreamScores]:
    """Check the scores of one cell once and lay them out at every level; arguments and errors as ``align``."""
    samples = _samples(scores, domains, clusters, untested)
    return {"frame": _frames(samples), "video": _videos(samples, video)}


def matrix(scores: StreamScores, metric: str = "accuracy") -> Matrix:
    """Compute R and b of checked scores; NaN where the metric does not exist."""
    known = registry.find(metric)
    table = np.empty((len(scores.domains) + 1, len(scores.domains)))
    undefined = []
    for column, (domain, labels) in enumerate(zip(scores.domains, scores.labels, strict=True)):
        if column in scores.untested:
            table[:, column] = NAN
            continue
        absent = why_undefined(labels, classes=known.classes) or ""
        for row, of_step in enumerate(scores.samples[column]):
            if absent:
                value, reason = NAN, absent
            elif of_step.is_finite:
                # Most are defined, and need not be asked once more why they are not.
                value, reason = known.of(of_step)
            else:
                value, reason = known.evaluate(labels, of_step.scores)
            table[row, column] = value
            if reason:
                undefined.append(Undefined(row - 1, domain, reason, not absent and not of_step.is_finite))
    undefined.sort(key=lambda value: value.step)
    r, b = (without_columns(part.copy(), scores.untested) for part in (table[1:], table[0]))
    return Matrix(r, b, scores.domains, metric, scores.level, tuple(undefined), scores.untested)


def micro_average(scores: StreamScores, metric: str = "accuracy", step: int | None = None) -> float:
    """Compute a metric over the samples of all domains pooled.

    For accuracy this is the mean weighted by the domains' sizes (Avalanche's ``StreamAccuracy``); for AUC, AP
    and EER it also asks that one threshold fits all domains. A real video that stands in several domains
    counts once in each.

    Args:
        scores: Checked scores.
        metric: A metric's name in the registry.
        step: After which step, -1 = before training; by default the last.

    Returns:
        On the metric's scale; NaN where it does not exist.
    """
    last = len(scores.domains) - 1
    step = last if step is None else step
    if not -1 <= step <= last:
        raise BenchError(f"step {step} asked of a stream whose steps are -1 to {last}")
    pooled = np.concatenate([rows[step + 1] for rows in scores.scores])
    return registry.find(metric).evaluate(np.concatenate(scores.labels), pooled)[0]


@dataclass(frozen=True, eq=False)
class _Samples:
    """The scores of one cell as arrays ``[N]``, a sample a step each, in the order of the frame.

    Attributes:
        frame: The scores themselves.
        names: Domains in the order in which they are learned.
        domain: Place of the sample's domain in ``names``.
        step: Its step.
        order: What sorts the samples by step, domain and row.
        counts: ``[T]``: samples of each domain, the same at every step.
        clusters: Cluster of the sample; None where clusters were not asked for.
    """

    frame: pd.DataFrame
    names: tuple[str, ...]
    domain: npt.NDArray[np.int64]
    step: npt.NDArray[np.int64]
    order: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]
    clusters: npt.NDArray[np.int64] | None


def _samples(
    scores: pd.DataFrame,
    domains: Sequence[str] | None,
    clusters: Clusters | None,
    untested: Collection[str],
) -> _Samples:
    """Check columns, domains and steps of the scores of one cell, and sort them."""
    import pandas as pd

    missing = [name for name in COLUMNS if name not in scores.columns]
    if missing:
        raise BenchError(
            f"scores have no column {missing[0]!r} but {', '.join(map(str, scores.columns)) or 'none'}; "
            f"expected {', '.join(COLUMNS)}"
        )
    codes, uniques = pd.factorize(scores["domain"])
    if (codes < 0).any():
        raise BenchError("scores hold a row without a domain; the file is damaged: run the cell again")
    scored = [str(name) for name in uniques]
    names = _domain_order(scored, domains, untested)
    place = {name: index for index, name in enumerate(names)}
    domain = np.array([place[name] for name in scored], dtype=np.int64)[codes]
    step = scores["step"].to_numpy(dtype=np.int64)
    counts = _counts(names, domain, step, set(names) - set(scored))
    order = np.lexsort((scores["row"].to_numpy(), domain, step))
    of_clusters = None if clusters is None or scores["video"].isna().any() else clusters.of(scores["video"])
    return _Samples(scores, names, domain, step, order, counts, of_clusters)


def _domain_order(
    scored: list[str], domains: Sequence[str] | None, untested: Collection[str]
) -> tuple[str, ...]:
    """Give the domains in the order in which they are learned, and check that all but ``untested`` have scores."""
    if not scored:
        raise BenchError("scores are empty; expected every test sample of every domain at every step")
    if domains is None:
        return tuple(scored)
    names = tuple(domains)
    if set(scored) != set(names) - set(untested) or len(set(names)) != len(names):
        raise BenchError(
            f"scores hold domains {', '.join(scored)} but the stream has {', '.join(names)}; "
            "the results and the plan do not belong together"
        )
    return names


def _frames(samples: _Samples) -> StreamScores:
    """Check that steps differ in nothing but the score, and cut the frames' scores by domain."""
    names, order, steps = samples.names, samples.order, len(samples.names) + 1
    rows = samples.frame["row"].to_numpy()[order].reshape(steps, -1)
    labels = samples.frame["label"].to_numpy()[order].reshape(steps, -1)
    values = samples.frame["score"].to_numpy(dtype=np.float64)[order].reshape(steps, -1)
    ends = np.cumsum(samples.counts)
    for kind, table in (("rows", rows), ("labels", labels)):
        at = np.argwhere(table != table[0])
        if len(at):
            where, place = at[0]
            name = names[int(np.searchsorted(ends, place, side="right"))]
            raise BenchError(
                f"{kind} of domain {name!r} at step {where - 1} are not those of step -1 "
                f"({table[where, place]} for {table[0, place]}); every step must score the same test samples"
            )
    same_domain = np.diff(samples.domain[order][: rows.shape[1]]) == 0
    twice = np.flatnonzero((rows[0, 1:] == rows[0, :-1]) & same_domain)
    if len(twice):
        raise BenchError(
            f"row {rows[0, twice[0]]} stands twice at step -1 in one domain; "
            "each test sample must be scored once a step"
        )
    of_clusters = None if samples.clusters is None else samples.clusters[order].reshape(steps, -1)[0]
    return StreamScores(names, "frame", *_cut(labels[0], values, ends), _cut_clusters(of_clusters, ends))


def _videos(samples: _Samples, by: str) -> StreamScores:
    """Give each video one of its frames' scores, which ``_frames`` has checked, and cut them by domain."""
    import pandas as pd

    frame, steps = samples.frame, len(samples.names) + 1
    codes, uniques = pd.factorize(frame["video"])
    if (codes < 0).any():
        raise BenchError("scores hold a row without a video; the file is damaged: run the cell again")
    per_step = codes[samples.order].reshape(steps, -1)
    if np.any(per_step != per_step[0]):
        raise BenchError(
            "a row belongs to one video at one step and to another at a later one; run the cell again"
        )
    # Sorted as texts are.
    rank = np.unique(np.asarray(uniques).astype(str), return_inverse=True)[1][codes]
    order = np.lexsort((rank, samples.domain, samples.step))
    keys = np.stack((rank[order], samples.domain[order], samples.step[order]))
    first = np.append(True, (np.diff(keys, axis=1) != 0).any(axis=0))
    group = np.empty(len(order), dtype=np.int64)
    group[order] = np.cumsum(first) - 1
    labels = frame["label"].to_numpy()
    of_group = labels[order][first]
    if np.any(of_group[group] != labels):
        # It names the video.
        video_level(frame)
    scores = frame["score"].to_numpy(dtype=np.float64)
    # Groups in the order of first appearance, as those of `video_level` are: the last bit of a mean depends on it.
    appeared, groups = pd.factorize(group)
    of_videos = np.empty(len(groups))
    of_videos[groups] = scores_of_groups(scores, appeared.astype(np.int64), by)
    of_step = samples.domain[order][first].reshape(steps, -1)[0]
    ends = np.cumsum(np.bincount(of_step, minlength=len(samples.names)))
    cut = _cut(of_group.reshape(steps, -1)[0], of_videos.reshape(steps, -1), ends)
    of_clusters = None if samples.clusters is None else samples.clusters[order][first].reshape(steps, -1)[0]
    return StreamScores(samples.names, "video", *cut, _cut_clusters(of_clusters, ends))


def _cut(
    labels: npt.NDArray[Any], values: Floats, ends: npt.NDArray[np.int64]
) -> tuple[tuple[Labels, ...], tuple[Floats, ...]]:
    """Cut labels ``[N]`` and scores ``[T + 1, N]`` by domain, where each ``ends``."""
    return (
        tuple(part.astype(np.int8) for part in np.split(labels, ends[:-1])),
        tuple(np.ascontiguousarray(part) for part in np.split(values, ends[:-1], axis=1)),
    )


def _cut_clusters(
    clusters: npt.NDArray[np.int64] | None, ends: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], ...]:
    """Cut clusters ``[N]`` by domain, where each ``ends``."""
    return () if clusters is None else tuple(np.split(clusters, ends[:-1]))


def _counts(
    names: tuple[str, ...],
    domain: npt.NDArray[np.int64],
    step: npt.NDArray[np.int64],
    absent: Collection[str],
) -> npt.NDArray[np.int64]:
    """Count the samples of each domain, ``[T]``, none of those that are absent, and check that each step has as many."""
    last = len(names) - 1
    if step.min() < -1 or step.max() > last:
        raise BenchError(
            f"scores hold steps {step.min()} to {step.max()}; a stream of {len(names)} domains has steps -1 to {last}"
        )
    table = np.bincount((step + 1) * len(names) + domain, minlength=(last + 2) * len(names))
    table = table.reshape(-1, len(names))
    for at, row in enumerate(table, start=-1):
        for name, count, first in zip(names, row, table[0], strict=True):
            if not count and name not in absent:
                raise BenchError(
                    f"no scores of domain {name!r} at step {at}; the cell is not complete: run it again"
                )
            if count != first:
                raise BenchError(
                    f"domain {name!r} has {first} scores at step -1 and {count} at step {at}; "
                    "every step must score the same test samples"
                )
    return np.asarray(table[0], dtype=np.int64)
