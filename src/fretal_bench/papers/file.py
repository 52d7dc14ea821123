"""The TOML file of a published table, checked key by key: the suite's own in ``tables/``, or the user's."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import Any, Final, Literal

from fretal_bench import parsing, records
from fretal_bench.datasets.streams.file import StreamFile, stream_of_table
from fretal_bench.datasets.streams.stream import find_stream
from fretal_bench.errors import BenchError, unknown_name
from fretal_bench.metrics import registry
from fretal_bench.metrics.continual import CONTINUAL_METRICS
from fretal_bench.papers.setting import Column, Setting
from fretal_bench.records import Invalid, Record, limited
from fretal_bench.strategies.registry import find_strategy

_FILE_NAME: Final = re.compile(r"\w[\w.+-]*")


@dataclass(frozen=True)
class PaperTable(Record):
    """The keys of the file.

    Attributes:
        recipe: The recipe that comes closest to the paper's.
        metric: Metric of the matrix R: the suite's, or a plugin's.
        level: ``frame`` or ``video``.
        scale: What the suite's values are multiplied by: 100 for a table in percent.
        cannot: Why no value of it can be run; empty if some can.
        notes: What the suite had to choose because the paper doesn't say, and what differs; true of every run.
        notes_data: The same of the paper's data; left out where other data stand in for them.
        notes_recipe: The same of the table's own recipe; left out of a run with another.
        streams: By key a built-in stream's name, its domains in another order, or a stream of its own.
        rows: By name what a row trains.
        columns: By name what a column trains, and how its value is read.
    """

    recipe: str = "mini"
    metric: str = "accuracy"
    level: Literal["frame", "video"] = "frame"
    scale: int = limited(100, at_least=1)
    cannot: str = ""
    notes: tuple[str, ...] = ()
    notes_data: tuple[str, ...] = ()
    notes_recipe: tuple[str, ...] = ()
    streams: Mapping[str, Any] = field(default_factory=dict)
    rows: Mapping[str, Setting] = field(default_factory=dict)
    columns: Mapping[str, Column] = field(default_factory=dict)


@dataclass(frozen=True)
class PaperFile(PaperTable):
    """How the values of a published table are measured: the file's keys, its streams read.

    Attributes:
        name: The table's name: that of the file.
        streams: The streams, by key.
        optional: Keys of streams whose later domains are only tested on: those that no store holds are left out.
    """

    name: str = ""
    streams: Mapping[str, StreamFile] = field(default_factory=dict)
    optional: frozenset[str] = frozenset()

    def parts(self, column: str) -> tuple[str, ...]:
        """Return the columns that a column is the mean of; itself if it is none."""
        return (self.columns[column].mean if column in self.columns else ()) or (column,)

    def joined(self, row: Setting, column: str) -> Setting:
        """Put a row's and a column's setting together."""
        setting = row.joined(self.columns[column])
        # Where there is one stream only nothing needs to name it.
        only = next(iter(self.streams)) if len(self.streams) == 1 else ""
        return replace(setting, stream=setting.stream or only)


@dataclass(frozen=True)
class _Reordered(Record):
    """A built-in stream with some of its domains, in an order of the table's own."""

    of: str
    order: tuple[str, ...] | None = None
    optional: bool = False


@dataclass(frozen=True)
class _Own(Record):
    """What the table of a stream of its own may hold besides the keys of a stream file."""

    optional: bool = False


def open_paper(name: str | os.PathLike[str]) -> PaperFile:
    """Open a table's file: the suite's by name, or the user's own by path (anything that ends in ``.toml``).

    A table that has no file, since only its values are known, is returned as one that cannot be run.

    Raises:
        BenchError: A file cannot be read, or a key, name or value in it is wrong; with the nearest valid name.
    """
    text = os.fspath(name)
    if text.endswith(".toml"):
        return paper_of_table(Path(text), parsing.read_toml(text, "table file"))
    path = Path(str(resources.files(__package__))) / "tables" / f"{text}.toml"
    if not path.is_file():
        reason = "no file says which cells it needs; see docs/papers.md for how to write one"
        return PaperFile(name=text, cannot=reason)
    return paper_of_table(path, parsing.read_toml(path, "table file"), own=False)


def paper_of_table(path: Path, content: Mapping[str, Any], own: bool = True) -> PaperFile:
    """Check a table's file.

    Args:
        path: Gives the name and stands in messages.
        content: What it says.
        own: Whether it is the user's own: its strategies must be there. The suite's files also name methods that the
            suite has not got yet.

    Raises:
        BenchError: As ``open_paper``.
    """
    table = records.read(PaperTable, content, str(path))
    _check_known(path, "metric", "metric", table.metric, registry.names())
    streams = {key: _stream(path, key, entry) for key, entry in table.streams.items()}
    _check_streams(path, streams)
    optional = frozenset(
        key for key, entry in table.streams.items() if isinstance(entry, Mapping) and entry.get("optional")
    )
    paper = PaperFile(**{**vars(table), "name": path.stem, "streams": streams, "optional": optional})
    for name, column in paper.columns.items():
        _check_column(path, paper, name, column)
    if own:
        _check_strategies(path, paper)
    return paper


