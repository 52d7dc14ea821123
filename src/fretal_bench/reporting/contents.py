"""The tables of a report: the rows and columns of a summary that each shows, and its caption."""

from __future__ import annotations

import weakref
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from fretal_bench.metrics import registry
from fretal_bench.metrics.clusters import JOINED, VIDEOS
from fretal_bench.metrics.continual import average_accuracy
from fretal_bench.metrics.intervals import mean_interval
from fretal_bench.metrics.numbers import NAN, Floats
from fretal_bench.metrics.videos import VIDEO_SCORES
from fretal_bench.reporting.chance import best_of, chance_words
from fretal_bench.reporting.comparison_words import joined
from fretal_bench.reporting.inference import Inference, seeds_of
from fretal_bench.reporting.inputs import seed_words, strategy_info
from fretal_bench.reporting.quantities import BACKWARD, EXTRA, KEPT, UPDATES, WEIGHTS, CellMeasures, TableName
from fretal_bench.reporting.source_model import UNTRAINED
from fretal_bench.reporting.summary import NONE, StrategySummary, Summary
from fretal_bench.reporting.tables import (
    INTERVAL,
    NOTHING,
    Column,
    Number,
    Row,
    Table,
    decimal,
    mark,
    mark_best,
)

CALIBRATION = ("ece", "brier", "nll")
"""Metrics that take P(fake) for a probability."""
MEANING = {"higher": "higher is better", "lower": "lower is better"}


def summary_table(summary: Summary) -> Table:
    """Forgetting with what it must be read with: learning, average, worst old domain, BWT."""
    note = (
        "Forgetting: max-based (Chaudhry et al. 2018), positive = got worse, lower is better. BWT: of GEM, negative = "
        "forgetting, higher is better. Averages are macro: every domain counts the same."
    )
    table = _quantity_table(summary, "summary", "Forgetting, and what was learned", note)
    return replace(table, notes=(*table.notes, *_old_samples(summary), summary.tuning))


def transfer_table(summary: Summary) -> Table:
    """Other averages, and transfer to domains that are not learned yet."""
    note = (
        "Micro: all test samples pooled, at the end. Incremental: over the stream, of the domains seen so far. Relative "
        "forgetting: share of the best value that is lost, lower is better. FWT: of GEM, against the "
        f"{model_before(summary)}, "
        "positive = earlier domains helped, higher is better. Unseen: before a domain is learned."
    )
    return _quantity_table(summary, "transfer", "Other averages, and transfer forward", note)


def detection_table(summary: Summary) -> Table:
    """The final detector by other metrics."""
    note = (
        "Accuracy on reals and on fakes, AUC, AP (its mean over domains: CDDB's mAP), EER, ECE at frame level; video: "
        f"{VIDEO_SCORES[summary.video]} of each video. Higher AUC, AP and accuracy are better, lower EER and ECE."
    )
    note += "".join(f" {q.title}: {q.formula}." for q in summary.quantities.values() if q.added)
    table = _quantity_table(summary, "detection", "The final detector, mean over domains", note)
    return _mark_uncalibrated(summary, table, ("final_ece",))


_METRIC_TABLES: Final[weakref.WeakKeyDictionary[Summary, Table]] = weakref.WeakKeyDictionary()
"""Those that were made: a file and the page show the same one, and every interval of it takes its time."""


def metric_table(summary: Summary) -> Table:
    """The final detector by every metric there is, at the report's level: one row a strategy, one column a metric."""
    if summary not in _METRIC_TABLES:
        _METRIC_TABLES[summary] = _metric_table(summary)
    return _METRIC_TABLES[summary]


