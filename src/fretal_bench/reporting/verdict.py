"""The verdict: one sentence on which strategy forgets least, and notes on what must be known with it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from fretal_bench.metrics.numbers import NAN
from fretal_bench.reporting.calibration_tables import threshold_note
from fretal_bench.reporting.chance import Learned, learned
from fretal_bench.reporting.comparison_words import (
    amount,
    forgets_less,
    joined,
    named,
)
from fretal_bench.reporting.inference import Inference
from fretal_bench.reporting.order_tables import order_note
from fretal_bench.reporting.pairing import different_seeds, have_same_seeds
from fretal_bench.reporting.progress import progress_words
from fretal_bench.reporting.quantities import BACKWARD, LEARNING
from fretal_bench.reporting.summary import StrategySummary, Summary
from fretal_bench.reporting.tables import decimal
from fretal_bench.reporting.verdict_notes import (
    at_chance,
    bounds,
    by_other_metrics,
    gaps,
    imbalance,
    learned_little,
    max_based,
    measure_words,
    pairs,
    scope,
    swapped,
    without_old_samples,
)

_NAMED = 5
"""Most strategies that the sentence names in a row."""


@dataclass(frozen=True)
class Verdict:
    """The first thing in every report.

    Attributes:
        sentence: One sentence: who forgets least, by how much, and who is not told apart from whom.
        notes: What must be known with it, a sentence each: what the intervals cover, pairs, the bounds, a leader that
            learned little, gaps, versions.
        leader: Label of the strategy with the lowest mean -BWT; None if nothing can be ranked.
        resolved: Whether the leader is told apart from EVERY other strategy (Holm's correction over all pairs).
        unresolved: Labels of the strategies that are not told apart from the leader, the best first.
    """

    sentence: str
    notes: tuple[str, ...]
    leader: str | None
    resolved: bool
    unresolved: tuple[str, ...]


def verdict(summary: Summary) -> Verdict:
    """Say which strategy forgets least, by -BWT of the summary's metric and level.

    Bounds are not ranked, nor is a strategy without a BWT, or one whose learning is not told from chance. Two strategies
    are told apart by their paired difference over people and common seeds, with Holm's correction over all pairs
    (``reporting.inference``).
    """
    conclusion = _conclusion(summary)
    # Whoever brought a model that cannot judge must read that before anything else.
    return replace(conclusion, notes=(*summary.doubts, *conclusion.notes))


def _conclusion(summary: Summary) -> Verdict:
    notes = [*progress_words(summary.progress), *bounds(summary), *gaps(summary), *summary.versions]
    if len(summary.domains) < 2:
        return _nobody("Forgetting does not exist on a stream of one domain.", notes)
    of = summary.inference[BACKWARD]
    known = {s.label: s for s in summary.competitors if s.label in of.ranked}
    notes += [
        f"{s.label} is not ranked: its forgetting does not exist (see the values that do not exist)."
        for s in summary.competitors
        if s.label not in known
    ]
    if not known:
        return _nobody(_nobody_known(summary), [*imbalance(summary), *notes])
    by_label = learned(summary)
    luckless = {
        label: by_label[label] for label in of.ranked if label in by_label and by_label[label].at_chance
    }
    if len(luckless) == len(known):
        return _nobody(
            _nothing_learned(luckless), [*scope(summary, of), *imbalance(summary), *swapped(by_label), *notes]
        )
    ranked = [known[label] for label in of.ranked if label not in luckless]
    leader = ranked[0]
    tied = [s for s in ranked[1:] if not forgets_less(of, leader.label, s.label)]
    notes = [
        *scope(summary, of),
        *imbalance(summary),
        *pairs(of, [s.label for s in ranked]),
        *at_chance(luckless),
        *swapped(by_label),
        *learned_little(summary, leader),
        *without_old_samples(summary, of, ranked),
        *max_based(summary, ranked),
        *by_other_metrics(summary, ranked, [s.label for s in (leader, *tied)]),
        *threshold_note(summary, [s.label for s in ranked]),
        *different_seeds(ranked),
        *order_note(summary),
        *notes,
    ]
    others = len(ranked) > 1
    return Verdict(
        _sentence(summary, of, ranked, tied),
        tuple(notes),
        leader.label,
        others and not tied,
        tuple(s.label for s in tied),
    )


def _nobody(sentence: str, notes: list[str]) -> Verdict:
    """Rank nobody."""
    return Verdict(sentence, tuple(notes), None, False, ())


def _nobody_known(summary: Summary) -> str:
    """Say why there is nobody to be ranked."""
    if not summary.competitors:
        return "No strategy can be ranked: there is none but bounds."
    return f"No strategy can be ranked: by {measure_words(summary)} none has a forgetting."


def _nothing_learned(luckless: dict[str, Learned]) -> str:
    """Say that no strategy is above chance."""
    (chance, *_) = (of.chance for of in luckless.values())
    lines = named([f"{label} {of.words}" for label, of in luckless.items()], 3)
    if all(of.swapped for of in luckless.values()):
        return (
            f"No strategy is ranked: right after learning all lie below chance ({chance:.3f}), as if outputs were "
            f"swapped: {lines}."
        )
    return (
        "Nothing was learned, so nobody is ranked: right after learning no strategy is shown to be above chance "
        f"({chance:.3f}): {lines}."
    )


def _sentence(
    summary: Summary, of: Inference, ranked: list[StrategySummary], tied: list[StrategySummary]
) -> str:
    """Write the sentence."""
    leader, others = ranked[0].label, [s.label for s in ranked[1:]]
    alike = [s.label for s in tied]
    apart = [label for label in others if label not in alike]
    measure = f"(-BWT by {measure_words(summary)})"
    learning = ranked[0].values[LEARNING].mean if LEARNING in ranked[0].values else NAN
    price = f"at learning {summary.metric_title} {learning:.3f}"
    own = f"{amount(of.levels[leader])} {measure}, {price}"
    if not others:
        alone = (
            "no other strategy was run"
            if len(summary.competitors) < 2
            else "there is no other that is ranked"
        )
        return f"{leader} forgets {own}; {alone} to compare it with."
    if not alike:
        next_one = of.between(leader, others[0]).effect
        same = have_same_seeds(ranked[:2])
        common = "" if same else f" over the {next_one.seeds} seeds that both have"
        all_others = "" if len(others) == 1 else f", and is told apart from all {len(others)} others"
        return (
            f"{leader} forgets least: {own}{all_others}; next is {others[0]}, with "
            f"{decimal(next_one.mean, 3)} more [{decimal(next_one.low, 3)}, {decimal(next_one.high, 3)}]{common}."
        )
    group = [leader, *alike]
    if not apart and _all_alike(of, group):
        return f"{joined(group)} forget alike within {of.margin:g}: {_range(of, group)} {measure}."
    if apart and len(group) <= _NAMED and _is_apart(of, group, apart):
        ends = (
            f"among them differences are within {of.margin:g}"
            if _all_alike(of, group)
            else "which of them forgets least cannot be told"
        )
        whom = joined(apart) if len(apart) <= 3 else f"the other {len(apart)}"
        return f"{joined(group)} forget less than {whom}: {_range(of, group)} {measure}; {ends}."
    beginning = f"No strategy can be said to forget least: {leader} has the lowest forgetting, {own}"
    if of.reason:
        return f"{beginning}, and whether it would have it for others cannot be said: no interval exists ({of.reason})."
    if apart:
        less = (
            f", and forgets less than {joined(apart) if len(apart) <= 3 else f'{len(apart)} of the others'}"
        )
        return f"{beginning}{less}, but is not told apart from {named(alike, _NAMED)}."
    whom = f"{alike[0]} is not" if len(alike) == 1 else f"none of the other {len(alike)} is"
    return f"{beginning}, but {whom} told apart from it."


def _is_apart(of: Inference, group: list[str], others: list[str]) -> bool:
    """Whether every member of a group forgets less than every other strategy, and no two of it are told apart."""
    return all(forgets_less(of, one, other) for one in group for other in others) and not any(
        of.between(one, other).told_apart for one in group for other in group if one != other
    )


def _all_alike(of: Inference, group: list[str]) -> bool:
    """Whether all pairs of a group are shown to be equivalent."""
    return all(of.between(one, other).equivalent for one in group for other in group if one != other)


def _range(of: Inference, group: list[str]) -> str:
    """Write from how much to how much a group forgets."""
    amounts = [-of.levels[label].mean for label in group]
    low, high = decimal(min(amounts), 3), decimal(max(amounts), 3)
    return low if low == high else f"{low} to {high}"
