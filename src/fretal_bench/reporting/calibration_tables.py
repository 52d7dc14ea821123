"""The tables of thresholds and temperatures: what of forgetting is the threshold, and the final detector with both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from fretal_bench.metrics import registry
from fretal_bench.metrics.calibration import reals_needed
from fretal_bench.metrics.detection import ECE_BINS
from fretal_bench.metrics.intervals import mean_interval
from fretal_bench.reporting.calibration import (
    APART,
    AT_FPR,
    AT_THRESHOLD,
    HALF,
    MOVED,
    OF_AUC,
    OF_DETECTOR,
    RANKING,
    Calibration,
    threshold_losers,
    why_missing,
)
from fretal_bench.reporting.contents import bound_words, interval_note, name_cells, name_columns, stream_note
from fretal_bench.reporting.inputs import unique
from fretal_bench.reporting.summary import Summary
from fretal_bench.reporting.tables import Column, Number, Row, Table, decimal

NAMES: Final = ("thresholds", "calibration", "false-alarms")
"""The names of the tables, which not every report has."""


def calibration_tables(summary: Summary) -> tuple[Table, ...]:
    """Give the tables; none where no cell has scores of validation samples."""
    calibration = summary.calibration
    if calibration is None:
        return ()
    tables = [_forgetting(summary, calibration)] if len(summary.domains) > 1 else []
    tables.append(_detector(summary, calibration))
    if calibration.fpr is not None:
        tables.append(_false_alarms(summary, calibration, calibration.fpr))
    return tuple(tables)


def threshold_note(summary: Summary, labels: Sequence[str]) -> list[str]:
    """Say in a sentence which of some strategies keep their ranking and lose their threshold."""
    calibration = summary.calibration
    if calibration is None or len(summary.domains) < 2:
        return []
    losers = threshold_losers(calibration, labels)
    if not losers:
        return []
    title = registry.find(calibration.metric).title
    parts = [
        f"{label} ({title} {_change(lost)}, AUC {_change(of_auc)}; thresholds of validation people give back "
        f"{decimal(moved, 3, signed=True)})"
        for label, (lost, of_auc, moved) in losers.items()
    ]
    return [
        f"What is lost is the threshold more than the ranking: {'; '.join(parts)}, means over old domains since each was "
        "learned."
    ]


def _change(lost: float) -> str:
    """Write what was lost as a change."""
    return decimal(-lost, 3, signed=True)


def _forgetting(summary: Summary, calibration: Calibration) -> Table:
    title = registry.find(calibration.metric).title
    columns = (
        Column(HALF, f"{title} at 0.5", "lower", signed=True),
        Column(AT_THRESHOLD, "at validation threshold", "lower", signed=True),
        Column(MOVED, "threshold moved", signed=True),
        Column(APART, "domains apart", signed=True),
        Column(RANKING, "ranking", "lower", signed=True),
        Column(OF_AUC, "AUC", "lower", signed=True),
    )
    notes = (
        f"Forgetting here is -BWT, the mean over old domains of R[j,j] - R[T-1,j], {summary.level_words}: of {title} "
        "with fakes called so from 0.5 on; from the threshold on that is best for the validation people of all domains "
        "learned by then, fitted after each step; and of AUC, which needs none.",
        "At 0.5 = threshold moved + domains apart + ranking. Threshold moved: at 0.5 - at the validation threshold. "
        "Domains apart: that - what is left with a threshold for each domain alone, fitted on its validation people "
        "after each step: no one threshold fits all domains any more. Ranking: what is left then. Parts may be "
        "negative; thresholds carry the noise of few validation people.",
        *_about(summary, calibration),
    )
    return _table(summary, calibration, NAMES[0], "What of forgetting is the threshold", columns, notes)


def _detector(summary: Summary, calibration: Calibration) -> Table:
    title = registry.find(calibration.metric).title
    titles = (
        (f"{title} at 0.5", "higher"),
        ("at validation threshold", "higher"),
        ("threshold", ""),
        ("temperature", ""),
        ("ECE", "lower"),
        ("ECE with temperature", "lower"),
        ("NLL", "lower"),
        ("NLL with temperature", "lower"),
    )
    columns = tuple(
        Column(name, words, better, digits=2 if name == "temperature" else 3)
        for name, (words, better) in zip(OF_DETECTOR, titles, strict=True)
    )
    notes = (
        f"At the end of the stream, {summary.level_words}. {title[:1].upper()}{title[1:]}: mean over domains. ECE "
        f"({ECE_BINS} bins) and NLL: of the test samples of all domains pooled, of P(fake) as it is, and of 1 / (1 + "
        "exp(-logit / T)) with the temperature T that the validation people make most likely (Guo et al. 2017). Where "
        "there is no T, scores stay as they are. NLL is what T is fitted for; ECE is not 0 even for perfect scores, and "
        "higher where scores are spread over more bins.",
        *_about(summary, calibration),
    )
    words = "The final detector, calibrated on validation people"
    return _table(summary, calibration, NAMES[1], words, columns, notes)


def _false_alarms(summary: Summary, calibration: Calibration, fpr: float) -> Table:
    title = registry.find(calibration.metric).title
    percent = f"{100 * fpr:g}%"
    titles = (("threshold", ""), ("reals called fake", "lower"), ("fakes found", "higher"), (title, "higher"))
    columns = tuple(Column(n, words, better) for n, (words, better) in zip(AT_FPR, titles, strict=True))
    counts = sorted({cell.reals for cell in calibration.cells})
    reals = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    needed = reals_needed(fpr)
    few = (
        f" {needed} are needed for one to be called fake: the threshold is the least above all of them."
        if counts[0] < needed
        else ""
    )
    unit = "videos" if summary.level == "video" else "samples"
    notes = (
        f"At the end of the stream, {summary.level_words}, means over domains: at the least threshold at which at most "
        f"{percent} of {reals} real validation {unit} are called fake.{few} Of other people's reals it is more or less.",
        *_about(summary, calibration),
    )
    words = f"The final detector at a false-alarm rate of {percent}, of validation people"
    return _table(summary, calibration, NAMES[2], words, columns, notes)


def _table(
    summary: Summary,
    calibration: Calibration,
    name: str,
    title: str,
    columns: tuple[Column, ...],
    notes: tuple[str, ...],
) -> Table:
    """Make a table with one row a strategy that has scores of validation samples; no test tells what is best in it."""
    rows = []
    for strategy in summary.strategies:
        by_seed = {column.key: calibration.by_seed(strategy.label, column.key) for column in columns}
        if not by_seed[columns[0].key]:
            continue
        numbers = []
        for column in columns:
            over = mean_interval(list(by_seed[column.key].values()))
            numbers.append(Number(over.mean, over.half, over=tuple(by_seed[column.key])))
        rows.append(Row((*name_cells(summary, strategy), *numbers), apart=strategy.bound))
    return Table(name, title, (*name_columns(summary), *columns), tuple(rows), notes)


def _about(summary: Summary, calibration: Calibration) -> tuple[str, ...]:
    """Say what all tables share: who was left out, why numbers are not there, and what intervals are."""
    without = [
        domain
        for domain in summary.domains
        if not all(domain in cell.steps[-1].domains for cell in calibration.cells)
    ]
    labels = {strategy.label for strategy in summary.strategies}
    counts = {len(calibration.by_seed(label, OF_DETECTOR[0])) for label in labels} - {0}
    return (
        *(
            (f"Domains without validation samples take no part in fitting: {', '.join(without)}.",)
            if without
            else ()
        ),
        *(
            (f"No validation scores: {'; '.join(unique(calibration.without))}.",)
            if calibration.without
            else ()
        ),
        *why_missing(calibration, summary.domains),
        *stream_note(summary),
        *bound_words(summary),
        interval_note(counts),
    )
