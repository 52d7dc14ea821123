"""A published table beside what the suite measured: as tables, as files, in a terminal."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fretal_bench.benchmark.runner.results import write_file, writing
from fretal_bench.errors import BenchError
from fretal_bench.metrics import registry
from fretal_bench.metrics.continual import CONTINUAL_METRICS
from fretal_bench.metrics.intervals import Interval, mean_interval
from fretal_bench.metrics.numbers import or_none
from fretal_bench.papers.published import PublishedTable, PublishedValue, as_rows
from fretal_bench.papers.published_table import print_table, published_notes, where
from fretal_bench.papers.run import PreparedPaper
from fretal_bench.papers.table import PaperTable
from fretal_bench.papers.values import Measured
from fretal_bench.reporting.formats import to_csv, to_latex, to_markdown
from fretal_bench.reporting.tables import (
    NOTHING,
    Column,
    Number,
    Row,
    Table,
    decimal,
    drawn_width,
)

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True)
class Comparison:
    """A published table and what was measured for it.

    Attributes:
        table: The published table.
        measured: By method and column.
        recipe: The recipe's name, and what the call changed of it.
        seeds: The seeds.
        notes: What the suite chose, what stands in for what.
        stand_in: The stream in whose data this was measured; empty for the paper's own.
        command: What makes it again.
        commands: What to type to get the data that are missing.
        measures: What the suite measures: metric, level, and the formula of columns that are numbers of a whole stream.
    """

    table: PublishedTable
    measured: Mapping[tuple[str, str], Measured]
    recipe: str
    seeds: tuple[int, ...]
    notes: tuple[str, ...] = ()
    stand_in: str = ""
    command: str = ""
    commands: tuple[str, ...] = ()
    measures: str = ""

    @property
    def label(self) -> str:
        """What must stand over every number measured on stand-ins; empty for the paper's own data."""
        if not self.stand_in:
            return ""
        name = self.stand_in.replace("ffpp-mini", "FF++-mini", 1)
        return f"On {name}, not the paper's data: differences mean nothing about the paper."

    @property
    def title(self) -> str:
        """Name, paper, and the label."""
        return " ".join(filter(None, (f"{self.table.name}: {self.table.values[0].paper}.", self.label)))

    def interval(self, value: PublishedValue) -> Interval:
        """Return mean and 95% interval over the seeds of what was measured for one value; NaN if nothing was."""
        measured = self.measured[(value.method, value.column)]
        return mean_interval([] if measured.reason else list(measured.values.values()))

    def reasons(self) -> list[str]:
        """Say in a line each why values were not measured."""
        places = [(value.method, value.column) for value in self.table.values]
        by_reason: dict[str, set[tuple[str, str]]] = {}
        for place in places:
            if self.measured[place].reason:
                by_reason.setdefault(self.measured[place].reason, set()).add(place)
        return [
            f"Not measured: {'everything' if len(of) == len(places) else where(of, places)}: {reason}"
            for reason, of in by_reason.items()
        ]

    def to_dict(self) -> dict[str, Any]:
        """Give the comparison as plain data for ``json.dumps``; a value that does not exist is None."""
        rows = []
        for value, row in zip(self.table.values, as_rows(self.table), strict=True):
            measured, interval = self.measured[(value.method, value.column)], self.interval(value)
            rows.append(
                {
                    **row,
                    "published": value.number,
                    "measured": or_none(interval.mean),
                    "low": or_none(interval.low),
                    "high": or_none(interval.high),
                    "difference": or_none(interval.mean - value.number),
                    "by_seed": {str(seed): or_none(number) for seed, number in measured.values.items()},
                    "reason": measured.reason,
                }
            )
            del rows[-1]["value"]
        return {
            "table": self.table.name,
            "label": self.label,
            "stand_in": self.stand_in or None,
            "recipe": self.recipe,
            "seeds": list(self.seeds),
            "measures": self.measures,
            "notes": list(self.notes),
            "commands": list(self.commands),
            "values": rows,
        }


