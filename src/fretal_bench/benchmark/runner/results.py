"""Results: a result folder, read, and believed only as far as its files are those that a run wrote for its plan."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from fretal_bench import parsing
from fretal_bench.benchmark.runner import cell_calibration, documents, score_table
from fretal_bench.benchmark.runner.cell_calibration import StepCalibration
from fretal_bench.benchmark.runner.cell_course import CellCourse, read_course
from fretal_bench.benchmark.runner.content import content_id
from fretal_bench.benchmark.runner.documents import (
    OF_DATA,
    PLAN,
    CellFile,
    DomainContent,
    Entry,
    ImportedContent,
    PlanFile,
    StreamContent,
)
from fretal_bench.benchmark.runner.folder import ResultFolder
from fretal_bench.benchmark.runner.graph import adopts_source, set_id, step_ids, strategy_content
from fretal_bench.benchmark.runner.plan import base_content, cell_id
from fretal_bench.benchmark.runner.score_table import UnusableScores
from fretal_bench.benchmark.runner.seals import CHECKSUMS, Sealed, read_about, read_environment
from fretal_bench.datasets.streams.domain import NO_ROWS
from fretal_bench.errors import BenchError
from fretal_bench.places import place_in
from fretal_bench.strategies.record import StrategyInfo
from fretal_bench.strategies.registry import find_strategy

if TYPE_CHECKING:
    import pandas as pd

_REVISIONS: Final = 100
"""Revisions of a strategy that are tried where a cell of an earlier version does not say which it was."""


@dataclass(frozen=True)
class CellResult:
    """A done cell.

    Args:
        id: The cell's id.
        strategy: The strategy's name.
        label: What reports call it: the name, and others that it has (``StrategyInfo.called``), with the hyperparameters
            that differ from the defaults; see ``labels_of``.
        hyperparameters: All of them.
        seed: The seed.
        scores: One row a test sample a step: step, domain, row, label, video, people, score. ``people`` is who is in
            the sample (``manifest.people_key``); results of earlier versions don't have that column.
        environment: Versions, machine, commit, and ``phases`` with seconds and memory.
        path: The cell's folder.
        stream: What the plan says of the stream, in its order and fold; None for results that were not read from a
            folder.
        sealed: Whether the cell has checksums; those of earlier versions have none.
        further: The scores on test sets that were never trained on, with the columns of ``scores``; ``domain`` is the
            set's name. Often of the last step alone, as the states of earlier ones may have been removed.
        courses: What its validation samples were judged to be while it was trained, by the updates between two
            evaluations.
        fold: Which fold of the stream it is of: who is tested (``streams.folds``).
        imported: Where its scores come from, if they were imported; None for a cell that was trained here.
        source: What its result folder is called where several are compared; empty for one.
    """

    id: str
    strategy: str
    label: str
    hyperparameters: Mapping[str, Any]
    seed: int
    scores: pd.DataFrame
    environment: Mapping[str, Any]
    path: Path
    stream: StreamContent | None = None
    sealed: bool = True
    further: pd.DataFrame | None = None
    courses: Mapping[int, CellCourse] = field(default_factory=dict)
    fold: int = 0
    imported: ImportedContent | None = None
    source: str = ""

    def validation(self) -> pd.DataFrame:
        """Return the scores of the validation samples; same columns as ``scores``.

        Raises:
            BenchError: They are damaged, or are not those of the stream's validation samples.
        """
        return validation_scores(Sealed(self.path), self.stream)

    @property
    def untested(self) -> frozenset[str]:
        """The domains of its stream that have no test set."""
        domains = () if self.stream is None else self.stream.domains
        return frozenset(domain.name for domain in domains if domain.rows.test == NO_ROWS)

    @property
    def has_validation(self) -> bool:
        """Whether there are scores of validation samples."""
        return Sealed(self.path).has("validation.parquet")

    def calibration(self) -> tuple[StepCalibration, ...]:
        """Return temperature and thresholds after each step, of frames; those of earlier versions are fitted now.

        Raises:
            BenchError: They, or the scores of the validation samples, are damaged, or are not those of the stream.
        """
        sealed = Sealed(self.path)
        if self.stream is None:
            domains = [str(name) for name in self.scores["domain"].unique()]
        else:
            domains = [domain.name for domain in self.stream.domains]
        if sealed.has(cell_calibration.NAME):
            return cell_calibration.read_calibration(sealed, domains)
        return cell_calibration.calibrate(self.validation(), domains)


@dataclass(frozen=True)
class CellFailure:
    """A cell that failed, with its reason in one line and the traceback; or a done one whose scores cannot be used."""

    id: str
    label: str
    seed: int
    reason: str
    traceback: str
    path: Path | None = None
    """The file that says so."""

    @property
    def place(self) -> str:
        """Where it failed, to be put behind the reason: `` (mine.py, line 36; traceback: FILE)``; empty if unknown."""
        place = place_in(self.traceback, self.reason)
        return f" ({place}; traceback: {self.path})" if place and self.path else ""


@dataclass(frozen=True)
class MissingCell:
    """A cell that was asked for and is neither done nor failed."""

    label: str
    seed: int


@dataclass(frozen=True)
class Results:
    """A result folder, read.

    Args:
        path: The folder.
        plan: ``plan.json``: stream, recipe, cells.
        cells: Done cells, in the plan's order.
        failures: Failed cells.
        missing: Cells that were asked for and are neither done nor failed.
        unusable: Done cells whose scores are no probabilities: training diverged in an earlier version.
        in_other_orders: The same run in other orders of the domains, one an order: the plan's ``stream.domains`` are
            in that order, and the cells, failures and missing ones are of it.
    """

    path: Path
    plan: Mapping[str, Any]
    cells: tuple[CellResult, ...]
    failures: tuple[CellFailure, ...]
    missing: tuple[MissingCell, ...]
    unusable: tuple[CellFailure, ...] = field(default=())
    in_other_orders: tuple[Results, ...] = field(default=())


def load_results(path: str | os.PathLike[str]) -> Results:
    """Read a result folder.

    Raises:
        BenchError: It is no result folder, something in it is damaged, or its files do not belong together; the message
            names the file.
    """
    folder = ResultFolder(path)
    values, plan = documents.read_plan(folder.path)
    agreement = Agreement()
    labels = labels_of(plan.cells)
    others = [
        _of_order(folder, values, plan, number, agreement, labels)
        for number in range(1, len(plan.orders) + 1)
    ]
    own = _of_order(folder, values, plan, 0, agreement, labels)
    return replace(own, in_other_orders=tuple(others))


def labels_of(cells: Sequence[Entry]) -> dict[str, str]:
    """Return by id what reports call cells: what the plan calls them, with the other names of their strategies.

    One label is one method. Cells that were planned under one label before and after a default was changed are told apart
    by the hyperparameters in which they differ.

    Args:
        cells: All entries of a plan.
    """
    infos = {name: _info(name) for name in dict.fromkeys(entry.strategy for entry in cells)}
    labels = {}
    by_label: dict[str, list[Entry]] = {}
    for entry in cells:
        info = infos[entry.strategy]
        # The name of a cell that has its strategy's alias for one was its own when it was made.
        named = info is not None and info.name == entry.strategy
        called = info.called(entry.hyperparameters) if info is not None and named else entry.strategy
        labels[entry.id] = called + entry.label.removeprefix(entry.strategy)
        by_label.setdefault(labels[entry.id], []).append(entry)
    for label, entries in by_label.items():
        keys = dict.fromkeys(key for entry in entries for key in entry.hyperparameters)
        apart = [key for key in keys if _differ(entries, key)]
        for entry in entries:
            values = [f"{key}={entry.hyperparameters[key]}" for key in apart if key in entry.hyperparameters]
            labels[entry.id] = _with_values(label, values)
    return labels


def _info(strategy: str) -> StrategyInfo | None:
    """Look up a strategy; None if it is of a plugin that is not here."""
    try:
        return find_strategy(strategy)
    except BenchError:
        return None


def _differ(entries: Sequence[Entry], key: str) -> bool:
    """Whether cells that have a hyperparameter have it with several values; it may be newer than others."""
    values = [entry.hyperparameters[key] for entry in entries if key in entry.hyperparameters]
    return any(value != values[0] for value in values)


def _with_values(label: str, values: Sequence[str]) -> str:
    """Add values to those in a label."""
    if not values:
        return label
    head, _, inside = label.removesuffix(")").partition("(")
    return f"{head}({', '.join(filter(None, (inside, *values)))})"


def _of_order(
    folder: ResultFolder,
    values: Mapping[str, Any],
    plan: PlanFile,
    order: int,
    agreement: Agreement,
    labels: Mapping[str, str],
) -> Results:
    """Read the cells of one order of the domains; 0 is the stream's own."""
    cells: list[CellResult] = []
    failures, missing, unusable = [], [], []
    for entry in plan.cells:
        if entry.order != order:
            continue
        done, failed, label = folder.cell(entry.id), folder.failure(entry.id), labels[entry.id]
        if os.path.lexists(done):
            fold = plan.fold_of(entry.seed)
            stream = stream_of_order(plan, order, fold)
            try:
                cell = read_cell(done, entry, stream, stream_values(values, order, fold), agreement)
                cell = replace(cell, label=label, fold=fold)
                further, courses = _further(folder.path, plan, cell), _courses(folder, cell, stream)
                cells.append(replace(cell, further=further, courses=courses))
            except UnusableScores as error:
                unusable.append(CellFailure(entry.id, label, entry.seed, str(error), ""))
        elif os.path.lexists(failed):
            failure = documents.read_failure(failed, entry)
            reason = " ".join(failure.reason.split())
            failures.append(CellFailure(failure.id, label, failure.seed, reason, failure.traceback, failed))
        else:
            missing.append(MissingCell(label, entry.seed))
    own = plan_of_order(values, order)
    return Results(folder.path, own, tuple(cells), tuple(failures), tuple(missing), tuple(unusable))


