"""The record of a strategy, what is known of it without importing it: ``StrategyInfo``, and the checks of one."""

from __future__ import annotations

import dataclasses
import re
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from fretal_bench import records

Memory = Literal["none", "budget", "all"]
MOST_SAMPLES: Final = 1_000_000_000
"""Largest number of samples that a hyperparameter may name; more than any data set has."""

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_TARGET = re.compile(r"[\w.]+:\w+")


@dataclass(frozen=True)
class NoHyperparameters(records.Record):
    """A strategy without hyperparameters."""


@dataclass(frozen=True)
class Range:
    """Where `bench tune` looks for a hyperparameter: from ``low`` to ``high``, log-uniformly unless ``log`` is False."""

    low: float
    high: float
    log: bool = True


def tunable(
    default: Any,
    low: float,
    high: float,
    *,
    log: bool = True,
    at_least: float | None = None,
    above: float | None = None,
    at_most: float | None = None,
    below: float | None = None,
) -> Any:
    """Declare a number of a hyperparameter record that `bench tune` may set.

    Args:
        default: The default; an int or a float.
        low: Smallest value tried.
        high: Largest value tried.
        log: Draw log-uniformly (uniformly if False).
        at_least: Smallest value that is valid at all.
        above: All valid values are larger.
        at_most: Largest value that is valid.
        below: All valid values are smaller.

    A field of a ``Literal`` type is tried at each of its values without this. A field declared with ``limited`` or a
    plain default (a budget, which must be the same for all) is left alone, and so is one declared with ``fixed``.
    """
    return records.limited(
        default,
        at_least=at_least,
        above=above,
        at_most=at_most,
        below=below,
        metadata={"range": Range(low, high, log)},
    )


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
        constants: The class of its hyperparameters, a frozen dataclass with defaults (a ``Record``). Declared here and
            nowhere else: the strategy's class has it from its row.
        resumable: Its state between two domains can be saved. If not, a cell is trained in one piece by one object, and
            one that was stopped begins again.
        watchable: It can be judged while it learns a domain, as it would judge at that moment (``bench run --watch``).
            False for what judges by something that is made at a domain's end: it is judged there alone.
        uncalibrated: Its P(fake) ranks samples and is no probability, e.g. the softmax of bounded distances, which stays
            near 0.5: what measures calibration says nothing of it, and reports mark it.
        caution: What whoever runs it must know, in one line; shown once, when the run is planned.
        refuses: Which ``trainable`` of a recipe, or which ``effort``, it does not train with, each with the reason:
            (``"lora"``, ``it adds adapters of its own``).
        aliases: Other names that it is known by, each of the form of a name: papers use two names where one method does.
            They stand for it everywhere. Where its results are shown they stand beside its name (``called``).
        old_data: What it needs the training data of the domains before for, as ends a sentence: a source model that the
            user brings comes without. Empty if it needs none; of a strategy with a ``memory`` it need not be said.
        backbone: Which backbone it needs, as ends a sentence; empty if any will do.
        links: Where its papers are, an address each; ``bench show`` prints them.
        revision: Raised when a change of the code changes what a cell's numbers are; part of a cell's id when above 0.
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
    watchable: bool = True
    uncalibrated: bool = False
    caution: str = ""
    refuses: tuple[tuple[str, str], ...] = ()
    revision: int = 0
    origin: str = ""
    aliases: tuple[str, ...] = ()
    old_data: str = ""
    backbone: str = ""
    links: tuple[str, ...] = ()

    @property
    def without_old_data(self) -> str:
        """Why it cannot go on from a model whose training data are not there, as ends a sentence; empty if it can."""
        if not self.shared_source:
            return "has a model of its own from the start, and watches it learn the first domain"
        if not self.resumable:
            return "is trained in one piece from the first domain on"
        if self.old_data:
            return f"needs old training data for {self.old_data}"
        if self.memory == "all":
            return "trains on all old training data"
        return "keeps a memory of old training data" if self.memory == "budget" else ""

    def called(self, hyperparameters: Mapping[str, Any]) -> str:
        """Return what it is called where results are shown: all its names with a slash, as ``fretal/cored``.

        Its other names are left out where a hyperparameter that is ``fixed`` has another value than its default, which
        makes it another method, or is not known.

        Args:
            hyperparameters: Values by key.
        """
        is_it = all(
            field.name in hyperparameters and hyperparameters[field.name] == field.default
            for field in dataclasses.fields(self.constants)
            if not field.metadata.get("search", True)
        )
        return "/".join((self.name, *self.aliases)) if is_it else self.name

    def hyperparameters(self, changes: Mapping[str, Any] | None = None) -> Any:
        """Return the strategy's hyperparameters, with ``changes`` applied to the defaults.

        Args:
            changes: Values by key. Text is read as the field's type (``"10"`` -> ``10.0``).

        Raises:
            BenchError: A key does not exist or a value is not valid.
        """
        return records.changed(self.constants(), changes or {}, self.name)


