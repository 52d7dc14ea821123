"""The one preparer of run, tune and paper: a call is checked, its stream opened, its plan made and written down."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fretal_bench.benchmark.recipes.recipe import Recipe, list_recipes, open_recipe
from fretal_bench.benchmark.runner.agenda import Agenda, Keep
from fretal_bench.benchmark.runner.brought import BroughtSource, bring_source, keep_source, with_source
from fretal_bench.benchmark.runner.course_table import MOST
from fretal_bench.benchmark.runner.documents import PLAN
from fretal_bench.benchmark.runner.engine import TRAINS
from fretal_bench.benchmark.runner.environment import made_by_other_code
from fretal_bench.benchmark.runner.folder import ResultFolder
from fretal_bench.benchmark.runner.graph import Source
from fretal_bench.benchmark.runner.orders import orders_of
from fretal_bench.benchmark.runner.plan import (
    Cell,
    Changes,
    Folds,
    Plan,
    check_strategies,
    make_plan,
    refused_key,
)
from fretal_bench.benchmark.runner.pool import Pool
from fretal_bench.benchmark.runner.ray_cluster import Cluster, asked_for
from fretal_bench.datasets.progress import ProgressCallback
from fretal_bench.datasets.streams.folds import fold_of
from fretal_bench.datasets.streams.source import SourceTable
from fretal_bench.errors import BenchError, BenchWarning
from fretal_bench.strategies.record import StrategyInfo
from fretal_bench.strategies.registry import find_strategy
from fretal_bench.workers import default_jobs, import_ahead

if TYPE_CHECKING:
    from fretal_bench.datasets.streams.file import StreamFile
    from fretal_bench.datasets.streams.stream import Stream

STREAM_FILE = "stream.toml"
"""In a result folder: the stream with the store of every domain, where the call left open which store it is in."""


@dataclass(frozen=True)
class Call:
    """What a command, or Python code, asks to be run.

    Args:
        strategies: Names of strategies; one given twice counts once.
        stream: Name of a stream, path of a TOML file, or a stream that is read already, which is written to
            ``stream.toml`` in the result folder.
        recipe: Name of a recipe, path of a TOML file, or a recipe.
        seeds: Seeds; one given twice counts once.
        changes: Values by owner (a strategy, or ``recipe``) and key.
        device: Overrides the recipe's device.
        jobs: Processes; default ``workers.default_jobs``. Results don't depend on it.
        out: Result folder; default ``results/STREAM-RECIPE``.
        data: Stores, or folders of stores, for a stream that doesn't name its own. What was chosen is written to
            ``stream.toml`` in the result folder: processes open that, and a run that goes on doesn't need ``data`` again.
        orders: Orders in which the domains are learned: ``all``, a number, or names (``orders.orders_of``); the
            stream's own alone if it is None.
        pool: Where steps are kept; default where those of the result folder are already, else ``steps`` beside it.
        keep: States that are kept there: ``all``, or only the ``last`` of every cell.
        ray: Address of the Ray cluster that computes the steps (``ray_cluster.Cluster``), of which ``jobs`` are at most
            computed at once; without one they are computed on this machine.
        gpus_per_step: Share of a GPU that a step takes on that cluster.
        watch: Updates after which validation samples are judged while a domain is trained; never if it is None.
        source: A source model that the user brings, instead of the one that the stream names, if it names one.
    """

    strategies: Sequence[str]
    stream: str | StreamFile = "ffpp-mini"
    recipe: str | os.PathLike[str] | Recipe = "mini"
    seeds: Sequence[int] = (0,)
    changes: Changes = field(default_factory=dict)
    device: str | None = None
    jobs: int | None = None
    out: str | os.PathLike[str] | None = None
    data: Sequence[str | os.PathLike[str]] = ()
    orders: str | None = None
    pool: str | os.PathLike[str] | None = None
    keep: Keep = "all"
    ray: str | None = None
    gpus_per_step: float = 1.0
    watch: int | None = None
    source: SourceTable | None = None

    @property
    def cluster(self) -> Cluster | None:
        """The cluster that computes the steps; ``BenchError`` if nothing answers there."""
        return asked_for(self.ray, self.jobs, self.gpus_per_step)


@dataclass(frozen=True)
class Opened:
    """An open stream and the recipe that is trained on it: what cells are made of.

    Args:
        stream: The stream.
        reference: Name or path that opens it again, in any process.
        fingerprint: ``stream.fingerprint()``.
        recipe: The recipe, its device resolved.
        orders: Fingerprints of the stream in the other orders of its domains.
        folds: For each fold after the first the fingerprints of the stream in its own order and in the others.
        source: The source model that the user brought; the fingerprints say of it what identifies it.
    """

    stream: Stream
    reference: str
    fingerprint: Mapping[str, Any]
    recipe: Recipe
    orders: tuple[Mapping[str, Any], ...] = ()
    folds: Folds = ()
    source: Source | None = None

    def stream_of(self, seed: int) -> Stream:
        """Return the stream in the fold that a seed takes."""
        return self.stream.in_fold(fold_of(seed, self.stream.folds))

    def cells(
        self, strategies: Sequence[str], seeds: Sequence[int], changes: Changes | None = None
    ) -> tuple[Cell, ...]:
        """Make the cells of strategies and seeds; arguments and errors as ``make_plan``."""
        plan = make_plan(
            strategies,
            self.reference,
            self.fingerprint,
            self.recipe,
            seeds,
            changes,
            self.orders,
            self.folds,
            self.source,
        )
        return plan.cells


@dataclass(frozen=True)
class Prepared:
    """A run that is ready: its plan, where it goes, what is to be trained in how many processes, and the open stream.

    ``brought`` is what was taken for granted of a source model that the user brought, in one line.
    """

    plan: Plan
    folder: ResultFolder
    agenda: Agenda
    jobs: int
    opened: Opened
    cluster: Cluster | None = None
    brought: str = ""

    @property
    def total(self) -> int:
        """Steps to be trained."""
        return self.agenda.total

    @property
    def again(self) -> int:
        """Those of them that are trained already, without a course."""
        return self.agenda.again


def check_jobs(jobs: int | None) -> None:
    """Check a number of processes; ``BenchError`` if it is below 1."""
    if jobs is not None and jobs < 1:
        raise BenchError(f"--jobs must be at least 1, found {jobs}")


def check_watch(watch: int | None) -> None:
    """Check a number of updates; ``BenchError`` if it is below 1 or so large that it was meant for something else."""
    if watch is not None and not 1 <= watch <= MOST:
        raise BenchError(f"--watch must be a number of updates from 1 to {MOST}, found {watch}")


def resolved_recipe(
    recipe: str | os.PathLike[str] | Recipe, changes: Changes, device: str | None, *, elsewhere: bool = False
) -> Recipe:
    """Return a recipe changed as ``changes`` say, its device resolved; arguments and errors as ``Call``'s.

    ``elsewhere``: as ``resolve_device``.
    """
    from fretal_bench.benchmark.recipes.device import check_trains, resolve_device

    opened = recipe if isinstance(recipe, Recipe) else open_recipe(recipe)
    opened = opened.changed(changes.get("recipe", {}))
    opened = opened.changed({"device": resolve_device(device or opened.device, elsewhere=elsewhere)})
    check_trains(opened, lambda key: where_from(key, recipe, changes))
    return opened


def where_from(key: str, recipe: str | os.PathLike[str] | Recipe, changes: Changes) -> str:
    """Say where a recipe has the value of a key from, for errors: ``--set``, its file, or the recipe by name."""
    if key in changes.get("recipe", {}):
        return f"--set recipe.{key}"
    name = recipe.name if isinstance(recipe, Recipe) else os.fspath(recipe)
    return name if name.endswith(".toml") else f"recipe {name!r}"


def fitting(
    strategies: Sequence[str],
    unnamed: Collection[str],
    recipe: str | os.PathLike[str] | Recipe,
    changes: Changes,
    *,
    brought: bool = False,
) -> tuple[list[str], dict[str, str]]:
    """Leave out those strategies that nobody named and that cannot be trained in this way.

    Args:
        strategies: Names.
        unnamed: Those of them that a pattern or a group chose; what is named is refused later, if need be.
        recipe: As ``Call``'s.
        changes: As ``Call``'s.
        brought: Whether the source model is brought, without its training data.

    Returns:
        The names that are left, and why each of the others is not.

    Raises:
        BenchError: None is left.
    """
    if not unnamed:
        return list(strategies), {}
    opened = resolved_recipe(recipe, changes, None)
    misfits = {name: _misfit(find_strategy(name), opened, brought) for name in strategies if name in unnamed}
    left_out = {name: reason for name, reason in misfits.items() if reason}
    if len(left_out) == len(strategies):
        name, reason = next(iter(left_out.items()))
        raise BenchError(f"none of {len(strategies)} strategies fits: {name}: {reason}")
    return [name for name in strategies if name not in left_out], left_out


def _misfit(info: StrategyInfo, recipe: Recipe, brought: bool) -> str:
    """Say why a strategy cannot be trained with a recipe; nothing if it can."""
    refused = refused_key(info, recipe)
    if refused is not None:
        return refused[2]
    if brought and info.without_old_data:
        return f"it {info.without_old_data}"
    return _refused_backbone(info, recipe) if info.backbone else ""


def _refused_backbone(info: StrategyInfo, recipe: Recipe) -> str:
    """Say why a strategy cannot train a recipe's backbone: it is asked, with one at random weights."""
    from fretal_bench.benchmark.recipes.model import build_model, build_optimizer
    from fretal_bench.strategies.loading import load

    plain = recipe.changed({"pretrained": False, "compile": False})
    try:
        model = build_model(plain, 0)
        load(info)(model=model, optimizer=build_optimizer(plain, model))
    except BenchError as error:
        return str(error)
    return ""