def compare(
    table: PublishedTable,
    prepared: PreparedPaper,
    measured: Mapping[tuple[str, str], Measured],
    stand_in: str = "",
    command: str = "",
) -> Comparison:
    """Put a published table and its measured values together.

    What the suite chose of the paper's data is not said of stand-ins, nor that of its recipe of another one.
    """
    paper = prepared.paper
    return Comparison(
        table=table,
        measured=measured,
        recipe=" with ".join(filter(None, (prepared.recipe.name, ", ".join(prepared.changed)))),
        seeds=prepared.seeds,
        notes=(
            *prepared.remarks,
            *paper.notes,
            *(() if stand_in else paper.notes_data),
            *(paper.notes_recipe if prepared.own_recipe else ()),
        ),
        stand_in=stand_in,
        command=command,
        commands=prepared.commands,
        measures=_measures(paper),
    )


def _measures(paper: PaperTable) -> str:
    """Say what the suite's numbers are: the metric, over what, and how columns of a whole stream come from R."""
    columns: dict[str, list[str]] = {}
    for name, (_, reading) in paper.columns.items():
        if reading.mean:
            columns.setdefault(f"mean of {', '.join(reading.mean)}", []).append(name)
        elif reading.quantity:
            metric = CONTINUAL_METRICS[reading.quantity]
            title = metric.title.format(metric=registry.find(paper.metric).title)
            minus = "minus " if reading.sign < 0 else ""
            columns.setdefault(f"{minus}{title} ({metric.formula})", []).append(name)
    metric_of = registry.find(paper.metric)
    unit = " in percent" if paper.scale == 100 else f" x {paper.scale}" if paper.scale != 1 else ""
    said = [f"{metric_of.title}{unit} ({metric_of.summary}) over {paper.level}s"]
    return "; ".join([*said, *(f"{', '.join(names)} = {what}" for what, names in columns.items())])


def _measured_note(comparison: Comparison, intervals: bool = True) -> str:
    """Say what stands under "measured"; one seed has no interval."""
    seeds = list(map(str, comparison.seeds))
    if len(seeds) == 1:
        over = f"seed {seeds[0]}"
    else:
        over = f"mean over seeds {', '.join(seeds)}"
        over += ", ± half of its 95% interval by Student's t" if intervals else ""
    what = f"the suite's {comparison.measures}; " if comparison.measures else ""
    return f"Measured: {what}{over}; recipe {comparison.recipe}."


def difference_table(comparison: Comparison) -> Table:
    """Make the long table, a row a value: published, measured with its 95% interval over seeds, difference."""
    digits = max(value.digits for value in comparison.table.values)
    rows = []
    for value in comparison.table.values:
        interval = comparison.interval(value)
        rows.append(
            Row(
                (
                    value.method,
                    value.column,
                    Number(value.number),
                    Number(interval.mean, interval.half),
                    Number(interval.mean - value.number),
                )
            )
        )
    return Table(
        name=f"paper-{comparison.table.name}",
        title=comparison.title,
        columns=(
            Column("method", "method"),
            Column("column", "column"),
            Column("published", "published", digits=digits),
            Column("measured", "measured", digits=digits),
            Column("difference", "difference", digits=digits, signed=True),
        ),
        rows=tuple(rows),
        notes=(
            f"Published: {'; '.join(comparison.table.distinct('quantity'))}. {_measured_note(comparison)} "
            "Difference: measured - published.",
            *comparison.notes,
        ),
    )


