"""What reporting reads: the shape of ``Results``, the domains of a plan, and which cells are not there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from fretal_bench.strategies.record import StrategyInfo
from fretal_bench.strategies.registry import strategies

if TYPE_CHECKING:
    import pandas as pd


class CellLike(Protocol):
    """A done cell: ``benchmark.results.CellResult``, or anything with the same fields."""

    @property
    def strategy(self) -> str:
        """The strategy's name."""

    @property
    def label(self) -> str:
        """The name, with the hyperparameters that differ from the defaults."""

    @property
    def hyperparameters(self) -> Mapping[str, Any]:
        """All hyperparameters."""

    @property
    def seed(self) -> int:
        """The seed."""

    @property
    def scores(self) -> pd.DataFrame:
        """One row a test sample a step: step, domain, row, label, video, score."""

    @property
    def environment(self) -> Mapping[str, Any]:
        """Versions, device, commit, and ``phases``: a list of {phase, step, seconds, peak_memory_mb}."""


class FailureLike(Protocol):
    """A failed cell."""

    @property
    def label(self) -> str:
        """The strategy's label."""

    @property
    def seed(self) -> int:
        """The seed."""

    @property
    def reason(self) -> str:
        """Why it failed, in one line."""


class ResultsLike(Protocol):
    """A result folder, read: ``benchmark.results.Results``, or anything with the same fields."""

    @property
    def path(self) -> Path:
        """The folder."""

    @property
    def plan(self) -> Mapping[str, Any]:
        """``stream`` (name, domains, protocol), ``recipe``, and ``cells`` that were asked for."""

    @property
    def cells(self) -> Sequence[CellLike]:
        """Done cells."""

    @property
    def failures(self) -> Sequence[FailureLike]:
        """Failed cells."""


@dataclass(frozen=True)
class Problem:
    """A cell without numbers in the report.

    Attributes:
        label: The strategy's label.
        seed: The seed.
        kind: ``failed`` (with its own reason), ``missing`` (asked for, not done), or ``unusable`` (its scores
            are not what the suite writes).
        reason: In one line.
    """

    label: str
    seed: int
    kind: str
    reason: str


def domain_names(plan: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Give the stream's domains in the order in which they are learned, or None if the plan does not name them.

    ``plan["stream"]["domains"]`` may hold names or records with a ``name``.
    """
    entries = plan.get("stream", {}).get("domains")
    if not entries:
        return None
    return tuple(str(entry["name"]) if isinstance(entry, Mapping) else str(entry) for entry in entries)


def stream_words(plan: Mapping[str, Any]) -> str:
    """Name the stream with its protocol: ``ffpp-mini (videos_per_class=8, shared_reals=True, seed=0)``."""
    stream = plan.get("stream", {})
    name = str(stream.get("name", "unnamed"))
    protocol = stream.get("protocol")
    if not isinstance(protocol, Mapping) or not protocol:
        return name
    values = {
        key: "all" if key == "videos_per_class" and value is None else value
        for key, value in protocol.items()
    }
    return f"{name} ({', '.join(f'{key}={value}' for key, value in values.items())})"


def tuning_words(plan: Mapping[str, Any], strategies: Sequence[str], by_hand: bool = False) -> str:
    """Say in one sentence where the hyperparameters come from: a search, the recipe, or the strategies' defaults.

    Args:
        plan: A run's plan.
        strategies: The strategies in it that have hyperparameters.
        by_hand: Whether a label shows a value that was set for this run.
    """
    if not strategies:
        return "Hyperparameters: none."
    tuning, given = plan.get("tuning") or {}, plan.get("hyperparameters") or {}
    searched = [name for name in strategies if name in tuning.get("strategies", ())]
    in_recipe = [name for name in strategies if name in given and name not in searched]
    others = [name for name in strategies if name not in searched and name not in in_recipe]
    search = ""
    if searched:
        fair = ", the same budget for all" if len(searched) == len(strategies) else ""
        search = (
            f"found by random search, {tuning['budget']} trials a strategy, on validation data of "
            f"{', '.join(tuning['domains'])} ({tuning['stream']}){fair}"
        )
    origins = {search: searched, "set in the recipe": in_recipe, "the strategies' own defaults": others}
    parts = [
        f": {origin}" if len(names) == len(strategies) else f" of {', '.join(names)}: {origin}"
        for origin, names in origins.items()
        if names
    ]
    parts += [" shown in a label: set by hand"] if by_hand else []
    return f"Hyperparameters{';'.join(parts)}."


def absent_cells(results: ResultsLike) -> tuple[Problem, ...]:
    """List failed cells, and those that the plan asked for and that are neither done nor failed."""
    failed = [Problem(f.label, f.seed, "failed", one_line(f.reason)) for f in results.failures]
    there = {(cell.label, cell.seed) for cell in results.cells} | {(p.label, p.seed) for p in failed}
    planned = [(str(entry["label"]), int(entry["seed"])) for entry in results.plan.get("cells", ())]
    missing = [
        Problem(label, seed, "missing", "asked for but not finished; run the same `bench run` again")
        for label, seed in planned
        if (label, seed) not in there
    ]
    return (*failed, *missing)


def strategy_info(name: str) -> StrategyInfo | None:
    """Look up what the registry knows of a strategy; None for a plugin that is not installed here."""
    return strategies().get(name)


def one_line(text: object) -> str:
    """Put a text on one line."""
    return " ".join(str(text).split())


def unique(items: Iterable[str]) -> tuple[str, ...]:
    """Drop repetitions, keep the order."""
    return tuple(dict.fromkeys(items))
