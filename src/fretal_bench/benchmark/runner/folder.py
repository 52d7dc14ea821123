"""The result folder as a run writes it: plan, source models, steps, done cells, failures and locks.

plan.json                 stream, recipe and every cell that was ever asked for here
sources/ID/               a source model: checkpoint.pt, scores.parquet, validation.parquet, phases.json, environment.json
progress/ID/step-K/       the same, after domain K of a cell that is not done
cells/ID/                 a done cell: cell.json, scores.parquet, validation.parquet, environment.json, checkpoint.pt
.../checksums.json        in each of these three, the SHA-256 of its other files (see ``seals``)
replaced/ID/              a done cell whose place another took: its strategy's plugin, or a default, was changed
failures/ID.json          why a cell failed, until it succeeds
locks/ID.lock             held by the process that works on ID
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from filelock import FileLock, Timeout

from fretal_bench import files, parsing
from fretal_bench.benchmark.recipes.recipe import TABLES, Recipe
from fretal_bench.benchmark.runner.difference import first_difference
from fretal_bench.benchmark.runner.documents import FORMAT, OF_DATA, PLAN, check_id, plan_checksum, read_plan
from fretal_bench.benchmark.runner.plan import Cell, Plan
from fretal_bench.benchmark.runner.seals import Sealed, read_environment
from fretal_bench.errors import BenchError, RunError

if TYPE_CHECKING:
    import pandas as pd

REMEDY: Final = "give another --out"
_FOREVER: Final = -1.0
_ALL: Final = "plan"
"""The lock of the plan, beside those of cells and source models."""


class Busy(Exception):
    """Another process works on it."""


class ResultFolder:
    """Where a run writes; several runs may write to the same folder at once."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def create(self, plan: Plan) -> None:
        """Make the folder, or join it: cells of ``plan`` are added to those already planned here.

        A folder in which all of it is done may be read-only.

        Raises:
            BenchError: The folder holds another stream or recipe, or something else altogether, or cannot be written.
        """
        try:
            self._join(plan)
        except (BenchError, RunError):
            if not self._holds(plan):
                raise

    def _join(self, plan: Plan) -> None:
        with files.refusals(self.path, remedy=REMEDY):
            ours = (self.path / PLAN).exists() or (self.path / "locks").is_dir()
            if not ours and self.path.is_dir() and any(self.path.iterdir()):
                raise BenchError(f"{self.path} is not empty and no result folder; give another --out")
            (self.path / "locks").mkdir(parents=True, exist_ok=True)
            with self.hold(_ALL):
                earlier = self._check_same(plan)
                entries = _joined(earlier, plan)
                content = {
                    "format": FORMAT,
                    "stream": {**plan.stream, "left_out": dict(plan.left_out), **_shortcuts(plan)},
                    "recipe": {"name": plan.recipe.name, **plan.recipe.content()},
                    **_defaults(plan.recipe),
                    "cells": list(entries.values()),
                }
                self._tidy(entries)
                # Before the plan is written: a process that is killed in between does it again.
                self._bring_back(entries)
                self._put_away(id for id in earlier if id not in entries)
                content["checksum"] = plan_checksum(content)
                files.write(self.path / PLAN, parsing.to_json(content), remedy=REMEDY)

    def _holds(self, plan: Plan) -> bool:
        """Whether all cells of a plan are planned and done here already, and there is nothing to write."""
        try:
            earlier = self._check_same(plan)
        except BenchError:
            return False
        return list(_joined(earlier, plan)) == list(earlier) and all(
            self.cell(cell.id).is_dir() for cell in plan.cells
        )

    def _check_same(self, plan: Plan) -> dict[str, Any]:
        """Return the cells already planned, by id, once stream and recipe are known to be the same."""
        if not (self.path / PLAN).exists():
            return {}
        old, _ = read_plan(self.path)
        recipe = {**plan.recipe.content(), **_defaults(plan.recipe)}
        for kind, ours, theirs in (
            ("stream", dict(plan.stream), old["stream"]),
            ("recipe", recipe, {**old["recipe"], **{key: old[key] for key in TABLES if key in old}}),
        ):
            there, now = (
                {key: value for key, value in values.items() if key not in ("name", *OF_DATA)}
                for values in (theirs, json.loads(json.dumps(ours)))
            )
            if text := first_difference(there, now, kind):
                raise BenchError(f"{self.path} was made by another plan: {text}; give another --out")
        return {entry["id"]: entry for entry in old["cells"]}

    def _tidy(self, ids: Iterable[str]) -> None:
        """Remove the steps of done cells whose process was killed before it removed them."""
        for id in ids:
            if self.cell(id).is_dir():
                self.forget_steps(id)
                self.forget_failure(id)

    def _put_away(self, ids: Iterable[str]) -> None:
        """Move replaced cells out of the way, and remove the steps of those that are not done.

        One that another process is still at stays where it is.
        """
        for id in ids:
            with contextlib.suppress(Busy), self.hold(id, wait=0):
                if self.cell(id).is_dir():
                    self.replaced(id).parent.mkdir(exist_ok=True)
                    # A run that began before the cell was put away for the first time has made it again.
                    shutil.rmtree(self.replaced(id), ignore_errors=True)
                    files.move(self.cell(id), self.replaced(id))
                self.forget_steps(id)
                self.forget_failure(id)

    def _bring_back(self, ids: Iterable[str]) -> None:
        """Move cells that were replaced and are asked for again back to the done ones."""
        for id in ids:
            if self.replaced(id).is_dir() and not self.cell(id).is_dir():
                self.cell(id).parent.mkdir(exist_ok=True)
                files.move(self.replaced(id), self.cell(id))

    @contextlib.contextmanager
    def hold(self, name: str, wait: float = _FOREVER) -> Iterator[None]:
        """Hold the lock that whoever works on ``name`` must hold; a killed process lets go of it.

        Args:
            name: Id of a cell or source model, or ``plan``.
            wait: Seconds to wait for another process; for ever if negative.

        Raises:
            Busy: Another process still holds it.
        """
        name = name if name == _ALL else check_id(name, "lock")
        lock = FileLock(str(self.path / "locks" / f"{name}.lock"))
        with files.refusals(self.path, remedy=REMEDY):
            try:
                lock.acquire(timeout=wait)
            except Timeout as error:
                raise Busy(name) from error
        try:
            yield
        finally:
            lock.release()

    def environment(self, id: str) -> dict[str, Any]:
        """Return what a done cell was made with; ``BenchError`` if that is missing or damaged."""
        return read_environment(Sealed(self.cell(id)))

    def keep(self, name: str, content: str) -> None:
        """Write a text file beside the plan, unless it says that already."""
        path = self.path / name
        if not (path.exists() and files.read_text(path, "file", REMEDY) == content):
            files.write(path, content, remedy=REMEDY)

    def source(self, id: str) -> Path:
        """Return the folder of a source model."""
        return self._place("sources", id)

    def cell(self, id: str) -> Path:
        """Return the folder of a done cell."""
        return self._place("cells", id)

    def replaced(self, id: str) -> Path:
        """Return the folder of a done cell whose place another took."""
        return self._place("replaced", id)

    def _place(self, kind: str, id: str) -> Path:
        return self.path / kind / check_id(id, f"{self.path}: {kind}")

    def is_done(self, id: str) -> bool:
        """Whether a cell is done, be it among those that were replaced, from where ``create`` brings it back."""
        return self.cell(id).is_dir() or self.replaced(id).is_dir()

    def step(self, id: str, step: int) -> Path:
        """Return the folder of one finished step of a cell."""
        return self._place("progress", id) / f"step-{step}"

    def failure(self, id: str) -> Path:
        """Return the file that says why a cell failed."""
        return self.path / "failures" / f"{check_id(id, 'failure')}.json"

    def steps_done(self, id: str) -> int:
        """Return how many steps of a cell that is not done are finished."""
        step = 0
        while self.step(id, step).is_dir():
            step += 1
        return step

    def forget_steps(self, id: str) -> None:
        """Remove the steps of a cell, which are part of the done cell now."""
        shutil.rmtree(self._place("progress", id), ignore_errors=True)

    def fail(self, cell: Cell, reason: str, trace: str) -> None:
        """Keep the reason why a cell failed."""
        about = {"id": cell.id, "label": cell.name, "seed": cell.seed}
        record = {**about, "reason": " ".join(reason.split()), "traceback": trace}
        files.write(self.failure(cell.id), parsing.to_json(record), remedy=REMEDY)

    def forget_failure(self, id: str) -> None:
        """Remove a reason that no longer holds."""
        self.failure(id).unlink(missing_ok=True)


def _shortcuts(plan: Plan) -> dict[str, Any]:
    """What the plan says of shortcuts; a stream without one has no such key."""
    return {"shortcuts": dict(plan.shortcuts)} if plan.shortcuts else {}


def _joined(earlier: Mapping[str, Any], plan: Plan) -> dict[str, Any]:
    """Return what is planned once a plan has joined: the earlier cells and its own, by id."""
    # A plugin that was changed, or a default: the new cell takes the place of the old one of its name.
    new = {(cell.name, cell.seed): cell.id for cell in plan.cells}
    entries = {
        id: entry for id, entry in earlier.items() if new.get((entry["label"], entry["seed"]), id) == id
    }
    for cell in plan.cells:
        entries.setdefault(cell.id, _entry(cell))
    return entries


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


def write_frame(path: Path, frame: pd.DataFrame) -> None:
    """Write a table as Parquet, in a folder that is in the making."""
    # Through memory: on a full disk the file's own writer alone raises an OSError with its number.
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    path.write_bytes(buffer.getbuffer())
