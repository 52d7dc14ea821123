"""Rows and columns of a published table: what to train for one value, how to read it, or why it cannot be trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from fretal_bench.records import Invalid, Record

Kind = Literal[
    "table", "row", "column", "strategy", "hyperparameters", "stream", "data", "stores", "stand-in"
]


@dataclass(frozen=True)
class Cannot:
    """Why a value cannot be measured here.

    Attributes:
        kind: What stands in the way: the ``table`` as a whole, its ``row``, ``column``, ``hyperparameters`` or
            ``stream``; a ``strategy`` that the suite has not got; ``data`` that no store holds; several ``stores`` that
            fit; no ``stand-in`` for the paper's data.
        detail: The name of the missing strategy; of any other kind the reason in a few words.
    """

    kind: Kind
    detail: str

    def __str__(self) -> str:
        return f"the suite has no strategy {self.detail}" if self.kind == "strategy" else self.detail


@dataclass(frozen=True)
class Setting(Record):
    """What a row or a column says of the cells in it; put together, what to train for one value.

    Attributes:
        stream: Key in the table's streams; empty if there is one only.
        strategy: Its name in the registry; it need not be there.
        set: Hyperparameters that differ from the suite's defaults.
        recipe: Recipe keys that differ from the table's recipe, e.g. the backbone of a row; single values.
    """

    stream: str = ""
    strategy: str = ""
    set: Mapping[str, Any] = field(default_factory=dict)
    recipe: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        for key, value in self.recipe.items():
            if not isinstance(value, str | int | float):
                raise Invalid(f"recipe.{key}", "a single value", value)

    def joined(self, other: Setting) -> Setting:
        """Put a row's and a column's setting together; if both name a stream, its key is both names with a space."""
        return Setting(
            stream=" ".join(filter(None, (self.stream, other.stream))),
            strategy=self.strategy or other.strategy,
            set={**self.set, **other.set},
            recipe={**self.recipe, **other.recipe},
        )


@dataclass(frozen=True)
class Column(Setting):
    """A column: a setting, and how its value is read from the matrix R of a cell, in exactly one of three ways.

    Attributes:
        domain: The value on this domain, ``R[i, domain]``.
        after: After which step: the ``first``, the ``last``, or the one that learns the domain of this name; the last
            where it is left out.
        quantity: A number of the whole stream, a key of ``CONTINUAL_METRICS``.
        sign: -1 where the paper counts the other way round (DFIL's AF is minus BWT); 1 where it is left out.
        mean: The mean of these columns.
    """

    domain: str = ""
    after: str | None = None
    quantity: str = ""
    sign: Literal[1, -1] | None = None
    mean: tuple[str, ...] = ()

    def step(self, domains: Sequence[str]) -> int:
        """Return the row of R that the value on ``domain`` is read from.

        Args:
            domains: Those of the stream, in order.
        """
        if self.after == "first":
            return 0
        return len(domains) - 1 if self.after in (None, "last") else domains.index(self.after)

    def needs(self) -> tuple[str, ...]:
        """Return the domains that the stream must have for the value to be read; "" for none in particular."""
        named = self.after if self.after not in ("first", "last") else None
        return (self.domain, named) if named else (self.domain,)

    def __post_init__(self) -> None:
        super().__post_init__()
        if sum(map(bool, (self.domain, self.quantity, self.mean))) != 1:
            raise ValueError("give exactly one of domain, quantity and mean")
        for key, owner in (("after", "domain"), ("sign", "quantity")):
            if getattr(self, key) is not None and not getattr(self, owner):
                raise ValueError(f"{key} goes with {owner} only; leave it out")
        for key in ("stream", "strategy", "set", "recipe"):
            if self.mean and getattr(self, key):
                raise ValueError(f"a mean takes no {key}; put it in the columns that are averaged")
        for name in self.mean:
            if self.mean.count(name) > 1:
                raise ValueError(f"mean names {name!r} twice; keep one of them")
