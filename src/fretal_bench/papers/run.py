"""Running the cells that a published table needs."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fretal_bench.benchmark.recipes.progress import Listener
from fretal_bench.benchmark.recipes.recipe import Recipe, open_recipe
from fretal_bench.benchmark.runner.call import BuildProgress, Prepared
from fretal_bench.benchmark.runner.engine import Agenda
from fretal_bench.benchmark.runner.plan import Changes, make_plan
from fretal_bench.benchmark.runner.results import write_file, writing
from fretal_bench.benchmark.runner.run import execute, prepare
from fretal_bench.datasets.streams.file import StreamFile, toml_of_stream
from fretal_bench.errors import BenchError
from fretal_bench.papers.streams import TableStreams
from fretal_bench.papers.table import PaperTable, Setting
from fretal_bench.papers.values import Measured, Place, measure
from fretal_bench.strategies.registry import find_strategy

Group = tuple[StreamFile, tuple[tuple[str, Any], ...]]
"""A stream, and the recipe keys that rows and columns change."""
Values = tuple[tuple[str, Any], ...]
"""Hyperparameters that differ from the defaults."""


@dataclass(frozen=True)
class Job:
    """A result folder of the table: one stream, one recipe, the cells that the table needs of it."""

    file: StreamFile
    prepared: Prepared

    def cells(self, strategy: str, values: Mapping[str, Any]) -> dict[int, str]:
        """Return the id of each seed's cell of a strategy with these hyperparameters."""
        whole = dataclasses.asdict(find_strategy(strategy).hyperparameters(self._given(strategy, values)))
        return {
            cell.seed: cell.id
            for cell in self.prepared.plan.cells
            if cell.strategy == strategy and dict(cell.hyperparameters) == whole
        }

    def _given(self, strategy: str, values: Mapping[str, Any]) -> dict[str, Any]:
        """The recipe's own hyperparameters of a strategy (`bench tune`), with ``values`` before them."""
        return {**self.prepared.plan.recipe.hyperparameters.get(strategy, {}), **values}


@dataclass(frozen=True)
class PreparedPaper:
    """A table's run that is ready.

    Attributes:
        paper: How its values are measured.
        recipe: The recipe, its device resolved; rows and columns may change it further.
        seeds: The seeds.
        jobs: One a result folder.
        cells: By method and column (means left out) the id of the cell of each seed.
        reasons: Why the others cannot be run.
        remarks: What stands in for what, and what was left out.
        commands: What to type to get the data that are missing.
        changed: What the call changed of recipe and hyperparameters, as ``recipe.epochs=3``.
        own_recipe: Whether the recipe is the table's own.
    """

    paper: PaperTable
    recipe: Recipe
    seeds: tuple[int, ...]
    jobs: tuple[Job, ...]
    cells: Mapping[Place, Mapping[int, str]]
    reasons: Mapping[Place, str]
    remarks: tuple[str, ...]
    commands: tuple[str, ...]
    changed: tuple[str, ...] = ()
    own_recipe: bool = True

    @property
    def total(self) -> int:
        """Steps to be trained."""
        return sum(job.prepared.total for job in self.jobs)


def prepare_paper(
    paper: PaperTable,
    places: Iterable[Place],
    out: Path,
    *,
    recipe: str | None = None,
    seeds: Sequence[int] = (0,),
    stream_as: str | None = None,
    data: Sequence[Path] = (),
    changes: Changes | None = None,
    jobs: int | None = None,
    device: str | None = None,
    building: BuildProgress | None = None,
) -> PreparedPaper:
    """Find out which values of a table can be run here, and write the plans of their cells down; train nothing.

    Every stream goes to a result folder of its own, ``OUT/STREAM-RECIPE``, and as a file to ``OUT/streams``.

    Args:
        paper: How the table's values are measured.
        places: Method and column of each value that is wanted.
        out: Where the result folders go.
        recipe: Name or path; the table's own if not given, ``mini`` with ``stream_as``. Rows and columns change the
            table's own recipe alone (a backbone); another one is used for all alike.
        seeds: Seeds.
        stream_as: A stream whose data stand in for the paper's.
        data: Stores, or folders of stores.
        changes: Values by owner (a strategy, or ``recipe``) and key; they go before the table's.
        jobs: Processes; default one a core.
        device: Overrides the recipe's device.
        building: Told (done, total) while a built-in data set is made on first use.

    Raises:
        BenchError: Something in the call is wrong, or no value can be run at all; the message says why.
    """
    if not seeds:
        raise BenchError("nothing to run: name at least one seed")
    if jobs is not None and jobs < 1:
        raise BenchError(f"--jobs must be at least 1, found {jobs}")
    changes = dict(changes or {})
    changed = tuple(f"{owner}.{key}={value}" for owner, of in changes.items() for key, value in of.items())
    wanted = dict.fromkeys((method, part) for method, column in places for part in paper.parts(column))
    settings = {place: paper.setting(*place) for place in wanted}
    reasons = {place: setting for place, setting in settings.items() if isinstance(setting, str)}
    found = {place: setting for place, setting in settings.items() if isinstance(setting, Setting)}
    # Rows and columns change the paper's own recipe; any other is the same for all.
    own = recipe in ("paper", paper.recipe) or (recipe is None and stream_as is None)
    chosen = _recipe(paper.recipe if own else recipe or "mini", changes, device)
    _check_owners(changes, found.values())
    streams = TableStreams(paper, out, stream_as, data)
    groups: dict[Group, dict[Place, Setting]] = {}
    for place, setting in found.items():
        reason = streams.lacks(setting.stream, paper.columns[place[1]][1].domain)
        if reason:
            reasons[place] = reason
        else:
            key = (streams.at_hand(setting.stream), setting.recipe if own else ())
            groups.setdefault(key, {})[place] = setting
    if not groups:
        why = "; ".join(dict.fromkeys(reasons.values())) or "it has no value"
        # Other data help only where data are what is missing.
        more = "; `--stream-as ffpp-mini` tries the way without its data" if streams.missing else ""
        raise BenchError(f"table {paper.name!r}: no value can be run here: {why}{more}")
    for (file, keys), inside in groups.items():
        _check_group(file, chosen.changed(dict(keys)), inside, seeds, changes, building)
    ready: list[Job] = []
    cells: dict[Place, dict[int, str]] = {}
    for (file, keys), inside in groups.items():
        job = _job(file, chosen.changed(dict(keys)), keys, inside, out, seeds, changes, jobs, building)
        ready.append(job)
        for place, setting in inside.items():
            cells[place] = job.cells(setting.strategy, dict(_values(setting, changes)))
    remarks = streams.remarks()
    if stream_as and not own and any(setting.recipe for setting in found.values()):
        remarks += ("Backbones and input sizes of single rows and columns are left out: one recipe for all.",)
    return PreparedPaper(
        paper,
        chosen,
        tuple(dict.fromkeys(seeds)),
        tuple(ready),
        cells,
        reasons,
        remarks,
        streams.commands,
        changed,
        own,
    )