def check_names(call: Call) -> Recipe:
    """Check all that can be checked without opening a stream: names, keys and values.

    Returns:
        The recipe, changed as the call says, its device resolved and its normalisation settled.

    Raises:
        BenchError: Something is wrong; the message says what to do.
    """
    from fretal_bench.datasets.streams.stream import find_stream

    check_jobs(call.jobs)
    check_watch(call.watch)
    recipe = resolved_recipe(call.recipe, call.changes, call.device, elsewhere=call.cluster is not None)
    check_strategies(call.strategies, recipe, call.seeds, _of_strategies(call.changes))
    find_stream(call.stream)
    return recipe.settled()


def prepare(
    call: Call,
    *,
    cells: Callable[[Opened], Sequence[Cell]] | None = None,
    stream: Callable[[StreamFile], StreamFile] | None = None,
    building: ProgressCallback | None = None,
) -> Prepared:
    """Check everything that can be wrong with a call and write its plan down; train nothing.

    Args:
        call: The call.
        cells: Makes the cells; default every strategy of the call with every seed.
        stream: Alters the stream before its data are looked for (fewer domains, test rows withheld). What is altered is
            written to ``stream.toml`` in the result folder, since no name opens it.
        building: Told (done, total) while a built-in data set is made on first use.

    Raises:
        BenchError: Something in the call is wrong; the message says what to do.
    """
    from fretal_bench.datasets.streams.data import absolute_stores, locate
    from fretal_bench.datasets.streams.file import toml_of_stream
    from fretal_bench.datasets.streams.stream import find_stream

    # Before the stream is opened, which may take a minute when it is made for the first time.
    recipe = check_names(call)
    file = find_stream(call.stream)
    folder = ResultFolder(
        call.out if call.out is not None else Path("results") / f"{file.name}-{recipe.name}"
    )
    stream_path = folder.path / STREAM_FILE
    jobs = call.jobs or default_jobs(recipe.device)
    if jobs > 1 and call.cluster is None and not (folder.path / PLAN).exists():
        # All of it is to be trained: workers' imports go on while the stream is opened, or made.
        import_ahead(TRAINS)
    is_read = not isinstance(call.stream, str)
    keeps_file = file.needs_data or stream is not None or call.source is not None or is_read
    file = file if call.source is None else with_source(file, call.source)
    brought, source_pool = None, Pool(call.pool if call.pool is not None else folder.pool)
    if file.brought is not None:
        check_strategies(call.strategies, recipe, call.seeds, _of_strategies(call.changes), brought=True)
        brought = bring_source(file, folder, source_pool, recipe, call.changes.get("recipe", {}))
        recipe = brought.recipe
        if call.ray is not None and brought.source.architecture.file:
            raise BenchError(
                f"--ray {call.ray}: the source model is code of your own ({brought.source.architecture.name}), which "
                "other machines don't have; leave out --ray"
            )
    file = locate(stream(file) if stream is not None else file, call.data, earlier_stores(stream_path))
    file = absolute_stores(file) if keeps_file else file
    reference = str(stream_path.absolute()) if keeps_file else str(call.stream)
    opened = _open(file, reference, recipe, call.orders, building, brought)
    planned = (
        tuple(cells(opened))
        if cells is not None
        else opened.cells(call.strategies, call.seeds, _of_strategies(call.changes))
    )
    if call.watch is not None:
        for seed in dict.fromkeys(call.seeds):
            check_validation(opened.stream_of(seed), "--watch judges", "leave out --watch")
    left_out, shortcuts = opened.stream.left_out(), opened.stream.shortcuts()
    noted = brought.noted if brought is not None else {}
    plan = Plan(opened.fingerprint, recipe, planned, opened.orders, left_out, shortcuts, opened.folds, noted)
    pool = source_pool
    agenda = Agenda(plan, folder, pool, call.keep, call.watch or 0, jobs)
    if agenda.tasks and brought is None:
        from fretal_bench.benchmark.recipes.model import check_backbone, check_trainable

        if recipe.backbone not in {known.backbone for known in list_recipes()}:
            # To ask timm takes seconds; those of the suite's own recipes it has.
            check_backbone(recipe, where_from("backbone", call.recipe, call.changes))
        key = "layer_decay" if recipe.trainable == "all" else "trainable"
        check_trainable(recipe, where_from(key, call.recipe, call.changes))
    if call.pool is not None and agenda.cells:
        # Before the folder is made: the pool beside a folder that can be made can be made too.
        pool.create()
    folder.create(plan, pool.path)
    if agenda.cells:
        pool.create()
        pool.note(folder.path)
        if brought is not None:
            keep_source(pool, brought, [cell.path[0] for cell in agenda.cells], opened.stream[0].store)
    if keeps_file:
        folder.keep(STREAM_FILE, toml_of_stream(file))
    _say_cautions(plan)
    if brought is None:
        _say_frozen(recipe)
    _say_repeated(opened.stream)
    _say_older_code(plan, folder)
    _say_older_steps(agenda, pool)
    said = brought.sentence if brought is not None else ""
    return Prepared(plan, folder, agenda, jobs, opened, call.cluster, said)


