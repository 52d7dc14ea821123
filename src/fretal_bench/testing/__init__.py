"""The conformance kit: what a strategy must do to give results that compare, for plugin authors' own tests.

import pytest
from fretal_bench.testing import strategy_checks
from my_package import INFO

@pytest.mark.parametrize("check", strategy_checks(INFO), ids=str)
def test_my_strategy_conforms(check):
    check()
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING, Any

from fretal_bench.errors import unknown_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

    from fretal_bench.strategies.record import StrategyInfo
    from fretal_bench.testing.checks import CheckFunction
    from fretal_bench.testing.rig import Rig
    from fretal_bench.testing.world import (
        TINY_RECIPE,
        TinyConvNet,
        tiny_benchmark,
        tiny_convnet,
        tiny_stream,
        tiny_transformer,
    )

__all__ = [
    "TINY_RECIPE",
    "Check",
    "ConformanceError",
    "TinyConvNet",
    "check_strategy",
    "strategy_checks",
    "tiny_benchmark",
    "tiny_convnet",
    "tiny_stream",
    "tiny_transformer",
]


class ConformanceError(AssertionError):
    """A strategy does not do what it must.

    Attributes:
        strategy: Its name.
        check: The check's name.
        seen: What the check saw.
        expected: What it expects; empty where the strategy raised.
    """

    def __init__(self, strategy: str, check: str, seen: str, expected: str) -> None:
        super().__init__(
            f"strategy {strategy!r}: {check}: {seen}{f'; expected {expected}' if expected else ''}"
        )
        self.strategy, self.check, self.seen, self.expected = strategy, check, seen, expected


@dataclass(frozen=True)
class Check:
    """One check of one strategy; call it. ``str`` of it is its name.

    Attributes:
        name: What the strategy must do: ``resumes_to_the_same_bytes``, ``reacts_to_temperature``.
    """

    name: str
    _function: CheckFunction = field(repr=False)
    _rig: Rig = field(repr=False)

    def __str__(self) -> str:
        return self.name

    def __call__(self) -> None:
        """Run it.

        Raises:
            ConformanceError: The strategy does not pass.
        """
        from fretal_bench.testing.rig import TrainingFailed

        try:
            finding = self._function(self._rig)
        except TrainingFailed as error:
            raise ConformanceError(self._rig.info.name, self.name, str(error), "") from error
        if finding is not None:
            raise ConformanceError(self._rig.info.name, self.name, finding.seen, finding.expected)


def strategy_checks(
    info: StrategyInfo,
    *,
    model: Callable[[], nn.Module] | None = None,
    device: str = "cpu",
    settings: Mapping[str, Any] | None = None,
    exempt: Mapping[str, str] | None = None,
    processes: bool = False,
) -> Iterator[Check]:
    """Yield the checks of a strategy, e.g. for ``pytest.mark.parametrize``; arguments as ``check_strategy``.

    They share the cell that most of them look at, so together they take little longer than the slowest.
    """
    from fretal_bench.testing.checks import CHECKS, reacts_to
    from fretal_bench.testing.rig import Rig
    from fretal_bench.testing.values import fields
    from fretal_bench.testing.world import tiny_convnet

    info = _completed(info)
    rig = Rig(info, model or tiny_convnet, device, settings)
    checks = [Check(function.__name__, function, rig) for function in CHECKS]
    checks += [Check(f"reacts_to_{field.name}", reacts_to(field.name), rig) for field in fields(info)]
    if processes:
        from fretal_bench.testing.processes import gives_the_same_bytes_in_two_processes as in_two

        checks.append(Check(in_two.__name__, in_two, rig))
    reasons = dict(exempt or {})
    for name in reasons:
        if name not in {check.name for check in checks}:
            raise unknown_name(f"check of {info.name}", name, [check.name for check in checks])
    yield from (check for check in checks if check.name not in reasons)


def check_strategy(
    info: StrategyInfo,
    *,
    model: Callable[[], nn.Module] | None = None,
    device: str = "cpu",
    settings: Mapping[str, Any] | None = None,
    exempt: Mapping[str, str] | None = None,
    processes: bool = False,
) -> None:
    """Check that a strategy keeps the rules that make results comparable; the first it breaks is raised.

    The strategy is trained along three tiny domains in memory, every step a new object begun from saved files, as the
    suite's runner does it. The checks: it describes itself; refuses nonsense; trains; gives the same bytes again,
    when resumed, when loaded only to score, when other cells run between its steps and when judged between its
    updates; leaves teachers and frozen parameters alone; keeps within its memory; reads no validation or test data
    and no domain before its turn; gives probabilities of *fake*; works in bfloat16 and on plain Avalanche
    experiences; and reacts to each hyperparameter it declares. A few seconds for most.

    Args:
        info: The strategy.
        model: Makes the model that is trained, from torch's global generator: two outputs, images [B, 3, 32, 32].
            Default ``tiny_convnet``; ``tiny_transformer`` for strategies that need attention.
        device: ``cpu``, where all checks hold, or ``cuda``, where equal bytes are not promised.
        settings: Hyperparameters to train with where the defaults do not suit a stream of 30 training images a domain,
            e.g. a ``warmup`` longer than the training. A ``memory`` is 8 unless it stands here.
        exempt: Check -> reason, for a rule that the strategy breaks on purpose. The reason is for readers.
        processes: Run the suite itself too, in one process and in two, and compare (half a minute). Needs a strategy that
            is registered, since the processes look it up by name.

    Raises:
        ConformanceError: The strategy breaks a rule; the message names the check, what was seen and what is expected.
        BenchError: ``exempt`` names a check that does not exist.
    """
    for check in strategy_checks(
        info, model=model, device=device, settings=settings, exempt=exempt, processes=processes
    ):
        check()


def _completed(info: StrategyInfo) -> StrategyInfo:
    """Return the row of a class in the same file (``:Class``) with that file's module, as ``--plugin`` completes it.

    The file is that of the class that names the row; of a class that is not there, the one that has the row and
    strategies of its own, since a test that imports a row has it too.
    """
    from fretal_bench.strategies.registry import with_its_class

    if not info.target.startswith(":"):
        return info
    name = info.target[1:]
    holders = []
    for module in list(sys.modules.values()):
        values = vars(module)
        kind = values.get(name)
        if isinstance(kind, type) and vars(kind).get("info") is info:
            return with_its_class(info, kind.__module__)
        if any(
            value is info or (isinstance(value, list | tuple) and _has(value, info))
            for value in _public(values)
        ):
            holders.append(module)
    own = [module for module in holders if _strategies_of(module)] or holders
    return with_its_class(info, own[-1].__name__) if own else info


def _public(values: Mapping[str, Any]) -> list[Any]:
    """Return the values of a module that may be rows: those in capitals, as a file names them."""
    return [value for key, value in list(values.items()) if key.isupper()]


def _has(values: Sequence[Any], info: StrategyInfo) -> bool:
    return any(value is info for value in values)


def _strategies_of(module: ModuleType) -> bool:
    """Whether strategies are defined in a module."""
    from fretal_bench.strategies.template import ContinualStrategy

    return any(
        isinstance(value, type)
        and issubclass(value, ContinualStrategy)
        and value.__module__ == module.__name__
        for value in list(vars(module).values())
    )


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        # The tiny world imports torch; naming a check in a parameter list should not.
        if name in __all__:
            from fretal_bench.testing import world

            return getattr(world, name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
