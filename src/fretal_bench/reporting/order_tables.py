"""The tables and sentences on orders of the domains: spread, best and worst order, whether the ranking holds."""

from __future__ import annotations

import math

from fretal_bench.metrics.numbers import NAN
from fretal_bench.reporting.inputs import seed_words
from fretal_bench.reporting.orders import COMPARED, Orders, Spread
from fretal_bench.reporting.quantities import Quantity
from fretal_bench.reporting.rankings import Rankings
from fretal_bench.reporting.summary import Summary
from fretal_bench.reporting.tables import NOTHING, Column, Number, Row, Table, mark_best


def order_tables(summary: Summary) -> tuple[Table, ...]:
    """Give one table for each quantity that is compared from order to order; none where one order alone has numbers."""
    if summary.orders is None or not summary.orders.comparable:
        return ()
    return tuple(order_table(summary, summary.orders, summary.quantities[name]) for name in COMPARED)


def order_table(summary: Summary, orders: Orders, quantity: Quantity) -> Table:
    """The spread of a quantity over the orders: one row a strategy."""
    spreads, rankings = orders.spreads[quantity.name], orders.rankings[quantity.name]
    alike = len({spread.seeds for spread in spreads}) < 2
    columns = [
        Column("strategy", "strategy"),
        *(() if alike else (Column("seeds", "seeds"),)),
        Column("orders", "orders", digits=0),
        Column("mean", "mean", quantity.better),
        Column("deviation", "SD"),
        Column("lowest", "lowest"),
        Column("highest", "highest"),
        Column("first_in", "first in", digits=1),
        Column("mean_rank", "mean rank", digits=2),
        Column("best_order", "best order"),
        Column("worst_order", "worst order"),
    ]
    rows = [Row(_cells(spread, quantity, rankings, alike=alike), apart=spread.bound) for spread in spreads]
    title = f"{quantity.title[:1].upper()}{quantity.title[1:]} over orders of the domains"
    notes = (
        scope_words(orders),
        _meaning(orders, alike=alike),
        ranking_words(orders, quantity, rankings),
        *_agreement(rankings),
        *orders.lacking,
        f"All other tables are of the stream's own order, {orders.own.name}.",
    )
    return mark_best(Table(f"orders-{quantity.name}", title, tuple(columns), tuple(rows), notes))


def _cells(
    spread: Spread, quantity: Quantity, rankings: Rankings | None, *, alike: bool
) -> tuple[str | Number, ...]:
    """Give the cells of a row."""
    best, worst = spread.low, spread.high
    if quantity.better == "higher":
        best, worst = worst, best
    return (
        spread.label,
        *(() if alike else (seed_words(spread.seeds),)),
        Number(len(spread.values)),
        Number(spread.mean, over=(*spread.seeds, *spread.values)),
        Number(spread.deviation),
        Number(spread.low),
        Number(spread.high),
        Number(NAN if rankings is None else rankings.firsts.get(spread.label, NAN)),
        Number(NAN if rankings is None else rankings.mean_ranks.get(spread.label, NAN)),
        _named(spread, best),
        _named(spread, worst),
    )


def _named(spread: Spread, value: float) -> str:
    """Name the orders of a value: the first, and how many more."""
    names = spread.at(value)
    if not names or len(spread.values) < 2:
        return NOTHING
    if len(names) == len(spread.values):
        return "no difference"
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"


def scope_words(orders: Orders) -> str:
    """Say how many of the orders that the domains have were asked for."""
    count = len(orders.orders)
    if count == orders.possible:
        return f"Orders: all {count} that {len(orders.own.domains)} domains have."
    return f"Orders: {count} of the {orders.possible} that {len(orders.own.domains)} domains have."


def _meaning(orders: Orders, *, alike: bool) -> str:
    """Say what the numbers are: no interval, as orders are counted and not drawn from people."""
    if alike:
        seeds = orders.spreads[COMPARED[0]][0].seeds
        over = f"seed {seeds[0]}" if len(seeds) == 1 else f"seeds {seed_words(seeds)}"
    else:
        over = "the seeds of its row"
    whole = {len(spread.values) == orders.possible for spread in orders.spreads[COMPARED[0]]}
    divided = (
        "m where all possible orders are there, else m - 1"
        if len(whole) > 1
        else "m"
        if whole == {True}
        else "m - 1"
    )
    return (
        f"The value of an order is the mean over {over}; mean, SD (divided by {divided}), lowest and highest are over "
        "the m orders, and are no interval. First in: orders in which no other is better, shared where several tie."
    )


def ranking_words(orders: Orders, quantity: Quantity, rankings: Rankings | None) -> str:
    """Say in one sentence whether the ranking of the strategies is the same in all orders."""
    title = quantity.title
    if not orders.comparable:
        how_many = "One" if orders.ranked_orders else "None"
        return f"{how_many} of the {len(orders.orders)} orders that were asked for has numbers."
    if rankings is None:
        return f"By {title} strategies are not ranked: no two have numbers of a common seed in every order that has any."
    count = len(rankings.ranks)
    if rankings.same:
        scope = f"all {count} orders" if count == orders.possible else f"the {count} orders that have numbers"
        return f"By {title} the ranking is the same in {scope}: {_in_order(rankings)}."
    first, *others = sorted(rankings.alone.items(), key=lambda item: -item[1])
    parts = [f"{first[0]} is first in {first[1]} of {count} orders"]
    parts += [f"{label} in {number}" for label, number in others if number]
    tied = count - sum(rankings.alone.values())
    parts += [f"several tie for it in {tied}"] if tied else []
    return f"By {title} {', '.join(parts)}."


def _in_order(rankings: Rankings) -> str:
    """Name the strategies from the first to the last; those that tie joined by "="."""
    ranks = rankings.mean_ranks
    text = rankings.labels[0]
    for before, label in zip(rankings.labels, rankings.labels[1:], strict=False):
        text += f" = {label}" if ranks[before] == ranks[label] else f", {label}"
    return text


def _agreement(rankings: Rankings | None) -> tuple[str, ...]:
    """Say how far the rankings agree, of which strategies and seeds they are, and what they do not say."""
    if rankings is None:
        return ()
    w = rankings.agreement
    agreement = (
        ""
        if math.isnan(w)
        else f"Kendall's W of the {len(rankings.ranks)} rankings is {w:.2f} (1 = the same). "
    )
    seeds = f"seed {rankings.seeds[0]}" if len(rankings.seeds) == 1 else f"seeds {seed_words(rankings.seeds)}"
    return (
        f"{agreement}Ranked are the means over {seeds} of the strategies that have numbers in every order, bounds left "
        "out; two that lie close may change places by their seeds alone.",
    )


def order_note(summary: Summary) -> tuple[str, ...]:
    """Say next to the verdict that it is of one order, and whether the ranking holds in the others."""
    orders = summary.orders
    if orders is None:
        return ()
    name = COMPARED[0]
    words = ranking_words(orders, summary.quantities[name], orders.rankings[name])
    return (f"This is of one order of the domains, {orders.own.name}. {words}",)
