"""The check that an order of domains is one of a stream: each of its domains exactly once."""

from __future__ import annotations

from collections.abc import Sequence

from fretal_bench.errors import BenchError, nearest
from fretal_bench.names import shown


def check_order(order: Sequence[str], names: Sequence[str], where: str) -> tuple[str, ...]:
    """Return an order of domains if it is a permutation of the stream's.

    Args:
        order: Names of domains.
        names: The names of the stream's domains, each once.
        where: What the order is and where it stands, for the error, e.g. ``--orders: order 2``.

    Raises:
        BenchError: A name is unknown, is there twice, or is missing; the message names the first.
    """
    for place, name in enumerate(order):
        if name not in names:
            raise BenchError(f"{where}: unknown domain {shown(name)}{nearest(name, names)}")
        if name in order[:place]:
            raise BenchError(f"{where}: domain {shown(name)} is there twice; name every domain once")
    for name in names:
        if name not in order:
            raise BenchError(
                f"{where}: domain {shown(name)} is missing; an order names all {len(names)} domains of the stream"
            )
    return tuple(order)