def check_info(info: object) -> str | None:
    """Return what is wrong with a strategy's record, in one line; None if nothing is.

    Its fields' types, the forms of its name and target, and its hyperparameters' class. The class itself is not imported.
    """
    if not isinstance(info, StrategyInfo):
        return f"expected a StrategyInfo, found {type(info).__name__}"
    kinds: dict[str, type] = dict.fromkeys(
        ("name", "target", "summary", "paper", "origin", "memory", "caution", "old_data", "backbone"), str
    )
    kinds |= dict.fromkeys(
        ("teacher", "shared_source", "bound", "resumable", "watchable", "uncalibrated"), bool
    )
    for name, kind in kinds.items():
        value = getattr(info, name)
        if not isinstance(value, kind):
            return f"{name} must be {kind.__name__}, found {value!r}"
    if isinstance(info.revision, bool) or not isinstance(info.revision, int) or info.revision < 0:
        return f"revision must be a whole number of at least 0, found {info.revision!r}"
    if not _NAME.fullmatch(info.name):
        return f"name {info.name!r}: expected lower-case words joined by '-', e.g. 'my-method'"
    if not _TARGET.fullmatch(info.target):
        return f"target {info.target!r}: expected 'package.module:Class'"
    if not info.summary.strip() or "\n" in info.summary:
        return f"summary must be one line, found {info.summary!r}"
    if not isinstance(info.refuses, tuple) or not all(_is_pair(pair) for pair in info.refuses):
        return f"refuses must be pairs of a recipe's trainable and a reason, found {info.refuses!r}"
    if not isinstance(info.links, tuple) or not all(_is_link(link) for link in info.links):
        return f"links must be a tuple of addresses that begin with https://, found {info.links!r}"
    if problem := _check_aliases(info):
        return problem
    if info.memory not in typing.get_args(Memory):
        return f"memory {info.memory!r}: expected {', '.join(map(repr, typing.get_args(Memory)))}"
    return check_constants(info.constants)


def _is_pair(pair: object) -> bool:
    return isinstance(pair, tuple) and len(pair) == 2 and all(isinstance(part, str) for part in pair)


def _is_link(link: object) -> bool:
    return isinstance(link, str) and re.fullmatch(r"https?://[^\s\x00-\x1f]+", link) is not None


def _check_aliases(info: StrategyInfo) -> str | None:
    if not isinstance(info.aliases, tuple):
        return f"aliases must be a tuple of names, found {info.aliases!r}"
    for place, alias in enumerate(info.aliases):
        if not isinstance(alias, str) or not _NAME.fullmatch(alias):
            return f"alias {alias!r}: expected lower-case words joined by '-', e.g. 'my-method'"
        if alias in (info.name, *info.aliases[:place]):
            return f"alias {alias!r} is one of its names already; leave it out"
    return None


def check_constants(kind: object) -> str | None:
    """Return what is wrong with a class of hyperparameters: it must be a frozen dataclass whose fields have defaults."""
    if not (isinstance(kind, type) and dataclasses.is_dataclass(kind)):
        return f"constants must be a dataclass, found {kind!r}"
    parameters: Any = kind.__dict__.get("__dataclass_params__")
    if parameters is None or not parameters.frozen:
        return f"constants {kind.__name__} must be a dataclass that is frozen: @dataclass(frozen=True)"
    for field in dataclasses.fields(kind):
        if not isinstance(field.default, bool | int | float | str):
            return (
                f"constants {kind.__name__}: {field.name} needs a default that is a number, a bool or a text"
            )
    try:
        kind()
    except ValueError as error:
        return f"constants {kind.__name__}: its own defaults are refused: {error}"
    return None
