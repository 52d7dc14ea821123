"""The orders of domains that a call asks for: all, so many of them, or those that it names."""

from __future__ import annotations

import hashlib
import itertools
import math
import re
from collections.abc import Sequence
from typing import Final

from fretal_bench.datasets.streams.orders import check_order
from fretal_bench.errors import BenchError
from fretal_bench.names import shown

MOST: Final = math.factorial(7)
"""Orders of one call: those of seven domains; each is learned by every strategy with every seed."""
_COUNT: Final = re.compile(r"[0-9]{1,9}")

Order = tuple[str, ...]


def orders_of(text: str, names: Sequence[str], seed: int = 0) -> tuple[Order, ...]:
    """Read the value of ``--orders``.

    Args:
        text: ``all``; a number: so many different orders, the stream's own among them, the others drawn by ``seed``;
            or the orders themselves, names joined by ``,`` and orders by ``;``: ``A,B,C;B,A,C``.
        names: The names of the stream's domains in its own order.
        seed: Of the draw. What is drawn depends on it and on the names alone, and a greater number adds to what a
            smaller one draws.

    Returns:
        For ``all`` and a number the stream's own order first; else the orders that are named, as they are.

    Raises:
        BenchError: It is none of these, there are fewer orders than asked for, they are more than ``MOST``, or an order
            that is named is no permutation of ``names`` or is named twice.
    """
    text = text.strip()
    if text == "all":
        if _are_too_many(names):
            raise BenchError(
                f"--orders all: {len(names)} domains have {len(names)}! orders, and a call takes at most {MOST:,}; "
                "give a number, and so many are drawn"
            )
        return tuple(itertools.permutations(names))
    if _COUNT.fullmatch(text):
        return _drawn(_count_of(int(text), names), tuple(names), seed)
    if "," in text or ";" in text or text in names:
        return _named(text, names)
    raise BenchError(
        f"--orders: expected 'all', a number of orders, or orders such as 'A,B,C;B,A,C', found {shown(text)}"
    )


def _are_too_many(names: Sequence[str]) -> bool:
    return math.factorial(len(names)) > MOST


def _count_of(count: int, names: Sequence[str]) -> int:
    """Check a number of orders."""
    if not count:
        raise BenchError("--orders 0: expected at least 1; 1 is the stream's own order alone")
    if not _are_too_many(names) and count > math.factorial(len(names)):
        raise BenchError(
            f"--orders {count}: {len(names)} domains have {math.factorial(len(names)):,} orders in all; "
            "give no more, or 'all'"
        )
    if count > MOST:
        raise BenchError(f"--orders {count}: a call takes at most {MOST:,} orders; give no more")
    return count


def _drawn(count: int, own: Order, seed: int) -> tuple[Order, ...]:
    """The stream's own order and ``count - 1`` others, drawn without replacement."""
    # Ranking by a hash, not by a generator: the choice is the same with every version of Python.
    if not _are_too_many(own):
        others = sorted(itertools.permutations(own), key=lambda order: _rank(seed, *order))
        return (own, *[order for order in others if order != own][: count - 1])
    # Too many to rank them all; so many that hardly one is drawn twice.
    chosen = {own: None}
    draws = (_shuffled(own, seed, draw) for draw in itertools.count())
    while len(chosen) < count:
        chosen[next(draws)] = None
    return tuple(chosen)


def _shuffled(names: Order, seed: int, draw: int) -> Order:
    return tuple(sorted(names, key=lambda name: _rank(seed, str(draw), name)))


def _rank(seed: int, *words: str) -> bytes:
    # No name holds a "/".
    return hashlib.sha256("/".join([str(seed), "orders", *words]).encode()).digest()


def _named(text: str, names: Sequence[str]) -> tuple[Order, ...]:
    orders: list[Order] = []
    for number, part in enumerate(text.split(";"), start=1):
        order = check_order([name.strip() for name in part.split(",")], names, f"--orders: order {number}")
        if order in orders:
            raise BenchError(
                f"--orders: order {number} is order {orders.index(order) + 1} again; name every order once"
            )
        orders.append(order)
    return tuple(orders)
