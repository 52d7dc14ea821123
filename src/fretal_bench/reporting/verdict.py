"""The verdict: one sentence on which strategy forgets least, and notes on what must be known with it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fretal_bench.metrics import registry
from fretal_bench.metrics.intervals import PairedDifference
from fretal_bench.reporting.order_tables import order_note
from fretal_bench.reporting.pairing import (
    difference,
    different_seeds,
    have_same_seeds,
    means_in_common,
    ranked,
)
from fretal_bench.reporting.progress import progress_words
from fretal_bench.reporting.quantities import AVERAGE, FORGETTING, LEARNING
from fretal_bench.reporting.summary import NONE, UNKNOWN, StrategySummary, Summary

# A winner whose learning accuracy lies this much below the best one's may forget little because it learned
# little.
LEARNING_GAP = 0.05


@dataclass(frozen=True)
class Verdict:
    """The first thing in every report.

    Attributes:
        sentence: One sentence: who forgets least, by how much, at what price, and whether the seeds can tell.
        notes: What must be known with it, a sentence each: the bounds, a winner that learned little, gaps, versions.
        leader: Label of the strategy with the lowest mean forgetting; None if nothing can be compared.
        resolved: Whether the leader's paired difference to EVERY other strategy has an interval without 0.
        unresolved: Labels of the strategies that the seeds do not separate from the leader.
    """

    sentence: str
    notes: tuple[str, ...]
    leader: str | None
    resolved: bool
    unresolved: tuple[str, ...]


def verdict(summary: Summary) -> Verdict:
    """Say which strategy forgets least (max-based forgetting of the summary's metric, mean over seeds).

    Bounds are not ranked. The leader is compared with every other strategy by the paired difference over
    common seeds (95% by Student's t, one comparison at a time); a difference whose interval is not above 0, or that
    rests on one seed, is unresolved. Where strategies have different seeds, the leader too is the one that forgets
    less over common seeds, not the one with the lower mean over its own.
    """
    notes = [*progress_words(summary.progress), *_bounds(summary), *_gaps(summary), *summary.versions]
    if len(summary.domains) < 2:
        sentence = "Forgetting does not exist on a stream of one domain."
        return Verdict(sentence, tuple(notes), None, False, ())
    known = [s for s in summary.competitors if not np.isnan(s.values[FORGETTING].mean)]
    notes.extend(
        f"{s.label} is not ranked: its forgetting does not exist (see the values that do not exist)."
        for s in summary.competitors
        if s not in known
    )
    if not known:
        sentence = "No strategy can be ranked: there is none but bounds, or none has a forgetting."
        return Verdict(sentence, tuple(notes), None, False, ())
    leader, *others = ranked(known)
    differences = {s.label: difference(s, leader) for s in others}
    unresolved = tuple(label for label, more in differences.items() if not more.low > 0)
    resolved = bool(others) and not unresolved
    notes = [
        *_learned_little(summary, leader),
        *_without_old_samples(summary, leader, known),
        *different_seeds(known),
        *order_note(summary),
        *notes,
    ]
    return Verdict(
        _sentence(summary, leader, others, differences, unresolved),
        tuple(notes),
        leader.label,
        resolved,
        unresolved,
    )


def _sentence(
    summary: Summary,
    leader: StrategySummary,
    others: list[StrategySummary],
    differences: dict[str, PairedDifference],
    unresolved: tuple[str, ...],
) -> str:
    """Write the sentence."""
    level = _forgetting(leader)
    price = (
        f"at average {summary.metric_title} {leader.values[AVERAGE].mean:.3f} "
        f"and learning {summary.metric_title} {leader.values[LEARNING].mean:.3f}"
    )
    if not others:
        return f"{leader.label} forgets {level}, {price}; no other strategy was run to compare it with."
    second, alike = others[0], have_same_seeds((leader, *others))
    if max(len(of_pair.seeds) for of_pair in differences.values()) < 2 and alike:
        return (
            f"{leader.label} forgot least in one seed, {level}, {price}, before {second.label} with "
            f"{second.values[FORGETTING].mean:.3f}; one seed cannot tell strategies apart, so this is no ranking."
        )
    if unresolved:
        named = [f"{label} ({_paired(differences[label])})" for label in unresolved[:3]]
        more = [f"{len(unresolved) - 3} more"] if len(unresolved) > 3 else []
        return (
            f"No strategy can be said to forget least: {leader.label} {_lowest(alike)}, {level}, {price}, but the "
            f"seeds do not separate it from {_and([*named, *more])}."
        )
    paired = _paired(differences[second.label])
    if have_same_seeds((leader, second)):
        return (
            f"{leader.label} forgets least: {level}, {price}; next is {second.label} with "
            f"{second.values[FORGETTING].mean:.3f}, {paired}."
        )
    count = len(differences[second.label].seeds)
    return (
        f"{leader.label} forgets least: {level}, {price}; next is {second.label}, {paired} over the {count} seeds "
        "that both have."
    )


def _lowest(alike: bool) -> str:
    """Say what the first of the ranked strategies has, given whether all of them have the same seeds."""
    return "has the lowest mean" if alike else "is lowest over common seeds"


def _forgetting(strategy: StrategySummary) -> str:
    """Write a forgetting with its interval and number of seeds."""
    value = strategy.values[FORGETTING]
    if value.n < 2:
        return f"{value.mean:.3f}"
    return f"{value.mean:.3f} (95% interval {value.low:.3f} to {value.high:.3f}, {value.n} seeds)"


def _paired(difference: PairedDifference) -> str:
    """Write a paired difference."""
    if len(difference.seeds) < 2:
        return f"{len(difference.seeds)} seed in common"
    return f"paired difference {difference.mean:+.3f} [{difference.low:+.3f}, {difference.high:+.3f}]"


def _learned_little(summary: Summary, leader: StrategySummary) -> list[str]:
    """Say that the leader forgets little because it learned little, if another one learned clearly more."""
    sign = 1 if registry.find(summary.metric).higher_is_better else -1
    learned = {s.label: means_in_common(s, leader, LEARNING) for s in summary.competitors}
    more = {label: sign * (own - of_leader) for label, (own, of_leader) in learned.items()}
    best = max(more, key=lambda label: -np.inf if np.isnan(more[label]) else more[label])
    if not more[best] > LEARNING_GAP:
        return []
    title = summary.metric_title
    own, of_leader = learned[best]
    return [
        f"{leader.label} also learned less: learning {title} {of_leader:.3f} against "
        f"{own:.3f} of {best}; who learns little has little to forget."
    ]


def _without_old_samples(
    summary: Summary, leader: StrategySummary, known: list[StrategySummary]
) -> list[str]:
    """If the leader keeps old samples, or may, name the one that forgets least of those that keep none."""
    without = ranked([s for s in known if s.old_samples == NONE])
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
    alike = [s.label for s in others if not difference(s, first).low > 0]
    unresolved = f"; the seeds do not separate it from {_and(alike)}" if alike else ""
    price = f"at average {summary.metric_title} {first.values[AVERAGE].mean:.3f}"
    lowest = _lowest(have_same_seeds(without))
    best = f"Of those that keep none {first.label} {lowest}, {_forgetting(first)}, {price}{unresolved}."
    return [" ".join((*notes, best))]


def _bounds(summary: Summary) -> list[str]:
    """Name the bounds and why they are not ranked."""
    bounds = [s for s in summary.strategies if s.bound]
    if not bounds:
        return []
    named = [f"{s.label} (forgetting {s.values[FORGETTING].mean:.3f}; {s.summary})" for s in bounds]
    return [
        f"Not ranked, because {'it is a bound' if len(bounds) == 1 else 'they are bounds'}: {_and(named)}."
    ]


def _gaps(summary: Summary) -> list[str]:
    """Name strategies that lack seeds, those that lack the same ones in one sentence."""
    labels = dict.fromkeys([*(s.label for s in summary.strategies), *(p.label for p in summary.own_problems)])
    have = {s.label: s.seeds for s in summary.strategies}
    gaps: dict[str, list[str]] = {}
    for label in labels:
        lost = [p for p in summary.own_problems if p.label == label]
        if lost:
            kinds = _and([f"seed {p.seed} {p.kind}" for p in lost[:3]] + (["more"] if len(lost) > 3 else []))
            count = f"{len(have.get(label, ()))} of {len(have.get(label, ())) + len(lost)} seeds"
            gaps.setdefault(f"{count}: {kinds}; the reasons are listed below.", []).append(label)
    return [f"{_and(of)} {'has' if len(of) == 1 else 'each have'} {gap}" for gap, of in gaps.items()]


def _and(items: list[str]) -> str:
    """Join words with commas and a last "and"."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"