def _metric_table(summary: Summary) -> Table:
    """The final detector by every metric there is, at the report's level: one row a strategy, one column a metric."""
    names = registry.names()
    columns = [
        Column(name, registry.find(name).title, "higher" if registry.find(name).higher_is_better else "lower")
        for name in names
    ]
    rows = []
    for strategy in summary.strategies:
        cells = sorted((c for c in summary.cells if c.label == strategy.label), key=lambda cell: cell.seed)
        numbers = (_final(summary, cells, name) for name in names)
        rows.append(Row((*name_cells(summary, strategy), *numbers), apart=strategy.bound))
    notes = (
        f"Mean over domains at the end, {summary.level_words}; `bench report --metric NAME` makes the matrices of one.",
        *(f"{registry.find(name).title} (--metric {name}): {registry.find(name).summary}." for name in names),
        *_cautions(summary, *names),
        *stream_note(summary),
        *bound_words(summary),
        *interval_words(summary),
    )
    title = "The final detector by every metric, mean over domains"
    best = {name: summary.best.get(f"metric/{name}", frozenset()) for name in names}
    table = mark(Table("metrics", title, (*name_columns(summary), *columns), tuple(rows), notes), best)
    return _mark_uncalibrated(summary, table, CALIBRATION)


def _final(summary: Summary, cells: Sequence[CellMeasures], metric: str) -> Number:
    """Give the mean over domains of a metric of the final detector, with its interval."""
    values = [average_accuracy(cell.matrices[summary.level, metric].values) for cell in cells]
    seeds = seeds_of(cells)
    if seeds is None:
        of_seeds = mean_interval(values)
        return Number(of_seeds.mean, of_seeds.half, over=tuple(cell.seed for cell in cells))
    half = seeds.halves([cell.clusters.finals[metric] for cell in cells if cell.clusters is not None])
    return Number(float(seeds.mean(values)), float(half), over=seeds.seeds)


def _mark_uncalibrated(summary: Summary, table: Table, columns: Collection[str]) -> Table:
    """Mark what some columns say of the calibration of strategies whose P(fake) is no probability, and say so once."""
    infos = {s.label: strategy_info(s.strategy) for s in summary.strategies}
    labels = [label for label, info in infos.items() if info is not None and info.uncalibrated]
    if not labels:
        return table
    places = [at for at, column in enumerate(table.columns) if column.key in columns]
    rows = [
        replace(
            row, cells=tuple(_daggered(cell) if at in places else cell for at, cell in enumerate(row.cells))
        )
        if row.cells[0] in labels
        else row
        for row in table.rows
    ]
    titles = joined([table.columns[at].title for at in places])
    note = (
        f"†: P(fake) of {joined(labels)} ranks samples and is no probability (e.g. a softmax of bounded distances, which "
        f"stays near 0.5): its {titles} says nothing."
    )
    return replace(table, rows=tuple(rows), notes=(*table.notes, note))


def _daggered(cell: str | Number) -> str | Number:
    """Mark a number; it is not the best of its column either."""
    return cell if isinstance(cell, str) else replace(cell, mark="†", best=False)


def cost_table(summary: Summary) -> Table:
    """Time and memory, the updates and their images, and the footprint, where these are known."""
    note = (
        "Everything but evaluation, the first domain included; CPU time where a CPU trains; lower is better."
    )
    if UPDATES in summary.quantities:
        note += (
            " Updates and images (new and replayed, each time they pass through the model that learns) are not equal "
            "where a strategy's epochs hold old samples, or nothing else; `--set recipe.effort=updates` makes them equal."
        )
    if KEPT in summary.quantities or EXTRA in summary.quantities:
        weights = {mean for s in summary.strategies if (mean := s.values[WEIGHTS].mean) == mean}
        of = f", which has {max(weights) / 1e6:.3g} million" if len(weights) == 1 else ""
        note += (
            f" Trainable on later domains, and extra when judging: in % of the weights of the recipe's model{of}. Kept: "
            "stored between domains beyond one such model, images of a memory included."
        )
    return _quantity_table(summary, "cost", "What training took", note)


