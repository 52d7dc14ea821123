"""What a published table needs: the setting of every value, which of them can be run here, and what the others lack."""

from __future__ import annotations

import dataclasses
import fnmatch
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from fretal_bench.errors import BenchError
from fretal_bench.papers.averages import differences
from fretal_bench.papers.file import PaperFile, open_paper
from fretal_bench.papers.published import PublishedTable, published_tables
from fretal_bench.papers.setting import Cannot, Setting
from fretal_bench.papers.streams import TableStreams
from fretal_bench.strategies.registry import find_strategy

Place = tuple[str, str]
"""Method and column of one value."""


def setting_of(paper: PaperFile, method: str, column: str) -> Setting | Cannot:
    """Return what to train for one value, or why it cannot be trained; the data are not looked for.

    A row that the file doesn't name (the user's own) is run if it is the name of a strategy.
    """
    if paper.cannot:
        return Cannot("table", paper.cannot)
    if column not in paper.columns:
        return Cannot("column", f"{paper.name}.toml names no column {column!r}")
    row = paper.rows.get(method, Setting(strategy=method))
    setting = paper.joined(row, column)
    try:
        info = find_strategy(setting.strategy)
    except BenchError:
        if method in paper.rows:
            return Cannot("strategy", setting.strategy)
        return Cannot("row", f"{method} is no strategy of the suite, and no row of {paper.name}.toml")
    try:
        info.hyperparameters(dict(setting.set))
    except BenchError as error:
        return Cannot("hyperparameters", str(error))
    if setting.stream not in paper.streams:
        return Cannot("stream", f"{paper.name}.toml names no stream {setting.stream!r}")
    return replace(setting, strategy=info.name)


def strategy_of_row(paper: PaperFile, method: str) -> str:
    """Say which strategy of the suite a row is, all its names and the hyperparameters that the row sets.

    Returns:
        E.g. ``icarl(memory=1000)``; empty if the suite has none. Columns that set hyperparameters are not looked at.
    """
    row = paper.rows.get(method, Setting(strategy=method))
    by_column = (
        paper.joined(row, name).strategy for name, column in paper.columns.items() if not column.mean
    )
    strategies = dict.fromkeys((row.strategy,) if row.strategy else by_column)
    return ", ".join(filter(None, (_called(name, row.set) for name in strategies)))


def _called(strategy: str, changes: Mapping[str, Any]) -> str:
    """Name a strategy with what is changed of it; nothing if the suite does not have it, or not so."""
    try:
        info = find_strategy(strategy)
        values = dataclasses.asdict(info.hyperparameters(changes))
    except BenchError:
        return ""
    inside = ", ".join(f"{key}={values[key]}" for key in changes)
    return f"{info.called(values)}({inside})" if inside else info.called(values)


def settings_here(
    paper: PaperFile, places: Iterable[Place], streams: TableStreams
) -> dict[Place, Setting | Cannot]:
    """Return what to train for each value, or why it cannot be run here; of a mean, for the columns it is the mean of."""
    settings: dict[Place, Setting | Cannot] = {}
    for method, column in places:
        for part in paper.parts(column):
            if (method, part) not in settings:
                setting = setting_of(paper, method, part)
                if isinstance(setting, Setting):
                    needed = paper.columns[part].needs()
                    lacks = (streams.lacks(setting.stream, domain) for domain in needed)
                    setting = next(filter(None, lacks), None) or setting
                settings[(method, part)] = setting
    return settings


def table_rows(
    pattern: str = "*", data: Sequence[Path] = (), published: Path | None = None
) -> list[dict[str, Any]]:
    """List the tables whose name fits a pattern: what they are, and whether they can be run here.

    What needs least comes first: the largest share of values that can be run, then the fewest data that are missing and
    strategies that the suite lacks; last what no data would help.
    """
    rows = [
        _table_row(table, data)
        for name, table in published_tables(published).items()
        if fnmatch.fnmatchcase(name, pattern)
    ]
    return [row for _, row in sorted(rows, key=lambda ranked: ranked[0])]


def _table_row(table: PublishedTable, data: Sequence[Path]) -> tuple[tuple[float, ...], dict[str, Any]]:
    """Describe a table; and how much it needs, for the order."""
    paper = open_paper(table.name)
    streams = TableStreams(paper, Path("results") / f"paper-{table.name}", data=data)
    places = [(value.method, value.column) for value in table.values]
    settings = settings_here(paper, places, streams)
    obstacles = [_obstacle(paper, place, settings) for place in places]
    able = obstacles.count(None)
    reasons = [reason for reason in dict.fromkeys(obstacles) if reason is not None]
    lasting = sum(reason.kind != "data" for reason in reasons)
    needs = (-able / len(places), bool(reasons) and not streams.missing, len(streams.missing) + lasting)
    return needs, {
        "name": table.name,
        "paper": "; ".join(table.distinct("paper")),
        "protocol": "; ".join(table.distinct("protocol")),
        "quantity": "; ".join(table.distinct("quantity")),
        "values": len(places),
        "confidence": "; ".join(table.distinct("confidence")),
        "runs here": _runs_here(able, len(places), reasons, streams.missing),
        "can be run": able,
        "reasons": [str(reason) for reason in reasons],
        "commands": list(streams.commands),
        "differences": list(map(str, differences(table, paper))),
    }


def _obstacle(paper: PaperFile, place: Place, settings: dict[Place, Setting | Cannot]) -> Cannot | None:
    """Why a value, which may be a mean of columns, cannot be run; None if it can."""
    method, column = place
    parts = (settings[(method, part)] for part in paper.parts(column))
    return next((part for part in parts if isinstance(part, Cannot)), None)


def _runs_here(able: int, values: int, reasons: Sequence[Cannot], missing: Sequence[str]) -> str:
    """Say in one line how many values can be run, and what the others lack."""
    if not reasons:
        return "yes"
    absent = [reason.detail for reason in reasons if reason.kind == "strategy"]
    lacks = [f"lacks {', '.join(missing)}"] if missing else []
    lacks += [str(Cannot("strategy", ", ".join(absent)))] if absent else []
    lacks += [str(reason) for reason in reasons if reason.kind not in ("strategy", "data")]
    return f"{able or 'none'} of {values} values: {'; '.join(lacks)}"
