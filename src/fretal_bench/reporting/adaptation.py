"""What adapting a brought detector did: every test set before and after, what is certain, and what is recommended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from fretal_bench.benchmark.runner.graph import is_learned
from fretal_bench.benchmark.runner.results import CellResult, Results
from fretal_bench.datasets.streams.domain import NO_ROWS
from fretal_bench.errors import RunError
from fretal_bench.metrics.cluster_values import ClusterMetrics
from fretal_bench.metrics.clusters import Clusters
from fretal_bench.metrics.inference import Effect, effects, holm
from fretal_bench.metrics.matrices import align, matrix
from fretal_bench.metrics.numbers import NAN, Floats, or_none
from fretal_bench.reporting.inference import LEVEL, Seeds, run_clusters
from fretal_bench.reporting.inputs import usual_metric

ACCURACY: Final = "accuracy"
AUC: Final = "auc"
MISSED: Final = "missed_fakes"
ALARMS: Final = "false_alarms"
MEASURES: Final = (ACCURACY, AUC, MISSED, ALARMS)
"""Share of frames judged right at 0.5, AUC, share of fakes called real, share of reals called fake."""
_METRICS: Final = {MISSED: "fake_accuracy", ALARMS: "real_accuracy"}
"""Of what a measure is 1 less."""
BEFORE: Final = "before"
"""The detector as it was brought."""
Group = Literal["old", "new"]


@dataclass(frozen=True)
class Measured:
    """A mean over seeds, and half the width of its 95% interval; NaN where there is none."""

    mean: float
    half: float


@dataclass(frozen=True, eq=False)
class Adapted:
    """What one strategy made of the detector; or the detector before.

    Attributes:
        label: The strategy's label, or ``before``.
        seeds: Seeds; the first alone of the detector before, which is the same for all.
        values: By test set and measure.
        changes: What accuracy changed by, the mean over the old test sets, and on the new one.
        p_corrected: P values of these with Holm's correction over all strategies and both.
        validation: Accuracy on validation samples, the mean of the old kinds' mean and the new one's, over seeds; NaN
            where not all have some.
    """

    label: str
    seeds: tuple[int, ...]
    values: Mapping[tuple[str, str], Measured]
    changes: Mapping[Group, Effect]
    p_corrected: Mapping[Group, float]
    validation: float = NAN

    def is_certain(self, group: Group) -> bool:
        """Whether the change is told from none."""
        return self.p_corrected.get(group, NAN) <= LEVEL


@dataclass(frozen=True, eq=False)
class Adaptation:
    """A detector before and after.

    Attributes:
        old: The test sets of what must still be caught.
        new: Those of what was learned; empty where there is no test sample.
        before: The detector as it was brought.
        after: What each strategy made of it, in the order of the plan.
        unit: What intervals count: people, people joined by fakes, videos.
        clusters: How many there are.
        metric: The metric that ``ACCURACY`` is: accuracy, or balanced accuracy where a class is far larger in a test set.
        recommended: The label with the highest accuracy on validation samples; empty where validation samples of the
            old kinds are not used.
    """

    old: tuple[str, ...]
    new: tuple[str, ...]
    before: Adapted
    after: tuple[Adapted, ...]
    unit: str
    clusters: int
    metric: str = ACCURACY
    recommended: str = ""


@dataclass(frozen=True, eq=False)
class _Part:
    """One cell: every measure of b and R, ``[T + 1, T]``, and its values by cluster, ``[P, T + 1, T]``."""

    seed: int
    numbers: npt.NDArray[np.int64]
    whole: Mapping[str, Floats]
    own: Mapping[str, Floats]


def measure_adaptation(results: Results) -> Adaptation:
    """Measure what adapting did, by single frames of test samples.

    Args:
        results: A finished ``bench adapt``.

    Raises:
        RunError: No cell has numbers.
    """
    if not results.cells:
        reason = next((f"; {of.label}: {of.reason}" for of in (*results.failures, *results.unusable)), "")
        raise RunError(f"{results.path}: no strategy has numbers{reason}")
    domains = results.plan["stream"]["domains"]
    names = [domain["name"] for domain in domains]
    clusters, metric = run_clusters(results.cells), usual_metric(results, "frame")
    by_label: dict[str, list[CellResult]] = {}
    for cell in results.cells:
        by_label.setdefault(cell.label, []).append(cell)
    parts = {
        label: [_part(cell, names, clusters, metric) for cell in sorted(cells, key=lambda cell: cell.seed)]
        for label, cells in by_label.items()
    }
    groups = _groups(domains, results.cells[0].untested)
    first = next(iter(parts.values()))[:1]
    validated = _validation(by_label, domains, metric)
    after = _corrected(
        [_adapted(label, of, names, groups, validated.get(label, NAN)) for label, of in parts.items()]
    )
    before = Adapted(BEFORE, (first[0].seed,), _values(first, names, 0), {}, {}, validated.get(BEFORE, NAN))
    ranked = sorted(validated, key=lambda label: -validated[label])
    return Adaptation(
        groups["old"],
        groups["new"],
        before,
        after,
        clusters.unit,
        len(first[0].numbers),
        metric,
        ranked[0] if ranked else "",
    )


def _groups(domains: Sequence[Mapping[str, Any]], untested: frozenset[str]) -> dict[Group, tuple[str, ...]]:
    """Give the test sets that nobody learned, and those that were learned."""
    tested = [domain for domain in domains if domain["name"] not in untested]
    return {
        "old": tuple(domain["name"] for domain in tested if not is_learned(domain)),
        "new": tuple(domain["name"] for domain in tested if is_learned(domain)),
    }


def _part(cell: CellResult, names: Sequence[str], clusters: Clusters, accuracy: str) -> _Part:
    scores = align(cell.scores, "frame", names, clusters=clusters, untested=cell.untested)
    by_cluster = ClusterMetrics(scores)
    whole, own = {}, {}
    for measure in MEASURES:
        metric = {**_METRICS, ACCURACY: accuracy}.get(measure, measure)
        of = matrix(scores, metric)
        values = of.whole
        parts = by_cluster.matrices(metric, values).own
        whole[measure] = 1 - values if measure in _METRICS else values
        own[measure] = 1 - parts if measure in _METRICS else parts
    return _Part(cell.seed, by_cluster.clusters, whole, own)


def _seeds(parts: Sequence[_Part]) -> Seeds:
    return Seeds(tuple(part.seed for part in parts), tuple(part.numbers for part in parts))


def _values(parts: Sequence[_Part], names: Sequence[str], row: int) -> dict[tuple[str, str], Measured]:
    """Give every measure on every test set at one row of b above R."""
    seeds, values = _seeds(parts), {}
    for measure in MEASURES:
        means = seeds.mean([part.whole[measure][row] for part in parts])
        halves = seeds.halves([part.own[measure][:, row] for part in parts])
        for place, name in enumerate(names):
            values[name, measure] = Measured(float(means[place]), float(halves[place]))
    return values


def _adapted(
    label: str,
    parts: Sequence[_Part],
    names: Sequence[str],
    groups: Mapping[Group, tuple[str, ...]],
    validation: float,
) -> Adapted:
    seeds, changes = _seeds(parts), {}
    for group, of_group in groups.items():
        places = [names.index(name) for name in of_group]
        if places:
            changes[group] = _change(parts, seeds, places)
    return Adapted(label, seeds.seeds, _values(parts, names, -1), changes, {}, validation)


def _change(parts: Sequence[_Part], seeds: Seeds, places: Sequence[int]) -> Effect:
    """Estimate what accuracy changed by from the detector before to the one after, the mean over some test sets."""
    of_seeds = [(part.whole[ACCURACY][-1] - part.whole[ACCURACY][0])[places].mean() for part in parts]
    mean = float(seeds.mean(of_seeds))
    if seeds.reason:
        return Effect(mean, NAN, NAN, NAN, len(parts), len(seeds.union), NAN, NAN, (NAN, NAN))
    own = [(part.own[ACCURACY][:, -1] - part.own[ACCURACY][:, 0])[:, places].mean(axis=1) for part in parts]
    return effects(seeds.table(own)[None], np.array([mean]))[0]


def _corrected(after: Sequence[Adapted]) -> tuple[Adapted, ...]:
    """Correct the p values of all changes for being one family."""
    family = [(of, group) for of in after for group in of.changes]
    corrected = holm([of.changes[group].p for of, group in family])
    by_place = {(of.label, group): float(p) for (of, group), p in zip(family, corrected, strict=True)}
    return tuple(
        replace(of, p_corrected={group: by_place[of.label, group] for group in of.changes}) for of in after
    )


def _validation(
    by_label: Mapping[str, Sequence[CellResult]], domains: Sequence[Mapping[str, Any]], metric: str
) -> dict[str, float]:
    """Give accuracy on validation samples by label, ``before`` too; nothing where some kind has none.

    The mean of what the old kinds have, and what the new one has, count the same. Test samples are not looked at.
    """
    if any(domain["rows"]["val"] == NO_ROWS for domain in domains):
        return {}
    names = [domain["name"] for domain in domains]
    is_new = np.array([is_learned(domain) for domain in domains])
    values: dict[str, float] = {}
    for label, cells in by_label.items():
        of_seeds = []
        for cell in cells:
            of = matrix(align(cell.validation(), "frame", names), metric)
            of_seeds.append(_balanced(of.values[-1], is_new))
            values.setdefault(BEFORE, _balanced(of.baseline, is_new))
        values[label] = float(np.mean(of_seeds))
    return values


def _balanced(values: Floats, is_new: npt.NDArray[np.bool_]) -> float:
    return float((values[is_new].mean() + values[~is_new].mean()) / 2)


def adaptation_record(adaptation: Adaptation) -> dict[str, Any]:
    """Give an adaptation as plain data for ``json.dumps``; a value that does not exist is None."""
    return {
        "old": list(adaptation.old),
        "new": list(adaptation.new),
        "unit": adaptation.unit,
        "clusters": adaptation.clusters,
        "metric": adaptation.metric,
        "recommended": adaptation.recommended or None,
        "detectors": [_record(of, adaptation) for of in (adaptation.before, *adaptation.after)],
    }


def _record(of: Adapted, adaptation: Adaptation) -> dict[str, Any]:
    return {
        "label": of.label,
        "seeds": list(of.seeds),
        "validation": or_none(of.validation),
        "values": {
            name: {
                measure: {"mean": or_none(value.mean), "half": or_none(value.half)}
                for measure in MEASURES
                for value in (of.values[name, measure],)
            }
            for name in (*adaptation.old, *adaptation.new)
        },
        "changes": {
            group: {
                "mean": or_none(change.mean),
                "low": or_none(change.low),
                "high": or_none(change.high),
                "p_corrected": or_none(of.p_corrected[group]),
                "certain": of.is_certain(group),
            }
            for group, change in of.changes.items()
        },
    }
