"""Several result folders as one: labels that say in what they differ, a check that they can be compared, the differences.

Cells of all folders stand in one table, and their pairs in one family: two are compared over the seeds that both have and
the people that both were tested on, whichever folder they are of.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from fretal_bench.benchmark.runner.results import CellResult, Results
from fretal_bench.errors import BenchError
from fretal_bench.names import shown
from fretal_bench.reporting.comparison_words import conclusion
from fretal_bench.reporting.inference import Comparison
from fretal_bench.reporting.inputs import domain_names, order_name, unique
from fretal_bench.reporting.quantities import BACKWARD
from fretal_bench.reporting.summary import StrategySummary, Summary
from fretal_bench.reporting.tables import Column, Number, Row, Table

if TYPE_CHECKING:
    import pandas as pd

_MOST_KEYS: Final = 2
"""Folders whose recipes differ in more keys than these are told apart by their names."""
_LONGEST: Final = 40
"""Characters of what tells folders apart by keys."""


def together(results: Sequence[Results]) -> Results:
    """Bring several result folders together for one report.

    Orders of the domains besides the stream's own, further test sets and courses are left out.

    Args:
        results: At least one; a single one is returned as it is.

    Returns:
        Results whose labels end with what their folder differs in: ``ewc [epochs=20]``, or its name: ``ewc [mine]``.

    Raises:
        BenchError: A folder is named twice, they learn other domains or in another order, or were tested on other videos
            with the same seed.
    """
    if len(results) == 1:
        return results[0]
    _check_domains(results)
    for one, other in itertools.combinations(results, 2):
        _check_samples(one, other)
    names = _names(results)
    parts = [_named(of, name) for of, name in zip(results, names, strict=True)]
    return Results(
        results[0].path.parent / "+".join(of.path.resolve().name for of in results)[:100],
        _plan(results, names),
        tuple(cell for of in parts for cell in of.cells),
        tuple(cell for of in parts for cell in of.failures),
        tuple(cell for of in parts for cell in of.missing),
        tuple(cell for of in parts for cell in of.unusable),
    )


def _named(results: Results, name: str) -> Results:
    """Add to every label what its folder is called."""
    return replace(
        results,
        cells=tuple(
            replace(cell, label=f"{cell.label} [{name}]", source=name, further=None, courses={})
            for cell in results.cells
        ),
        failures=tuple(replace(cell, label=f"{cell.label} [{name}]") for cell in results.failures),
        missing=tuple(replace(cell, label=f"{cell.label} [{name}]") for cell in results.missing),
        unusable=tuple(replace(cell, label=f"{cell.label} [{name}]") for cell in results.unusable),
    )


def _names(results: Sequence[Results]) -> tuple[str, ...]:
    """Say of each folder in what it differs from the others: keys of the recipe, or its name."""
    places = [of.path.resolve() for of in results]
    if len(set(places)) < len(places):
        twice = next(of.path for at, of in enumerate(results) if places[at] in places[:at])
        raise BenchError(f"{twice} is named twice; name every result folder once")
    recipes = [_recipe(of.plan) for of in results]
    keys = _differing(recipes)
    if 0 < len(keys) <= _MOST_KEYS and not _are_imported(*results):
        names = tuple(", ".join(f"{key}={recipe.get(key, 'default')}" for key in keys) for recipe in recipes)
        if len(set(names)) == len(names) and all(len(name) <= _LONGEST for name in names):
            return names
    names = tuple(place.name for place in places)
    return names if len(set(names)) == len(names) else tuple(str(of.path) for of in results)


def _recipe(plan: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in plan["recipe"].items() if key not in ("name", "description")}


def _differing(recipes: Sequence[Mapping[str, Any]]) -> list[str]:
    keys = unique(key for recipe in recipes for key in recipe)
    return [key for key in keys if any(of.get(key) != recipes[0].get(key) for of in recipes)]


def _plan(results: Sequence[Results], names: Sequence[str]) -> dict[str, Any]:
    """Return the plan of all: the first one's, with what differs written out, and each by its name under ``compared``."""
    plans = [of.plan for of in results]
    recipes = [_recipe(plan) for plan in plans]
    differing = _differing(recipes)
    recipe = {key: value for key, value in recipes[0].items() if key not in differing}
    for key in differing:
        recipe[key] = {name: of.get(key, "default") for name, of in zip(names, recipes, strict=True)}
    name = " and ".join(unique(plan["recipe"]["name"] for plan in plans))
    stores = [[domain.get("store") for domain in plan["stream"]["domains"]] for plan in plans]
    # Rows of another store are other pictures.
    domains = [
        domain if len({of[place] for of in stores}) == 1 else {**domain, "store": ""}
        for place, domain in enumerate(plans[0]["stream"]["domains"])
    ]
    stream = {
        **plans[0]["stream"],
        "domains": domains,
        "name": " and ".join(unique(plan["stream"]["name"] for plan in plans)),
        "protocol": plans[0]["stream"]["protocol"] if _are_alike(plans, "protocol") else {},
    }
    own = {
        key: value
        for key, value in plans[0].items()
        if key not in ("further", "orders", "imported", "checksum")
    }
    compared = [
        {"name": name, "path": str(of.path), "plan": of.plan} for name, of in zip(names, results, strict=True)
    ]
    return {**own, "stream": stream, "recipe": {"name": name, **recipe}, "compared": compared}


