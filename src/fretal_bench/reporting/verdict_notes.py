"""The notes under the verdict: what its intervals cover, every pair, other metrics, what was learned, bounds and gaps."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from fretal_bench.metrics import registry
from fretal_bench.metrics.clusters import JOINED, VIDEOS
from fretal_bench.metrics.continual import backward_transfer
from fretal_bench.metrics.imbalance import ACCURACY, BALANCED, majority
from fretal_bench.metrics.videos import MEAN, VIDEO_SCORES
from fretal_bench.reporting.chance import Learned
from fretal_bench.reporting.comparison_words import (
    amount,
    forgets_less,
    joined,
    named,
    pair_words,
    tested_words,
)
from fretal_bench.reporting.inference import LEVEL, MOST_PEOPLE, Inference
from fretal_bench.reporting.pairing import means_in_common
from fretal_bench.reporting.quantities import BACKWARD, FORGETTING, LEARNING
from fretal_bench.reporting.summary import NONE, UNKNOWN, StrategySummary, Summary
from fretal_bench.reporting.tables import decimal

LEARNING_GAP: Final = 0.05
"""A leader whose learning accuracy lies this much below the best one's may forget little because it learned little."""
MOST_PAIRS: Final = 6
"""With more pairs than these the notes name only those that the leader is not told apart from."""
_NAMED: Final = 3
_ROUNDING: Final = 0.0005
"""Differences below this are not seen at the tables' three decimals."""


def measure_words(summary: Summary, level: str = "", metric: str = "") -> str:
    """Name a metric with its level: ``frame accuracy``, ``video AUC (median frame score)``."""
    level = level or summary.level
    title = registry.find(metric).title if metric else summary.metric_title
    by = f" ({VIDEO_SCORES[summary.video]})" if level == "video" and summary.video != MEAN else ""
    return f"{level} {title}{by}"


def scope(summary: Summary, of: Inference) -> list[str]:
    """Say what the intervals are over, what they cover, and when two strategies count as told apart."""
    if of.reason:
        return []
    details = (
        [f"{of.clusters} groups joined by fakes"] if of.unit == JOINED and of.clusters < of.people else []
    )
    details += [f"each tested in one of {of.folds} folds"] if of.folds > 1 else []
    people = tested_words(of) + (f" ({', '.join(details)})" if details else "")
    others = "videos" if of.unit == VIDEOS else "people"
    if len(of.seeds) < 2:
        covered = (
            f"over {people} and one seed of training: they speak of other {others} judged by these very models, not of "
            "what another training would change"
        )
    else:
        covered = f"over {people} and {len(of.seeds)} seeds: they speak of other {others} and other trainings"
    notes = [f"Brackets are 95% intervals {covered}."]
    if of.unit == VIDEOS:
        notes[0] += (
            " Who is in a video is not known, so each counts as if nobody were in two: where somebody is, the intervals "
            "are too narrow."
        )
    if summary.clusters is not None and summary.clusters.note:
        notes[0] += f" {summary.clusters.note}"
    pairs = len(of.comparisons)
    if pairs > 1:
        apart = sum(pair.told_apart for pair in of.comparisons)
        alike = sum(pair.equivalent for pair in of.comparisons)
        counts = f": {apart} are, and {alike} are alike within {of.margin:g}" if pairs > MOST_PAIRS else ""
        notes[0] += f" Told apart means p <= {LEVEL:g} after Holm's correction for all {pairs} pairs{counts}."
    return notes


def pairs(of: Inference, ranked: Sequence[str]) -> list[str]:
    """Say of every pair what is known, or of many strategies of those that the leader is not told apart from."""
    compared = [of.between(first, second) for at, first in enumerate(ranked) for second in ranked[at + 1 :]]
    if of.reason or not compared:
        return []
    if len(compared) <= MOST_PAIRS:
        return [f"{'; '.join(pair_words(of, comparison) for comparison in compared)}."]
    leader = ranked[0]
    tied = [of.between(leader, label) for label in ranked[1:] if not forgets_less(of, leader, label)]
    if not tied:
        return []
    unit = "people" if of.people else "videos"
    alike = [pair.second for pair in tied if pair.equivalent]
    within = {p.second: p.people_needed for p in tied if p.people_needed is not None and not p.equivalent}
    beyond = [pair.second for pair in tied if pair.people_needed is None and not pair.equivalent]
    fewest = sorted(within, key=lambda label: within[label])
    lines = [named([f"{label} (about {within[label]:,})" for label in fewest], _NAMED)] if within else []
    lines += [f"no number up to {MOST_PEOPLE:,} for {named(beyond, _NAMED)}"] if beyond else []
    lines += [f"within {of.margin:g} of it whatever their number: {named(alike, _NAMED)}"] if alike else []
    return [
        f"How many {unit} it would take to tell {leader} from the others ({of.people or of.clusters} were tested): "
        f"{'; '.join(lines)}. The table of comparisons has every pair."
    ]


