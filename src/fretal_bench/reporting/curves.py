"""Curves of every strategy: ROC, histograms of scores, reliability, missed fakes and false alarms, then and now."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from fretal_bench.metrics.checks import samples_of
from fretal_bench.metrics.numbers import Floats, Labels
from fretal_bench.reporting.quantities import CellMeasures, class_accuracies
from fretal_bench.reporting.summary import MeanMatrix, Summary, mean_matrix

BINS: Final = 20
"""Bars of a histogram."""
RELIABILITY_BINS: Final = 10
MOST_POINTS: Final = 60
"""Points of a ROC curve; more are left out, the outermost and those of the largest steps stay."""


def curves_of(
    summary: Summary, level: str, thresholds: Mapping[tuple[str, int], Sequence[float]]
) -> list[dict[str, Any]]:
    """Give the curves of every strategy at a level, as plain values, in the summary's order.

    The samples of all seeds are pooled: these are pictures of scores, and nothing is told from them.

    Args:
        summary: Its cells hold the scores.
        level: ``frame`` or ``video``.
        thresholds: The thresholds of validation people after each step, by label and seed; NaN where there is none.
    """
    return [
        _of_strategy(summary, [cell for cell in summary.cells if cell.label == s.label], level, thresholds)
        for s in summary.strategies
    ]


def _of_strategy(
    summary: Summary,
    cells: Sequence[CellMeasures],
    level: str,
    thresholds: Mapping[tuple[str, int], Sequence[float]],
) -> dict[str, Any]:
    rates = error_rates(cells, level)
    domains = []
    for domain in range(len(summary.domains)):
        labels, then, now = _pooled(cells, level, domain)
        at = [thresholds[cell.label, cell.seed] for cell in cells if (cell.label, cell.seed) in thresholds]
        missed = [_pair(rates, 1, row, domain) for row in (domain + 1, -1)]
        alarms = [_pair(rates, 0, row, domain) for row in (domain + 1, -1)]
        domains.append(
            {
                "roc": {"then": _roc(labels, then), "now": _roc(labels, now)},
                "hist": {"then": _histogram(labels, then), "now": _histogram(labels, now)},
                "thresholds": [_mean([of[step] for of in at]) for step in (domain, -1)],
                "missed": missed,
                "alarms": alarms,
                "words": _words(missed, alarms),
            }
        )
    parts = [_pooled(cells, level, domain) for domain in range(len(summary.domains))]
    labels, ends = (np.concatenate([part[place] for part in parts]) for place in (0, 2))
    bins = _reliability(labels, ends)
    return {"domains": domains, "reliability": bins, "calibration": _calibration_words(bins)}


def error_rates(cells: Sequence[CellMeasures], level: str) -> MeanMatrix:
    """Give the share of reals called fake and of fakes called real at 0.5, ``[2, T + 1, T]``; row 0 = untrained."""
    of_cells = {id(cell.clusters): class_accuracies(cell, level) for cell in cells}
    accuracies = mean_matrix(
        cells,
        lambda cell: of_cells[id(cell.clusters)][0],
        lambda clusters: np.asarray(of_cells[id(clusters)][1]),
    )
    return MeanMatrix(1 - accuracies.mean, accuracies.half)


def _pair(rates: MeanMatrix, label: int, row: int, domain: int) -> list[float | None]:
    return [_rounded(part[label, row, domain]) for part in (rates.mean, rates.half)]


def _rounded(value: float) -> float | None:
    return round(float(value), 4) if math.isfinite(value) else None


def _mean(values: Sequence[float]) -> float | None:
    known = [value for value in values if math.isfinite(value)]
    return _rounded(float(np.mean(known))) if known else None


def _pooled(cells: Sequence[CellMeasures], level: str, domain: int) -> tuple[Labels, Floats, Floats]:
    """Give the labels of all seeds' samples of a domain, and their scores right after learning and at the end."""
    of = [cell.laid_out[level].scores for cell in cells]
    labels = np.concatenate([scores.labels[domain] for scores in of])
    then, now = (np.concatenate([scores.scores[domain][row] for scores in of]) for row in (domain + 1, -1))
    known = np.isfinite(then) & np.isfinite(now)
    return labels[known], then[known], now[known]


def _roc(labels: Labels, scores: Floats) -> list[list[int]]:
    """Give false alarms and fakes found at falling thresholds, in thousandths; nothing without both classes."""
    if len(set(labels.tolist())) < 2:
        return [[], []]
    fakes, reals = samples_of(labels, scores).counts_above
    alarms, found = np.rint(1000 * reals / reals[-1]), np.rint(1000 * fakes / fakes[-1])
    # A point between two of one row or column changes nothing.
    turns = (np.diff(alarms[:-1]) != np.diff(alarms[1:])) | (np.diff(found[:-1]) != np.diff(found[1:]))
    places = np.flatnonzero(np.concatenate([[True], turns, [True]]))
    if len(places) > MOST_POINTS:
        places = places[np.unique(np.rint(np.linspace(0, len(places) - 1, MOST_POINTS)).astype(int))]
    return [alarms[places].astype(int).tolist(), found[places].astype(int).tolist()]


def _histogram(labels: Labels, scores: Floats) -> list[list[int]]:
    """Count the reals and the fakes in bins of P(fake)."""
    return [
        np.histogram(scores[labels == label], bins=BINS, range=(0.0, 1.0))[0].tolist() for label in (0, 1)
    ]


def _reliability(labels: Labels, scores: Floats) -> list[list[float]]:
    """Give mean score, share of fakes and number of samples of every bin that has any."""
    which = np.minimum((scores * RELIABILITY_BINS).astype(int), RELIABILITY_BINS - 1)
    counts = np.bincount(which, minlength=RELIABILITY_BINS)
    means, shares = (np.bincount(which, weights=of, minlength=RELIABILITY_BINS) for of in (scores, labels))
    return [
        [round(float(means[bin] / count), 3), round(float(shares[bin] / count), 3), int(count)]
        for bin, count in enumerate(counts)
        if count
    ]


def _words(missed: Sequence[Sequence[float | None]], alarms: Sequence[Sequence[float | None]]) -> str:
    """Say what the curves of a domain come to."""

    def text(pair: Sequence[float | None]) -> str:
        return "–" if pair[0] is None else f"{pair[0]:.3f}"

    return (
        f"missed fakes {text(missed[0])} when learned and {text(missed[1])} at the end, false alarms "
        f"{text(alarms[0])} and {text(alarms[1])}"
    )


def _calibration_words(bins: Sequence[Sequence[float]]) -> str:
    """Say in which bin P(fake) is furthest from the share of fakes."""
    if not bins:
        return "No scores."
    score, share, _ = max(bins, key=lambda of: abs(of[0] - of[1]))
    return f"Reliability at the end: furthest off where P(fake) is {score:.2f} on average and {share:.2f} are fakes."
