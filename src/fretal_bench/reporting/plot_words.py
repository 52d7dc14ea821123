"""What the plots of a report show, in a sentence each: for readers who cannot see them."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from fretal_bench.metrics import registry
from fretal_bench.metrics.intervals import mean_interval
from fretal_bench.reporting.chance import at_chance
from fretal_bench.reporting.orders import COMPARED
from fretal_bench.reporting.quantities import BACKWARD, LEARNING
from fretal_bench.reporting.summary import Summary
from fretal_bench.reporting.tables import decimal


def tradeoff(summary: Summary) -> str:
    """Say of forgetting against learning who forgets least, who most, and who learned best."""
    of = summary.inference.get(BACKWARD)
    if of is None or not of.ranked:
        return "Forgetting against learning: no strategy is ranked."
    luckless = at_chance(summary)
    ranked = [label for label in of.ranked if label not in luckless]
    if not ranked:
        return "Forgetting against learning: nothing was learned, no strategy is ranked."
    least, most = ranked[0], ranked[-1]
    learning = {s.label: s.values[LEARNING].mean for s in summary.competitors}
    best = _best(learning, registry.find(summary.metric).higher_is_better)
    return (
        f"Forgetting against learning: {least} forgets least ({decimal(-of.levels[least].mean, 3)}), {most} most "
        f"({decimal(-of.levels[most].mean, 3)}); {best} learned best ({decimal(learning[best], 3)})."
    )


def domains(summary: Summary) -> str:
    """Say of the domains along the stream who ends best and who worst on average, and which domain fell furthest."""
    higher = registry.find(summary.metric).higher_is_better
    # A domain without a test set has no value for anybody.
    tested = [name in {size.name for size in summary.tested} for name in summary.domains]
    ends = {s.label: float(np.mean(s.accuracy.mean[-1][tested])) for s in summary.competitors if any(tested)}
    ends = {label: value for label, value in ends.items() if math.isfinite(value)}
    if not ends:
        return f"{summary.metric_title} on each domain along the stream: there is no value for all domains."
    best, worst = _best(ends, higher), _best(ends, not higher)
    falls = [
        ((s.accuracy.mean[j, j] - s.accuracy.mean[-1, j]) * (1 if higher else -1), s.label, name)
        for s in summary.competitors
        for j, name in enumerate(summary.domains[:-1])
        if math.isfinite(s.accuracy.mean[j, j] - s.accuracy.mean[-1, j])
    ]
    fall, label, name = max(falls, default=(0.0, "", ""))
    furthest = (
        f"; the largest loss since learning is {decimal(fall, 3)}, of {label} on {name}" if fall > 0 else ""
    )
    return (
        f"{summary.metric_title} on each domain along the stream: at the end {best} has the best mean "
        f"({decimal(ends[best], 3)}), {worst} the worst ({decimal(ends[worst], 3)}){furthest}."
    )


def further(summary: Summary) -> str:
    """Say who is best on each test set that was never trained on."""
    of = summary.further
    higher = registry.find(summary.metric).higher_is_better
    parts = []
    for size in () if of is None else of.sets:
        means = {
            s.label: mean_interval(list(values.values())).mean
            for s in summary.strategies
            if of is not None
            and (values := of.by_seed(size.name, s.label, summary.metric, summary.level, "end"))
        }
        means = {label: mean for label, mean in means.items() if math.isfinite(mean)}
        if means:
            best = _best(means, higher)
            parts.append(f"{best} is best on {size.name} ({decimal(means[best], 3)})")
    return f"Test sets that were never trained on, at the end: {'; '.join(parts) or 'no values'}."


def orders(summary: Summary) -> str:
    """Say who has the lowest and the highest mean over the orders of what is compared first."""
    of = summary.orders
    spreads = (
        [] if of is None else [s for s in of.spreads[COMPARED[0]] if not s.bound and math.isfinite(s.mean)]
    )
    if of is None or not spreads:
        return "Every order of the domains: no strategy has numbers in all of them."
    low, high = (pick(spreads, key=lambda spread: spread.mean) for pick in (min, max))
    title = summary.quantities[COMPARED[0]].title
    return (
        f"Mean {title} over {len(of.orders)} orders of the domains: {low.label} the lowest ({decimal(low.mean, 3)}), "
        f"{high.label} the highest ({decimal(high.mean, 3)})."
    )


def anytime(summary: Summary) -> str:
    """Say whose validation accuracy fell lowest while later domains were learned, and where."""
    of = summary.anytime
    lows = [
        (float(np.nanmin(values)), cell.label, name)
        for cell in (() if of is None else of.cells)
        if cell.of_cell.about.watched
        for course in (cell.courses["accuracy"],)
        for domain, name in enumerate(summary.domains[:-1])
        for values in (course.values[domain][course.updates >= course.ends[domain]],)
        if np.isfinite(values).any()
    ]
    if not lows:
        return "Validation accuracy while domains are learned: no values."
    low, label, name = min(lows)
    return (
        "Validation accuracy while domains are learned: the lowest of a domain after it was learned is "
        f"{decimal(low, 3)}, of {label} on {name}."
    )


def _best(values: Mapping[str, float], higher: bool) -> str:
    known = {label: value for label, value in values.items() if math.isfinite(value)} or values
    return (max if higher else min)(known, key=lambda label: known[label])