def _check_streams(path: Path, streams: Mapping[str, StreamFile]) -> None:
    """Check that streams can be told apart by name, and that the names can be those of files."""
    by_name: dict[str, tuple[str, StreamFile]] = {}
    for key, file in streams.items():
        if not _FILE_NAME.fullmatch(file.name):
            raise BenchError(
                f"{path}: stream {key!r}: the name {file.name!r} cannot be that of a file; "
                "use letters, digits, - and _"
            )
        other, same = by_name.setdefault(file.name, (key, file))
        if same != file:
            raise BenchError(
                f"{path}: streams {other!r} and {key!r} are both called {file.name!r}; rename one"
            )


def _check_column(path: Path, paper: PaperFile, name: str, column: Column) -> None:
    """Check that what a column names is there: its quantity, streams and domains, and the columns it is the mean of."""
    key = f"columns.{name}"
    if column.quantity:
        _check_known(path, f"{key}.quantity", "quantity", column.quantity, CONTINUAL_METRICS)
    for part in column.mean:
        _check_known(path, f"{key}.mean", "column", part, paper.columns)
        if paper.columns[part].mean:
            raise BenchError(
                f"{path}: key {key + '.mean'!r}: {part!r} is a mean itself; name the columns that it averages"
            )
    if column.after is not None:
        names = {domain.name for stream in paper.streams.values() for domain in stream.domains}
        _check_known(path, f"{key}.after", "step", column.after, {"first", "last", *names})
    for row in () if column.mean else paper.rows.values():
        stream = paper.joined(row, name).stream
        _check_known(path, key, "stream", stream, paper.streams)
        if column.domain:
            domains = [domain.name for domain in paper.streams[stream].domains]
            _check_known(path, f"{key}.domain", "domain", column.domain, domains)
            if column.after not in (None, "first", "last"):
                _check_known(path, f"{key}.after", "domain", column.after, domains)


def _check_strategies(path: Path, paper: PaperFile) -> None:
    """Check that the suite has the strategies of a table, with the hyperparameters that it sets."""
    for method, row in paper.rows.items():
        for name, column in paper.columns.items():
            if column.mean:
                continue
            setting = paper.joined(row, name)
            where = f"row {method!r}, column {name!r}"
            if not setting.strategy:
                raise BenchError(f"{path}: {where}: no strategy is named; add strategy = ... to the row")
            try:
                find_strategy(setting.strategy).hyperparameters(dict(setting.set))
            except BenchError as error:
                raise BenchError(f"{path}: {where}: {error}") from error


def _stream(path: Path, key: str, entry: Any) -> StreamFile:
    """A built-in stream by name, its domains in another order (``of``, ``order``), or one of its own (``domains``)."""
    if isinstance(entry, str):
        return _built_in(path, key, entry)
    if not isinstance(entry, Mapping):
        raise BenchError(f"{path}: {Invalid(f'streams.{key}', 'the name of a stream, or a table', entry)}")
    where = f"{path}: stream {key!r}"
    if "of" not in entry:
        own = {name: value for name, value in entry.items() if name == "optional"}
        records.read(_Own, own, where)
        content = {name: value for name, value in entry.items() if name not in own}
        return stream_of_table(path, {"name": f"{path.stem}-{_slug(key)}", **content}, where=where)
    reordered = records.read(_Reordered, entry, where)
    base = _built_in(path, key, reordered.of)
    domains = {domain.name: domain for domain in base.domains}
    order = tuple(domains) if reordered.order is None else reordered.order
    if not order:
        raise BenchError(f"{where}: order is empty; name its domains, or leave it out for all")
    for name in order:
        _check_known(path, f"streams.{key}.order", "domain", name, domains)
        if order.count(name) > 1:
            raise BenchError(f"{where}: order names {name!r} twice; keep one of them")
    chosen = tuple(domains[name] for name in order)
    return replace(
        base, name=f"{base.name}-{_slug('-'.join(order))}", domains=chosen, group="", group_description=""
    )


def _built_in(path: Path, key: str, name: str) -> StreamFile:
    try:
        return find_stream(name)
    except BenchError as error:
        raise BenchError(f"{path}: stream {key!r}: {error}") from error


def _check_known(path: Path, key: str, kind: str, name: str, known: Iterable[str]) -> None:
    names = list(known)
    if name not in names:
        raise BenchError(f"{path}: key {key!r}: {unknown_name(kind, name, names)}")


def _slug(text: str) -> str:
    kept = "".join(sign if sign.isalnum() else "-" for sign in text.lower())
    return "-".join(filter(None, kept.split("-")))