def _open(
    file: StreamFile,
    reference: str,
    recipe: Recipe,
    orders: str | None,
    building: ProgressCallback | None,
    brought: BroughtSource | None = None,
) -> Opened:
    """Open a stream, the only time in a call, and check that it has what the recipe needs."""
    from fretal_bench.datasets.streams.stream import open_orders

    names = [domain.name for domain in file.learned]
    streams = open_orders(file, orders_of(orders, names) if orders is not None else [names], building)
    stream = streams[0]
    _check_learned(streams, brought is not None)
    in_folds = [stream.in_fold(fold) for fold in range(stream.folds)]
    for folded in in_folds if recipe.select != "last" else ():
        check_validation(
            folded,
            f"recipe {recipe.name!r} chooses an epoch by (select={recipe.select})",
            "use --set recipe.select=last",
            learned=recipe.select == "validation",
        )
    source = brought.source if brought is not None else None
    own, *others = (_fingerprint(other, source) for other in streams)
    folds = tuple(
        tuple(_fingerprint(folded.in_order([domain.name for domain in of]), source) for of in streams)
        for folded in in_folds[1:]
    )
    return Opened(stream, reference, own, recipe, tuple(others), folds, source)


def _fingerprint(stream: Stream, source: Source | None) -> dict[str, Any]:
    """Return a stream's fingerprint, with what identifies a source model that was brought."""
    return {**stream.fingerprint(), **({"brought": dict(source.content)} if source is not None else {})}


