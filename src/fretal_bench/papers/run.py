"""Running the cells that a published table needs: a result folder for every stream and recipe of it."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fretal_bench import files
from fretal_bench.benchmark.recipes.recipe import Recipe
from fretal_bench.benchmark.runner.call import Call, Opened, Prepared, check_jobs, prepare, resolved_recipe
from fretal_bench.benchmark.runner.folder import POOL
from fretal_bench.benchmark.runner.plan import Cell, Changes, by_strategy, check_strategies
from fretal_bench.benchmark.runner.progress import Listener
from fretal_bench.benchmark.runner.run import train
from fretal_bench.datasets.progress import ProgressCallback
from fretal_bench.datasets.streams.file import StreamFile, toml_of_stream
from fretal_bench.datasets.streams.stream import open_located
from fretal_bench.errors import BenchError
from fretal_bench.papers.file import PaperFile
from fretal_bench.papers.setting import Cannot, Setting
from fretal_bench.papers.streams import FOLDER, TableStreams
from fretal_bench.papers.table import Place, settings_here
from fretal_bench.strategies.registry import find_strategy

Values = tuple[tuple[str, Any], ...]
"""Hyperparameters that differ from the defaults, or recipe keys that rows and columns change."""
Batch = Mapping[str, Values]
"""Hyperparameters by strategy, each strategy once: what one plan can hold."""


@dataclass(frozen=True)
class PaperCall:
    """What ``bench paper run``, or Python code, asks for.

    Args:
        paper: How the table's values are measured.
        places: Method and column of each value that is asked for.
        out: Where the result folders go: ``OUT/STREAM-RECIPE``, and every stream as a file to ``OUT/streams``.
        recipe: Name or path; if not given, the table's own, or ``mini`` with ``stream_as``. Rows and columns change the
            table's own recipe alone (a backbone); another one is used for all alike.
        seeds: Seeds.
        stream_as: A stream whose data stand in for the paper's.
        data: Stores, or folders of stores.
        changes: Values by owner (a strategy, or ``recipe``) and key; they go before the table's.
        jobs: Processes; results don't depend on it.
        device: Overrides the recipe's device.
        pool: Where steps are kept; default ``steps`` beside ``out``.
        ray: As ``Call``'s.
        gpus_per_step: As ``Call``'s.
    """

    paper: PaperFile
    places: Sequence[Place]
    out: Path
    recipe: str | None = None
    seeds: Sequence[int] = (0,)
    stream_as: str | None = None
    data: Sequence[Path] = ()
    changes: Changes = field(default_factory=dict)
    jobs: int | None = None
    device: str | None = None
    pool: Path | None = None
    ray: str | None = None
    gpus_per_step: float = 1.0

    @property
    def own_recipe(self) -> bool:
        """Whether the recipe is the table's own."""
        return self.recipe in ("paper", self.paper.recipe) or (self.recipe is None and self.stream_as is None)

    @property
    def changed(self) -> tuple[str, ...]:
        """What the call changes of recipe and hyperparameters, as ``recipe.epochs=3``."""
        return tuple(
            f"{owner}.{key}={value}"
            for owner, values in self.changes.items()
            for key, value in values.items()
        )


@dataclass(frozen=True)
class Job:
    """A result folder of the table: one stream, one recipe, the cells that the table needs of it."""

    file: StreamFile
    prepared: Prepared

    def cells(self, strategy: str, values: Values) -> dict[int, str]:
        """Return the id of each seed's cell of a strategy with these hyperparameters."""
        # The recipe's own hyperparameters (`bench tune`) stand in for the defaults.
        given = {**self.prepared.plan.recipe.hyperparameters.get(strategy, {}), **dict(values)}
        hyperparameters = dataclasses.asdict(find_strategy(strategy).hyperparameters(given))
        return {
            cell.seed: cell.id
            for cell in self.prepared.plan.cells
            if cell.strategy == strategy and dict(cell.hyperparameters) == hyperparameters
        }


@dataclass(frozen=True)
class PreparedPaper:
    """A table's run that is ready.

    Attributes:
        call: The call.
        recipe: The recipe, its device resolved; rows and columns may change it further.
        jobs: One a result folder.
        cells: By method and column (means left out) the id of the cell of each seed.
        reasons: Why the others cannot be run.
        remarks: What stands in for what, and what was left out.
        commands: What to type to get the data that are missing.
    """

    call: PaperCall
    recipe: Recipe
    jobs: tuple[Job, ...]
    cells: Mapping[Place, Mapping[int, str]]
    reasons: Mapping[Place, Cannot]
    remarks: tuple[str, ...]
    commands: tuple[str, ...]

    @property
    def total(self) -> int:
        """Steps to be trained."""
        return sum(job.prepared.total for job in self.jobs)


@dataclass(frozen=True)
class _Group:
    """What goes to one result folder.

    Attributes:
        file: The stream.
        recipe: The recipe, with what rows and columns change of it.
        name: The folder's.
        settings: What to train, by value of the table.
    """

    file: StreamFile
    recipe: Recipe
    name: str
    settings: dict[Place, Setting] = field(default_factory=dict)


