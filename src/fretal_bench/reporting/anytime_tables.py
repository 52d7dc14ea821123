"""The tables of anytime metrics: one for accuracy and one for AUC, a row a strategy, with formulas and grid beneath."""

from __future__ import annotations

import math
from typing import Final

from fretal_bench.metrics.intervals import mean_interval
from fretal_bench.reporting.anytime import MEASURES, METRICS, Anytime
from fretal_bench.reporting.contents import bound_words, interval_note, stream_note
from fretal_bench.reporting.inputs import seed_words
from fretal_bench.reporting.summary import Summary
from fretal_bench.reporting.tables import Column, Number, Row, Table, mark_best

_TITLES: Final = {"accuracy": "Accuracy while domains are learned", "auc": "AUC while domains are learned"}
FORMULAS: Final = (
    "A(i,n) is the value on domain i after n updates of the stream, |T_k| the last update of domain k, R[k,i] = "
    "A(i,|T_k|) that of the finished step; domains from 1 to T, values from 0 to 1.",
    "min: mean over i < T of min A(i,n) over |T_i| < n <= |T_T|. WC: A(T,|T_T|)/T + (1 - 1/T) min. WF^w: mean over i of "
    "the largest A(i,a) - A(i,b), a < b among w evaluations in a row; WP^w: the same of A(i,b) - A(i,a) (De Lange et "
    "al., ICLR 2023).",
    "gap: mean over k >= 2, i < k of R[k-1,i] - min A(i,n) over |T_(k-1)| < n <= |T_k|; recovered: sum of R[k,i] - min "
    "over sum of R[k-1,i] - min, where there is a fall (both the suite's own).",
)


def anytime_tables(summary: Summary) -> tuple[Table, ...]:
    """Give the tables; none where no cell was watched."""
    if summary.anytime is None:
        return ()
    return tuple(_table(summary, summary.anytime, metric) for metric in METRICS)


def _table(summary: Summary, anytime: Anytime, metric: str) -> Table:
    columns = tuple(
        Column(measure.name, measure.title.format(METRICS[metric]), measure.better) for measure in MEASURES
    )
    rows = []
    for strategy in summary.strategies:
        numbers = []
        for measure in MEASURES:
            by_seed = anytime.by_seed(strategy.label, metric, measure.name)
            over = mean_interval(list(by_seed.values()))
            # What was judged at ends alone is not compared with what was seen in between.
            kind = "ends" if strategy.label in anytime.ends_only else "watched"
            numbers.append(Number(over.mean, over.half, over=(*sorted(by_seed), kind)))
        if anytime.by_seed(strategy.label, metric, MEASURES[0].name):
            rows.append(Row((strategy.label, *numbers), apart=strategy.bound))
    counts = {len(anytime.by_seed(str(row.cells[0]), metric, MEASURES[0].name)) for row in rows}
    notes = (
        f"Validation people, frame level; every {anytime.every} updates, before a domain's first and at its end.",
        *FORMULAS,
        *_sizes(anytime),
        *_left_out(anytime),
        *stream_note(summary),
        *bound_words(summary),
        interval_note(counts),
    )
    title = f"{_TITLES[metric]}, judged every {anytime.every} updates"
    return mark_best(
        Table(f"anytime-{metric}", title, (Column("strategy", "strategy"), *columns), tuple(rows), notes)
    )


def _sizes(anytime: Anytime) -> tuple[str, ...]:
    """Say of how many frames the values are, and what the judging took."""
    least, most = anytime.frames
    frames = str(least) if least == most else f"{least} to {most}"
    error = math.sqrt(0.25 / least)
    words = (
        f"Validation frames of a domain: {frames}. A minimum over many evaluations is low by chance alone: one "
        f"standard error of an accuracy near 0.5 is {error:.3f} at least on {least} frames, and a dip between two "
        "evaluations is not seen.",
    )
    if math.isnan(anytime.share):
        return words
    return (
        *words,
        f"Judging took {100 * anytime.share:.0f}% of the seconds of training, in which it is not counted.",
    )


def _left_out(anytime: Anytime) -> tuple[str, ...]:
    """Name the strategies that were judged at ends alone, on another grid, or not at all."""
    words = []
    if anytime.ends_only:
        words.append(
            f"Judged at the ends of domains alone, since what judges is made there (or never trained): "
            f"{', '.join(anytime.ends_only)}; what happens in between is not in their numbers, and they are not compared "
            "with the others."
        )
    if anytime.other_grids:
        grids = ", ".join(f"{count} every {every} updates" for every, count in anytime.other_grids.items())
        words.append(f"Cells judged on another grid, whose numbers do not compare: {grids}.")
    if anytime.lacking:
        names = ", ".join(f"{label} (seed {seed_words(seeds)})" for label, seeds in anytime.lacking.items())
        words.append(f"Not watched: {names}; bench run --watch {anytime.every} does.")
    return tuple(words)
