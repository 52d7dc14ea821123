"""The data of the page as plain values: what its script shows, all of it computed here."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

import numpy as np

from fretal_bench.benchmark.runner.results import Results
from fretal_bench.metrics import registry
from fretal_bench.metrics.matrices import LEVELS
from fretal_bench.metrics.numbers import Floats
from fretal_bench.reporting import plot_words
from fretal_bench.reporting.chance import at_chance, best_of, chance_words, letters
from fretal_bench.reporting.contents import interval_words
from fretal_bench.reporting.curves import curves_of
from fretal_bench.reporting.inference import Inference
from fretal_bench.reporting.inputs import strategy_info
from fretal_bench.reporting.palette import KINDS, MARKERS, kind_of, looks, mark_path
from fretal_bench.reporting.quantities import BACKWARD, FORGETTING, KEPT, LEARNING, MEMORY, SECONDS
from fretal_bench.reporting.summary import StrategySummary, Summary
from fretal_bench.reporting.tables import DIGITS
from fretal_bench.reporting.verdict import verdict
from fretal_bench.reporting.views import View, Views

_COST: Final = (SECONDS, MEMORY, KEPT)
FORGETS: Final = "forgets"
"""The column by which strategies are ranked: -BWT."""
WORDS: Final = {
    "letters": "Two strategies that share a letter are not told apart",
    "errors": "Share of the fakes called real and of the reals called fake, at 0.5, with 95% intervals",
    "alike": "alike within the margin",
    "faces_missed": "fakes that were found when learned and are missed now",
    "faces_alarm": "reals that were passed when learned and are accused now",
    "faces_back": "faces judged wrongly when learned and rightly now",
}


def page_data(results: Results, summary: Summary) -> dict[str, Any]:
    """Give the data of the page, but faces.

    Args:
        results: Results as ``load_results`` gives them.
        summary: What ``summarize`` makes of them.
    """
    all_views = Views(results, summary)
    views = {view: all_views.summary_of(view) for view in all_views.views}
    look = looks(summary.strategies)
    kinds = {
        kind: title for kind, title in KINDS.items() if any(kind_of(s) == kind for s in summary.strategies)
    }
    baseline = next((s.label for s in summary.strategies if s.strategy == "finetuning"), "")
    own = View(summary.metric, summary.level)
    best = best_of(summary)
    return {
        "domains": list(summary.domains),
        "before": summary.before,
        "metric": key_of(own),
        "level": summary.level,
        "metrics": [{"key": key, "title": title} for key, title in _metrics(views).items()],
        "levels": list(LEVELS),
        "kinds": kinds,
        "marks": {kind: mark_path(MARKERS[kind][0]) for kind in kinds},
        "baseline": baseline,
        "strategies": [
            _strategy(results, s)
            | {"kind": kind_of(s), "colour": look[s.label].colour, "mark": mark_path(look[s.label].marker)}
            for s in summary.strategies
        ],
        "views": {f"{key_of(view)}/{view.level}": _view(of) for view, of in views.items()},
        "cost": [
            {"key": q.name, "title": q.title, "better": q.better, "digits": q.digits}
            for name in _COST
            if (q := summary.quantities.get(name)) is not None
        ],
        "costs": {
            name: [_value(s, name, best) for s in summary.strategies]
            for name in _COST
            if name in summary.quantities
        },
        "curves": {level: curves_of(summary, level, all_views.thresholds[level]) for level in LEVELS},
        "words": dict(WORDS),
    }


def key_of(view: View) -> str:
    """Name a view's metric as addresses do: ``accuracy``, ``threshold``."""
    return "threshold" if view.fitted else view.metric


def _metrics(views: Mapping[View, Summary]) -> dict[str, str]:
    """Give the titles of the metrics, by key."""
    return {key_of(view): of.metric_title for view, of in views.items()}


def _strategy(results: Results, strategy: StrategySummary) -> dict[str, Any]:
    """Give what is said of a strategy whatever the metric is."""
    info = strategy_info(strategy.strategy)
    kind = kind_of(strategy)
    pill = {"bound": "bound", "samples": f"{strategy.old_samples} kept", "none": ""}[kind]
    words = [strategy.summary] if info is None or not info.paper else [strategy.summary, info.paper]
    constants = ", ".join(f"{key}={value}" for key, value in strategy.hyperparameters.items())
    cells = [[cell.seed, cell.id, str(cell.path)] for cell in results.cells if cell.label == strategy.label]
    return {
        "label": strategy.label,
        "pill": pill,
        "words": ". ".join(filter(None, words)),
        "constants": constants or "none",
        "cells": cells,
    }