def final_table(summary: Summary) -> Table:
    """The last row of R: the final detector on each domain."""
    better = _better(summary)
    columns = [*name_columns(summary), *(Column(name, name, better) for name in summary.domains)]
    rows = [
        Row(
            (*name_cells(summary, s), *_numbers(s.accuracy.mean[-1], s.accuracy.half[-1], over=s.seeds)),
            apart=s.bound,
        )
        for s in summary.strategies
    ]
    title = f"{_capital(summary.metric_title)} of each domain at the end of the stream"
    notes = (*_level(summary), *stream_note(summary), *bound_words(summary), *interval_words(summary))
    best = {name: summary.best.get(f"final/{name}", frozenset()) for name in summary.domains}
    return mark(Table("final", title, tuple(columns), tuple(rows), notes), best)


def accuracy_table(summary: Summary, strategy: StrategySummary) -> Table:
    """R and b of one strategy; domains not learned yet in parentheses."""
    rows = [Row((summary.before, *_numbers(strategy.baseline.mean, strategy.baseline.half, seen=0)))]
    for i, name in enumerate(summary.domains):
        numbers = _numbers(strategy.accuracy.mean[i], strategy.accuracy.half[i], seen=i + 1)
        rows.append(Row((name, *numbers)))
    below = (
        f"R[i,j], {summary.level_words}, {MEANING[_better(summary)]}; row = after training on a domain, column = "
        "tested on a domain; in parentheses: not learned yet.",
    )
    return Table(
        "accuracy",
        f"{summary.marked(strategy)}: {summary.metric_title}",
        (Column("after", "after"), *(Column(name, name) for name in summary.domains)),
        tuple(rows),
        (*below, *interval_words(summary)),
    )


def forgetting_table(summary: Summary, strategy: StrategySummary) -> Table:
    """F of one strategy: the first row and the last column are left out, they hold nothing."""
    f = strategy.forgetting
    rows = [
        Row((name, *_numbers(f.mean[i, :-1], f.half[i, :-1], filled=i)))
        for i, name in enumerate(summary.domains)
        if i > 0
    ]
    below = (
        "F[i,j] = max_{j<=l<i} R[l,j] - R[i,j] (max-based forgetting), lower is better, negative = improved"
        + ("" if _better(summary) == "higher" else "; differences turned round, as lower values are better")
        + ".",
    )
    return Table(
        "forgetting",
        f"{summary.marked(strategy)}: forgetting",
        (Column("after", "after"), *(Column(name, name, signed=True) for name in summary.domains[:-1])),
        tuple(rows),
        (*below, *interval_words(summary)),
    )


def class_table(summary: Summary, strategy: StrategySummary) -> Table:
    """Accuracy on reals and on fakes of one strategy, in one cell: which of the two classes was forgotten.

    Means over seeds to two decimals; the files of the report have them whole, with their intervals.
    """
    reals, fakes = strategy.by_class.mean
    rows = [
        Row((name, *(_both(reals[i, j], fakes[i, j], seen=j < i) for j in range(len(summary.domains)))))
        for i, name in enumerate((summary.before, *summary.domains))
    ]
    below = (
        f"Reals/fakes: share of the reals with score < 0.5 / of the fakes with score >= 0.5, {summary.level_words}, "
        "higher is better; rows, columns and parentheses as in R.",
    )
    return Table(
        "classes",
        f"{summary.marked(strategy)}: accuracy on reals/fakes",
        (Column("after", "after"), *(Column(name, name) for name in summary.domains)),
        tuple(rows),
        below,
    )


def _both(of_reals: float, of_fakes: float, *, seen: bool) -> str:
    """Write both accuracies: ``0.91/0.52``, in parentheses on a domain that is not learned yet."""
    both = "/".join(NOTHING if np.isnan(value) else decimal(value, 2) for value in (of_reals, of_fakes))
    return both if seen else f"({both})"


def matrix_tables(summary: Summary, strategy: StrategySummary) -> tuple[Table, ...]:
    """The matrices of one strategy: R, accuracy by class, F; a stream of one domain has no forgetting."""
    tables = (
        accuracy_table(summary, strategy),
        class_table(summary, strategy),
        forgetting_table(summary, strategy),
    )
    return tables if len(summary.domains) > 1 else tables[:2]


