"""Robustness: what the final detectors are worth on corrupted versions of the stream's own test sets."""

from __future__ import annotations

import functools
import statistics
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from fretal_bench.benchmark.runner.results import CellResult, Results
from fretal_bench.metrics import registry
from fretal_bench.metrics.intervals import mean_interval
from fretal_bench.metrics.matrices import LEVELS
from fretal_bench.metrics.numbers import or_none
from fretal_bench.metrics.videos import MEAN, level_key, video_level
from fretal_bench.reporting.further import judged_sets
from fretal_bench.reporting.inputs import corrupted_sets, domain_names, unique
from fretal_bench.reporting.quantities import CellMeasures

if TYPE_CHECKING:
    import pandas as pd

METRICS: Final = ("accuracy", "auc")
"""The metrics that robustness is measured by, whatever the report's own."""


@dataclass(frozen=True)
class Corrupted:
    """A metric of a cell's final detector on one domain's test set, corrupted and clean.

    Attributes:
        label: The strategy's label.
        seed: The seed.
        corruption: The corruption's name.
        domain: The domain.
        metric: The metric's name.
        level: ``frame`` or ``video``.
        value: On the corrupted set.
        clean: On the set as it is.
        drop: How much worse the corrupted one is: positive = worse, whichever side of the metric is better.
    """

    label: str
    seed: int
    corruption: str
    domain: str
    metric: str
    level: str
    value: float
    clean: float
    drop: float


@dataclass(frozen=True, eq=False)
class Robustness:
    """What was measured on corrupted test sets.

    Attributes:
        corruptions: Their names, in the order in which they were judged.
        values: Every metric of ``METRICS`` at every level.
        domains: The stream's domains.
        video: How videos are scored, one of ``videos.VIDEO_SCORES``.
    """

    corruptions: tuple[str, ...]
    values: tuple[Corrupted, ...]
    domains: tuple[str, ...]
    video: str = MEAN

    def drops(self, label: str, corruption: str, metric: str, level: str) -> dict[int, float]:
        """Give the drop of a strategy by seed, the mean over all domains; no seed that was not judged on all of them."""
        by_seed = self._drops.get((label, corruption, metric, level), {})
        return {
            seed: statistics.fmean(of_domains.values())
            for seed, of_domains in sorted(by_seed.items())
            if len(of_domains) == len(self.domains)
        }

    @functools.cached_property
    def _drops(self) -> dict[tuple[str, str, str, str], dict[int, dict[str, float]]]:
        drops: dict[tuple[str, str, str, str], dict[int, dict[str, float]]] = {}
        for of in self.values:
            by_seed = drops.setdefault((of.label, of.corruption, of.metric, of.level), {})
            by_seed.setdefault(of.seed, {})[of.domain] = of.drop
        return drops


def measure_robustness(
    results: Results, measured: tuple[CellMeasures, ...], video: str = MEAN
) -> Robustness | None:
    """Compare the final detectors on corrupted test sets with the same detectors on the sets as they are.

    ``drop = value on the clean set - value on the corrupted one`` (turned round where lower is better), of each domain.

    Args:
        results: Results as ``load_results`` gives them.
        measured: The cells that the report has numbers of; others are left out here too.
        video: How videos are scored, one of ``videos.VIDEO_SCORES``.

    Returns:
        None if no cell was judged on any.

    Raises:
        BenchError: A sample is there twice, or a column is missing.
    """
    domains = domain_names(results.plan)
    names = corrupted_sets(results.plan)
    cells = {(measures.label, measures.seed): measures for measures in measured}
    values: list[Corrupted] = []
    for cell in results.cells:
        clean = cells.get((cell.label, cell.seed))
        if clean is not None:
            values += _of_cell(cell, clean, names, domains, video)
    if not values:
        return None
    order = unique(of.corruption for of in values)
    return Robustness(order, tuple(values), domains, video)


def _of_cell(
    cell: CellResult,
    clean: CellMeasures,
    names: Mapping[str, tuple[str, str]],
    domains: tuple[str, ...],
    video: str,
) -> list[Corrupted]:
    """Measure one cell on every corrupted set after its last step."""
    values = []
    for name, step, frame in judged_sets(cell):
        if name not in names or step != len(domains) - 1:
            continue
        domain, corruption = names[name]
        for level, table in zip(LEVELS, (frame, video_level(frame, video)), strict=True):
            labels, scores = table["label"].to_numpy(), table["score"].to_numpy(float)
            for metric in METRICS:
                known = registry.find(metric)
                value = known.evaluate(labels, scores)[0]
                whole = float(clean.matrices[level, metric].values[-1, domains.index(domain)])
                drop = whole - value if known.higher_is_better else value - whole
                values.append(
                    Corrupted(cell.label, cell.seed, corruption, domain, metric, level, value, whole, drop)
                )
    return values


def robustness_frame(robustness: Robustness) -> pd.DataFrame:
    """Give every value with the clean one and the drop, a row a cell, corruption, domain, metric and level."""
    import pandas as pd

    rows = [{**asdict(of), "level": level_key(of.level, robustness.video)} for of in robustness.values]
    return pd.DataFrame(rows)


def robustness_record(robustness: Robustness) -> dict[str, Any]:
    """Give the drops, means over domains and seeds, as plain data for ``json.dumps``."""
    labels = unique(of.label for of in robustness.values)
    drops = [
        {
            "label": label,
            "corruption": corruption,
            "metric": metric,
            "level": level,
            "seeds": list(by_seed),
            "drop": or_none(over.mean),
            "low": or_none(over.low),
            "high": or_none(over.high),
        }
        for label in labels
        for corruption in robustness.corruptions
        for metric in METRICS
        for level in LEVELS
        if (by_seed := robustness.drops(label, corruption, metric, level))
        for over in (mean_interval(list(by_seed.values())),)
    ]
    return {"corruptions": list(robustness.corruptions), "drops": drops}