def prepare_paper(call: PaperCall, building: ProgressCallback | None = None) -> PreparedPaper:
    """Find out which values of a table can be run here, and write the plans of their cells down; train nothing.

    Args:
        call: The call.
        building: Told (done, total) while a built-in data set is made on first use.

    Raises:
        BenchError: Something in the call is wrong, or no value can be run at all; the message says why.
    """
    if not call.seeds:
        raise BenchError("nothing to run: name at least one seed")
    check_jobs(call.jobs)
    call = dataclasses.replace(call, changes=by_strategy(call.changes))
    name = call.paper.recipe if call.own_recipe else call.recipe or "mini"
    recipe = resolved_recipe(name, call.changes, call.device, elsewhere=call.ray is not None)
    streams = TableStreams(call.paper, call.out, call.stream_as, call.data)
    settings = settings_here(call.paper, call.places, streams)
    able = {place: setting for place, setting in settings.items() if isinstance(setting, Setting)}
    reasons = {place: reason for place, reason in settings.items() if isinstance(reason, Cannot)}
    if not able:
        why = "; ".join(dict.fromkeys(map(str, reasons.values()))) or "it has no value"
        # Other data help only where data are what is missing.
        more = "; `--stream-as ffpp-mini` tries the way without its data" if streams.missing else ""
        raise BenchError(f"table {call.paper.name!r}: no value can be run here: {why}{more}")
    _check_owners(call.changes, able.values())
    groups = _groups(call, recipe, able, streams)
    for group in groups:
        _check_group(call, group, building)
    jobs = [_job(call, group, building) for group in groups]
    cells = {
        place: job.cells(setting.strategy, _values(setting, call.changes))
        for group, job in zip(groups, jobs, strict=True)
        for place, setting in group.settings.items()
    }
    remarks = streams.remarks()
    if call.stream_as and not call.own_recipe and any(setting.recipe for setting in able.values()):
        remarks += ("Backbones and input sizes of single rows and columns are left out: one recipe for all.",)
    return PreparedPaper(call, recipe, tuple(jobs), cells, reasons, remarks, streams.commands)


def execute_paper(prepared: PreparedPaper, listener: Listener = lambda _: None) -> None:
    """Train what is missing, one result folder after the other.

    Raises:
        RunError: The disk is full, or a worker process was killed; what is finished is kept.
    """
    for job in prepared.jobs:
        train(job.prepared, listener)


def _check_owners(changes: Changes, settings: Iterable[Setting]) -> None:
    """Check ``--set``: strategy and key exist, the value is valid, and the table has the strategy."""
    used = {setting.strategy for setting in settings}
    for owner, values in changes.items():
        if owner == "recipe":
            continue
        find_strategy(owner).hyperparameters(values)
        if owner not in used:
            raise BenchError(
                f"--set {owner}.{next(iter(values))}: the table has no value of {owner} that can be run"
            )


def _groups(
    call: PaperCall, recipe: Recipe, settings: Mapping[Place, Setting], streams: TableStreams
) -> list[_Group]:
    """Sort the values by stream and recipe: one result folder each."""
    groups: dict[tuple[StreamFile, Values], _Group] = {}
    for place, setting in settings.items():
        file = streams.at_hand(setting.stream)
        # Rows and columns change the paper's own recipe; any other is the same for all.
        keys = setting.recipe if call.own_recipe else {}
        key = (file, tuple(keys.items()))
        if key not in groups:
            # A backbone of a hub has a slash in its name; the folder stands in OUT.
            name = re.sub(r"[/\\\0]", "-", "-".join([file.name, recipe.name, *map(str, keys.values())]))
            groups[key] = _Group(file, recipe.changed(keys), name)
        groups[key].settings[place] = setting
    return list(groups.values())


def _check_group(call: PaperCall, group: _Group, building: ProgressCallback | None) -> None:
    """Check what can be wrong with one result folder's plan, so that nothing is written if another's is wrong."""
    for batch in _batches(group, call.changes):
        check_strategies(list(batch), group.recipe, call.seeds, _changes_of(batch))
    # The stores' files are compared with their index when the plan is made; here it is enough that they fit the stream.
    open_located(group.file, building, verify=False)


def _job(call: PaperCall, group: _Group, building: ProgressCallback | None) -> Job:
    """Write the plan of one result folder; its cells are those of all batches, trained side by side."""
    path = call.out / FOLDER / f"{group.file.name}.toml"
    files.write(path, toml_of_stream(group.file), remedy="give another --out")
    batches = _batches(group, call.changes)

    def cells(opened: Opened) -> list[Cell]:
        planned = [
            cell for batch in batches for cell in opened.cells(list(batch), call.seeds, _changes_of(batch))
        ]
        return list({cell.id: cell for cell in planned}.values())

    strategies = [name for batch in batches for name in batch]
    run = Call(
        strategies,
        str(path.absolute()),
        group.recipe,
        call.seeds,
        jobs=call.jobs,
        out=call.out / group.name,
        pool=call.pool if call.pool is not None else call.out.absolute().parent / POOL,
        ray=call.ray,
        gpus_per_step=call.gpus_per_step,
    )
    return Job(group.file, prepare(run, cells=cells, building=building))


def _values(setting: Setting, changes: Changes) -> Values:
    return tuple({**setting.set, **changes.get(setting.strategy, {})}.items())


def _changes_of(batch: Batch) -> dict[str, dict[str, Any]]:
    return {name: dict(values) for name, values in batch.items() if values}


def _batches(group: _Group, changes: Changes) -> list[Batch]:
    """Split into plans that hold each strategy once: a plan sets the hyperparameters of a strategy for all its cells."""
    batches: list[dict[str, Values]] = []
    for setting in group.settings.values():
        values = _values(setting, changes)
        if any(batch.get(setting.strategy) == values for batch in batches):
            continue
        free = next((batch for batch in batches if setting.strategy not in batch), None)
        if free is None:
            batches.append(free := {})
        free[setting.strategy] = values
    return list(batches)