def _check_group(
    file: StreamFile,
    recipe: Recipe,
    inside: Mapping[Place, Setting],
    seeds: Sequence[int],
    changes: Changes,
    building: BuildProgress | None,
) -> None:
    """Check what can be wrong with one result folder's plan, so that nothing is written if another's is wrong."""
    from fretal_bench.datasets.streams.stream import open_located

    for batch in _batches(inside.values(), changes):
        make_plan(list(batch), file.name, {}, recipe, seeds, _changes_of(batch))
    # The stores' files are compared with their index when the plan is made; here it is enough that they fit the stream.
    open_located(file, building, verify=False)


def _job(
    file: StreamFile,
    recipe: Recipe,
    keys: tuple[tuple[str, Any], ...],
    inside: Mapping[Place, Setting],
    out: Path,
    seeds: Sequence[int],
    changes: Changes,
    jobs: int | None,
    building: BuildProgress | None,
) -> Job:
    """Write the plan of one result folder; ``keys`` are the recipe's that its rows and columns changed."""
    path = out / "streams" / f"{file.name}.toml"
    with writing(out):
        write_file(path, toml_of_stream(file))
    folder = out / "-".join([file.name, recipe.name, *(str(value) for _, value in keys)])
    parts = [
        prepare(
            list(batch),
            str(path.absolute()),
            recipe,
            seeds,
            _changes_of(batch),
            jobs=jobs,
            out=folder,
            building=building,
        )
        for batch in _batches(inside.values(), changes)
    ]
    return Job(file, _merged(parts))


def execute_paper(
    prepared: PreparedPaper, places: Iterable[Place], listener: Listener = lambda _: None
) -> dict[Place, Measured]:
    """Train what is missing, one result folder after the other, and return what was measured for each value.

    Raises:
        RunError: The disk is full, or a worker process was killed; what is finished is kept.
    """
    for job in prepared.jobs:
        if job.prepared.total:
            execute(job.prepared, listener)
    return measure(prepared, places)


def _recipe(name: str, changes: dict[str, Mapping[str, Any]], device: str | None) -> Recipe:
    from fretal_bench.benchmark.recipes.model import resolve_device

    chosen = open_recipe(name).changed(changes.pop("recipe", {}))
    return chosen.changed({"device": resolve_device(device or chosen.device)})


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


def _values(setting: Setting, changes: Changes) -> Values:
    return tuple({**dict(setting.set), **changes.get(setting.strategy, {})}.items())


def _changes_of(batch: Mapping[str, Values]) -> dict[str, dict[str, Any]]:
    return {name: dict(values) for name, values in batch.items() if values}


def _batches(settings: Iterable[Setting], changes: Changes) -> list[dict[str, Values]]:
    """Split into runs that hold each strategy once: a run sets the hyperparameters of a strategy for all its cells."""
    batches: list[dict[str, Values]] = []
    for setting in settings:
        values = _values(setting, changes)
        if any(batch.get(setting.strategy) == values for batch in batches):
            continue
        free = next((batch for batch in batches if setting.strategy not in batch), None)
        if free is None:
            batches.append(free := {})
        free[setting.strategy] = values
    return batches


def _merged(parts: Sequence[Prepared]) -> Prepared:
    """Put the runs of one result folder together, so that their cells are trained side by side."""
    cells = {cell.id: cell for part in parts for cell in part.plan.cells}
    plan = dataclasses.replace(parts[0].plan, cells=tuple(cells.values()))
    agenda = Agenda(plan, parts[0].folder, parts[0].agenda.steps)
    return dataclasses.replace(parts[0], plan=plan, agenda=agenda)
