"""How far a run is: the cells that are done, failed and missing, by order and seed, and why each is without numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from fretal_bench.reporting.inputs import Problem, seed_words
from fretal_bench.reporting.tables import Column, Number, Row, Table

if TYPE_CHECKING:
    import pandas as pd

_NAMED: Final = 3
_KINDS: Final[tuple[Literal["failed", "missing", "unusable"], ...]] = ("failed", "missing", "unusable")


@dataclass(frozen=True)
class Progress:
    """The cells of one seed in one order of the domains, one a strategy.

    Attributes:
        order: The order's name; empty where the run has one order only.
        seed: The seed.
        done: Cells with numbers.
        failed: Cells that failed.
        missing: Cells that were asked for and are not finished.
        unusable: Cells that are finished, and whose scores cannot be used.
    """

    order: str
    seed: int
    done: int
    failed: int = 0
    missing: int = 0
    unusable: int = 0

    @property
    def asked(self) -> int:
        """Cells that were asked for."""
        return self.done + self.failed + self.missing + self.unusable


def progress(order: str, done: Iterable[int], problems: Iterable[Problem]) -> tuple[Progress, ...]:
    """Count the cells of one order by seed.

    Args:
        order: The order's name.
        done: The seed of every cell with numbers.
        problems: The cells of this order without numbers.

    Returns:
        One a seed, ascending.
    """
    with_numbers = Counter(done)
    without = Counter((problem.seed, problem.kind) for problem in problems)
    seeds = sorted({*with_numbers, *(seed for seed, _ in without)})
    return tuple(
        Progress(order, seed, with_numbers[seed], *(without[seed, kind] for kind in _KINDS)) for seed in seeds
    )


def progress_words(parts: Sequence[Progress]) -> tuple[str, ...]:
    """Say in one sentence how far an unfinished run is; nothing of one in which no cell is missing."""
    asked, done = sum(part.asked for part in parts), sum(part.done for part in parts)
    others = {kind: sum(getattr(part, kind) for part in parts) for kind in _KINDS}
    if not others["missing"]:
        return ()
    counts = ", ".join(f"{count} {kind}" for kind, count in others.items() if count)
    return (f"This run is not finished: {done} of {asked} cells are done ({counts}).",)


def progress_table(parts: Sequence[Progress]) -> Table:
    """Count cells by seed; orders of the domains whose counts are the same stand in one row."""
    orders = len({part.order for part in parts})
    alike: dict[tuple[int, ...], list[str]] = {}
    for part in sorted(parts, key=lambda part: (part.seed, -part.done)):
        counts = (part.asked, part.done, *(getattr(part, kind) for kind in _KINDS))
        alike.setdefault((part.seed, *counts), []).append(part.order)
    shown = [kind for kind in _KINDS if kind != "unusable" or any(part.unusable for part in parts)]
    rows = []
    for (seed, *numbers), names in alike.items():
        cells: tuple[str | Number, ...] = (str(seed), *map(Number, numbers[: 2 + len(shown)]))
        rows.append(Row((*cells, _orders(names, orders)) if orders > 1 else cells))
    columns = [Column("seed", "seed"), *(Column(k, k, digits=0) for k in ("cells", "done", *shown))]
    if orders > 1:
        columns.append(Column("orders", "orders"))
    done, asked = sum(part.done for part in parts), sum(part.asked for part in parts)
    title = f"What is there: {done} of {asked} cells"
    return Table("progress", title, tuple(columns), tuple(rows))


def _orders(names: Sequence[str], count: int) -> str:
    """Name orders: one by its name, more by how many they are."""
    if len(names) == 1:
        return names[0]
    return f"all {count}" if len(names) == count else f"{len(names)} of {count}"


def progress_frame(parts: Sequence[Progress]) -> pd.DataFrame:
    """Give the counts of every order and seed, one row each."""
    import pandas as pd

    names = ("order", "seed", "asked", "done", *_KINDS)
    rows = [tuple(getattr(part, name) for name in names) for part in parts]
    frame = pd.DataFrame(rows, columns=list(names))
    return frame if any(part.order for part in parts) else frame.drop(columns="order")


def problem_table(problems: Sequence[Problem]) -> Table:
    """List cells without numbers, each with its reason.

    Seeds and orders that differ in nothing else stand in one row, and so do strategies that lack the same cells.
    """
    seeds: dict[tuple[str, str, str, str], list[int]] = {}
    for problem in problems:
        seeds.setdefault((problem.label, problem.kind, problem.reason, problem.order), []).append(
            problem.seed
        )
    orders: dict[tuple[str, str, str, str], list[str]] = {}
    for (label, kind, reason, order), of_seeds in seeds.items():
        orders.setdefault((label, kind, reason, seed_words(of_seeds)), []).append(order)
    labels: dict[tuple[str, str, str, tuple[str, ...]], list[str]] = {}
    for (label, kind, reason, of_seed), of_orders in orders.items():
        labels.setdefault((kind, reason, of_seed, tuple(of_orders)), []).append(label)
    named = any(problem.order for problem in problems)
    rows = []
    for (kind, reason, of_seed, names), of_labels in labels.items():
        where = names[0] if len(names) == 1 else f"{len(names)} orders"
        rows.append(Row((_few(of_labels), of_seed, kind, *((where,) if named else ()), reason)))
    titles = ("strategy", "seed", "what", *(("order",) if named else ()), "reason")
    return Table(
        "problems", "Cells without numbers", tuple(Column(title, title) for title in titles), tuple(rows)
    )


def _few(labels: Sequence[str]) -> str:
    """Name strategies: all of a few, of many the first and how many more."""
    if len(labels) <= _NAMED:
        return ", ".join(labels)
    return f"{', '.join(labels[: _NAMED - 1])} and {len(labels) - _NAMED + 1} more"
