"""What the order of the domains changes: every strategy in each order, the spread over orders, and the rankings."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from fretal_bench.benchmark.runner.results import CellResult, Results
from fretal_bench.errors import BenchError
from fretal_bench.metrics.numbers import NAN
from fretal_bench.metrics.videos import MEAN
from fretal_bench.reporting.inputs import (
    Problem,
    absent_cells,
    domain_names,
    order_name,
    seed_words,
    strategy_info,
)
from fretal_bench.reporting.quantities import (
    AVERAGE,
    FOOTPRINT,
    FORGETTING,
    CellMeasures,
    Quantity,
    quantities,
    stream_values,
)
from fretal_bench.reporting.rankings import Rankings, rank

COMPARED: Final = (FORGETTING, AVERAGE)
"""The quantities whose spread over orders is shown."""

Values = Mapping[str, float]
"""Quantity name -> value."""


@dataclass(frozen=True, eq=False)
class Order:
    """What was measured in one order of the domains.

    Attributes:
        name: ``A → B → C``.
        domains: In the order in which they are learned.
        cells: Label -> seed -> quantity name -> value.
        problems: The cells of this order without numbers.
    """

    name: str
    domains: tuple[str, ...]
    cells: Mapping[str, Mapping[int, Values]]
    problems: tuple[Problem, ...]

    def mean(self, label: str, quantity: str, seeds: Iterable[int]) -> float:
        """Give the mean of a quantity of a strategy over seeds that it has."""
        return float(np.mean([self.cells[label][seed][quantity] for seed in seeds]))


@dataclass(frozen=True, eq=False)
class Spread:
    """One quantity of one strategy over the orders.

    Attributes:
        label: The strategy's label.
        bound: Whether it is a bound.
        seeds: The seeds that the value of each order is a mean over: the same in all of them.
        values: Order name -> value, of the orders that have these seeds.
        mean: Over orders.
        deviation: Standard deviation over orders: of all there are (divided by their number m), or of some of them
            (divided by m - 1).
        low: The lowest value.
        high: The highest value.
    """

    label: str
    bound: bool
    seeds: tuple[int, ...]
    values: Mapping[str, float]
    mean: float
    deviation: float
    low: float
    high: float

    def at(self, value: float) -> tuple[str, ...]:
        """Name the orders that have this value."""
        return tuple(name for name, own in self.values.items() if math.isclose(own, value, abs_tol=1e-12))


@dataclass(frozen=True, eq=False)
class Orders:
    """A run in several orders of the domains.

    Attributes:
        orders: Those that were asked for, the stream's own first.
        possible: How many orders the domains have.
        spreads: Quantity name -> one spread a strategy that has numbers, bounds last.
        rankings: Quantity name -> the rankings of the strategies that have a value in every order with numbers; None
            where there are no two of them with a common seed, or no two orders.
        ranked_orders: How many orders have numbers of a strategy that is no bound.
        lacking: What is not there in some order, in words.
        quantities: The names of the quantities of every order: of the stream and of its cost, not of the final detector.
    """

    orders: tuple[Order, ...]
    possible: int
    spreads: Mapping[str, tuple[Spread, ...]]
    rankings: Mapping[str, Rankings | None]
    ranked_orders: int
    lacking: tuple[str, ...]
    quantities: tuple[str, ...]

    @property
    def own(self) -> Order:
        """The stream's own order."""
        return self.orders[0]

    @property
    def comparable(self) -> bool:
        """Whether there is anything to compare: at least two orders have numbers."""
        return self.ranked_orders > 1

    @property
    def others(self) -> tuple[Order, ...]:
        """The other orders."""
        return self.orders[1:]


def across_orders(
    results: Results,
    own: Sequence[CellMeasures],
    problems: Sequence[Problem],
    metric: str,
    level: str,
    video: str = MEAN,
) -> Orders | None:
    """Compare the orders of the domains that a run has; None for a run with one order.

    Args:
        results: Results as ``load_results`` gives them.
        own: What was measured of the cells of the stream's own order.
        problems: The cells of that order without numbers.
        metric: Metric of the matrices that forgetting and averages are computed from.
        level: ``frame`` or ``video``.
        video: How videos are scored, one of ``videos.VIDEO_SCORES``.

    Raises:
        BenchError: The domains of two orders are not the same.
    """
    if not results.in_other_orders:
        return None
    domains = domain_names(results.plan)
    of_report = quantities(metric)
    # A footprint is the same in every order.
    names = tuple(
        name
        for name, quantity in of_report.items()
        if quantity.table != "detection"
        and name not in FOOTPRINT
        # Results of earlier versions do not count updates.
        and all(name in measures.values for measures in own)
    )
    cells: dict[str, dict[int, Values]] = {}
    for measures in own:
        cells.setdefault(measures.label, {})[measures.seed] = {name: measures.values[name] for name in names}
    own_order = Order(order_name(domains), domains, cells, tuple(problems))
    orders = [
        own_order,
        *(_measured(other, metric, level, video, domains) for other in results.in_other_orders),
    ]
    known = [cell for of in (results, *results.in_other_orders) for cell in of.cells]
    bounds = _bounds(known)
    labels = [label for label in bounds if any(label in order.cells for order in orders)]
    labels.sort(key=lambda label: bounds[label])
    possible = math.factorial(len(domains))
    spreads = {
        name: tuple(_spread(label, bounds[label], name, orders, possible) for label in labels)
        for name in COMPARED
    }
    rankings = {name: _rankings(spreads[name], orders, of_report[name]) for name in COMPARED}
    with_numbers = _with_numbers(orders, [label for label in labels if not bounds[label]])
    return Orders(
        tuple(orders), possible, spreads, rankings, len(with_numbers), _lacking(labels, orders), names
    )