def further_place(path: Path, set: str, cell: str) -> Path:
    """Return the folder of a cell's scores on a further test set.

    Args:
        path: The result folder.
        set: The set's id.
        cell: The cell's id.
    """
    return path / "further" / documents.check_id(set, "further") / documents.check_id(cell, "further")


def _further(path: Path, plan: PlanFile, cell: CellResult) -> pd.DataFrame | None:
    """Read the scores of a cell on all further test sets on which it was judged; None if there is none."""
    import pandas as pd

    parts = []
    for domain in plan.further:
        place = further_place(path, set_id(parsing.plain(domain), "test"), cell.id)
        if not place.is_dir():
            continue
        if domain.fold and domain.fold != cell.fold:
            raise BenchError(
                f"{place}: expected a test set of fold {cell.fold}, of which the cell is, found one of fold "
                f"{domain.fold}; delete the folder"
            )
        parts.append(read_further(place, domain))
    return pd.concat(parts, ignore_index=True) if parts else None


def _courses(folder: ResultFolder, cell: CellResult, stream: StreamContent) -> dict[int, CellCourse]:
    """Read the courses of a cell."""
    parent = folder.path / "courses"
    grids = sorted(int(name) for name in os.listdir(parent) if name.isdecimal()) if parent.is_dir() else []
    return {
        every: read_course(place, cell.id, len(stream.domains))
        for every in grids
        if (place := folder.course(cell.id, every)).is_dir()
    }