def imbalance(summary: Summary) -> list[str]:
    """Say what always giving the same answer would have, where a class is far larger, and what everything is by."""
    large = {
        size.name: of
        for size in summary.tested
        if (of := majority(size.reals, size.fakes)).is_large and not of.is_all
    }
    single = {size.name: of for size in summary.tested if (of := majority(size.reals, size.fakes)).is_all}
    parts = []
    if large:
        name = max(large, key=lambda name: large[name].share)
        answer, share, where = large[name].answer, large[name].share, f" on {name}"
        if len(large) == len(summary.tested) and len({of.answer for of in large.values()}) == 1:
            share, where = float(np.mean([of.share for of in large.values()])), ""
        constant = f"Always {answer!r} would have {share:.3f} accuracy{where}"
        if summary.metric == BALANCED:
            parts.append(f"{constant}, so everything here is by balanced accuracy, where it has 0.500.")
        elif summary.metric == ACCURACY:
            better = "" if single else "; --metric balanced_accuracy counts both classes alike"
            parts.append(f"{constant}: read accuracies against that{better}.")
    if single:
        answers = joined([f"{name} ({of.answer}s)" for name, of in single.items()])
        parts.append(
            f"Test samples of one class alone: {answers}. Always giving that answer is right there, and no metric that "
            "needs both classes exists."
        )
    return parts


def swapped(by_label: Mapping[str, Learned]) -> list[str]:
    """Name strategies that are so far below chance that their outputs may be swapped."""
    below = [f"{label} ({of.auc:.3f})" for label, of in by_label.items() if of.swapped]
    if not below:
        return []
    return [
        f"Below chance right after learning, by AUC: {joined(below)}. Outputs may be swapped (a score is P(fake)), or "
        "the test set contradicts what is trained on."
    ]


def at_chance(luckless: Mapping[str, Learned]) -> list[str]:
    """Name strategies that learned nothing, and are not ranked."""
    return [
        f"{label} is not ranked: right after learning it has {of.words}, not shown to be above chance ({of.chance:.3f})"
        + ("." if of.swapped else "; what was not learned cannot be forgotten.")
        for label, of in luckless.items()
    ]


def learned_little(summary: Summary, leader: StrategySummary) -> list[str]:
    """Say that the leader forgets little because it learned little, if another one learned clearly more."""
    sign = 1 if registry.find(summary.metric).higher_is_better else -1
    means = {s.label: means_in_common(s, leader, LEARNING) for s in summary.competitors}
    more = {label: sign * (own - of_leader) for label, (own, of_leader) in means.items()}
    best = max(more, key=lambda label: -np.inf if np.isnan(more[label]) else more[label])
    if not more[best] > LEARNING_GAP:
        return []
    own, of_leader = means[best]
    return [
        f"{leader.label} also learned less: learning {summary.metric_title} {of_leader:.3f} against "
        f"{own:.3f} of {best}; who learns little has little to forget."
    ]


def without_old_samples(summary: Summary, of: Inference, ranked: Sequence[StrategySummary]) -> list[str]:
    """If the leader keeps old samples, or may, name the one that forgets least of those that keep none."""
    leader = ranked[0]
    without = [s for s in ranked if s.old_samples == NONE]
    if leader.old_samples == UNKNOWN:
        notes = [
            f"Whether {leader.label} keeps old training samples is unknown: no strategy {leader.strategy!r} is installed."
        ]
    elif leader.old_samples == NONE or not without:
        return []
    else:
        notes = [f"{leader.label} keeps {leader.old_samples} old training samples."]
    if not without:
        return notes
    first, others = without[0], without[1:]
    alike = [s.label for s in others if not forgets_less(of, first.label, s.label)]
    unresolved = f", not told apart from {named(alike, _NAMED)}" if alike else ""
    level = amount(of.levels[first.label])
    best = f"Of those that keep none {first.label} has the lowest forgetting, {level}{unresolved}."
    return [" ".join((*notes, best))]