def _measured(results: Results, metric: str, level: str, video: str, own: tuple[str, ...]) -> Order:
    """Measure the cells of another order."""
    domains = domain_names(results.plan)
    name = order_name(domains)
    if sorted(domains) != sorted(own):
        raise BenchError(
            f"{results.path}: the order {name} is not one of the stream's domains {', '.join(own)}; "
            "the results and the plan do not belong together"
        )
    cells: dict[str, dict[int, Values]] = {}
    problems = list(absent_cells(results, name))
    for cell in results.cells:
        if cell.seed in cells.get(cell.label, {}):
            raise BenchError(
                f"{results.path}: two cells of the order {name} are called {cell.label!r} with seed {cell.seed}; "
                "give one its own label"
            )
        try:
            cells.setdefault(cell.label, {})[cell.seed] = stream_values(cell, metric, level, domains, video)
        except BenchError as error:
            problems.append(Problem(cell.label, cell.seed, "unusable", str(error), name))
    return Order(
        name, domains, {label: by_seed for label, by_seed in cells.items() if by_seed}, tuple(problems)
    )


def _bounds(cells: Iterable[CellResult]) -> dict[str, bool]:
    """Say of each label whether its strategy is a bound."""
    bounds: dict[str, bool] = {}
    for cell in cells:
        if cell.label not in bounds:
            info = strategy_info(cell.strategy)
            bounds[cell.label] = info is not None and info.bound
    return bounds


def common_seeds(seeds: Sequence[frozenset[int]]) -> tuple[int, ...]:
    """Choose the seeds over which a strategy is compared from order to order: the same in as many orders as can be.

    They are a seed that most orders have, and whatever other seeds all these orders have too. So an order that lacks a
    seed costs that seed everywhere, not the order: with other seeds its mean could not be compared.

    Args:
        seeds: The seeds of each order.

    Returns:
        Ascending; of choices in as many orders the larger one.
    """
    known = sorted(frozenset().union(*seeds))
    choices = []
    for seed in known:
        holding = [of_order for of_order in seeds if seed in of_order]
        choices.append((len(holding), tuple(sorted(frozenset.intersection(*holding)))))
    return max(choices, key=lambda choice: (choice[0], len(choice[1])))[1]


def _seeds(label: str, orders: Sequence[Order]) -> list[frozenset[int]]:
    return [frozenset(order.cells.get(label, {})) for order in orders]


def _spread(label: str, bound: bool, quantity: str, orders: Sequence[Order], possible: int) -> Spread:
    """Give the mean, standard deviation and ends of a quantity of a strategy over the orders."""
    seeds = common_seeds(_seeds(label, orders))
    values = {
        order.name: order.mean(label, quantity, seeds)
        for order in orders
        if set(seeds) <= order.cells.get(label, {}).keys()
    }
    numbers = np.array(list(values.values()))
    all_there_are = len(numbers) == possible
    deviation = float(np.std(numbers, ddof=0 if all_there_are else 1)) if len(numbers) > 1 else NAN
    ends = (float(numbers.min()), float(numbers.max()))
    return Spread(label, bound, seeds, values, float(np.mean(numbers)), deviation, *ends)


def _with_numbers(orders: Sequence[Order], competitors: Sequence[str]) -> list[Order]:
    """Give the orders in which any strategy that is no bound has numbers."""
    return [order for order in orders if any(label in order.cells for label in competitors)]


def _rankings(spreads: Sequence[Spread], orders: Sequence[Order], quantity: Quantity) -> Rankings | None:
    """Rank the strategies that have a value in every order that has numbers, over the seeds that all of them have."""
    competitors = [spread for spread in spreads if not spread.bound]
    with_numbers = _with_numbers(orders, [spread.label for spread in competitors])
    ranked = [s for s in competitors if len(s.values) == len(with_numbers) and not math.isnan(s.mean)]
    seeds = frozenset.intersection(*(frozenset(s.seeds) for s in ranked)) if ranked else frozenset()
    if len(ranked) < 2 or len(with_numbers) < 2 or not seeds:
        return None
    values = {
        spread.label: [order.mean(spread.label, quantity.name, sorted(seeds)) for order in with_numbers]
        for spread in ranked
    }
    return rank(values, tuple(sorted(seeds)), higher_is_better=quantity.better == "higher")


def _lacking(labels: Sequence[str], orders: Sequence[Order]) -> tuple[str, ...]:
    """Say which seeds of a strategy are not there in some orders, those that lack the same in one sentence."""
    lacking: dict[str, list[str]] = {}
    for label in labels:
        of_orders = _seeds(label, orders)
        seeds_by_orders: dict[tuple[str, ...], list[int]] = {}
        for seed in sorted(frozenset().union(*of_orders)):
            names = tuple(o.name for o, seeds in zip(orders, of_orders, strict=True) if seed not in seeds)
            if names:
                seeds_by_orders.setdefault(names, []).append(seed)
        for names, seeds in seeds_by_orders.items():
            more = f" and {len(names) - 2} more" if len(names) > 2 else ""
            what = f"seed{'s' if len(seeds) > 1 else ''} {seed_words(seeds)} in {len(names)} of {len(orders)} orders"
            lacking.setdefault(f"{what} ({', '.join(names[:2])}{more}).", []).append(label)
    return tuple(f"Not there: {', '.join(of)}, {what}" for what, of in lacking.items())