def read_further(place: Path, domain: DomainContent) -> pd.DataFrame:
    """Read the scores of a cell on one further test set.

    Raises:
        BenchError: They are missing, damaged, not those of the test set, or no probabilities.
    """
    where = str(place / "scores.parquet")
    table = score_table.read_table(Sealed(place).read("scores.parquet", "scores"), where)
    score_table.check_further(table, domain, where)
    return score_table.to_frame(table)


def plan_of_order(values: Mapping[str, Any], order: int) -> dict[str, Any]:
    """Return the plan as it would be written for one order of the domains alone; 0 is the stream's own."""
    cells = [entry for entry in values["cells"] if entry.get("order", 0) == order]
    stream = values["stream"]
    if order:
        stream = {**stream, "domains": values["orders"][order - 1]}
    if len(cells) == len(values["cells"]) and not order:
        return dict(values)
    rest = {key: value for key, value in values.items() if key not in ("orders", "checksum")}
    if "folds" in values:
        folded = range(1, len(values["folds"]) + 1)
        rest["folds"] = [{"domains": stream_values(values, order, fold)["domains"]} for fold in folded]
    return {**rest, "stream": stream, "cells": cells}


def stream_values(values: Mapping[str, Any], order: int, fold: int) -> dict[str, Any]:
    """Return what a plan, as it is written, says of the stream in one order of its domains and one fold."""
    of_fold = values["folds"][fold - 1] if fold else {**values["stream"], "orders": values.get("orders", [])}
    return {**values["stream"], "domains": of_fold["orders"][order - 1] if order else of_fold["domains"]}


