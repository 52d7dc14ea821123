"""Hand-made inference: what strategies forget, and which pairs are told apart, alike, or open."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Collection, Mapping
from typing import Any

from fretal_bench.metrics.inference import Effect, tie_groups
from fretal_bench.metrics.intervals import mean_interval
from fretal_bench.reporting.inference import Comparison, Inference
from fretal_bench.reporting.summary import Summary

NAN = float("nan")


def effect(mean: float, half: float = 0.02, seeds: int = 5, p: float = 0.01) -> Effect:
    """A mean with an interval of this half width; none where it is NaN."""
    p = p if half == half else NAN
    return Effect(mean, mean - half, mean + half, p, seeds, 40, 0.0, 0.01, (4.0, 39.0))


def inferred(
    means: Mapping[str, float],
    *,
    open_: Collection[str] = (),
    alike: Collection[str] = (),
    needed: int | None = 130,
    half: float = 0.02,
    quantity: str = "backward_transfer",
    bounds: Collection[str] = (),
    **more: Any,
) -> Inference:
    """Inference on quantities with these means.

    Args:
        means: By label.
        open_: Pairs that are not told apart, each as ``"ewc lwf"``; ``"all"`` for all of them.
        alike: Pairs that are shown to be equivalent; they are not told apart either.
        needed: How many people it would take for those that are open.
        half: Half the width of every interval; NaN: there is none.
        quantity: Its name.
        bounds: Labels that are compared with nobody.
        more: Other attributes.
    """
    ranked = sorted((label for label in means if label not in bounds), key=lambda label: -means[label])
    tied = {frozenset(pair.split()) for pair in (*open_, *alike)}
    same = {frozenset(pair.split()) for pair in alike}
    comparisons = []
    for first, second in itertools.combinations(ranked, 2):
        pair = frozenset((first, second))
        apart = "all" not in open_ and pair not in tied and half == half
        p = 0.001 if apart else 0.5 if half == half else NAN
        comparisons.append(
            Comparison(
                first,
                second,
                effect(means[first] - means[second], half, p=p),
                p,
                NAN,
                pair in same,
                None if apart else needed,
            )
        )
    told = [
        [any({c.first, c.second} == {a, b} and c.told_apart for c in comparisons) for b in ranked]
        for a in ranked
    ]
    known: dict[str, Any] = {
        "metric": "accuracy",
        "level": "frame",
        "margin": 0.05,
        "clusters": 40,
        "unit": "people joined by fakes",
        "people": 40,
        "folds": 5,
        "seeds": (0, 1, 2, 3, 4),
        "levels": {label: effect(mean, half) for label, mean in means.items()},
        "comparisons": tuple(comparisons),
        "groups": dict(zip(ranked, tie_groups(told), strict=True)) if ranked else {},
        "ranked": tuple(ranked),
    }
    return Inference(quantity=quantity, **{**known, **more})


def having(summary: Summary, forgets: Mapping[str, float], **of_inference: Any) -> Summary:
    """A summary of the strategies named, which forget so much (-BWT) in every seed."""
    chosen = []
    for strategy in summary.strategies:
        if strategy.label in forgets:
            amount = forgets[strategy.label]
            seeds = strategy.seeds
            by_seed = {
                "backward_transfer": dict.fromkeys(seeds, -amount),
                "forgetting": dict.fromkeys(seeds, amount),
            }
            values = {name: mean_interval(list(of.values())) for name, of in by_seed.items()}
            chosen.append(
                dataclasses.replace(
                    strategy,
                    by_seed={**strategy.by_seed, **by_seed},
                    values={**strategy.values, **values},
                )
            )
    bounds = [s.label for s in chosen if s.bound]
    means = {label: -amount for label, amount in forgets.items()}
    learned = {s.label: s.values["learning"].mean for s in chosen}
    inference = {
        **summary.inference,
        "backward_transfer": inferred(means, bounds=bounds, **of_inference),
        "learning": inferred(learned, bounds=bounds, quantity="learning"),
    }
    cells = tuple(cell for cell in summary.cells if cell.label in forgets)
    return dataclasses.replace(summary, strategies=tuple(chosen), inference=inference, cells=cells)
