"""Is a strategy's record what it says? Checked when it is registered, its class when it is first used."""

from __future__ import annotations

import dataclasses
import inspect
import re
import typing
from typing import Any

from fretal_bench.strategies.record import Memory, StrategyInfo

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_TARGET = re.compile(r"[\w.]+:\w+")
_HOOKS = (
    "before_domain",
    "penalty",
    "after_domain",
    "training_source",
    "extra_state",
    "load_extra_state",
    "state_dict",
    "load_state_dict",
    "adopt",
    "probabilities",
    "forward",
)


def check_info(info: object) -> str | None:
    """Say what is wrong with a strategy's record, in one line; None if nothing is.

    Its fields' types, the forms of its name and target, and its hyperparameters' class. The class itself is not imported.
    """
    if not isinstance(info, StrategyInfo):
        return f"expected a StrategyInfo, found {type(info).__name__}"
    kinds: dict[str, type] = dict.fromkeys(
        ("name", "target", "summary", "paper", "origin", "memory", "caution"), str
    )
    kinds |= dict.fromkeys(("teacher", "shared_source", "bound", "resumable"), bool)
    for name, kind in kinds.items():
        value = getattr(info, name)
        if not isinstance(value, kind):
            return f"{name} must be {kind.__name__}, found {value!r}"
    if not _NAME.fullmatch(info.name):
        return f"name {info.name!r}: expected lower-case words joined by '-', e.g. 'my-method'"
    if not _TARGET.fullmatch(info.target):
        return f"target {info.target!r}: expected 'package.module:Class'"
    if not info.summary.strip() or "\n" in info.summary:
        return f"summary must be one line, found {info.summary!r}"
    if info.memory not in typing.get_args(Memory):
        return f"memory {info.memory!r}: expected {', '.join(map(repr, typing.get_args(Memory)))}"
    return check_constants(info.constants)


def check_constants(kind: object) -> str | None:
    """Say what is wrong with a class of hyperparameters: it must be a frozen dataclass whose fields have defaults."""
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


def check_class(found: type) -> str | None:
    """Say what is wrong with a strategy's class: its hooks must take what they are given. None if nothing is."""
    from fretal_bench.strategies.template import ContinualStrategy

    if getattr(found, "score", None) is not ContinualStrategy.score:
        return "score is the suite's own, the same for all; override probabilities(inputs)"
    for name in _HOOKS:
        own = getattr(found, name)
        base = getattr(ContinualStrategy, name)
        if own is base:
            continue
        if not callable(own):
            return f"{name} must be a method, found {own!r}"
        given = list(inspect.signature(base).parameters)
        problem = _mismatch(inspect.signature(own), given)
        if problem:
            return f"{name}{_shown(inspect.signature(own))} {problem}"
    parameters = inspect.signature(found.__init__).parameters.values()  # type: ignore[misc]  # the class's own is meant
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return "__init__ takes no **kwargs; pass them on to super().__init__(**kwargs)"
    return None


def _mismatch(signature: inspect.Signature, given: list[str]) -> str | None:
    """Say which of the arguments that a hook is ``given``, by place, it does not take, or what else it needs."""
    parameters = list(signature.parameters.values())
    by_place = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if len(by_place) < len(given) and not any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return f"takes no {given[len(by_place)]!r}"
    needed = [p for p in by_place[len(given) :] if p.default is p.empty]
    needed += [p for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is p.empty]
    return f"needs {needed[0].name!r}, which it is not given" if needed else None


def _shown(signature: inspect.Signature) -> str:
    return f"({', '.join(signature.parameters)})"