def stream_of_order(plan: PlanFile, order: int, fold: int = 0) -> StreamContent:
    """Return what the plan says of the stream in one order of its domains and one fold; 0 is its own of each."""
    of_fold = plan.folds[fold - 1] if fold else None
    domains, orders = (of_fold.domains, of_fold.orders) if of_fold else (plan.stream.domains, plan.orders)
    return plan.stream.in_order(orders[order - 1] if order else domains)


@dataclass
class Agreement:
    """What the cells of one folder must agree on, as far as they have been read."""

    samples: dict[tuple[str, ...], tuple[str, Path]] = field(default_factory=dict)
    """The checksum of the samples of a cell, and the cell, by the domains in their order and their test rows: one for
    all of an order and a fold."""
    people: dict[tuple[str, ...], tuple[str, Path]] = field(default_factory=dict)
    """The checksum of the people in them, of the cells that say who they are, and the cell."""
    untrained: dict[str, tuple[int, Path]] = field(default_factory=dict)
    """A seed and a cell by the checksum of the scores before training: random weights differ from seed to seed."""

    def add(
        self, path: Path, stream: StreamContent, samples: str, seed: int, untrained: str, people: str = ""
    ) -> None:
        """Compare a cell with the others.

        Args:
            path: The cell's folder.
            stream: What the plan says of the stream.
            samples: The checksum of its samples.
            seed: Its seed.
            untrained: The checksum of its scores before training; empty if they say nothing.
            people: The checksum of the people in its samples; empty if it doesn't say who they are.

        Raises:
            BenchError: Its samples are not theirs, or it has the scores of another seed.
        """
        order = tuple(text for domain in stream.domains for text in (domain.name, domain.rows.test))
        theirs, other = self.samples.setdefault(order, (samples, path))
        if samples != theirs:
            raise BenchError(
                f"{path / 'scores.parquet'}: its labels or videos are not those of {other / 'scores.parquet'}, though "
                "both are of one stream; delete the folder of the wrong one and run the same command again"
            )
        if people:
            theirs, other = self.people.setdefault(order, (people, path))
            if people != theirs:
                raise BenchError(
                    f"{path / 'scores.parquet'}: its people are not those of {other / 'scores.parquet'}, though both "
                    "are of one stream; delete the folder of the wrong one and run the same command again"
                )
        if not untrained:
            return
        its_seed, first = self.untrained.setdefault(untrained, (seed, path))
        if its_seed != seed:
            raise BenchError(
                f"{path / 'scores.parquet'}: has the scores before training of {first / 'scores.parquet'}, which is of "
                f"seed {its_seed} and not of seed {seed}: one of them is of another cell; delete both folders and run "
                "the same command again"
            )


def read_cell(
    path: Path,
    entry: Entry,
    stream: StreamContent,
    values: Mapping[str, Any],
    agreement: Agreement,
) -> CellResult:
    """Read a done cell.

    Args:
        path: Its folder.
        entry: What the plan says of it.
        stream: What the plan says of the stream, in the cell's order and fold.
        values: The same as it is written (``stream_values``).
        agreement: What the cells before this one were like.

    Raises:
        UnusableScores: It is the cell of the plan, and its scores are no probabilities.
        BenchError: A file is missing or damaged, or is not that of the cell.
    """
    sealed = Sealed(path)
    about = read_about(sealed)
    check_identity(about, entry, values, path / "cell.json")
    if sealed.checksums is None and about.revision is not None:
        raise BenchError(f"{path / CHECKSUMS}: expected a file, found none; {sealed.remedy}")
    environment = read_environment(sealed, entry.seed, len(stream.domains))
    place = path / "scores.parquet"
    table = score_table.read_table(sealed.read(place.name, "scores"), str(place))
    imported = about.imported
    samples = score_table.check_table(
        table, stream, "test", str(place), untrained=imported is None or imported.untrained
    )
    # Of strategies that begin with a model of their own nothing is known.
    # A source model that was brought is one for all seeds.
    shared = about.source or (stream.brought is None and adopts_source(about.steps, stream.domains))
    untrained = score_table.untrained(table, stream) if shared and imported is None else ""
    people = score_table.people_content(table, stream)
    agreement.add(path, stream, samples, entry.seed, untrained, people)
    return CellResult(
        id=entry.id,
        strategy=entry.strategy,
        label=entry.label,
        hyperparameters=entry.hyperparameters,
        seed=entry.seed,
        scores=score_table.to_frame(table),
        environment=environment,
        path=path,
        stream=stream,
        sealed=sealed.checksums is not None,
        imported=imported,
    )


