"""Which cells a published table needs: its rows and columns mapped to streams, strategies and numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from fretal_bench.datasets.streams.file import StreamFile
from fretal_bench.errors import BenchError
from fretal_bench.strategies.registry import strategies

NO_STRATEGY: Final = "the suite has no strategy "


@dataclass(frozen=True)
class Setting:
    """What a row or a column says of the cells in it; put together, what to train for one value.

    Attributes:
        stream: Key in the table's streams; empty if there is one only.
        strategy: Its name in the registry; it need not be there.
        set: Hyperparameters that differ from the suite's defaults.
        recipe: Recipe keys that differ from the table's recipe, e.g. the backbone of a row.
    """

    stream: str = ""
    strategy: str = ""
    set: tuple[tuple[str, Any], ...] = ()
    recipe: tuple[tuple[str, Any], ...] = ()

    def joined(self, other: Setting) -> Setting:
        """Put a row's and a column's setting together; if both name a stream, its key is both names with a space."""
        return Setting(
            stream=" ".join(filter(None, (self.stream, other.stream))),
            strategy=self.strategy or other.strategy,
            set=(*self.set, *other.set),
            recipe=(*self.recipe, *other.recipe),
        )


@dataclass(frozen=True)
class Reading:
    """How the value of a column is read from the matrix R of a cell; exactly one of the three.

    Attributes:
        domain: The value on this domain, ``R[i, domain]``, after the ``first`` or the ``last`` step.
        after: That step.
        quantity: A number of the whole stream, a key of ``CONTINUAL_METRICS``.
        sign: -1 where the paper counts the other way round (DFIL's AF is minus BWT).
        mean: The mean of these columns.
    """

    domain: str = ""
    after: str = "last"
    quantity: str = ""
    sign: int = 1
    mean: tuple[str, ...] = ()


@dataclass(frozen=True)
class PaperTable:
    """How the values of a published table are measured.

    Attributes:
        name: The table's name.
        recipe: The recipe that comes closest to the paper's.
        metric: Metric of the matrix R, a name in ``metrics.registry``.
        level: ``frame`` or ``video``.
        scale: What the suite's values are multiplied by: 100 for a table in percent.
        cannot: Why no value of it can be run; empty if some can.
        notes: What the suite had to choose because the paper doesn't say, and what differs; true of every run.
        notes_data: The same of the paper's data; not said where other data stand in for them.
        notes_recipe: The same of the table's own recipe; not said of a run with another.
        streams: The streams, by key.
        optional: Keys of streams whose later domains are only tested on: those that no store holds are left out.
        rows: Setting by row.
        columns: Setting and reading by column.
    """

    name: str
    recipe: str = "mini"
    metric: str = "accuracy"
    level: str = "frame"
    scale: int = 100
    cannot: str = ""
    notes: tuple[str, ...] = ()
    notes_data: tuple[str, ...] = ()
    notes_recipe: tuple[str, ...] = ()
    streams: Mapping[str, StreamFile] = field(default_factory=dict)
    optional: frozenset[str] = frozenset()
    rows: Mapping[str, Setting] = field(default_factory=dict)
    columns: Mapping[str, tuple[Setting, Reading]] = field(default_factory=dict)

    def parts(self, column: str) -> tuple[str, ...]:
        """Return the columns that a column is the mean of; itself if it is none."""
        reading = self.columns[column][1] if column in self.columns else Reading()
        return reading.mean or (column,)

    def setting(self, method: str, column: str) -> Setting | str:
        """Return what to train for one value, or in a few words why it cannot be trained.

        A row that the file doesn't name (the user's own) is run if it is the name of a strategy.
        """
        if self.cannot:
            return self.cannot
        if column not in self.columns:
            return f"{self.name}.toml names no column {column!r}"
        row = self.rows.get(method)
        if row is None:
            if method not in strategies():
                return f"{method} is no strategy of the suite, and no row of {self.name}.toml"
            row = Setting(strategy=method)
        setting = self.joined(row, column)
        if setting.strategy not in strategies():
            return NO_STRATEGY + setting.strategy
        try:
            strategies()[setting.strategy].hyperparameters(dict(setting.set))
        except BenchError as error:
            return str(error)
        if setting.stream not in self.streams:
            return f"{self.name}.toml names no stream {setting.stream!r}"
        return setting

    def joined(self, row: Setting, column: str) -> Setting:
        """Put a row's and a column's setting together."""
        setting = row.joined(self.columns[column][0])
        # Where there is one stream only nothing needs to name it.
        only = next(iter(self.streams)) if len(self.streams) == 1 else ""
        return replace(setting, stream=setting.stream or only)