def matrices_of_all(summary: Summary) -> tuple[tuple[Table, ...], ...]:
    """The matrices of every strategy; their notes, which are the same, stand under the first ones only."""
    of_each = [matrix_tables(summary, strategy) for strategy in summary.strategies]
    return (of_each[0], *(tuple(replace(table, notes=()) for table in tables) for tables in of_each[1:]))


def side_by_side(tables: Sequence[Table]) -> Table:
    """Matrices of one strategy next to one another, for terminals that are wide enough; their last rows are level."""
    first, *others = tables
    if not others:
        return first
    cells: list[tuple[str | Number, ...]] = [row.cells for row in first.rows]
    columns: list[Column] = list(first.columns)
    for table in others:
        blank: tuple[str | Number, ...] = tuple(Number(NAN, empty=True) for _ in table.columns[1:])
        # F has no row for the untrained model and none for the first domain.
        missing = len(cells) - len(table.rows)
        beside = [blank] * missing + [row.cells[1:] for row in table.rows]
        cells = [(*left, "│", *right) for left, right in zip(cells, beside, strict=True)]
        columns += [Column("", "│"), *table.columns[1:]]
    notes = tuple(dict.fromkeys(note for table in tables for note in table.notes))
    titles = [first.title, *(table.title.rpartition(": ")[2] for table in others)]
    return Table("side-by-side", " │ ".join(titles), tuple(columns), tuple(map(Row, cells)), notes)


def matrix_table(summary: Summary, kind: str) -> Table:
    """All accuracy or all forgetting matrices under one another, for CSV and LaTeX."""
    of_one = {"accuracy": accuracy_table, "forgetting": forgetting_table}[kind]
    parts = [(strategy, of_one(summary, strategy)) for strategy in summary.strategies]
    rows = [Row((strategy.label, *row.cells)) for strategy, part in parts for row in part.rows]
    first = parts[0][1]
    title = f"{_capital(summary.metric_title)} matrices" if kind == "accuracy" else "Forgetting matrices"
    return Table(
        f"{kind}-matrices", title, (Column("strategy", "strategy"), *first.columns), tuple(rows), first.notes
    )


def class_matrix_table(summary: Summary) -> Table:
    """Accuracy on reals and on fakes of all strategies after every step, for CSV and LaTeX: two columns a domain."""
    domains = range(len(summary.domains))
    rows = [
        Row(
            (
                strategy.label,
                name,
                *(
                    Number(float(of.mean[k, i, j]), float(of.half[k, i, j]), aside=j >= i)
                    for j in domains
                    for k in (0, 1)
                ),
            )
        )
        for strategy in summary.strategies
        for of in (strategy.by_class,)
        for i, name in enumerate((summary.before, *summary.domains))
    ]
    columns = [
        Column(f"{name}_{kind}", f"{name}, {kind}") for name in summary.domains for kind in ("reals", "fakes")
    ]
    notes = (
        f"Share of the reals with score < 0.5, of the fakes with score >= 0.5, {summary.level_words}, higher is better; "
        "row = after training on a domain; in parentheses: not learned yet.",
        *interval_words(summary),
    )
    title = "Accuracy on reals and on fakes"
    heads = (Column("strategy", "strategy"), Column("after", "after"), *columns)
    return Table("class-matrices", title, heads, tuple(rows), notes)


def strategy_table(summary: Summary) -> Table:
    """Every strategy with its seeds, hyperparameters and the registry's line about it."""
    rows = [
        Row(
            (
                s.label,
                "bound" if s.bound else "strategy",
                ", ".join(map(str, s.seeds)),
                ", ".join(f"{key}={value}" for key, value in s.hyperparameters.items()) or "none",
                f"{s.summary} (bound)" if s.bound else s.summary,
            ),
            apart=s.bound,
        )
        for s in summary.strategies
    ]
    titles = ("strategy", "kind", "seeds", "hyperparameters", "what it is")
    return Table("strategies", "Cells", tuple(Column(title, title) for title in titles), tuple(rows))