def validation_scores(sealed: Sealed, stream: StreamContent | None) -> pd.DataFrame:
    """Read ``validation.parquet`` of a done cell; arguments as ``CellResult``, errors as its ``validation``."""
    place = sealed.path / "validation.parquet"
    table = score_table.read_table(sealed.read(place.name, "scores"), str(place))
    if stream is not None:
        score_table.check_table(table, stream, "val", str(place))
    return score_table.to_frame(table)


def check_identity(about: CellFile, entry: Entry, values: Mapping[str, Any], where: Path) -> None:
    """Check that a cell is the one that the plan says is there, and that its id is the hash of what it is.

    Args:
        about: Its ``cell.json``.
        entry: What the plan says of it.
        values: What the plan says of the stream, as it is written (``stream_values``).
        where: The place of ``cell.json``, for the errors.

    Raises:
        BenchError: It is another cell, or its id is of something else.
    """
    for key in ("id", "strategy", "seed", "hyperparameters", "source", "steps"):
        planned, written = getattr(entry, key), getattr(about, key)
        # An entry of the first format says nothing of steps, an older one nothing of the source model.
        if planned != written and not (key in ("source", "steps") and not planned):
            raise BenchError(
                f"{where}: key {key!r}: expected {planned!r} as in {PLAN}, found {written!r}: it is of another cell, or "
                "one of the two was changed; bring them back from a copy, or delete the cell's folder and run again"
            )
    if not _may_be_called(entry):
        raise BenchError(
            f"{where.parents[2] / PLAN}: cell {entry.id}: the label {entry.label!r} is not of {entry.strategy} with "
            f"{dict(entry.hyperparameters)}; bring the file back from a copy"
        )
    stream = {key: value for key, value in values.items() if key not in OF_DATA}
    recipe = {key: value for key, value in about.recipe.items() if key != "name"}
    # A folder is joined by streams of another name and the same content.
    base = base_content({**stream, "name": about.stream}, recipe, about.seed)
    revisions = range(_REVISIONS) if about.revision is None else (about.revision,)
    ids = (cell_id(base, about.strategy, about.hyperparameters, about.origin, r) for r in revisions)
    of_path = not about.steps or about.steps == _steps(about, stream, recipe)
    of_path &= (about.brought.content() if about.brought is not None else None) == stream.get("brought")
    if entry.id not in ids or about.source not in (None, content_id(base)) or not of_path:
        raise BenchError(
            f"{where}: its content is not that of the id {entry.id}: it, or the stream in {PLAN}, was changed; bring "
            "them back from a copy, or delete the cell's folder and run again"
        )


def _steps(about: CellFile, stream: Mapping[str, Any], recipe: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the ids of the steps of a cell."""
    domains = stream["domains"]
    own = strategy_content(about.strategy, about.hyperparameters, about.origin, about.revision or 0)
    adopts = adopts_source(about.steps, domains)
    return step_ids(domains, recipe, about.seed, own, adopts=adopts, brought=stream.get("brought"))


def _may_be_called(entry: Entry) -> bool:
    """Whether a label names the strategy, and no hyperparameter with another value than it has."""
    if entry.label == entry.strategy:
        return True
    rest = entry.label.removeprefix(f"{entry.strategy}(").removesuffix(")")
    if f"{entry.strategy}({rest})" != entry.label:
        return False
    for key, value in entry.hyperparameters.items():
        part = f"{key}={tuple(value) if isinstance(value, list) else value}"
        if rest == part:
            return True
        rest = rest.removeprefix(f"{part}, ")
    return False