def _check_learned(streams: Sequence[Stream], brought: bool) -> None:
    """Refuse a stream of which nothing is learned, or whose first domain nobody can learn without a source model."""
    for stream in streams:
        learned = [domain.name for domain in stream if len(domain.rows["train"])]
        if not learned:
            raise BenchError(f"stream {stream.name!r}: no domain has training rows; name one that is learned")
        if not brought and learned[0] != stream[0].name:
            raise BenchError(
                f"stream {stream.name!r}: domain {stream[0].name!r} comes first and has no training rows, on which a "
                "source model would be trained; bring one that knows it (--weights FILE, or [source] in the stream file)"
            )


def check_validation(stream: Stream, use: str, remedy: str, *, learned: bool = False) -> None:
    """Refuse a stream in which a domain has no validation rows, or fakes alone.

    On fakes alone, what calls everything fake has an accuracy of 1, and would be chosen.

    Args:
        stream: The stream.
        use: What they are needed for, as it ends a sentence: ``tuning is judged by``.
        remedy: What to do instead of preparing a store that has them.
        learned: Look only at the domains that are learned.

    Raises:
        BenchError: A domain has none, or no real one.
    """
    for domain in stream:
        if learned and not len(domain.rows["train"]):
            continue
        if domain.fakes_only:
            raise BenchError(
                f"domain {domain.name!r} of stream {stream.name!r} has validation rows of fakes alone "
                f"(later_reals = false), which {use}: calling everything fake is always right on them; {remedy}"
            )
        if not len(domain.rows["val"]):
            raise BenchError(
                f"domain {domain.name!r} of stream {stream.name!r} has no validation rows, which {use}; "
                f"prepare a store that has them, or {remedy}"
            )


