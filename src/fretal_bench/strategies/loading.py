"""Loading a strategy's class by its record, and the checks of the class."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import sys

from fretal_bench import guard
from fretal_bench.errors import BenchError
from fretal_bench.plugins import words
from fretal_bench.strategies.record import NoHyperparameters, StrategyInfo
from fretal_bench.strategies.targets import missing_class, written
from fretal_bench.strategies.template import ContinualStrategy

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


def load(info: StrategyInfo) -> type[ContinualStrategy]:
    """Import a strategy's class.

    Raises:
        BenchError: The module or the class is not there or cannot be imported, the class is not a ``ContinualStrategy``,
            one of its hooks does not take what it is given, or it has hyperparameters and its row none; the message
            names the plugin, the hook and the argument.
    """
    who = f"{info.origin}: strategy {info.name!r}" if info.origin else f"strategy {info.name!r}"
    module_name, _, class_name = info.target.partition(":")
    try:
        # What is imported already, as all of the suite's own mostly is, needs no guard.
        module = sys.modules.get(module_name)
        if module is None:
            with guard.bounded(who) if info.origin else contextlib.nullcontext():
                module = importlib.import_module(module_name)
        if fault := missing_class(info.target):
            raise BenchError(fault)
        kind = getattr(module, class_name)
    except Exception as error:
        raise BenchError(f"{who}: cannot load {written(info.target)!r}: {words(error)}") from error
    if not (isinstance(kind, type) and issubclass(kind, ContinualStrategy)):
        raise BenchError(f"{who}: {written(info.target)!r} is not a ContinualStrategy class")
    if info.constants is NoHyperparameters and kind.Hyperparameters is not NoHyperparameters:
        raise BenchError(
            f"{who}: its class takes {kind.Hyperparameters.__name__}, which its row does not have; "
            f"add constants={kind.Hyperparameters.__name__} to the row"
        )
    problem = check_class(kind)
    if problem is not None:
        raise BenchError(f"{who}: {problem}")
    return kind


def check_class(kind: type) -> str | None:
    """Return what is wrong with a strategy's class: its hooks must take what they are given. None if nothing is."""
    if getattr(kind, "score", None) is not ContinualStrategy.score:
        return "score is the suite's own, the same for all; override probabilities(inputs)"
    for name in _HOOKS:
        own = getattr(kind, name)
        base = getattr(ContinualStrategy, name)
        if own is base:
            continue
        if not callable(own):
            return f"{name} must be a method, found {own!r}"
        given = list(inspect.signature(base).parameters)
        problem = _mismatch(inspect.signature(own), given)
        if problem:
            return f"{name}{_shown(inspect.signature(own))} {problem}"
    parameters = inspect.signature(kind.__init__).parameters.values()  # type: ignore[misc]  # the class's own is meant
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return "__init__ takes no **kwargs; pass them on to super().__init__(**kwargs)"
    return None


def _mismatch(signature: inspect.Signature, given: list[str]) -> str | None:
    """Return which of the arguments that a hook is ``given``, by place, it does not take, or what else it needs."""
    parameters = list(signature.parameters.values())
    by_place = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if len(by_place) < len(given) and not any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return f"takes no {given[len(by_place)]!r}"
    needed = [p for p in by_place[len(given) :] if p.default is p.empty]
    needed += [p for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is p.empty]
    return f"needs {needed[0].name!r}, which it is not given" if needed else None


def _shown(signature: inspect.Signature) -> str:
    return f"({', '.join(signature.parameters)})"
