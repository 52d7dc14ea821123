"""The search space of a strategy, the values that its hyperparameters may take, and seeded draws from it."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args, get_origin, get_type_hints

import numpy as np

from fretal_bench.errors import BenchError
from fretal_bench.strategies.record import Range, StrategyInfo

DIGITS: Final = 3
"""Significant digits of a drawn number: what is tried is what the recipe file says, and it can be read."""
_ATTEMPTS: Final = 1000


@dataclass(frozen=True)
class Choices:
    """A hyperparameter with a few named values, each as likely as the others."""

    values: tuple[Any, ...]


SearchSpace = Mapping[str, Range | Choices]


def search_space(info: StrategyInfo) -> dict[str, Range | Choices]:
    """Return where to look for each hyperparameter of a strategy that may be tuned, in the record's order.

    A number declared with ``tunable`` has its range, a ``Literal`` its values, a bool both of its own. Anything else,
    such as a budget of memory, is left alone, and so is what is declared ``fixed``.

    Raises:
        BenchError: A range is empty, or is to be drawn log-uniformly and does not lie above 0.
    """
    types = get_type_hints(info.constants)
    space: dict[str, Range | Choices] = {}
    for field in dataclasses.fields(info.constants):
        if not field.metadata.get("search", True):
            continue
        declared = field.metadata.get("range")
        if declared is not None:
            space[field.name] = _checked(f"{info.name}.{field.name}", declared)
        elif get_origin(types[field.name]) is Literal:
            space[field.name] = Choices(get_args(types[field.name]))
        elif types[field.name] is bool:
            space[field.name] = Choices((False, True))
    return space


def trials(info: StrategyInfo, budget: int, seed: int, given: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Draw what a strategy is tried with: first its defaults, then random values of all that may be tuned.

    Trial k depends on (seed, the strategy's name, k) and on the trials before it alone, which it must differ from: a
    larger budget begins with the trials of a smaller one, and other strategies change nothing.

    Args:
        info: The strategy.
        budget: Trials asked for.
        seed: Seed of the draws.
        given: Values that stand in for the strategy's defaults.

    Returns:
        At most ``budget`` dicts of the values that are drawn, the first one empty. Fewer where the strategy has not so
        many different values; one where there is nothing to tune.

    Raises:
        BenchError: No draw is a valid set of values.
    """
    space = search_space(info)
    draws: list[dict[str, Any]] = [{}]
    tried = [info.hyperparameters(given)]
    refusal: BenchError | None = None
    for number in range(1, budget if space else 1):
        generator = _generator(seed, info.name, number)
        for _ in range(_ATTEMPTS):
            values = draw(space, tried[0], generator)
            try:
                record = info.hyperparameters({**given, **values})
            except BenchError as error:  # values that do not go together
                refusal = error
                continue
            if record not in tried:
                draws.append(values)
                tried.append(record)
                break
        else:
            if len(draws) == 1 and refusal is not None:
                raise BenchError(
                    f"strategy {info.name!r}: none of {_ATTEMPTS} draws from its ranges is valid: {refusal}"
                )
            break
    return draws


def draw(space: SearchSpace, defaults: Any, generator: np.random.Generator) -> dict[str, Any]:
    """Draw a value for every hyperparameter of ``space``, of the type that it has in ``defaults``."""
    values: dict[str, Any] = {}
    for name, where in space.items():
        if isinstance(where, Choices):
            values[name] = where.values[int(generator.integers(len(where.values)))]
        else:
            values[name] = _number(where, type(getattr(defaults, name)), generator)
    return values


def _number(where: Range, kind: type, generator: np.random.Generator) -> float | int:
    from scipy.stats import loguniform, uniform

    # A whole number k stands for [k, k + 1): so the ends come up as often as they should.
    high = where.high + 1 if kind is int else where.high
    if where.log:
        value = float(loguniform.rvs(where.low, high, random_state=generator))
    else:
        value = float(uniform.rvs(where.low, high - where.low, random_state=generator))
    if kind is int:
        return min(int(value), int(where.high))
    return min(max(float(f"{value:.{DIGITS}g}"), float(where.low)), float(where.high))


def _generator(seed: int, name: str, number: int) -> np.random.Generator:
    digest = hashlib.sha256(name.encode()).digest()
    return np.random.default_rng([seed % 2**32, int.from_bytes(digest[:8], "little"), number])


def _checked(name: str, where: Range) -> Range:
    if not where.low < where.high or (where.log and where.low <= 0):
        rule = "0 < low < high, or log=False" if where.log else "low < high"
        raise BenchError(f"{name}: its range is {where.low:g} to {where.high:g}; declare {rule}")
    return where