def _view(of: Summary) -> dict[str, Any]:
    """Give one view: the leaderboard, the verdict's sentence, matrices and pairs."""
    inference = of.inference[BACKWARD]
    labels = [strategy.label for strategy in of.strategies]
    place = {label: at for at, label in enumerate(labels)}
    conclusion = verdict(of)
    luckless, groups = at_chance(of), letters(of)
    tied = {conclusion.leader, *conclusion.unresolved} - {None}
    higher = registry.find(of.metric).higher_is_better
    best = best_of(of)
    values = {FORGETS: [_turned(s, best) for s in of.strategies]}
    columns = [{"key": FORGETS, "title": "forgetting", "better": "lower", "digits": 3}]
    for name, title in _TITLES.items():
        quantity = of.quantities[name]
        columns.append({"key": name, "title": title, "better": quantity.better, "digits": 3})
        values[name] = [_value(s, name, best) for s in of.strategies]
    return {
        "title": f"{of.metric_title}, {of.level_words}",
        "higher": higher,
        "sentence": conclusion.sentence,
        "caption": _caption(of, conclusion.leader),
        "alt": plot_words.tradeoff(of),
        "axes": [
            f"← forgetting (−BWT), {of.level} {of.metric_title}",
            f"learning {of.metric_title} {'↑' if higher else '↓'}",
        ],
        "columns": columns,
        "values": values,
        "groups": [groups.get(label, "") for label in labels],
        "tied": [label in tied for label in labels],
        "ranked": [place[label] for label in inference.ranked if label not in luckless],
        "compared": [place[label] for label in inference.ranked],
        "reach": _reach(values[FORGETS]),
        "range": _range(of, higher),
        "matrices": [_matrix(s) for s in of.strategies],
        "pairs": _pairs(inference, place),
        "pairsCaption": _pairs_caption(inference),
    }


_TITLES: Final = {
    LEARNING: "when learned",
    "average": "at the end",
    "minimum_old": "worst old domain",
    FORGETTING: "max-based forgetting",
}


def _turned(strategy: StrategySummary, best: Mapping[str, Collection[str]]) -> list[Any]:
    """Give -BWT."""
    mean, half, *rest = _value(strategy, BACKWARD, best)
    return [None if mean is None else 0.0 - mean, half, *rest]


def _value(strategy: StrategySummary, name: str, best: Mapping[str, Collection[str]]) -> list[Any]:
    """Give a mean, half of its interval, and whether it is bold: not told from the best of its column."""
    value = strategy.values[name]
    return [*_pair(value.mean, value.half), strategy.label in best.get(name, ())]


def _pair(mean: float, half: float) -> list[float | None]:
    return [_rounded(mean), _rounded(half)]


def _rounded(value: float) -> float | None:
    return round(float(value), DIGITS) + 0.0 if math.isfinite(value) else None


def _matrix(strategy: StrategySummary) -> list[list[list[float | None]]]:
    """Give b above R, each value with half of its interval."""
    mean, half = (
        np.vstack([baseline, values])
        for baseline, values in (
            (strategy.baseline.mean, strategy.accuracy.mean),
            (strategy.baseline.half, strategy.accuracy.half),
        )
    )
    return [[_pair(m, h) for m, h in zip(*rows, strict=True)] for rows in zip(mean, half, strict=True)]


def _reach(values: Sequence[Sequence[Any]]) -> list[float]:
    """Give the ends of the axis of bars: all intervals, but no wider than twice the means on either side."""
    known = [(value[0], value[1] or 0.0) for value in values if value[0] is not None]
    if not known:
        return [0.0, 1.0]
    means = [0.0, *(mean for mean, _ in known)]
    span = max(max(means) - min(means), 0.02)
    low = max(min(0.0, *(mean - half for mean, half in known)), min(means) - span)
    high = min(max(mean + half for mean, half in known), max(means) + span)
    return [math.floor(100 * low) / 100, math.ceil(100 * high) / 100]


def _range(of: Summary, higher: bool) -> list[float]:
    """Give between which values matrices are shaded and courses are drawn."""
    parts: list[Floats] = [
        np.ravel(part) for s in of.strategies for part in (s.accuracy.mean, s.baseline.mean)
    ]
    values = np.concatenate(parts)
    known = values[np.isfinite(values)]
    if not len(known):
        return [0.0, 1.0]
    low, high = float(known.min()), float(known.max())
    # The suite's own metrics lie between 0 and 1; a plugin's may not.
    ends = (min(0.5, low), max(1.0, high)) if higher else (min(0.0, low), max(0.5, high))
    return [math.floor(100 * ends[0]) / 100, math.ceil(100 * ends[1]) / 100]


def _pairs(inference: Inference, place: Mapping[str, int]) -> list[list[Any]]:
    """Give every pair by what it forgets, -BWT of the first minus that of the second."""
    return [
        [
            place[of.second],
            place[of.first],
            *(_rounded(value) for value in (of.effect.mean, of.effect.low, of.effect.high, of.p_corrected)),
            of.told_apart,
            of.equivalent,
        ]
        for of in inference.comparisons
    ]


def _caption(of: Summary, leader: str | None) -> str:
    """Say what shading, letters, numbers and bars are."""
    shaded = "" if leader is None else f"Shaded: {leader} and what is not told apart from it. "
    words = shaded + " ".join((*chance_words(of), *interval_words(of)))
    return f"{of.metric_title[:1].upper()}{of.metric_title[1:]}, {of.level_words}. {words}"


def _pairs_caption(inference: Inference) -> str:
    """Say what a cell of the pairs is."""
    apart = sum(pair.told_apart for pair in inference.comparisons)
    return (
        "What the row forgets minus what the column forgets. Bold, framed: told apart with Holm's correction for all "
        f"{len(inference.comparisons)} pairs ({apart} are). Blue: the row forgets less."
    )


def embedded(data: Mapping[str, Any]) -> str:
    """Write data for a script element: nothing in it can end the element or begin another."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
