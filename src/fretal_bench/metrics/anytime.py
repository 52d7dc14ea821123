"""Anytime metrics of a course: what happens to earlier domains while a later one is learned, not only at its end.

``A(i, n)`` is the value on evaluation set ``i`` after update ``n``, counted from the beginning of the stream;
``|T_k|`` is the number of the last update of domain ``k``, and ``R[k, i] = A(i, |T_k|)``. Domains are numbered from 1 in
the formulas. Values are such that higher is better (accuracy, AUC).

All of these depend on the grid of updates at which a course was judged: a dip between two evaluations is not seen, and a
minimum over many evaluations of a small set is low by chance alone. A grid belongs beside every number.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fretal_bench.metrics.numbers import NAN, Floats

WINDOWS = (10, 100)
"""Evaluations in the windows that De Lange et al. report."""


@dataclass(frozen=True, eq=False)
class Course:
    """The values of a stream's evaluation sets while it is learned.

    Args:
        values: A, ``[T, N]``: a row an evaluation set, a column an evaluation. NaN where a domain was not looked at,
            which is so before it is learned.
        updates: Number of updates before each evaluation, ``[N]``, rising strictly from 0 or above.
        ends: ``|T_1|, ..., |T_T|``, each of them one of ``updates``, rising strictly.

    Raises:
        ValueError: The shapes don't belong together, or numbers do not rise or are missing.
    """

    values: Floats
    updates: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]

    def __post_init__(self) -> None:
        """Check shapes and order."""
        if self.values.shape != (len(self.ends), len(self.updates)) or not len(self.ends):
            raise ValueError(
                f"values must be [{len(self.ends)} sets, {len(self.updates)} evaluations], "
                f"found {list(self.values.shape)}"
            )
        for name, numbers in (("updates", self.updates), ("ends", self.ends)):
            if (np.diff(numbers) <= 0).any() or numbers[0] < 0:
                raise ValueError(f"{name} must rise strictly from 0 or above, found {numbers.tolist()[:10]}")
        if not np.isin(self.ends, self.updates).all():
            raise ValueError("every domain's last update must be an evaluation")

    @property
    def matrix(self) -> Floats:
        """R, ``[T, T]``: the values at the domains' ends."""
        return self.values[:, self._at(self.ends)].T

    def during(self, domain: int) -> slice:
        """Return the columns of ``|T_{k-1}| < n <= |T_k|``, the evaluations after an update of domain ``k`` (from 0)."""
        first = 0 if domain == 0 else int(self._at(self.ends[domain - 1])) + 1
        return slice(first, int(self._at(self.ends[domain])) + 1)

    def _at(self, updates: npt.ArrayLike) -> npt.NDArray[np.int64]:
        return np.searchsorted(self.updates, updates)


def minimum_accuracy(course: Course) -> float:
    """How low the earlier domains fell at any time after they were learned.

    ``min-ACC = 1/(T-1) sum_{i<T} min_{|T_i| < n <= |T_T|} A(i, n)`` (De Lange, van de Ven, Tuytelaars, "Continual
    evaluation for lifelong learning: Identifying the stability gap", ICLR 2023).

    Args:
        course: The course.

    Returns:
        On the metric's own scale, higher is better; NaN for one domain.
    """
    minima = _minima(course)
    return float(np.mean(minima)) if len(minima) else NAN


def worst_case_accuracy(course: Course) -> float:
    """What the last domain was learned to, and how low the others ever fell, each domain counting the same.

    ``WC-ACC = A(T, |T_T|) / T + (1 - 1/T) min-ACC`` at the last update (De Lange et al., ICLR 2023).

    Args:
        course: The course.

    Returns:
        On the metric's own scale, higher is better; with one domain its value at the end.
    """
    minima = _minima(course)
    return float((course.matrix[-1, -1] + minima.sum()) / len(course.ends))


