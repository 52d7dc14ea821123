"""The tables of robustness: one for accuracy and one for AUC, a column a corruption."""

from __future__ import annotations

from fretal_bench.datasets.corruptions import KINDS, corruption
from fretal_bench.metrics import registry
from fretal_bench.metrics.continual import average_accuracy
from fretal_bench.metrics.intervals import mean_interval
from fretal_bench.reporting.contents import bound_words, interval_note, name_cells, name_columns, stream_note
from fretal_bench.reporting.inputs import seed_words, unique
from fretal_bench.reporting.robustness import METRICS, Robustness
from fretal_bench.reporting.summary import StrategySummary, Summary
from fretal_bench.reporting.tables import Column, Number, Row, Table, mark_best


def robustness_tables(summary: Summary) -> tuple[Table, ...]:
    """Give the tables of corrupted test sets at the report's level; none where no cell was judged on any."""
    robustness = summary.robustness
    if robustness is None:
        return ()
    return tuple(_table(summary, robustness, metric) for metric in METRICS)


def _table(summary: Summary, robustness: Robustness, metric: str) -> Table:
    """One row a strategy: the clean value, then the drop under every corruption."""
    known = registry.find(metric)
    drops = {
        (strategy.label, name): robustness.drops(strategy.label, name, metric, summary.level)
        for strategy in summary.strategies
        for name in robustness.corruptions
    }
    columns = [
        Column("clean", "clean", "higher" if known.higher_is_better else "lower"),
        *(Column(name, name, "lower", signed=True) for name in robustness.corruptions),
    ]
    rows = [
        Row(
            (
                *name_cells(summary, strategy),
                _clean(summary, strategy, metric),
                *(_number(drops[strategy.label, name]) for name in robustness.corruptions),
            ),
            apart=strategy.bound,
        )
        for strategy in summary.strategies
    ]
    title = f"{known.title[:1].upper()}{known.title[1:]} of the final detector: clean, and the drop when corrupted"
    notes = (
        f"Mean over domains at the end, {summary.level_words}. Drop: clean - corrupted, of the stream's own test sets; "
        "positive = worse, lower is better; what is at chance cannot drop. Corruption is at test time alone: "
        f"{_meanings(robustness)}.",
        *_lacking(summary, drops),
        *stream_note(summary),
        *bound_words(summary),
        interval_note({len(strategy.seeds) for strategy in summary.strategies}),
    )
    heads = (*name_columns(summary), *columns)
    return mark_best(Table(f"robustness-{metric}", title, heads, tuple(rows), notes))


def _clean(summary: Summary, strategy: StrategySummary, metric: str) -> Number:
    """Give the mean over seeds of the final average on the sets as they are."""
    cells = [cell for cell in summary.cells if cell.label == strategy.label]
    over = mean_interval([average_accuracy(cell.matrices[summary.level, metric].values) for cell in cells])
    return Number(over.mean, over.half, over=strategy.seeds)


def _number(by_seed: dict[int, float]) -> Number:
    over = mean_interval(list(by_seed.values()))
    return Number(over.mean, over.half, over=tuple(by_seed))


def _meanings(robustness: Robustness) -> str:
    """Say what the names of the corruptions mean, each kind once."""
    kinds = unique(corruption(name).kind for name in robustness.corruptions)
    return "; ".join(f"{kind}: {KINDS[kind].meaning}" for kind in kinds)


def _lacking(summary: Summary, drops: dict[tuple[str, str], dict[int, float]]) -> tuple[str, ...]:
    """Say which strategies were judged with fewer seeds than they have, or not on all domains, those alike together."""
    lacking: dict[str, list[str]] = {}
    for strategy in summary.strategies:
        by_seeds: dict[tuple[int, ...], list[str]] = {}
        for (label, name), by_seed in drops.items():
            if label == strategy.label and tuple(by_seed) != strategy.seeds:
                by_seeds.setdefault(tuple(by_seed), []).append(name)
        for seeds, names in by_seeds.items():
            judged = f"with seed{'s' if len(seeds) > 1 else ''} {seed_words(seeds)} only" if seeds else "not"
            lacking.setdefault(f"judged {judged} on all domains under {', '.join(names)}.", []).append(
                strategy.label
            )
    return tuple(f"{', '.join(labels)}: {what}" for what, labels in lacking.items())