def size_table(summary: Summary) -> Table:
    """The test set of each domain."""
    rows = [
        Row((size.name, Number(size.reals), Number(size.fakes), Number(size.videos)))
        for size in summary.sizes
    ]
    further = () if summary.further is None else summary.further.sets
    rows += [
        Row((size.name, Number(size.reals), Number(size.fakes), Number(size.videos)), apart=True)
        for size in further
    ]
    notes: tuple[str, ...] = ()
    if further:
        notes = (f"Never trained on: {', '.join(size.name for size in further)}.",)
    folds = max(size.folds for size in (*summary.sizes, *further))
    if folds > 1:
        notes += (
            f"Of {folds} folds together, in each of which others are tested: a cell is tested on one of them.",
        )
    titles = ("real frames", "fake frames", "videos")
    columns = (
        Column("domain", "domain"),
        *(Column(title.replace(" ", "_"), title, digits=0) for title in titles),
    )
    return Table("test-sets", "Test sets, the same at every step", columns, tuple(rows), notes)


def formula_table(summary: Summary) -> Table:
    """Name, better side and formula of every quantity."""
    rows = [Row((q.title, MEANING[q.better], q.formula)) for q in summary.quantities.values()]
    titles = ("quantity", "better", "formula and source")
    note = (
        "R[i,j] = value on domain j after step i (both from 0), T steps; b_j = value of the "
        f"{model_before(summary)}."
    )
    return Table(
        "formulas", "Formulas", tuple(Column(title, title) for title in titles), tuple(rows), (note,)
    )


def model_before(summary: Summary) -> str:
    """Name what is judged before any training, as ends a phrase with "the"."""
    return f"{summary.before} model" if summary.before == UNTRAINED else f"{summary.before} that was brought"


def quantity_tables(summary: Summary) -> tuple[Table, ...]:
    """Give the tables with one row a strategy, in the order in which a report shows them."""
    return tuple(
        table(summary) for table in (summary_table, final_table, transfer_table, detection_table, cost_table)
    )


def _quantity_table(summary: Summary, name: TableName, title: str, note: str) -> Table:
    """Make a table with one row a strategy and one column a quantity."""
    chosen = [quantity for quantity in summary.quantities.values() if quantity.table == name]
    columns = [Column(q.name, q.title, q.better, q.digits, q.signed) for q in chosen]
    rows = [
        Row(
            (
                *name_cells(summary, s),
                *(Number(s.values[q.name].mean, s.values[q.name].half, over=s.seeds) for q in chosen),
            ),
            apart=s.bound,
        )
        for s in summary.strategies
    ]
    # The other tables' columns say their level themselves, or have none.
    level = _level(summary) if name in ("summary", "transfer") else ()
    of_cost = (interval_note({len(s.seeds) for s in summary.strategies}), "Bold: the least.")
    intervals = of_cost if name == "cost" else interval_words(summary)
    notes = (note, *level, *stream_note(summary), *bound_words(summary), *intervals)
    table = Table(name, title, (*name_columns(summary), *columns), tuple(rows), notes)
    return mark_best(table) if name == "cost" else mark(table, best_of(summary))


def name_columns(summary: Summary) -> tuple[Column, ...]:
    """Give the columns that say what a row is of: the strategy, and its seeds where not all have the same."""
    seeds = () if summary.have_same_seeds else (Column("seeds", "seeds"),)
    return (Column("strategy", "strategy"), *seeds)


def name_cells(summary: Summary, strategy: StrategySummary) -> tuple[str, ...]:
    """Give the cells of these columns."""
    return (strategy.label, *(() if summary.have_same_seeds else (seed_words(strategy.seeds),)))


def _level(summary: Summary) -> tuple[str, ...]:
    """Say of which metric and level the values are."""
    return (
        f"{_capital(summary.metric_title)} at {summary.level_words}.",
        *_cautions(summary, summary.metric),
    )


def _cautions(summary: Summary, *metrics: str) -> tuple[str, ...]:
    """Say what must be known of some metrics on these test sets."""
    return tuple(summary.cautions[name] for name in metrics if name in summary.cautions)


