"""Comparisons of strategies in words and as a table: who forgets less, by how much, or how many people would tell."""

from __future__ import annotations

import math
from collections.abc import Sequence

from fretal_bench.metrics.inference import Effect
from fretal_bench.metrics.numbers import NAN
from fretal_bench.reporting.inference import LEVEL, MOST_PEOPLE, Comparison, Inference
from fretal_bench.reporting.quantities import BACKWARD
from fretal_bench.reporting.summary import Summary
from fretal_bench.reporting.tables import Column, Number, Row, Table, decimal


def joined(items: Sequence[str]) -> str:
    """Join words with commas and a last "and"."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def named(labels: Sequence[str], most: int) -> str:
    """Join labels; of more than ``most`` the first of them, and how many more there are."""
    if len(labels) <= most:
        return joined(labels)
    return joined([*labels[: most - 1], f"{len(labels) - most + 1} more"])


def forgets_less(of: Inference, first: str, second: str) -> bool:
    """Whether the first is told apart from the second, and forgets less."""
    comparison = of.between(first, second)
    return comparison.told_apart and comparison.effect.mean > 0


def amount(effect: Effect) -> str:
    """Write what is forgotten, -BWT, with its interval where it has one."""
    return _with_interval(-effect.mean, -effect.high, -effect.low)


def _with_interval(mean: float, low: float, high: float, signed: bool = False) -> str:
    text = decimal(mean, 3, signed)
    return text if math.isnan(low) else f"{text} [{decimal(low, 3, signed)}, {decimal(high, 3, signed)}]"


def tested_words(of: Inference) -> str:
    """Say how many people were tested, or videos where nobody is known."""
    return f"{of.people} people" if of.people else f"{of.clusters} videos"


def in_order(of: Inference, comparison: Comparison) -> Comparison:
    """Turn a comparison so that the first is the one that forgets less, of equals the one that is first already."""
    return of.between(comparison.second, comparison.first) if comparison.effect.mean < 0 else comparison


def pair_words(of: Inference, comparison: Comparison) -> str:
    """Say what is known of a pair in one sentence without its full stop.

    Told apart: who forgets less, the difference, its interval. Equivalent: within which margin. Neither: how many people
    would be needed, against how many were tested.
    """
    pair = in_order(of, comparison)
    less, more, effect = pair.first, pair.second, pair.effect
    if not effect.seeds:
        return f"{less} and {more} have no seed in common"
    size = _with_interval(effect.mean, effect.low, effect.high)
    if pair.told_apart:
        within = f", both within {of.margin:g}" if pair.equivalent else ""
        return f"{less} forgets less than {more}, by {size}{within}"
    if pair.equivalent:
        return f"{less} and {more} forget alike within {of.margin:g} (difference {size})"
    if math.isnan(effect.low):
        return f"{less} and {more} are not told apart (difference {size}, no interval)"
    return f"{less} and {more} are not told apart (difference {size}): {needed_words(of, pair)}"


def needed_words(of: Inference, comparison: Comparison) -> str:
    """Say how many people, or videos, it would take to tell two strategies apart, against how many were tested."""
    unit = "people" if of.people else "videos"
    tested = of.people or of.clusters
    if comparison.people_needed is not None:
        return f"about {comparison.people_needed:,} {unit} would be needed, {tested} were tested"
    if comparison.effect.of_seeds > 0:
        seeds = f"{comparison.effect.seeds} seed{'' if comparison.effect.seeds == 1 else 's'}"
        return f"no number of {unit} would tell with {seeds}, as much as seeds vary"
    return f"even {MOST_PEOPLE:,} {unit} would not tell, {tested} were tested"


def comparison_tables(summary: Summary) -> tuple[Table, ...]:
    """Give the table of comparisons, where there is a pair of strategies to compare."""
    of = summary.inference.get(BACKWARD)
    return () if of is None or not of.comparisons else (comparison_table(of),)


def comparison_table(of: Inference) -> Table:
    """Every pair of strategies: the difference in what they forget, its interval, p values, and what follows."""
    columns = (
        Column("less", "forgets less"),
        Column("more", "forgets more"),
        Column("difference", "difference"),
        Column("p", "p", digits=4),
        Column("p_corrected", "p, Holm", digits=4),
        Column("sign_flip", "p, sign flip", digits=4),
        Column("needed", "people needed" if of.people else "videos needed", digits=0),
        Column("conclusion", "conclusion"),
    )
    rows = []
    for comparison in of.comparisons:
        pair = in_order(of, comparison)
        effect = pair.effect
        needed = NAN if pair.people_needed is None else float(pair.people_needed)
        numbers = (
            Number(effect.mean, (effect.high - effect.low) / 2),
            Number(effect.p),
            Number(pair.p_corrected),
            Number(pair.sign_flip),
            Number(needed, empty=pair.told_apart),
        )
        rows.append((pair, Row((pair.first, pair.second, *numbers, conclusion(of, pair)))))
    place = {label: at for at, label in enumerate(of.ranked)}
    rows.sort(key=lambda row: (place[row[0].first], place[row[0].second]))
    notes = (
        "Difference: of -BWT, ± half of its 95% interval, for this pair alone. Told apart: p <= "
        f"{LEVEL:g} with Holm's correction for all {len(of.comparisons)} pairs."
        + (
            f" Alike: shown to differ by less than {of.margin:g} (two one-sided tests)."
            if of.margin > 0
            else ""
        )
        + f" Needed: for a power of 0.8, were the difference the one found; {tested_words(of)} were tested.",
    )
    return Table(
        "comparisons", "Every pair, by what it forgets", columns, tuple(row for _, row in rows), notes
    )


def conclusion(of: Inference, comparison: Comparison) -> str:
    """Say in a word or two what a comparison comes to."""
    words = ["told apart"] if comparison.told_apart else []
    words += [f"alike within {of.margin:g}"] if comparison.equivalent else []
    if words:
        return ", ".join(words)
    return "no seed in common" if not comparison.effect.seeds else "open"