def earlier_stores(path: Path) -> dict[str, Path]:
    """Return the store of every domain in the stream file of an earlier run; none if there was none."""
    from fretal_bench.datasets.streams.file import read_stream_file

    if not path.exists():
        return {}
    return {domain.name: Path(domain.store) for domain in read_stream_file(path).domains}


def _of_strategies(changes: Changes) -> Changes:
    return {owner: values for owner, values in changes.items() if owner != "recipe"}


def _say_cautions(plan: Plan) -> None:
    """Warn of what whoever runs these strategies must know: before anything trains, and not again in every worker."""
    for name in dict.fromkeys(cell.strategy for cell in plan.cells):
        caution = find_strategy(name).caution
        if caution:
            warnings.warn(f"{name}: {caution}", BenchWarning, stacklevel=3)


def _say_frozen(recipe: Recipe) -> None:
    """Warn of a backbone that never learns, and that knows nothing."""
    if recipe.trainable != "all" and not recipe.pretrained:
        warnings.warn(
            f"recipe {recipe.name!r}: trainable = {recipe.trainable!r} leaves the backbone at weights that begin at "
            "random (pretrained = false), on every domain; to start from published weights: --set recipe.pretrained=true",
            BenchWarning,
            stacklevel=3,
        )


def _say_repeated(stream: Stream) -> None:
    """Warn of domains that train on the same fakes: a memory keeps these twice, and joint training learns them twice."""
    import numpy as np

    fakes = []
    for domain in stream:
        rows = domain.rows["train"]
        fakes.append(rows[domain.store.index["label"].to_numpy()[rows] == 1])
    for later, domain in enumerate(stream):
        for earlier in range(later):
            other = stream[earlier]
            if other.store.checksum != domain.store.checksum:
                continue
            shared = len(np.intersect1d(fakes[earlier], fakes[later], assume_unique=True))
            if shared:
                warnings.warn(
                    f"stream {stream.name!r}: {shared} of the {len(fakes[later])} fakes that domain {domain.name!r} "
                    f"trains on are those of domain {other.name!r}: memories may hold them twice, joint training learns "
                    "them twice, and forgetting is measured on what is learned again",
                    BenchWarning,
                    stacklevel=3,
                )
                break


def _say_older_code(plan: Plan, folder: ResultFolder) -> None:
    """Warn of done cells that another version of the suite made: of its code an id holds the revision alone."""
    done = (folder.makers(cell.id) for cell in plan.cells if folder.cell(cell.id).is_dir())
    _say_older(folder.path, "cell", done, f"delete their folders in {folder.path / 'cells'}")


def _say_older_steps(agenda: Agenda, pool: Pool) -> None:
    """Warn of steps of the pool that another version of the suite made and that are gone on from, or put together."""
    _say_older(pool.path, "step", map(pool.environment, agenda.taken_over()), "give another --pool")


def _say_older(place: Path, what: str, environments: Iterable[Mapping[str, Any]], remedy: str) -> None:
    """Warn of what another version of the suite made.

    Args:
        place: Where it is.
        what: ``cell`` or ``step``.
        environments: What each was made with.
        remedy: What to do to have it trained again.
    """
    makers = Counter(filter(None, map(made_by_other_code, environments)))
    if makers:
        counts = " and ".join(
            f"{count} {what} was made by {maker}" if count == 1 else f"{count} {what}s were made by {maker}"
            for maker, count in makers.items()
        )
        warnings.warn(
            f"{place}: {counts} of the suite, whose code has changed since; to train them again, {remedy}",
            BenchWarning,
            stacklevel=4,
        )
