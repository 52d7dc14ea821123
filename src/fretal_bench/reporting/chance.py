"""Strategies at chance: whose learning is not told from what an uninformed detector has, or lies below it."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from fretal_bench.benchmark.runner.results import CellResult
from fretal_bench.metrics import registry
from fretal_bench.metrics.continual import learning_accuracy
from fretal_bench.metrics.imbalance import majority
from fretal_bench.metrics.intervals import ROUNDING
from fretal_bench.metrics.matrices import accuracy_matrix
from fretal_bench.reporting.quantities import BACKWARD, FORGETTING, LEARNING, DomainSize
from fretal_bench.reporting.summary import Summary

CHANCE: Final = {"balanced_accuracy": 0.5, "auc": 0.5, "eer": 0.5}
"""What an uninformed detector has, by metric, whatever the share of fakes."""
AT_CHANCE: Final = "at chance"
"""What stands where others have the letters of their ties."""
_ERRORS: Final = 2.0
"""Standard errors that an AUC is above chance where no interval can say it."""
_CLEARLY: Final = 3.0
"""Standard errors that an AUC is below chance where outputs are said to be swapped."""


@dataclass(frozen=True)
class Learned:
    """What a strategy had right after learning each domain, against chance.

    Attributes:
        words: The value and what it is of: ``frame accuracy 0.52 [0.47, 0.57]``.
        chance: What an uninformed detector has.
        at_chance: Whether it is not told to be better than that.
        swapped: Whether its AUC lies so far below 0.5 that its outputs may be swapped.
        auc: Mean AUC right after learning; NaN where it does not exist.
    """

    words: str
    chance: float
    at_chance: bool
    swapped: bool
    auc: float


def learned(summary: Summary) -> dict[str, Learned]:
    """Compare the learning of every competitor with chance.

    Where the metric has a value of chance (balanced accuracy, AUC, EER: 0.5; accuracy on test sets without a far larger
    class: the mean share of the larger one), a strategy is at chance if its 95% interval of learning reaches it, or
    where nothing varies, if the mean is no better. Else the AUC is asked, which the share of fakes does not move: below
    two standard deviations above 0.5 is at chance. The standard deviation is that of the Mann-Whitney statistic of a
    detector that knows nothing, ``sqrt((m + n + 1) / (12 m n))`` for m real and n fake videos, which count once
    whatever their number of frames; of T domains, that of their mean as if they were independent.

    Returns:
        By label; a strategy of which nothing can be said is not there.

    Source: Mann and Whitney, Annals of Mathematical Statistics 1947.
    """
    chance = chance_of(summary)
    aucs = _aucs(summary)
    error = null_error(summary.tested)
    of_labels = {}
    for strategy in summary.competitors:
        auc = aucs.get(strategy.label, math.nan)
        swapped = auc < 0.5 - _CLEARLY * error
        effect = (
            summary.inference[LEARNING].levels.get(strategy.label) if LEARNING in summary.inference else None
        )
        if chance is not None and effect is not None and not math.isnan(effect.mean):
            sign = 1 if registry.find(summary.metric).higher_is_better else -1
            mean, end = (
                sign * (effect.mean - chance),
                sign * ((effect.low if sign > 0 else effect.high) - chance),
            )
            at_chance = mean <= ROUNDING if math.isnan(end) else end <= ROUNDING
            interval = "" if math.isnan(end) else f" [{effect.low:.3f}, {effect.high:.3f}]"
            words = f"{summary.level} {summary.metric_title} {effect.mean:.3f}{interval}"
            of_labels[strategy.label] = Learned(words, chance, at_chance, swapped, auc)
        elif not math.isnan(auc):
            words = f"{summary.level} AUC {auc:.3f}"
            of_labels[strategy.label] = Learned(words, 0.5, auc <= 0.5 + _ERRORS * error, swapped, auc)
    return of_labels


def at_chance(summary: Summary) -> dict[str, Learned]:
    """Give the competitors that are not told to be better than chance: they are not ranked, whatever they forget."""
    return {label: of for label, of in learned(summary).items() if of.at_chance}


def letters(summary: Summary) -> dict[str, str]:
    """Give what stands under *ties*, by label: letters of those that are ranked, ``AT_CHANCE`` for who learned nothing.

    Two that share a letter are not told apart by what they forget; ``a`` is the best's. Whoever learned nothing takes no
    letter away from those that did.
    """
    of, luckless = summary.inference.get(BACKWARD), at_chance(summary)
    groups = {} if of is None else of.groups_without(luckless)
    return {**groups, **dict.fromkeys(luckless, AT_CHANCE)}


def chance_words(summary: Summary) -> tuple[str, ...]:
    """Say under a table which of its strategies learned nothing, and that nobody did where that is so."""
    luckless = at_chance(summary)
    if not luckless:
        return ()
    (chance, *_) = (of.chance for of in luckless.values())
    if len(luckless) == len(summary.competitors):
        return (
            "Nothing was learned, so nobody is ranked: right after learning no strategy is shown to be above chance "
            f"({chance:.3f}).",
        )
    return (
        f"Not ranked, because not shown to be above chance ({chance:.3f}) right after learning: {', '.join(luckless)}.",
    )


def best_of(summary: Summary) -> Mapping[str, Collection[str]]:
    """Give the labels that are bold, by column: of what is forgotten none that learned nothing."""
    luckless = at_chance(summary)
    if not luckless:
        return summary.best
    best = dict(summary.best)
    for name in (BACKWARD, FORGETTING, "relative_forgetting"):
        of = summary.inference.get(name)
        if of is not None and of.comparisons:
            best[name] = of.best_without(luckless)
        elif name in best:
            best[name] = best[name] - luckless.keys()
    return best


def chance_of(summary: Summary) -> float | None:
    """Give what an uninformed detector has by the summary's metric; None where that says nothing."""
    if summary.metric in CHANCE:
        return CHANCE[summary.metric]
    majorities = [majority(size.reals, size.fakes) for size in summary.tested]
    if summary.metric != "accuracy" or any(of.is_large for of in majorities):
        return None
    return float(np.mean([of.share for of in majorities]))


