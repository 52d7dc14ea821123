"""The result folder: cells written atomically, steps kept until their cell is done, everything read back.

plan.json                 stream, recipe and every cell that was ever asked for here
sources/ID/               a source model: checkpoint.pt, scores.parquet, validation.parquet, phases.json
progress/ID/step-K/       the same, after domain K of a cell that is not done
cells/ID/                 a done cell: cell.json, scores.parquet, validation.parquet, environment.json, checkpoint.pt
failures/ID.json          why a cell failed, until it succeeds
locks/ID.lock             held by the process that works on ID
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from filelock import FileLock

from fretal_bench.benchmark.recipes.recipe import TABLES, Recipe
from fretal_bench.benchmark.runner.plan import Cell, Plan
from fretal_bench.errors import BenchError, RunError

FORMAT = 1


@dataclass(frozen=True)
class CellResult:
    """A done cell.

    Args:
        id: The cell's id.
        strategy: The strategy's name.
        label: The name, with the hyperparameters that differ from the defaults.
        hyperparameters: All of them.
        seed: The seed.
        scores: One row a test sample a step: step, domain, row, label, video, score.
        environment: Versions, machine, commit, and ``phases`` with seconds and memory.
        path: The cell's folder.
    """

    id: str
    strategy: str
    label: str
    hyperparameters: Mapping[str, Any]
    seed: int
    scores: pd.DataFrame
    environment: Mapping[str, Any]
    path: Path

    def validation(self) -> pd.DataFrame:
        """Return the scores of the validation samples; same columns as ``scores``."""
        return pd.read_parquet(self.path / "validation.parquet")


@dataclass(frozen=True)
class CellFailure:
    """A cell that failed, with its reason in one line and the traceback."""

    id: str
    label: str
    seed: int
    reason: str
    traceback: str


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
    """

    path: Path
    plan: Mapping[str, Any]
    cells: tuple[CellResult, ...]
    failures: tuple[CellFailure, ...]
    missing: tuple[MissingCell, ...]


def load_results(path: str | os.PathLike[str]) -> Results:
    """Read a result folder.

    Raises:
        BenchError: It is no result folder, or something in it is damaged; the message names the file.
    """
    folder = Path(path)
    plan = _read_json(
        folder / "plan.json", f"{folder} is no result folder (it has no plan.json); `bench run` makes one"
    )
    cells, failures, missing = [], [], []
    for entry in plan["cells"]:
        done = folder / "cells" / entry["id"]
        failed = folder / "failures" / f"{entry['id']}.json"
        if done.is_dir():
            cells.append(_read_cell(done, entry))
        elif failed.is_file():
            failures.append(CellFailure(**_read_json(failed, f"{failed} is missing")))
        else:
            missing.append(MissingCell(entry["label"], entry["seed"]))
    return Results(folder, plan, tuple(cells), tuple(failures), tuple(missing))


def _read_cell(folder: Path, entry: Mapping[str, Any]) -> CellResult:
    damaged = f"{folder}: damaged; delete it and run again"
    try:
        scores = pd.read_parquet(folder / "scores.parquet")
    except (OSError, ValueError) as error:
        raise BenchError(
            f"{folder / 'scores.parquet'}: cannot be read; delete {folder} and run again"
        ) from error
    return CellResult(
        id=entry["id"],
        strategy=entry["strategy"],
        label=entry["label"],
        hyperparameters=entry["hyperparameters"],
        seed=entry["seed"],
        scores=scores,
        environment=_read_json(folder / "environment.json", damaged),
        path=folder,
    )


def _read_json(path: Path, if_missing: str) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise BenchError(if_missing) from error
    except NotADirectoryError as error:
        raise BenchError(if_missing) from error
    except (OSError, ValueError) as error:
        raise BenchError(f"{path}: cannot be read ({error})") from error


