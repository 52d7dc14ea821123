"""A whole result folder looked through: every file read and compared, every fault in one line."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from fretal_bench import names, parsing
from fretal_bench.benchmark.runner import cell_calibration, course_table, documents, score_table
from fretal_bench.benchmark.runner.cell_course import read_course
from fretal_bench.benchmark.runner.documents import PLAN, Entry, PlanFile
from fretal_bench.benchmark.runner.folder import ResultFolder
from fretal_bench.benchmark.runner.graph import set_id
from fretal_bench.benchmark.runner.pool import Pool
from fretal_bench.benchmark.runner.results import (
    Agreement,
    read_cell,
    read_further,
    stream_of_order,
    stream_values,
    validation_scores,
)
from fretal_bench.benchmark.runner.seals import CHECKSUMS, Sealed, read_about, read_environment, read_phases
from fretal_bench.errors import BenchError

_OF_RUNS: Final = frozenset(
    (
        PLAN,
        *("stream.toml", "tuned.toml", "cells", "courses", "further", "replaced", "failures", "locks"),
        # Of earlier versions.
        *("sources", "progress"),
    )
)
_CELL_FILES: Final = (
    "cell.json",
    "environment.json",
    "scores.parquet",
    "validation.parquet",
    cell_calibration.NAME,
    "checkpoint.pt",
)
_STEP_FILES: Final = (
    "checkpoint.pt",
    "phases.json",
    "environment.json",
    "scores.parquet",
    "validation.parquet",
)
_COURSE_FILES: Final = ("course.json", course_table.NAME)
_FURTHER_FILES: Final = ("environment.json", "scores.parquet")
_POOL_FILES: Final = ("checkpoint.pt", "step.json", "phases.json", "environment.json")
_WATCHED_FILES: Final = ("watched.json", course_table.NAME, "environment.json")
_SCORE_FILES: Final = ("judged.json", "scores.parquet", "environment.json")
_NEEDED: Final = ("checkpoint.pt", "phases.json")
"""What every step has: those of earlier versions have no environment, and some steps no scores of their own."""
_PART: Final = re.compile(r"\..*\.part-.*")
"""What a killed process leaves; the next one that writes to the same place removes it."""


@dataclass
class Looking:
    """What was seen of a folder.

    Attributes:
        path: The folder.
        faults: What is wrong, a line each that names the file and says what to do.
        notes: What is worth knowing and is no fault.
    """

    path: str
    faults: list[str] = field(default_factory=list, kw_only=True)
    notes: list[str] = field(default_factory=list, kw_only=True)

    @contextlib.contextmanager
    def looking(self) -> Iterator[None]:
        """Take the first error of the block down as a fault."""
        try:
            yield
        except BenchError as error:
            self.faults.append(str(error))


@dataclass
class PoolInspection(Looking):
    """What a pool of steps is like.

    Attributes:
        steps: Steps in it.
        checkpoints: Those whose checkpoint is there.
        judged: Scores of a step on a test set.
        courses: Courses of a step.
    """

    steps: int = 0
    checkpoints: int = 0
    judged: int = 0
    courses: int = 0


@dataclass
class Inspection(Looking):
    """What a result folder is like.

    Attributes:
        cells: Cells that were asked for.
        done: Those of them that are done.
        failed: Those of them that failed.
        unsealed: Cells, source models and steps without checksums, of an earlier version.
        without_checkpoint: Done cells whose checkpoint is not there: they can be reported, and judge nothing.
    """

    cells: int = 0
    done: int = 0
    failed: int = 0
    unsealed: int = 0
    without_checkpoint: int = 0


def inspect(path: str | os.PathLike[str]) -> Inspection:
    """Read and compare every file of a result folder; nothing is changed.

    Raises:
        BenchError: It is no result folder.
    """
    folder = ResultFolder(path)
    about = Inspection(str(folder.path))
    if not os.path.lexists(folder.path / PLAN):
        documents.read_plan(folder.path)
    try:
        values, plan = documents.read_plan(folder.path)
    except BenchError as error:
        # Without a plan nothing says what should be there.
        about.faults.append(str(error))
        return about
    entries = {entry.id: entry for entry in plan.cells}
    _look_at_cells(about, folder, plan, values)
    _look_at_steps(about, folder, entries, len(plan.stream.domains))
    _look_at_failures(about, folder, entries)
    _look_at_further(about, folder, plan)
    _look_at_courses(about, folder, plan)
    for part in _folders(about, folder.path / "replaced"):
        with about.looking():
            _look_at_replaced(about, Sealed(part), Pool(folder.pool))
    for part in _folders(about, folder.path / "cells"):
        if part.name not in entries:
            about.faults.append(f"{part}: a cell that is not in {PLAN}; move it away")
    strange = [entry.name for entry in os.scandir(folder.path) if entry.name not in _OF_RUNS]
    about.notes += [f"{folder.path / name}: not a file of a run" for name in sorted(strange)]
    return about


def _look_at_cells(about: Inspection, folder: ResultFolder, plan: PlanFile, values: dict[str, Any]) -> None:
    agreement = Agreement()
    pool = Pool(folder.pool)
    about.cells = len(plan.cells)
    for entry in plan.cells:
        path = folder.cell(entry.id)
        if not os.path.lexists(path):
            continue
        about.done += 1
        fold = plan.fold_of(entry.seed)
        stream = stream_of_order(plan, entry.order, fold)
        with about.looking():
            read_cell(path, entry, stream, stream_values(values, entry.order, fold), agreement)
        with about.looking():
            sealed = Sealed(path)
            about.unsealed += sealed.checksums is None
            if plan.imported is not None:
                # It has scores of test samples, and nothing besides.
                _look_for_more(about, sealed, _CELL_FILES)
                continue
            validation = validation_scores(sealed, stream)
            if sealed.has(cell_calibration.NAME):
                names = [domain.name for domain in stream.domains]
                cell_calibration.check_calibration(sealed, validation, names)
            _look_at_checkpoint(about, sealed, pool)
            _look_for_more(about, sealed, _CELL_FILES)


def _look_at_checkpoint(about: Inspection, sealed: Sealed, pool: Pool) -> None:
    """Look for the state that a cell ended with: in the pool, or of an earlier version in the cell."""
    if os.path.lexists(sealed.path / "checkpoint.pt"):
        sealed.check("checkpoint.pt")
        return
    steps = read_about(sealed).steps
    if steps and pool.has_state(steps[-1]):
        Sealed(pool.step(steps[-1])).check("checkpoint.pt")
    else:
        about.without_checkpoint += 1


def _look_at_replaced(about: Inspection, sealed: Sealed, pool: Pool) -> None:
    cell = read_about(sealed)
    if cell.id != sealed.path.name:
        raise BenchError(
            f"{sealed.path / 'cell.json'}: key 'id': expected {sealed.path.name!r}, found {cell.id!r}; {sealed.remedy}"
        )
    read_environment(sealed, cell.seed)
    about.unsealed += sealed.checksums is None
    validation_scores(sealed, None)
    score_table.read_table(sealed.read("scores.parquet", "scores"), str(sealed.path / "scores.parquet"))
    _look_at_checkpoint(about, sealed, pool)
    _look_for_more(about, sealed, _CELL_FILES)


def _look_at_steps(about: Inspection, folder: ResultFolder, entries: dict[str, Entry], steps: int) -> None:
    used = {entry.source for entry in entries.values()}
    for part in _folders(about, folder.path / "sources"):
        with about.looking():
            _look_at_step(about, Sealed(part))
        if part.name not in used:
            about.notes.append(f"{part}: no cell of the plan starts from this source model")
    for part in _folders(about, folder.path / "progress"):
        if part.name not in entries:
            about.notes.append(f"{part}: steps of a cell that is not in {PLAN}")
        expected = [f"step-{step}" for step in range(steps)]
        finished = sorted(entry.name for entry in os.scandir(part) if not _PART.fullmatch(entry.name))
        for name in finished:
            if name not in expected:
                about.faults.append(f"{part / name}: expected step-0 to step-{steps - 1}; move it away")
                continue
            if f"step-{len(finished) - 1}" not in finished:
                about.notes.append(f"{part / name}: a step before it is not there; it is trained again")
            with about.looking():
                _look_at_step(about, Sealed(part / name))


def _look_at_step(about: Inspection, sealed: Sealed) -> None:
    about.unsealed += sealed.checksums is None
    for name in _STEP_FILES:
        if not sealed.has(name) and name not in _NEEDED:
            continue
        if name.endswith(".parquet"):
            score_table.read_table(sealed.read(name, "scores"), str(sealed.path / name))
        elif name == "phases.json":
            read_phases(sealed)
        elif name == "environment.json":
            read_environment(sealed)
        else:
            sealed.check(name)
    _look_for_more(about, sealed, _STEP_FILES)


def _look_at_further(about: Inspection, folder: ResultFolder, plan: PlanFile) -> None:
    sets = {set_id(parsing.plain(domain), "test"): domain for domain in plan.further}
    ids = _cells_of(folder, plan)
    for parent in _folders(about, folder.path / "further"):
        if parent.name not in sets:
            about.faults.append(f"{parent}: scores on a test set that is not in {PLAN}; move it away")
            continue
        for place in _folders(about, parent):
            if place.name not in ids:
                about.faults.append(f"{place}: scores of a cell that is not in {PLAN}; move it away")
                continue
            with about.looking():
                read_further(place, sets[parent.name])
                read_environment(Sealed(place))
                _look_for_more(about, Sealed(place), _FURTHER_FILES)


def _look_at_courses(about: Inspection, folder: ResultFolder, plan: PlanFile) -> None:
    ids = _cells_of(folder, plan)
    for parent in _folders(about, folder.path / "courses"):
        for place in _folders(about, parent):
            if place.name not in ids:
                about.faults.append(f"{place}: course of a cell that is not in {PLAN}; move it away")
                continue
            with about.looking():
                read_course(place, place.name, len(plan.stream.domains))
                _look_for_more(about, Sealed(place), _COURSE_FILES)


def _cells_of(folder: ResultFolder, plan: PlanFile) -> set[str]:
    """Return the ids of the cells that a folder has something of."""
    # A cell whose place another took keeps its scores, and is brought back with them.
    replaced = folder.path / "replaced"
    return {entry.id for entry in plan.cells} | (set(os.listdir(replaced)) if replaced.is_dir() else set())


def inspect_pool(path: str | os.PathLike[str]) -> PoolInspection:
    """Read and compare every file of a pool of steps; nothing is changed.

    Raises:
        BenchError: It is no pool.
    """
    pool = Pool(path)
    if not (pool.path / "locks").is_dir():
        raise BenchError(
            f"{pool.path}: expected a result folder, or a pool of steps, found neither; check the path"
        )
    about = PoolInspection(str(pool.path))
    for place in _folders(about, pool.path / "steps"):
        about.steps += 1
        with about.looking():
            pool.record(place.name)
            pool.phases(place.name)
            pool.environment(place.name)
            if pool.has_state(place.name):
                Sealed(place).check("checkpoint.pt")
                about.checkpoints += 1
            _look_for_more(about, Sealed(place), _POOL_FILES)
    for parent in _folders(about, pool.path / "scores"):
        for place in _folders(about, parent):
            with about.looking():
                about.judged += len(pool.judged_in(place))
                pool.scores(place)
                _look_for_more(about, Sealed(place), _SCORE_FILES)
    for parent in _folders(about, pool.path / "courses"):
        for place in _folders(about, parent):
            with about.looking():
                pool.read_course(place)
                about.courses += 1
                _look_for_more(about, Sealed(place), _WATCHED_FILES)
    return about


def _look_at_failures(about: Inspection, folder: ResultFolder, entries: dict[str, Entry]) -> None:
    for path in _entries(about, folder.path / "failures", lambda name: name.removesuffix(".json")):
        if path.stem not in entries:
            about.notes.append(f"{path}: of a cell that is not in {PLAN}")
            continue
        if not os.path.lexists(folder.cell(path.stem)):
            about.failed += 1
        with about.looking():
            documents.read_failure(path, entries[path.stem])
    for path in _entries(about, folder.path / "locks", lambda name: name.removesuffix(".lock")):
        if path.name != f"{path.stem}.lock":
            about.notes.append(f"{path}: not a lock")


def _look_for_more(about: Looking, sealed: Sealed, known: tuple[str, ...]) -> None:
    for entry in sorted(os.scandir(sealed.path), key=lambda entry: entry.name):
        if entry.name not in (*known, CHECKSUMS):
            about.notes.append(f"{entry.path}: not a file of a run")


def _folders(about: Looking, parent: Path) -> list[Path]:
    """List the folders whose names are ids; what is no folder is a fault."""
    paths = _entries(about, parent, lambda name: name)
    for path in paths:
        if not path.is_dir():
            about.faults.append(f"{path}: expected a folder; move it away")
    return [path for path in paths if path.is_dir()]


def _entries(about: Looking, parent: Path, id_of: Callable[[str], str]) -> list[Path]:
    """List what is in a folder of the result folder by name; a name that is no id is a fault."""
    if not os.path.lexists(parent):
        return []
    if not parent.is_dir():
        about.faults.append(f"{parent}: expected a folder; move it away")
        return []
    paths = []
    for name in sorted(os.listdir(parent)):
        if _PART.fullmatch(name):
            about.notes.append(f"{parent / name}: left by a process that was killed")
        elif names.ID.fault(id_of(name)) and not (parent.name == "locks" and name == "plan.lock"):
            about.faults.append(f"{parent / name}: expected {names.ID.expected}; move it away")
        else:
            paths.append(parent / name)
    return paths