def _aucs(summary: Summary) -> Mapping[str, float]:
    """Give the mean AUC right after learning of every strategy, over its seeds."""
    values: dict[str, list[float]] = {}
    for cell in summary.cells:
        values.setdefault(cell.label, []).append(
            learning_accuracy(cell.matrices[summary.level, "auc"].values)
        )
    return {label: float(np.mean(of)) for label, of in values.items()}


def not_above_chance(cells: Sequence[CellResult], level: str, domains: Sequence[str]) -> bool:
    """Tell by the AUC right after learning, as ``learned`` does, whether seeds of one strategy learned nothing.

    Args:
        cells: Its cells.
        level: ``frame`` or ``video``.
        domains: The stream's domains, in its order.

    Returns:
        False too where the AUC does not exist.
    """
    aucs = [
        learning_accuracy(accuracy_matrix(cell.scores, "auc", level, tuple(domains)).values) for cell in cells
    ]
    scores = cells[0].scores
    last = scores[scores["step"] == scores["step"].max()]
    sizes = [
        DomainSize(
            str(name), int((of["label"] == 0).sum()), int((of["label"] == 1).sum()), of["video"].nunique()
        )
        for name, of in last.groupby("domain", observed=True)
    ]
    return bool(np.mean(aucs) <= 0.5 + _ERRORS * null_error(sizes))


def null_error(sizes: Sequence[DomainSize]) -> float:
    """Give the standard deviation of the learning AUC of a detector that knows nothing, see ``learned``."""
    variances = []
    for size in sizes:
        share = size.fakes / max(1, size.reals + size.fakes)
        fakes = max(1.0, share * size.videos)
        reals = max(1.0, (1 - share) * size.videos)
        variances.append((reals + fakes + 1) / (12 * reals * fakes))
    return math.sqrt(sum(variances)) / len(variances) if variances else math.nan
