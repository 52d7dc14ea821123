"""What is known of a strategy without importing it: its ``StrategyInfo`` and its hyperparameters, checked by key."""

from __future__ import annotations

import dataclasses
import importlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from fretal_bench.errors import BenchError, unknown_name

if TYPE_CHECKING:
    from fretal_bench.strategies.template import ContinualStrategy

Memory = Literal["none", "budget", "all"]


@dataclass(frozen=True)
class NoHyperparameters:
    """A strategy without hyperparameters."""


@dataclass(frozen=True)
class Range:
    """Where `bench tune` looks for a hyperparameter: from ``low`` to ``high``, log-uniformly unless ``log`` is False."""

    low: float
    high: float
    log: bool = True


def tunable(default: Any, low: float, high: float, *, log: bool = True) -> Any:
    """Declare a number of a hyperparameter record that `bench tune` may set.

    Args:
        default: The default; an int or a float, which is the type of every value.
        low: Smallest value tried.
        high: Largest value tried.
        log: Draw log-uniformly (uniformly if False).

    A field of a ``Literal`` type is tried at each of its values without this. A field declared without it (a budget,
    which must be the same for all) is left alone, and so is one declared with ``fixed``.
    """
    return dataclasses.field(default=default, metadata={"range": Range(low, high, log)})


def fixed(default: Any) -> Any:
    """Declare a hyperparameter that `bench tune` leaves alone, though its type (``Literal``, bool) would be searched.

    For what makes a method that method: with another value it would be a different one. ``--set`` changes it all the
    same.

    Args:
        default: The default.
    """
    return dataclasses.field(default=default, metadata={"search": False})


@dataclass(frozen=True)
class StrategyInfo:
    """What the suite knows of a strategy without importing it.

    Args:
        name: The name in ``--strategies``; lower case, words joined by ``-``.
        target: Where the class is, ``package.module:Class``; imported only when it is used, because that takes seconds.
        summary: One line for ``bench list strategies``.
        paper: Authors, venue and year of the source.
        teacher: It distils from a frozen copy of an older model.
        memory: Old training data it may see: ``none``, a ``budget`` of samples, or ``all`` of it.
        shared_source: It starts from the source model that all strategies of one seed share. False only for
            strategies that must watch the first domain being trained.
        bound: It is a reference (lower or upper bound), not a competitor.
        constants: The class of its hyperparameters, a frozen dataclass with defaults.
        resumable: Its state between two domains can be saved. If not, a cell is trained in one piece by one object, and
            one that was stopped begins again.
        caution: What whoever runs it must know, in one line; shown once, when the run is planned.
        origin: Where it comes from, set when it is registered: "" for the suite's own, ``DISTRIBUTION VERSION`` or
            ``FILE sha256:...`` for a plugin's. Part of a cell's id: results of an older plugin don't pass for a newer's.
    """

    name: str
    target: str
    summary: str
    paper: str
    teacher: bool = False
    memory: Memory = "none"
    shared_source: bool = True
    bound: bool = False
    constants: type = NoHyperparameters
    resumable: bool = True
    caution: str = ""
    origin: str = ""

    def load(self) -> type[ContinualStrategy]:
        """Import the strategy's class.

        Raises:
            BenchError: The module or the class is not there, the class is not a ``ContinualStrategy``, or one of its
                hooks does not take what it is given; the message names the plugin, the hook and the argument.
        """
        from fretal_bench.strategies.registration import check_class
        from fretal_bench.strategies.template import ContinualStrategy

        who = f"{self.origin}: strategy {self.name!r}" if self.origin else f"strategy {self.name!r}"
        module_name, _, class_name = self.target.partition(":")
        try:
            found = getattr(importlib.import_module(module_name), class_name)
        except (ImportError, AttributeError) as error:
            raise BenchError(f"{who}: cannot load {self.target!r}: {error}") from error
        if not (isinstance(found, type) and issubclass(found, ContinualStrategy)):
            raise BenchError(f"{who}: {self.target!r} is not a ContinualStrategy class")
        if found.Hyperparameters is not self.constants:
            raise BenchError(
                f"{who}: its class takes {found.Hyperparameters.__name__}, its row declares "
                f"{self.constants.__name__}; name one record in both"
            )
        problem = check_class(found)
        if problem is not None:
            raise BenchError(f"{who}: {problem}")
        return found

    def hyperparameters(self, changes: Mapping[str, Any] | None = None) -> Any:
        """Return the strategy's hyperparameters, with ``changes`` applied to the defaults.

        Args:
            changes: Values by key. Text is turned into the type of the default (``"10"`` -> ``10.0``).

        Raises:
            BenchError: A key does not exist or a value is not valid.
        """
        return hyperparameters_of(self.name, self.constants, changes or {})


def hyperparameters_of(name: str, kind: type, changes: Mapping[str, Any]) -> Any:
    """Build a hyperparameter record of class ``kind`` from its defaults and ``changes``.

    Raises:
        BenchError: A key does not exist (the nearest are named), a text cannot be read as the default's type, or the
            record itself refuses a value (``ValueError`` from ``__post_init__``).
    """
    defaults = {field.name: field.default for field in dataclasses.fields(kind)}
    values: dict[str, Any] = {}
    for key, value in changes.items():
        if key not in defaults:
            raise unknown_name(f"hyperparameter of {name}", key, defaults)
        values[key] = read_value(f"{name}.{key}", value, defaults[key])
    try:
        return kind(**values)
    except ValueError as error:
        raise BenchError(f"{name}: {error}") from error


def read_value(key: str, value: Any, default: Any) -> Any:
    """Turn ``value`` (often text from a command line) into the type of ``default``.

    Raises:
        BenchError: It cannot be read so; the message names ``key``, the expected type and what was found.
    """
    wanted = type(default)
    if isinstance(value, str) and wanted is bool:
        words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
        if value.lower() in words:
            return words[value.lower()]
    elif isinstance(value, bool) and wanted is not bool:
        pass
    elif wanted in (int, float) and isinstance(value, (int, float, str)):
        try:
            number = float(value)
            if math.isfinite(number) and (wanted is float or number == int(number)):
                return wanted(number)
        except (ValueError, OverflowError):
            pass
    elif isinstance(value, wanted):
        return value
    kind = "finite float" if wanted is float else wanted.__name__
    raise BenchError(f"{key}: expected {kind}, found {value!r}")
