"""The plan of a run: which cells, each with an id that is a hash of what it is."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fretal_bench.benchmark.recipes.recipe import SEEDS, Recipe
from fretal_bench.benchmark.runner.content import content_id
from fretal_bench.benchmark.runner.graph import (
    Source,
    Step,
    TestSet,
    path_of,
    set_id,
    step_ids,
    strategy_content,
)
from fretal_bench.datasets.streams.domain import NO_ROWS
from fretal_bench.datasets.streams.folds import fold_of
from fretal_bench.errors import BenchError, nearest
from fretal_bench.strategies.record import StrategyInfo
from fretal_bench.strategies.registry import by_own_name, find_strategy, own_name

Folds = tuple[tuple[Mapping[str, Any], ...], ...]
Changes = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Cell:
    """One strategy with its hyperparameters on one stream with one recipe and one seed.

    Args:
        id: Hash of exactly that.
        stream: Name or path that opens the stream.
        strategy: The strategy's name.
        hyperparameters: All of them, defaults included.
        changed: Those that differ from the recipe's, or from the defaults where it has none.
        recipe: The recipe, its device resolved.
        seed: The seed.
        path: Its steps, from the untrained model to the last domain.
        sets: What every step is judged on: the test and validation samples of every domain.
        order: Number of its order of the domains: 0 is the stream's own, others as in ``Plan.orders``.
        origin: The plugin that the strategy comes from, with its version: see ``StrategyInfo``.
        revision: The strategy's: see ``StrategyInfo``.
        fold: Its fold of the stream, which the seed says: see ``folds.fold_of``.
    """

    id: str
    stream: str
    strategy: str
    hyperparameters: Mapping[str, Any]
    changed: Mapping[str, Any]
    recipe: Recipe
    seed: int
    path: tuple[Step, ...]
    sets: tuple[TestSet, ...]
    order: int = 0
    origin: str = ""
    revision: int = 0
    fold: int = 0

    @property
    def adopts(self) -> bool:
        """Whether it starts from the source model that all such strategies of one seed share."""
        return self.path[0].strategy != self.strategy

    @property
    def name(self) -> str:
        """The strategy, with the hyperparameters that were changed: ``fretal(temperature=10.0)``."""
        inside = ", ".join(f"{key}={value}" for key, value in self.changed.items())
        return f"{self.strategy}({inside})" if inside else self.strategy

    @property
    def names(self) -> tuple[str, ...]:
        """Its name, and those that it has where the strategy is called otherwise."""
        called = find_strategy(self.strategy).called(self.hyperparameters)
        return tuple(name + self.name.removeprefix(self.strategy) for name in called.split("/"))

    @property
    def label(self) -> str:
        """What to call it."""
        return f"{self.name}, seed {self.seed}"


@dataclass(frozen=True)
class Plan:
    """The cells of one run.

    Args:
        stream: The stream's fingerprint: what its data are, as plain data.
        recipe: The recipe, its device resolved.
        cells: What is to be trained, in order.
        orders: Fingerprints of the stream in the other orders of its domains, if any.
        left_out: What the stream's stores left out when they were made, counted by reason.
        shortcuts: Domain -> what tells its real from its fake without looking at a picture.
        folds: Of a stream with folds, for each after the first the fingerprints of the stream in its own order and in
            the others: who is tested is all that differs.
        brought: Of a source model that the user brought, the file and what was taken for granted, by the plan's keys.
    """

    stream: Mapping[str, Any]
    recipe: Recipe
    cells: tuple[Cell, ...]
    orders: tuple[Mapping[str, Any], ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)
    shortcuts: Mapping[str, str] = field(default_factory=dict)
    folds: Folds = ()
    brought: Mapping[str, str] = field(default_factory=dict)


def base_content(stream: Mapping[str, Any], recipe: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Return what all cells of a stream, a recipe and a seed have in common.

    Args:
        stream: The stream's fingerprint.
        recipe: ``Recipe.content()``.
        seed: The seed.
    """
    return {"stream": stream, "recipe": recipe, "seed": seed}


