"""Orders of the domains as rows of CSV and as plain data for JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fretal_bench.metrics.numbers import NAN, or_none
from fretal_bench.reporting.orders import COMPARED, Orders, Spread
from fretal_bench.reporting.rankings import Rankings

if TYPE_CHECKING:
    import pandas as pd


def order_frame(orders: Orders) -> pd.DataFrame:
    """Give the mean of every quantity of a stream, over the order's own seeds: one row an order and strategy."""
    import pandas as pd

    rows = []
    for order in orders.orders:
        for label, by_seed in order.cells.items():
            seeds = sorted(by_seed)
            means = {name: order.mean(label, name, seeds) for name in orders.quantities}
            head = {"order": order.name, "own": order is orders.own, "strategy": label}
            rows.append({**head, "seeds": " ".join(map(str, seeds)), **means})
    return pd.DataFrame(rows)


def order_values(orders: Orders, metric: str, level: str) -> pd.DataFrame:
    """Give every quantity of a stream of every cell of every order, one row a value."""
    import pandas as pd

    rows = [
        (order.name, label, seed, metric, level, name, values[name])
        for order in orders.orders
        for label, by_seed in order.cells.items()
        for seed, values in by_seed.items()
        for name in orders.quantities
    ]
    return pd.DataFrame(rows, columns=["order", "label", "seed", "metric", "level", "quantity", "value"])


def orders_record(orders: Orders) -> dict[str, Any]:
    """Give the comparison of orders as plain data for ``json.dumps``; a value that does not exist is None."""
    return {
        "orders": [list(order.domains) for order in orders.orders],
        "possible": orders.possible,
        "lacking": list(orders.lacking),
        **{name: _record(orders.spreads[name], orders.rankings[name], orders) for name in COMPARED},
    }


def _record(spreads: Sequence[Spread], rankings: Rankings | None, orders: Orders) -> dict[str, Any]:
    """Give the spreads and rankings of one quantity as plain data."""
    names = [order.name for order in orders.orders]
    strategies = [
        {
            "label": spread.label,
            "seeds": list(spread.seeds),
            "mean": or_none(spread.mean),
            "deviation": or_none(spread.deviation),
            "lowest": or_none(spread.low),
            "highest": or_none(spread.high),
            # One an order, in the order of "orders".
            "values": [or_none(spread.values.get(name, NAN)) for name in names],
            "first_in": None if rankings is None else rankings.firsts.get(spread.label),
            "mean_rank": None if rankings is None else rankings.mean_ranks.get(spread.label),
        }
        for spread in spreads
    ]
    return {
        "strategies": strategies,
        "same_ranking": None if rankings is None else rankings.same,
        "kendalls_w": None if rankings is None else or_none(rankings.agreement),
    }