def _are_alike(plans: Sequence[Mapping[str, Any]], key: str) -> bool:
    return all(plan["stream"][key] == plans[0]["stream"][key] for plan in plans)


def _check_domains(results: Sequence[Results]) -> None:
    """Refuse folders that learn other domains, or the same in another order: what is forgotten is of these."""
    first, *others = results
    own = domain_names(first.plan)
    for other in others:
        names = domain_names(other.plan)
        if names == own:
            continue
        what = "the same domains in another order" if set(names) == set(own) else "other domains"
        raise BenchError(
            f"{other.path}: learns {what} ({order_name(names)}) than {first.path} ({order_name(own)}): what one forgets "
            "says nothing of the other; compare folders of one stream"
        )


def _check_samples(one: Results, other: Results) -> None:
    """Refuse folders that were tested on other videos with the same seed."""
    of_one, of_other = ({cell.seed: cell for cell in reversed(of.cells)} for of in (one, other))
    for seed in sorted(of_one.keys() & of_other.keys()):
        videos, theirs = _videos(of_one[seed]), _videos(of_other[seed])
        for domain in domain_names(one.plan):
            ours, yours = videos.get(domain, {}), theirs.get(domain, {})
            common = ours.keys() & yours.keys()
            if ours == yours:
                continue
            if len(common) == len(ours) == len(yours):
                video = next(name for name in sorted(common) if ours[name] != yours[name])
                raise BenchError(
                    f"{other.path}: video {video!r} of domain {domain!r} has another label than in {one.path}; correct it"
                )
            named = "; bench import --dataset NAME says DATASET" if _are_imported(one, other) else ""
            raise BenchError(
                f"{other.path}: is tested on other videos of domain {domain!r} than {one.path} with seed {seed} "
                f"({len(yours):,} and {len(ours):,}, {len(common):,} in common; {_examples(yours, ours)}): what differs "
                f"may be the videos; score the same ones, under the same names (DATASET/METHOD/COMPRESSION/VIDEO{named})"
            )


def _examples(yours: Iterable[str], ours: Iterable[str]) -> str:
    """Name a video that each side has alone: ``e.g. 'own/real/none/1' and 'ff/real/c23/1'``."""
    sides = ({*yours} - {*ours}, {*ours} - {*yours})
    first = [shown(min(names)) for names in sides if names]
    return f"e.g. {first[0]} and {first[1]}" if len(first) == len(sides) else f"{first[0]} in one alone"


def _are_imported(*results: Results) -> bool:
    return any(of.plan.get("imported") for of in results)


def _videos(cell: CellResult) -> dict[str, dict[str, int]]:
    """Return the label of every test video, by domain."""
    scores: pd.DataFrame = cell.scores
    first = scores[scores["step"] == scores["step"].min()].drop_duplicates(["domain", "video"])
    return {
        str(domain): dict(zip(of["video"].astype(str), of["label"].astype(int), strict=True))
        for domain, of in first.groupby("domain", observed=True)
    }


def folder_tables(summary: Summary) -> tuple[Table, ...]:
    """Give the table of what a strategy has more in one folder than in another, where several are compared."""
    by_strategy: dict[str, list[StrategySummary]] = {}
    for strategy in summary.competitors:
        if strategy.source:
            name = strategy.label.removesuffix(f" [{strategy.source}]")
            by_strategy.setdefault(name, []).append(strategy)
    pairs = [(name, first, other) for name, (first, *others) in by_strategy.items() for other in others]
    rows = [row for name, first, other in pairs if (row := _row(summary, name, first, other)) is not None]
    if not rows:
        return ()
    shown = [summary.quantities[name] for name in summary.inference]
    columns = (
        Column("strategy", "strategy"),
        Column("folders", "difference"),
        *(Column(of.name, of.title, digits=of.digits, signed=True) for of in shown),
        Column("p_corrected", "p, Holm", digits=4),
        Column("conclusion", "by BWT"),
    )
    notes = (
        "Differences of the same strategy between result folders, the later minus the first, ± half of their 95% "
        "interval: paired over the seeds and the people that both have. p: of BWT, with Holm's correction for all "
        f"{len(summary.inference[BACKWARD].comparisons) if BACKWARD in summary.inference else 0} pairs of the report.",
    )
    return (Table("folders", "The same strategy in several result folders", columns, tuple(rows), notes),)


def _row(summary: Summary, name: str, first: StrategySummary, other: StrategySummary) -> Row | None:
    """Give a row of the table; None where one of the two has no value."""
    pairs: list[Comparison] = []
    for of in summary.inference.values():
        if first.label not in of.groups or other.label not in of.groups:
            return None
        pairs.append(of.between(other.label, first.label))
    numbers = [Number(pair.effect.mean, (pair.effect.high - pair.effect.low) / 2) for pair in pairs]
    by_bwt = dict(zip(summary.inference, pairs, strict=True)).get(BACKWARD)
    ends: tuple[str | Number, ...] = (Number(float("nan")), "")
    if by_bwt is not None:
        ends = (Number(by_bwt.p_corrected), conclusion(summary.inference[BACKWARD], by_bwt))
    return Row((name, f"{other.source} - {first.source}", *numbers, *ends))