def windowed_forgetting(course: Course, window: int) -> float:
    """The steepest fall within few evaluations: ``WF^w``.

    ``mean_i max(0, max {A(i, a) - A(i, b) : a < b among w evaluations in a row})`` over all domains, each from its first
    evaluation (De Lange et al., ICLR 2023). **w counts evaluations, not updates**; two of them see neighbours only.

    Args:
        course: The course.
        window: w, at least 2. Where a course has fewer evaluations it is all of them.

    Returns:
        A difference on the metric's scale, at least 0, lower is better.
    """
    return _windowed(course, window, fall=True)


def windowed_plasticity(course: Course, window: int) -> float:
    """The steepest rise within few evaluations: ``WP^w``, ``windowed_forgetting`` with ``A(i, b) - A(i, a)``.

    (De Lange et al., ICLR 2023.) Arguments as ``windowed_forgetting``; higher is better: what is new is learned fast.
    """
    return _windowed(course, window, fall=False)


def stability_gap(course: Course) -> float:
    """How far an earlier domain falls while the next one is learned, on average.

    ``SG = mean over k >= 2 and i < k of (R[k-1, i] - min_{|T_{k-1}| < n <= |T_k|} A(i, n))``. The suite's own formula: De
    Lange et al. (ICLR 2023) name the gap and have no measure of it, and "avg-SG" of later papers is not defined alike.

    Args:
        course: The course.

    Returns:
        A difference on the metric's scale, lower is better; negative if earlier domains never fell; NaN for one domain.
    """
    gaps, _ = _gaps(course)
    return float(np.mean(gaps)) if len(gaps) else NAN


def recovered_share(course: Course) -> float:
    """Which share of these falls is made up for by the end of the domain.

    ``sum (R[k, i] - min) / sum (R[k-1, i] - min)`` over k >= 2 and i < k with a fall, minima as in ``stability_gap``: the
    mean of the shares, each weighted by its fall, so that a fall of one sample doesn't decide. The suite's own formula.
    1: all falls were passing ones (a stability gap); 0: what fell stayed there (forgetting).

    Args:
        course: The course.

    Returns:
        A share, higher is better; above 1 where domains end better than they were; NaN where nothing fell.
    """
    gaps, recovered = _gaps(course)
    if np.isnan(gaps).any():
        return NAN
    fell = gaps > 0
    return float(recovered[fell].sum() / gaps[fell].sum()) if fell.any() else NAN


def _minima(course: Course) -> Floats:
    """Return ``min_{|T_i| < n <= |T_T|} A(i, n)`` for every i < T."""
    return np.array(
        [course.values[i, course.during(i + 1).start :].min() for i in range(len(course.ends) - 1)]
    )


def _gaps(course: Course) -> tuple[Floats, Floats]:
    """Return, for every k >= 2 and i < k, how far set i fell and how much of that it made up for."""
    r = course.matrix
    gaps, recovered = [], []
    for k in range(1, len(course.ends)):
        for i in range(k):
            least = course.values[i, course.during(k)].min()
            gaps.append(r[k - 1, i] - least)
            recovered.append(r[k, i] - least)
    return np.array(gaps), np.array(recovered)


def _windowed(course: Course, window: int, *, fall: bool) -> float:
    if window < 2:
        raise ValueError(f"a window must hold two evaluations at least, found {window}")
    sign = 1.0 if fall else -1.0
    return float(np.mean([_steepest(sign * _series(row), window) for row in course.values]))


def _series(row: Floats) -> Floats:
    """Return the values of one set from its first evaluation on."""
    there = np.flatnonzero(~np.isnan(row))
    return row[there[0] :] if len(there) else row


def _steepest(series: Floats, window: int) -> float:
    """Return the largest ``series[a] - series[b]`` with ``a < b < a + window``, at least 0; NaN where a value is."""
    if np.isnan(series).any():
        return NAN
    # The highest of the `window - 1` values before each.
    padded = np.concatenate([np.full(window - 1, -np.inf), series])
    highest = np.lib.stride_tricks.sliding_window_view(padded, window)[:, :-1].max(axis=1)
    return float(max(0.0, (highest - series).max()))