def cell_id(
    base: Mapping[str, Any],
    strategy: str,
    hyperparameters: Mapping[str, Any],
    origin: str = "",
    revision: int = 0,
) -> str:
    """Return the id of a cell.

    Args:
        base: ``base_content``.
        strategy: The strategy's name.
        hyperparameters: All of them.
        origin: The plugin that the strategy comes from, with its version.
        revision: The strategy's.
    """
    # A plugin's code may change, and so may the suite's own: of that the record says when it changes results. What has
    # neither origin nor revision keeps the id it always had.
    code: dict[str, Any] = {"origin": origin} if origin else {}
    if revision > 0:
        code["revision"] = revision
    return content_id({**base, "strategy": strategy, "hyperparameters": hyperparameters, **code})


def split_changes(changes: Sequence[str]) -> dict[str, dict[str, str]]:
    """Read ``--set`` arguments, ``strategy.key=value`` or ``recipe.key=value``, into values by owner and key.

    Raises:
        BenchError: An argument is not of that form, or sets a key twice.
    """
    values: dict[str, dict[str, str]] = {}
    for change in changes:
        left, equals, value = change.partition("=")
        owner, dot, key = left.strip().rpartition(".")
        if not (equals and dot and owner and key):
            raise BenchError(
                f"--set {change!r}: expected STRATEGY.KEY=VALUE or recipe.KEY=VALUE, e.g. ewc.lambda_=10"
            )
        if key in values.setdefault(owner, {}):
            raise BenchError(f"--set {left.strip()} is given twice; give it once")
        values[owner][key] = value.strip()
    return values


def make_plan(
    strategies: Sequence[str],
    stream: str,
    fingerprint: Mapping[str, Any],
    recipe: Recipe,
    seeds: Sequence[int],
    changes: Changes | None = None,
    orders: Sequence[Mapping[str, Any]] = (),
    folds: Folds = (),
    source: Source | None = None,
) -> Plan:
    """Make the plan of a run: every strategy with every seed, in every order of the domains.

    Args:
        strategies: Names; one given twice counts once.
        stream: Name or path that opens the stream.
        fingerprint: The stream's content, ``Stream.fingerprint()``.
        recipe: The recipe, its device resolved.
        seeds: Seeds; one given twice counts once.
        changes: Hyperparameters by strategy.
        orders: Fingerprints of the stream in other orders of its domains.
        folds: For each fold after the first the fingerprints of the stream in its own order and in the others.
        source: The source model that the user brought; the fingerprints say of it what identifies it.

    Raises:
        BenchError: A strategy or hyperparameter does not exist, a value is not valid, a change names a strategy that
            is not in the run, or names it by two of its names, or there is nothing to run.
    """
    infos = check_strategies(strategies, recipe, seeds, changes or {}, brought=source is not None)
    changes = by_strategy(changes or {})
    in_folds = ((fingerprint, *orders), *folds)
    cells = [
        _cell(
            info,
            changes.get(info.name, {}),
            stream,
            in_folds[fold][number],
            number,
            recipe,
            seed,
            fold,
            source,
        )
        for number in range(len(orders) + 1)
        for seed in dict.fromkeys(seeds)
        for fold in (fold_of(seed, len(in_folds)),)
        for info in infos
    ]
    return Plan(fingerprint, recipe, tuple(cells), tuple(orders), folds=tuple(folds))


def by_strategy(changes: Changes) -> Changes:
    """Return changes under the strategies' own names; ``BenchError`` where one is changed twice, under two names."""
    return by_own_name(changes, lambda owner, key: f"--set {owner}.{key}")


def refused_key(info: StrategyInfo, recipe: Recipe) -> tuple[str, str, str] | None:
    """Return a key of a recipe whose value a strategy does not train with, the usual value, and why; else None."""
    for key, usual in (("trainable", "all"), ("effort", "epochs")):
        reason = dict(info.refuses).get(getattr(recipe, key))
        if reason is not None:
            return key, usual, reason
    return None