class ResultFolder:
    """Where a run writes; several runs may write to the same folder at once."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def create(self, plan: Plan) -> None:
        """Make the folder, or join it: cells of ``plan`` are added to those already planned here.

        Raises:
            BenchError: The folder holds another stream or recipe, or something else altogether, or cannot be written.
        """
        with writing(self.path):
            ours = (self.path / "plan.json").exists() or (self.path / "locks").is_dir()
            if not ours and self.path.is_dir() and any(self.path.iterdir()):
                raise BenchError(f"{self.path} is not empty and no result folder; give another --out")
            (self.path / "locks").mkdir(parents=True, exist_ok=True)
            with self.lock("plan"):
                entries = self._check_same(plan)
                # A plugin that was changed, or a default: the new cell takes the place of the old one of its name.
                new = {(cell.name, cell.seed): cell.id for cell in plan.cells}
                entries = {
                    id: entry
                    for id, entry in entries.items()
                    if new.get((entry["label"], entry["seed"]), id) == id
                }
                for cell in plan.cells:
                    entries.setdefault(cell.id, _entry(cell))
                content = {
                    "format": FORMAT,
                    "stream": {**plan.stream, "left_out": dict(plan.left_out)},
                    "recipe": {"name": plan.recipe.name, **plan.recipe.content()},
                    **_defaults(plan.recipe),
                    "cells": list(entries.values()),
                }
                write_file(self.path / "plan.json", json.dumps(content, indent=1) + "\n")

    def _check_same(self, plan: Plan) -> dict[str, Any]:
        """Return the cells already planned, by id, once stream and recipe are known to be the same."""
        path = self.path / "plan.json"
        if not path.exists():
            return {}
        old = _read_json(path, f"{path} is missing")
        if old.get("format") != FORMAT:
            raise BenchError(
                f"{path}: expected format {FORMAT}, found {old.get('format')!r}; give another --out"
            )
        recipe = {"name": plan.recipe.name, **plan.recipe.content(), **_defaults(plan.recipe)}
        for kind, ours, theirs in (
            ("stream", dict(plan.stream), old["stream"]),
            ("recipe", recipe, {**old["recipe"], **{key: old[key] for key in TABLES if key in old}}),
        ):
            ours = json.loads(json.dumps(ours))
            for key in [*ours, *(k for k in theirs if k not in ours)]:
                if key not in ("name", "left_out") and ours.get(key) != theirs.get(key):
                    raise BenchError(
                        f"{self.path} was made by another plan: {kind} {theirs.get('name', '')!s} has "
                        f"{_short(key, theirs)} there, {_short(key, ours)} now; give another --out"
                    )
        return {entry["id"]: entry for entry in old["cells"]}

    def lock(self, name: str) -> FileLock:
        """Return the lock that whoever works on ``name`` must hold; a killed process lets go of it."""
        return FileLock(str(self.path / "locks" / f"{name}.lock"))

    def source(self, id: str) -> Path:
        """Return the folder of a source model."""
        return self.path / "sources" / id

    def cell(self, id: str) -> Path:
        """Return the folder of a done cell."""
        return self.path / "cells" / id

    def step(self, id: str, step: int) -> Path:
        """Return the folder of one finished step of a cell."""
        return self.path / "progress" / id / f"step-{step}"

    def steps_done(self, id: str) -> int:
        """Return how many steps of a cell that is not done are finished."""
        step = 0
        while self.step(id, step).is_dir():
            step += 1
        return step

    def forget_steps(self, id: str) -> None:
        """Remove the steps of a cell, which are part of the done cell now."""
        shutil.rmtree(self.path / "progress" / id, ignore_errors=True)

    def fail(self, cell: Cell, reason: str, trace: str) -> None:
        """Keep the reason why a cell failed."""
        record = {"id": cell.id, "label": cell.name, "seed": cell.seed, "reason": reason, "traceback": trace}
        write_file(self.path / "failures" / f"{cell.id}.json", json.dumps(record, indent=1) + "\n")

    def forget_failure(self, id: str) -> None:
        """Remove a reason that no longer holds."""
        (self.path / "failures" / f"{id}.json").unlink(missing_ok=True)


def _entry(cell: Cell) -> dict[str, Any]:
    return {
        "id": cell.id,
        "strategy": cell.strategy,
        "label": cell.name,
        "hyperparameters": dict(cell.hyperparameters),
        "seed": cell.seed,
        "source": cell.source.id if cell.source else None,
    }


def _defaults(recipe: Recipe) -> dict[str, Any]:
    """What a recipe says of strategies' hyperparameters, for the plan; nothing if it says nothing."""
    return {key: getattr(recipe, key) for key in TABLES if getattr(recipe, key)}


def _short(key: str, values: Mapping[str, Any]) -> str:
    text = f"{key}={values[key]!r}" if key in values else f"no {key}"
    return text if len(text) <= 60 else text[:57] + "..."


@contextlib.contextmanager
def atomic_folder(final: Path) -> Iterator[Path]:
    """Give a folder to write in that becomes ``final`` at the block's end, whole, or not at all.

    The caller holds the lock of ``final``; what a killed process left half-written beside it is removed.
    """
    final.parent.mkdir(parents=True, exist_ok=True)
    for stale in final.parent.glob(f".{final.name}.part-*"):
        shutil.rmtree(stale, ignore_errors=True)
    part = Path(tempfile.mkdtemp(prefix=f".{final.name}.part-", dir=final.parent))
    part.chmod(0o755)
    try:
        yield part
        for path in part.iterdir():
            with path.open("rb") as file:
                os.fsync(file.fileno())
        os.replace(part, final)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


def write_file(path: Path, text: str) -> None:
    """Write a text file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, part = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(part, 0o644)
        os.replace(part, path)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn the system's refusals to write below ``path`` into one line that says what to do.

    Raises:
        RunError: The disk is full.
        BenchError: There is no permission, or a file stands where a folder should.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise RunError(
                f"{path}: no space left to write results; free some and run the same command again, "
                "what is finished is kept"
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.ENOENT):
            raise BenchError(
                f"{path}: results cannot be written there ({reason}); give another --out"
            ) from error
        raise
