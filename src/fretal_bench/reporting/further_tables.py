"""The tables on test sets that were never trained on: one for each level, a column a set."""

from __future__ import annotations

import statistics

from fretal_bench.metrics import registry
from fretal_bench.metrics.intervals import mean_interval
from fretal_bench.metrics.matrices import LEVELS
from fretal_bench.metrics.videos import level_words
from fretal_bench.reporting.contents import bound_words, interval_note, name_cells, name_columns, stream_note
from fretal_bench.reporting.further import Further, When
from fretal_bench.reporting.inputs import seed_words
from fretal_bench.reporting.summary import StrategySummary, Summary
from fretal_bench.reporting.tables import Column, Number, Row, Table, mark_best


def further_tables(summary: Summary) -> tuple[Table, ...]:
    """Give the tables of further test sets, the report's level first; none where there are no such sets."""
    further = summary.further
    if further is None:
        return ()
    levels = sorted(LEVELS, key=lambda level: level != summary.level)
    return tuple(_table(summary, further, level) for level in levels)


def _table(summary: Summary, further: Further, level: str) -> Table:
    """One row a strategy; for each set its value at the end, and after the first domain where that was judged.

    Of several sets their mean at the end comes last: what generalisation to data sets never trained on comes to, apart
    from the averages over the stream's own domains.
    """
    columns: list[tuple[str, When]] = [
        (size.name, when)
        for size in further.sets
        for when in further.steps
        if when == "end"
        or any(_by_seed(summary, further, s, size.name, level, when) for s in summary.strategies)
    ]
    better = "higher" if registry.find(summary.metric).higher_is_better else "lower"
    rows = []
    for strategy in summary.strategies:
        values = [_by_seed(summary, further, strategy, name, level, when) for name, when in columns]
        if len(further.sets) > 1:
            values.append(
                _over_sets([v for v, (_, when) in zip(values, columns, strict=True) if when == "end"])
            )
        rows.append(Row((*name_cells(summary, strategy), *map(_number, values)), apart=strategy.bound))
    first = summary.domains[0]
    heads = [
        Column(name, name, better)
        if when == "end"
        else Column(f"{name}_first", f"{name}, after {first}", better)
        for name, when in columns
    ]
    if len(further.sets) > 1:
        heads.append(Column("mean_of_sets", "mean of sets", better))
    metric = summary.metric_title
    where = level_words(level, summary.video)
    title = f"{metric[:1].upper()}{metric[1:]} on test sets that were never trained on, {where}"
    notes = (
        "At the end of the stream"
        + (
            f", and next to it after the first domain, {first}, alone"
            if any(w == "first" for _, w in columns)
            else ""
        )
        + (". Mean of sets: at the end, every set counts the same" if len(further.sets) > 1 else "")
        + ". These sets count in no average, no forgetting and not in the verdict.",
        *_other_seeds(summary, further, columns, level),
        *stream_note(summary),
        *bound_words(summary),
        interval_note(
            {len(cell.over) for row in rows for cell in row.cells if isinstance(cell, Number) and cell.over}
        ),
    )
    return mark_best(Table(f"further-{level}", title, (*name_columns(summary), *heads), tuple(rows), notes))


def _by_seed(
    summary: Summary, further: Further, strategy: StrategySummary, name: str, level: str, when: When
) -> dict[int, float]:
    return further.by_seed(name, strategy.label, summary.metric, level, when)


def _over_sets(by_set: list[dict[int, float]]) -> dict[int, float]:
    """Give the mean over sets of each seed that was judged on all of them."""
    common = set.intersection(*(set(by_seed) for by_seed in by_set))
    return {seed: statistics.fmean(by_seed[seed] for by_seed in by_set) for seed in sorted(common)}


def _number(by_seed: dict[int, float]) -> Number:
    """Give the mean over seeds with its interval."""
    over = mean_interval(list(by_seed.values()))
    return Number(over.mean, over.half, over=tuple(sorted(by_seed)))


def _other_seeds(
    summary: Summary, further: Further, columns: list[tuple[str, When]], level: str
) -> tuple[str, ...]:
    """Say which strategies were judged with fewer seeds than they have, or not at all, and on which sets."""
    lacking: dict[tuple[str, str], list[str]] = {}
    for strategy in summary.strategies:
        before: dict[str, tuple[int, ...]] = {}
        for name, when in columns:
            seeds = tuple(sorted(_by_seed(summary, further, strategy, name, level, when)))
            # Of a set whose seeds are the same after the first domain it is said once.
            if seeds != before.get(name, strategy.seeds):
                where = name if when == "end" else f"{name} after {summary.domains[0]}"
                lacking.setdefault((strategy.label, _seeds(seeds)), []).append(where)
            before[name] = seeds
    labels: dict[str, list[str]] = {}
    for (label, judged), sets in lacking.items():
        labels.setdefault(f"{judged} on {', '.join(sets)}", []).append(label)
    return tuple(f"{', '.join(of)}: {judged}." for judged, of in labels.items())


def _seeds(seeds: tuple[int, ...]) -> str:
    """Say with which seeds a strategy was judged."""
    if not seeds:
        return "not judged"
    return f"judged with seed{'s' if len(seeds) > 1 else ''} {seed_words(seeds)} only"