def check_strategies(
    strategies: Sequence[str],
    recipe: Recipe,
    seeds: Sequence[int],
    changes: Changes,
    *,
    brought: bool = False,
) -> tuple[StrategyInfo, ...]:
    """Check the names, keys and values of a plan; arguments and errors as ``make_plan``.

    The classes of plugins are loaded and looked at: what is wrong with one is said before anything trains. With
    ``brought``, also that every strategy can go on from a source model whose training data are not there.

    Returns:
        The strategies, each once.
    """
    infos = tuple(dict.fromkeys(find_strategy(name) for name in strategies))
    if not infos or not seeds:
        raise BenchError("nothing to run: name at least one strategy and one seed")
    for seed in seeds:
        if not 0 <= seed < SEEDS:
            raise BenchError(f"seed {seed}: expected a whole number from 0 to {SEEDS - 1}; give one of them")
    for owner in changes:
        if own_name(owner) not in {info.name for info in infos}:
            known = nearest(owner, ["recipe", *(info.name for info in infos)])
            key = next(iter(changes[owner]), "KEY")
            raise BenchError(
                f"--set {owner}.{key}: {owner!r} is not in this run{known}. "
                "Add it to --strategies, or correct its name"
            )
    changes = by_strategy(changes)
    for info in infos:
        refused = refused_key(info, recipe)
        if refused is not None:
            key, usual, reason = refused
            raise BenchError(
                f"strategy {info.name!r} does not train with {key} = {getattr(recipe, key)!r}: {reason}; leave it out, "
                f"or set recipe.{key}={usual}"
            )
        if brought and info.without_old_data:
            raise BenchError(
                f"strategy {info.name!r} {info.without_old_data}, and a source model that is brought comes without its "
                "data; leave it out"
            )
        info.hyperparameters({**recipe.hyperparameters.get(info.name, {}), **changes.get(info.name, {})})
    _check_classes(infos)
    return infos


def _check_classes(infos: Sequence[StrategyInfo]) -> None:
    """Load the classes of plugins' strategies; those of the suite are as they were tested, and are not imported here."""
    brought_in = [info for info in infos if info.origin]
    if brought_in:
        from fretal_bench.strategies.loading import load

        for info in brought_in:
            load(info)


def _cell(
    info: StrategyInfo,
    changes: Mapping[str, Any],
    stream: str,
    fingerprint: Mapping[str, Any],
    order: int,
    recipe: Recipe,
    seed: int,
    fold: int,
    source: Source | None,
) -> Cell:
    given = recipe.hyperparameters.get(info.name, {})
    values = dataclasses.asdict(info.hyperparameters({**given, **changes}))
    defaults = dataclasses.asdict(info.hyperparameters(given))
    base = base_content(fingerprint, recipe.content(), seed)
    cell = Cell(
        id=cell_id(base, info.name, values, info.origin, info.revision),
        stream=stream,
        strategy=info.name,
        hyperparameters=values,
        changed={key: value for key, value in values.items() if value != defaults[key]},
        recipe=recipe,
        seed=seed,
        path=(),
        sets=_sets(fingerprint, stream, fold),
        order=order,
        origin=info.origin,
        revision=info.revision,
        fold=fold,
    )
    # What is trained in one piece trains its first domain itself.
    adopts = info.shared_source and info.resumable
    return dataclasses.replace(
        cell, path=_path(cell, fingerprint, source, adopts=adopts, resumable=info.resumable)
    )


def _path(
    cell: Cell, fingerprint: Mapping[str, Any], source: Source | None, *, adopts: bool, resumable: bool
) -> tuple[Step, ...]:
    domains = fingerprint["domains"]
    own = strategy_content(cell.strategy, cell.hyperparameters, cell.origin, cell.revision)
    brought = fingerprint.get("brought")
    ids = step_ids(domains, cell.recipe.content(), cell.seed, own, adopts=adopts, brought=brought)
    of_strategy = {
        "strategy": cell.strategy,
        "label": cell.label,
        "hyperparameters": cell.hyperparameters,
        "origin": cell.origin,
        "revision": cell.revision,
        "resumable": resumable,
    }
    return path_of(ids, domains, cell.recipe, cell.seed, cell.stream, of_strategy, cell.fold, source)


def _sets(fingerprint: Mapping[str, Any], stream: str, fold: int) -> tuple[TestSet, ...]:
    """What the cells of a stream are judged on; a split without rows is none."""
    return tuple(
        TestSet(set_id(domain, split), domain["name"], split, stream, fold=fold)
        for split in ("test", "val")
        for domain in fingerprint["domains"]
        if domain["rows"][split] != NO_ROWS
    )