def stream_note(summary: Summary) -> tuple[str, ...]:
    """Name the stream and its protocol: how many videos later domains give belongs under every table."""
    return (f"Stream: {summary.stream}.",)


def bound_words(summary: Summary) -> tuple[str, ...]:
    """Say which rows are not ranked."""
    names = [strategy.label for strategy in summary.strategies if strategy.bound]
    bounds = (f"Not ranked, because a bound: {', '.join(names)}.",) if names else ()
    return (*bounds, *chance_words(summary))


def _old_samples(summary: Summary) -> tuple[str, ...]:
    """Say who keeps training samples of past domains, and how many."""
    kept = {s.label: s.old_samples for s in summary.strategies if s.old_samples != NONE}
    if not kept:
        return ()
    named = [
        f"{', '.join(label for label, other in kept.items() if other == number)} ({number})"
        for number in dict.fromkeys(kept.values())
    ]
    others = "; the others keep none" if len(kept) < len(summary.strategies) else ""
    return (f"Old training samples kept: {'; '.join(named)}{others}.",)


def interval_words(summary: Summary) -> tuple[str, ...]:
    """Say what stands after the "±", of whom it speaks, and what is bold."""
    inference = summary.inference.get(BACKWARD) or next(iter(summary.inference.values()), None)
    if inference is None or summary.clusters is None:
        return (interval_note({len(strategy.seeds) for strategy in summary.strategies}),)
    counts = {len(strategy.seeds) for strategy in summary.strategies}
    return (*people_words(inference, counts), *((summary.clusters.note,) if summary.clusters.note else ()))


def people_words(inference: Inference, counts: Collection[int]) -> tuple[str, ...]:
    """Say of whom intervals speak, and what is bold."""
    many = f"{inference.clusters} {_cluster_words(inference)}"
    if inference.reason:
        return (f"No interval: {inference.reason} ({many}).",)
    least, most = min(counts), max(counts)
    among = f"{least} to {most}" if least < most else str(most)
    folds = f", each of which tests some of them ({inference.folds} folds)" if inference.folds > 1 else ""
    unit = "videos" if inference.unit == VIDEOS else "people"
    of_whom = f"{unit} and seeds: {many} and {among} seeds{folds}"
    if most < 2:
        of_whom = f"{unit} (one seed: nothing is known of other seeds): {many}"
    return (
        f"{INTERVAL} {of_whom}.",
        "Bold: not told from the best of the column with Holm's correction over all pairs; nothing where that is "
        "everybody.",
    )


def _cluster_words(inference: Inference) -> str:
    """Name the clusters: ``videos``, ``people``, ``groups of people joined by fakes (40 people)``."""
    if inference.unit == JOINED:
        return f"groups of people joined by fakes ({inference.people} people)"
    return inference.unit


def interval_note(counts: Collection[int]) -> str:
    """Say what stands after the "±" of numbers whose interval is over so many seeds and nothing else."""
    least, most = min(counts), max(counts)
    if most < 2:
        return "One seed: no interval."
    among = f"{least} to {most}" if least < most else str(most)
    return f"{INTERVAL} {among} seeds alone (Student's t)."


def _numbers(
    mean: Floats,
    half: Floats,
    *,
    seen: int | None = None,
    filled: int | None = None,
    over: tuple[int, ...] = (),
) -> list[Number]:
    """Turn a row of a matrix into numbers: past the first ``seen`` aside, past the first ``filled`` empty."""
    return [
        Number(
            float(mean[j]),
            float(half[j]),
            aside=seen is not None and j >= seen,
            empty=filled is not None and j >= filled,
            over=over,
        )
        for j in range(len(mean))
    ]


def _better(summary: Summary) -> str:
    """Which side of the summary's metric is better."""
    return "higher" if registry.find(summary.metric).higher_is_better else "lower"


def _capital(text: str) -> str:
    """Begin a text with a capital letter."""
    return text[:1].upper() + text[1:]
