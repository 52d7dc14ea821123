"""A published table next to what the suite measured for it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from fretal_bench.metrics import registry
from fretal_bench.metrics.intervals import Interval, mean_interval
from fretal_bench.papers.averages import definition, differences
from fretal_bench.papers.file import PaperFile
from fretal_bench.papers.published import PublishedTable, PublishedValue
from fretal_bench.papers.published_table import where
from fretal_bench.papers.run import PreparedPaper
from fretal_bench.papers.values import Measured

CHANCE_MARK: Final = "‡"
"""Stands at measured values of detectors that learned nothing."""


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
        within: How near a measured value must be to the published one to agree with it, in the table's unit.
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
    within: float = 1.0

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

    def difference(self, value: PublishedValue) -> float:
        """Return measured minus published; NaN if nothing was measured."""
        return self.interval(value).mean - value.number

    def agrees(self, value: PublishedValue) -> bool:
        """Whether what was measured is as near as ``within``; where nothing was measured it is not."""
        # Decimal numbers are not binary ones: 77.5 and 76.5 are 1 apart.
        return abs(self.difference(value)) <= self.within * (1 + 1e-9)

    def agreement(self) -> str:
        """Say how many values agree, the mean difference and the largest; not of stand-ins and what learned nothing."""
        measured = [v for v in self.table.values if not math.isnan(self.difference(v))]
        values = [v for v in measured if not self.is_at_chance(v)]
        if self.stand_in or not values:
            return ""
        digits = max(value.digits for value in values)
        farthest = max(values, key=lambda value: abs(self.difference(value)))
        mean = sum(map(self.difference, values)) / len(values)
        return (
            f"Within {self.within:g} of the published value: {sum(map(self.agrees, values))} of {len(values)} measured. "
            f"Mean difference {mean:+.{digits}f}; the largest {self.difference(farthest):+.{digits}f}, "
            f"{farthest.method} / {farthest.column}."
        )

    def is_at_chance(self, value: PublishedValue) -> bool:
        """Tell whether what was trained for a value learned nothing."""
        measured = self.measured[(value.method, value.column)]
        return measured.at_chance and not measured.reason

    def chance_words(self) -> tuple[str, ...]:
        """Say which measured values are of detectors that learned nothing; nothing where there are none."""
        luckless = [value for value in self.table.values if self.is_at_chance(value)]
        if not luckless:
            return ()
        measured = [v for v in self.table.values if not math.isnan(self.interval(v).mean)]
        nothing = len(luckless) == len(measured)
        of_whom = "all measured values" if nothing else ", ".join(dict.fromkeys(v.method for v in luckless))
        beginning = "Nothing was learned: " if nothing else ""
        return (
            f"{beginning}{CHANCE_MARK} not shown to be above chance right after learning, by AUC ({of_whom}): these "
            "differences say nothing of the method; train longer.",
        )

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


def compare(
    table: PublishedTable,
    prepared: PreparedPaper,
    measured: Mapping[tuple[str, str], Measured],
    stand_in: str = "",
    command: str = "",
    within: float | None = None,
) -> Comparison:
    """Put a published table and its measured values together.

    Notes on the paper's data are left out where stand-ins were used, and notes on its recipe where another one was.
    ``within`` is a point by default: 1 in a table in percent, 0.01 in one of shares.
    """
    call, paper = prepared.call, prepared.call.paper
    return Comparison(
        table=table,
        measured=measured,
        recipe=" with ".join(filter(None, (prepared.recipe.name, ", ".join(call.changed)))),
        seeds=tuple(dict.fromkeys(call.seeds)),
        notes=(
            *prepared.remarks,
            *paper.notes,
            *(() if stand_in else paper.notes_data),
            *(paper.notes_recipe if call.own_recipe else ()),
            *map("{}.".format, differences(table, paper)),
        ),
        stand_in=stand_in,
        command=command,
        commands=prepared.commands,
        measures=_measures(paper),
        within=paper.scale / 100 if within is None else within,
    )


def _measures(paper: PaperFile) -> str:
    """Say what the suite's numbers are: the metric, over what, and how columns of a whole stream come from R."""
    metric = registry.find(paper.metric)
    names: dict[str, list[str]] = {}
    for name in paper.columns:
        if words := definition(paper, name):
            names.setdefault(words, []).append(name)
    unit = " in percent" if paper.scale == 100 else f" x {paper.scale}" if paper.scale != 1 else ""
    sentence = f"{metric.title}{unit} ({metric.summary}) over {paper.level}s"
    return "; ".join([sentence, *(f"{', '.join(of)} = {what}" for what, of in names.items())])