def side_by_side(comparison: Comparison, intervals: bool = True) -> Table:
    """Make the table in its published shape, each cell ``published | measured``."""
    table = comparison.table
    digits = max(value.digits for value in table.values)

    def cell(method: str, column: str) -> str:
        value = table.get(method, column)
        if value is None:
            return ""
        interval = comparison.interval(value)
        measured = NOTHING if math.isnan(interval.mean) else decimal(interval.mean, digits)
        if intervals and not math.isnan(interval.half):
            measured += f"±{decimal(interval.half, digits)}"
        return f"{decimal(value.number, digits)} | {measured}"

    return Table(
        name=f"paper-{table.name}-side-by-side",
        title=f"{comparison.title} Each cell: published | measured.",
        columns=(Column("method", "method"), *(Column(column, column) for column in table.columns)),
        rows=tuple(
            Row((method, *(cell(method, column) for column in table.columns))) for method in table.methods
        ),
        notes=(_measured_note(comparison, intervals),),
    )


def check_report_folder(folder: Path) -> None:
    """Check that a report can be written, before hours are spent on what goes into it; makes nothing.

    Raises:
        BenchError: A file stands in the way, or there is no permission; names the report folder.
    """
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if os.path.lexists(path))
    if not there.is_dir():
        raise BenchError(
            f"{folder}: the report cannot be written there ({there} is no folder); move it, or work in another folder"
        )
    if not os.access(there, os.W_OK | os.X_OK):
        raise BenchError(
            f"{folder}: the report cannot be written there (no permission in {there}); work in another folder"
        )


def write_comparison(comparison: Comparison, out: str | os.PathLike[str]) -> tuple[Path, ...]:
    """Write ``summary.md``, ``comparison.csv``, ``comparison.tex`` and ``side-by-side.tex``.

    The same comparison gives the same bytes.

    Returns:
        The files.

    Raises:
        BenchError: The folder cannot be written.
    """
    folder, long = Path(out), difference_table(comparison)
    contents = {
        "summary.md": markdown(comparison),
        "comparison.csv": _labelled_csv(comparison, long),
        "comparison.tex": to_latex(long),
        "side-by-side.tex": to_latex(side_by_side(comparison)),
    }
    with writing(folder):
        for name, content in contents.items():
            write_file(folder / name, content)
    return tuple(folder / name for name in contents)


def markdown(comparison: Comparison) -> str:
    """Write the comparison as Markdown: the label, both tables, what was not measured, sources, how to make it again."""
    parts = [
        f"# {comparison.table.name}: published and measured",
        f"**{comparison.label}**" if comparison.label else "",
        to_markdown(side_by_side(comparison)),
        to_markdown(difference_table(comparison)),
        "\n".join(f"- {line}" for line in comparison.reasons()),
        "\n".join(f"- {line}" for line in published_notes(comparison.table)),
        f"Made by `{comparison.command}`." if comparison.command else "",
    ]
    return "\n\n".join(part.strip("\n") for part in parts if part) + "\n"


def print_comparison(comparison: Comparison, console: Console) -> None:
    """Print the comparison; where the terminal is too narrow the published shape loses its intervals."""
    from rich.text import Text

    if comparison.label:
        console.print(Text(comparison.label, style="bold yellow"))
    if len(comparison.table.columns) > 1 and len(comparison.table.methods) > 1:
        wide = side_by_side(comparison)
        fits = drawn_width(wide) <= console.width
        # The long table below it has the same note.
        print_table(replace(wide if fits else side_by_side(comparison, intervals=False), notes=()), console)
    print_table(difference_table(comparison), console)
    for line in comparison.reasons():
        console.print(Text(f"- {line}"))


def _labelled_csv(comparison: Comparison, table: Table) -> str:
    """The long table as CSV; every line says on what data it was measured, since lines are copied without heads."""
    values = comparison.table.values
    more = (
        Column("recipe", "recipe"),
        Column("measured_on", "measured on"),
        Column("not_measured", "not measured"),
    )
    data = f"{comparison.stand_in}, not the paper's data" if comparison.stand_in else "the paper's data"
    rows = tuple(
        Row((*row.cells, comparison.recipe, data, comparison.measured[(value.method, value.column)].reason))
        for row, value in zip(table.rows, values, strict=True)
    )
    return to_csv(Table(table.name, table.title, (*table.columns, *more), rows))
