"""What a report takes from results: domains, the stream and tuning in words, what was left out and what is missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from fretal_bench.benchmark.runner.results import Results
from fretal_bench.datasets.corruptions import corrupted_name
from fretal_bench.errors import BenchError
from fretal_bench.metrics.imbalance import ACCURACY, accuracy_for
from fretal_bench.strategies.record import StrategyInfo
from fretal_bench.strategies.registry import find_strategy


@dataclass(frozen=True)
class Problem:
    """A cell without numbers in the report.

    Attributes:
        label: The strategy's label.
        seed: The seed.
        kind: ``failed`` (with its own reason), ``missing`` (asked for, not done), or ``unusable`` (its scores
            are not what the suite writes).
        reason: In one line.
        order: The order of the domains; empty where the run has one order only.
        place: Where it failed, as ``CellFailure.place``; for who runs it, not for reports.
    """

    label: str
    seed: int
    kind: Literal["failed", "missing", "unusable"]
    reason: str
    order: str = ""
    place: str = ""


def domain_names(plan: Mapping[str, Any]) -> tuple[str, ...]:
    """Give the stream's domains in the order in which they are learned."""
    return tuple(domain["name"] for domain in plan["stream"]["domains"])


def corrupted_sets(plan: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Give the domain and the corruption of every corrupted test set in a plan, by the set's name."""
    corrupted = {}
    for entry in plan.get("further", ()):
        if name := entry.get("corruption"):
            domain = entry["name"].removesuffix(corrupted_name("", name))
            corrupted[entry["name"]] = (domain, name)
    return corrupted


def order_name(domains: Iterable[str]) -> str:
    """Name an order of domains: ``A → B → C``."""
    return " → ".join(domains)


def seed_words(seeds: Iterable[int]) -> str:
    """Name seeds, three or more in a row by the first and the last: ``0 to 4, 7``."""
    runs: list[list[int]] = []
    for seed in sorted(set(seeds)):
        if runs and seed == runs[-1][-1] + 1:
            runs[-1].append(seed)
        else:
            runs.append([seed])
    return ", ".join(f"{run[0]} to {run[-1]}" if len(run) > 2 else ", ".join(map(str, run)) for run in runs)


def stream_words(plan: Mapping[str, Any]) -> str:
    """Name the stream with its protocol: ``ffpp-mini (videos_per_class=8, shared_reals=True, seed=0)``.

    With folds, of which each seed takes one, ``folds=5`` follows.
    """
    protocol = dict(plan["stream"]["protocol"])
    if not protocol:
        # Of imported scores it is not known.
        return str(plan["stream"]["name"])
    if plan.get("folds") and protocol.get("draws", 1) == 1:
        protocol["folds"] = len(plan["folds"]) + 1
    if protocol.get("videos_per_class", 0) is None:
        protocol["videos_per_class"] = "all"
    return f"{plan['stream']['name']} ({', '.join(f'{key}={value}' for key, value in protocol.items())})"


def tuning_words(plan: Mapping[str, Any], strategies: Sequence[str], by_hand: bool = False) -> str:
    """Say in one sentence where the hyperparameters come from: a search, the recipe, or the strategies' defaults.

    Args:
        plan: A run's plan.
        strategies: The strategies in it that have hyperparameters.
        by_hand: Whether a label shows a value that was set for this run.
    """
    if plan.get("compared"):
        return " ".join(
            f"[{of['name']}] {tuning_words(of['plan'], _strategies_of(of['plan'], strategies), by_hand)}"
            for of in plan["compared"]
        )
    if plan.get("imported"):
        return "Hyperparameters: not known, the scores were imported."
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


def usual_metric(results: Results, level: str) -> str:
    """Name the metric of a report that nobody chose one for: accuracy, balanced where a class is far larger.

    Args:
        results: Results as ``load_results`` gives them; the test samples of all seeds are looked at.
        level: ``frame`` or ``video``: what is counted.
    """
    import pandas as pd

    tables = {
        cell.seed: cell.scores for cell in results.cells if {"domain", "label", "video"} <= {*cell.scores}
    }
    parts = []
    for scores in tables.values():
        samples = scores[scores["step"] == scores["step"].min()]
        parts.append(samples if level == "frame" else samples.drop_duplicates(["domain", "video"]))
    if not parts:
        return ACCURACY
    labels = pd.concat([part[["domain", "label"]] for part in parts]).groupby("domain", observed=True)[
        "label"
    ]
    return accuracy_for({str(domain): of.to_numpy() for domain, of in labels})


def left_out(results: Results) -> tuple[str, ...]:
    """Say how many videos, frames or faces the stream's stores left out, by reason."""
    stream = results.plan["stream"]
    reasons = stream.get("left_out", {})
    return tuple(f"{stream['name']}: {count} left out: {reason}" for reason, count in sorted(reasons.items()))


def shortcut_words(results: Results) -> tuple[str, ...]:
    """Say of each domain that has one which fact of its files tells real from fake without looking at a picture.

    Nothing where the stores say nothing: they were made before this was looked for, or there is no such fact.
    """
    shortcuts = results.plan["stream"].get("shortcuts", {})
    return tuple(f"{domain}: {words}." for domain, words in shortcuts.items())


def absent_cells(results: Results, order: str = "") -> tuple[Problem, ...]:
    """List failed cells, done ones whose scores cannot be used, and those that were asked for and are neither."""
    failed = [
        Problem(cell.label, cell.seed, "failed", one_line(cell.reason), order, cell.place)
        for cell in results.failures
    ]
    unusable = [
        Problem(cell.label, cell.seed, "unusable", one_line(cell.reason), order) for cell in results.unusable
    ]
    advice = "asked for but not finished; run the same `bench run` again"
    missing = (Problem(cell.label, cell.seed, "missing", advice, order) for cell in results.missing)
    return (*failed, *unusable, *missing)


def versions_words(results: Results) -> tuple[str, ...]:
    """Name the versions of the suite that made the cells, most cells first, and say how many have no checksums.

    E.g. ``Cells were made by 2 versions of fretal-bench: 0.1.0 at 337fdbcd2ff3 (24), 0.2.0 (3).`` Nothing where all were
    made by one version that writes checksums.
    """
    return (
        *_compared(results),
        *_several_versions(results),
        *_without_checksums(results),
        *_imported(results),
    )


def _strategies_of(plan: Mapping[str, Any], strategies: Sequence[str]) -> list[str]:
    """Return those of some strategies that a plan has with hyperparameters."""
    own = {cell["strategy"] for cell in plan["cells"] if cell["hyperparameters"]}
    return [name for name in strategies if name in own]


def _compared(results: Results) -> tuple[str, ...]:
    """Say which result folders are compared, and what of them is not."""
    compared = results.plan.get("compared")
    if not compared:
        return ()
    named = "; ".join(f"[{of['name']}] is {of['path']}" for of in compared)
    seeds: dict[str, set[int]] = {}
    for cell in results.cells:
        seeds.setdefault(cell.source, set()).add(cell.seed)
    common = set.intersection(*seeds.values()) if seeds else set()
    paired = (
        "differences are paired over the seeds and the people that both have"
        if common
        else "they have no seed in common, so that nothing is told apart between them"
    )
    return (
        f"{len(compared)} result folders are compared ({named}): {paired}. Other orders, further test sets and courses "
        "are left out.",
    )


def _imported(results: Results) -> tuple[str, ...]:
    """Say whose scores were imported, and from where."""
    files: dict[str, list[str]] = {}
    lines = []
    for cell in results.cells:
        if cell.imported is not None:
            files.setdefault(cell.imported.words, []).append(cell.label)
    for words, labels in files.items():
        was = "Its scores were" if len(set(labels)) == 1 else "Their scores were"
        lines.append(
            f"{', '.join(unique(labels))}: trained and judged elsewhere. {was} imported from {words}; what it took is "
            "not known."
        )
    without = unique(c.label for c in results.cells if c.imported is not None and not c.imported.untrained)
    if without:
        lines.append(
            f"Scores before training were not imported, so that forward transfer does not exist: {', '.join(without)}."
        )
    return tuple(lines)


def _without_checksums(results: Results) -> tuple[str, ...]:
    """Count the cells of which nothing says that their files are those that were written."""
    count = sum(not cell.sealed for cell in results.cells)
    if not count:
        return ()
    cells = "1 cell was" if count == 1 else f"{count} cells were"
    return (
        f"{cells} written without checksums by an older version of fretal-bench: whether the scores are those that were "
        "written cannot be known.",
    )


def _several_versions(results: Results) -> tuple[str, ...]:
    by_cell = [
        # A cell whose steps were made by several has each of them in `environments`.
        unique(_version(made_with) for made_with in cell.environment.get("environments", [cell.environment]))
        for cell in results.cells
        if cell.imported is None
    ]
    versions = {version for of_cell in by_cell for version in of_cell}
    if len(versions) < 2:
        return ()
    counts = Counter(" and ".join(of_cell) for of_cell in by_cell).most_common()
    named = ", ".join(f"{of_cell} ({count})" for of_cell, count in counts)
    return (f"Cells were made by {len(versions)} versions of fretal-bench: {named}.",)


def _version(environment: Mapping[str, Any]) -> str:
    """Name the version of the suite, with its commit where it ran from a checkout."""
    version = environment.get("versions", {}).get("fretal-bench", "unknown")
    return f"{version} at {environment['commit']}" if environment.get("commit") else str(version)


def strategy_info(name: str) -> StrategyInfo | None:
    """Look up what is known of a strategy, Avalanche's included; None for one of a plugin that is not installed here."""
    try:
        return find_strategy(name)
    except BenchError:
        return None


def one_line(text: str) -> str:
    """Put a text on one line."""
    return " ".join(text.split())


def unique(items: Iterable[str]) -> tuple[str, ...]:
    """Drop repetitions, keep the order."""
    return tuple(dict.fromkeys(items))