def max_based(summary: Summary, ranked: Sequence[StrategySummary]) -> list[str]:
    """Say how far max-based forgetting lies above -BWT, where it does."""
    gaps = {s.label: s.values[FORGETTING].mean + s.values[BACKWARD].mean for s in ranked}
    label = max(gaps, key=lambda label: -math.inf if math.isnan(gaps[label]) else gaps[label])
    if not gaps[label] >= _ROUNDING:
        return []
    return [
        f"Max-based forgetting, beside BWT in the table, is up to {gaps[label]:.3f} higher ({label}): it starts from the "
        "best value that a domain ever had, which noise lifts for strategies that get better on old domains."
    ]


def by_other_metrics(summary: Summary, ranked: Sequence[StrategySummary], group: Sequence[str]) -> list[str]:
    """Say who has the lowest mean -BWT by AUC and at the other level, where that is another one than the leader."""
    labels = [s.label for s in ranked]
    if len(labels) < 2:
        return []
    other_metric = "auc" if summary.metric != "auc" else ACCURACY
    other_level = "video" if summary.level == "frame" else "frame"
    leader, same, parts, others = labels[0], [], [], []
    for level, metric in ((summary.level, other_metric), (other_level, summary.metric)):
        words = measure_words(summary, level, metric)
        means = _forgetting_by(summary, labels, level, metric)
        if not means:
            continue
        first = min(means, key=lambda label: means[label])
        if means[leader] - means[first] < _ROUNDING:
            same.append(words)
            continue
        others.append(first)
        parts.append(
            f"{first} by {words}, {decimal(means[first], 3)} ({leader}: {decimal(means[leader], 3)})"
        )
    if not parts:
        return [f"By {joined(same)} {leader} has the lowest mean -BWT too."] if same else []
    too = f"; by {joined(same)} {leader} has it too" if same else ""
    tied = [label for label in dict.fromkeys(others) if label in group]
    verb = "is" if len(tied) == 1 else "are"
    ties = (
        f", and by {measure_words(summary)} {joined(tied)} {verb} not told apart from {leader}"
        if tied
        else ""
    )
    return [
        f"The lowest mean -BWT is another's by another measure: {'; '.join(parts)}{too}. These are means, untested"
        f"{ties}."
    ]


def _forgetting_by(summary: Summary, labels: Sequence[str], level: str, metric: str) -> dict[str, float]:
    """Give the mean -BWT of strategies by another metric or level over the seeds that all have; none if one has none."""
    values: dict[str, dict[int, float]] = {label: {} for label in labels}
    for cell in summary.cells:
        if cell.label in values:
            of = cell.matrices[level, metric]
            values[cell.label][cell.seed] = -backward_transfer(
                of.values, higher_is_better=of.higher_is_better
            )
    seeds = set.intersection(*(set(of) for of in values.values()))
    if not seeds:
        return {}
    means = {label: float(np.mean([of[seed] for seed in sorted(seeds)])) for label, of in values.items()}
    return {} if any(map(math.isnan, means.values())) else means


def bounds(summary: Summary) -> list[str]:
    """Name the bounds and why they are not ranked."""
    of_bounds = [s for s in summary.strategies if s.bound]
    if not of_bounds:
        return []
    lines = [f"{s.label} ({_bwt(s)}{s.summary})" for s in of_bounds]
    return [
        f"Not ranked, because {'it is a bound' if len(lines) == 1 else 'they are bounds'}: {joined(lines)}."
    ]


def _bwt(strategy: StrategySummary) -> str:
    value = strategy.values.get(BACKWARD)
    return "" if value is None or math.isnan(value.mean) else f"-BWT {decimal(-value.mean, 3)}; "


def gaps(summary: Summary) -> list[str]:
    """Name strategies that lack seeds, those that lack the same ones in one sentence."""
    labels = dict.fromkeys([*(s.label for s in summary.strategies), *(p.label for p in summary.own_problems)])
    have = {s.label: s.seeds for s in summary.strategies}
    lacking: dict[str, list[str]] = {}
    for label in labels:
        lost = [p for p in summary.own_problems if p.label == label]
        if lost:
            kinds = joined(
                [f"seed {p.seed} {p.kind}" for p in lost[:3]] + (["more"] if len(lost) > 3 else [])
            )
            count = f"{len(have.get(label, ()))} of {len(have.get(label, ())) + len(lost)} seeds"
            lacking.setdefault(f"{count}: {kinds}; the reasons are listed below.", []).append(label)
    return [f"{joined(of)} {'has' if len(of) == 1 else 'each have'} {gap}" for gap, of in lacking.items()]
