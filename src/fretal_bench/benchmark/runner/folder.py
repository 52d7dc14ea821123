"""The result folder as a run writes it: plan, done cells, failures and locks. Steps are in the pool (``pool``).

plan.json                 stream, recipe and every cell that was ever asked for here
cells/ID/                 a done cell: cell.json, scores.parquet, validation.parquet, calibration.json, environment.json,
                          checksums.json
further/SET/ID/           scores of a done cell on a test set that was never trained on (``judging``)
courses/EVERY/ID/         a done cell's course: what validation people were judged to be while it was trained, every so
                          many updates (``course_joining``)
replaced/ID/              a done cell whose place another took: its strategy's plugin, name or a default was changed
failures/ID.json          why a cell failed, until it succeeds
locks/ID.lock             held by the process that puts cell ID together

Earlier versions kept steps here: sources/ID/, progress/ID/step-K/, and checkpoint.pt in a done cell.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from fretal_bench import files, parsing
from fretal_bench.benchmark.recipes.recipe import TABLES, Recipe
from fretal_bench.benchmark.runner.course_table import folder_of
from fretal_bench.benchmark.runner.difference import first_difference
from fretal_bench.benchmark.runner.documents import FORMAT, OF_DATA, PLAN, check_id, plan_checksum, read_plan
from fretal_bench.benchmark.runner.locks import FOREVER, Busy, held, is_held
from fretal_bench.benchmark.runner.plan import Cell, Plan
from fretal_bench.benchmark.runner.seals import Sealed, read_makers
from fretal_bench.errors import BenchError, RunError

if TYPE_CHECKING:
    import pandas as pd

REMEDY: Final = "give another --out"
POOL: Final = "steps"
"""The default pool's folder, beside the result folders that it serves."""
_ALL: Final = "plan"
"""The lock of the plan, beside those of cells."""


class ResultFolder:
    """Where a run writes; several runs may write to the same folder at once."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def create(self, plan: Plan, pool: Path | None = None) -> None:
        """Make the folder, or join it: cells of ``plan`` are added to those already planned here.

        A folder in which all of it is done may be read-only.

        Args:
            plan: The plan.
            pool: Where the steps are; by default beside the folder.

        Raises:
            BenchError: The folder holds another stream or recipe, or something else altogether, or cannot be written.
        """
        try:
            self._join(plan, pool)
        except (BenchError, RunError):
            if not self._holds(plan):
                raise

    def _join(self, plan: Plan, pool: Path | None) -> None:
        with files.refusals(self.path, remedy=REMEDY):
            if (self.path / "folders").is_dir() and not (self.path / PLAN).exists():
                raise BenchError(f"{self.path} is a pool of steps and no result folder; give another --out")
            ours = (self.path / PLAN).exists() or (self.path / "locks").is_dir()
            if not ours and self.path.is_dir() and any(self.path.iterdir()):
                raise BenchError(f"{self.path} is not empty and no result folder; give another --out")
            (self.path / "locks").mkdir(parents=True, exist_ok=True)
            with self.hold(_ALL):
                earlier = self._check_same(plan)
                orders = self._orders(plan)
                entries = _joined(earlier, plan, orders, self.is_done)
                content = {
                    "format": FORMAT,
                    "stream": {
                        **plan.stream,
                        "left_out": dict(plan.left_out),
                        **_shortcuts(plan),
                        **plan.brought,
                    },
                    **({"orders": orders} if orders else {}),
                    **self._folds(plan),
                    "recipe": {"name": plan.recipe.name, **plan.recipe.content()},
                    **_defaults(plan.recipe),
                    **self._pool_of(pool),
                    **self._further(),
                    "cells": list(entries.values()),
                }
                self._tidy(entries)
                # Before the plan is written: a process that is killed in between does it again.
                self._bring_back(entries)
                self._put_away(id for id in earlier if id not in entries)
                content["checksum"] = plan_checksum(content)
                files.write(self.path / PLAN, parsing.to_json(content), remedy=REMEDY)

    def add_further(self, sets: Sequence[Mapping[str, Any]]) -> None:
        """Write down in the plan on which further test sets cells were judged: their names and contents.

        Raises:
            BenchError, RunError: The plan cannot be read or written.
        """
        with self.hold(_ALL):
            values, _ = read_plan(self.path)
            there = values.get("further", [])
            new = [parsing.plain(content) for content in sets]
            joined = there + [content for content in new if content not in there]
            if joined != there:
                content = {**values, "format": FORMAT, "further": joined}
                content["checksum"] = plan_checksum(content)
                files.write(self.path / PLAN, parsing.to_json(content), remedy=REMEDY)

    @property
    def pool(self) -> Path:
        """Where the steps are: what the plan says, by default beside the folder.

        Raises:
            BenchError: The plan cannot be read.
        """
        values = read_plan(self.path)[0] if (self.path / PLAN).exists() else {}
        if "pool" not in values:
            return self._beside
        return Path(os.path.normpath(self.path.absolute() / str(values["pool"])))

    @property
    def _beside(self) -> Path:
        # Of a folder that is a link: beside the link, where the user sees it.
        return self.path.absolute().parent / POOL

    def _holds(self, plan: Plan) -> bool:
        """Whether all cells of a plan are planned and done here already, and there is nothing to write."""
        try:
            earlier = self._check_same(plan)
        except BenchError:
            return False
        return list(_joined(earlier, plan, self._orders(plan), self.is_done)) == list(earlier) and all(
            self.cell(cell.id).is_dir() for cell in plan.cells
        )

    def _pool_of(self, pool: Path | None) -> dict[str, str]:
        """What the plan says of the pool; nothing of one beside the folder."""
        if pool is None or pool.absolute() == self._beside:
            return {}
        return {"pool": os.path.relpath(pool.absolute(), self.path.absolute())}

    def _further(self) -> dict[str, Any]:
        """What the plan says of further test sets, which a run leaves as it is."""
        values = read_plan(self.path)[0] if (self.path / PLAN).exists() else {}
        return {"further": values["further"]} if "further" in values else {}

    def _orders(self, plan: Plan) -> list[Any]:
        """Return the domains of the stream in every order but its own: those that were planned earlier, and new ones."""
        earlier = read_plan(self.path)[0].get("orders", []) if (self.path / PLAN).exists() else []
        new = [parsing.plain(of["domains"]) for of in plan.orders]
        return earlier + [domains for domains in new if domains not in earlier]

    def _folds(self, plan: Plan) -> dict[str, Any]:
        """What the plan says of the folds after the first: their domains in its own order and in those of ``_orders``.

        Raises:
            BenchError: The folder has other orders, of an earlier version, of which nobody says what they are in a fold.
        """
        if not plan.folds:
            return {}
        old = read_plan(self.path)[0] if (self.path / PLAN).exists() else {}
        earlier, folds = old.get("orders", []), old.get("folds", [{}] * len(plan.folds))
        new = [parsing.plain(of["domains"]) for of in plan.orders]
        content = []
        for fold, of_plan in zip(folds, plan.folds, strict=True):
            own, *others = (parsing.plain(of["domains"]) for of in of_plan)
            known = dict(enumerate(fold.get("orders", [])))
            known.update({earlier.index(of): others[at] for at, of in enumerate(new) if of in earlier})
            if len(known) < len(earlier):
                raise BenchError(
                    f"{self.path}: its other orders are of an earlier version, which knew no folds; give another --out"
                )
            orders = [known[at] for at in range(len(earlier))]
            orders += [others[at] for at, of in enumerate(new) if of not in earlier]
            content.append({"domains": own, **({"orders": orders} if orders else {})})
        return {"folds": content}

    def _check_same(self, plan: Plan) -> dict[str, Any]:
        """Return the cells already planned, by id, once stream and recipe are known to be the same."""
        if not (self.path / PLAN).exists():
            return {}
        old, read = read_plan(self.path)
        if read.imported is not None:
            raise BenchError(f"{self.path} holds scores that were imported, not a run; give another --out")
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
        self._check_folds(plan, old)
        return {entry["id"]: entry for entry in old["cells"]}

    def _check_folds(self, plan: Plan, old: Mapping[str, Any]) -> None:
        """Refuse a plan that tests other people in some fold than the one that is there."""
        there = [fold["domains"] for fold in old.get("folds", [])]
        now = [parsing.plain(of[0]["domains"]) for of in plan.folds]
        if there and there != now:
            other = (
                "other videos are drawn"
                if plan.stream["protocol"].get("draws", 1) > 1
                else "other people are tested"
            )
            text = f"{other} in them" if len(there) == len(now) else f"{len(now) + 1} now"
            raise BenchError(
                f"{self.path} was made by another plan: {len(there) + 1} folds there, {text}; give another --out"
            )
        folded = sorted({entry["seed"] for entry in old["cells"] if entry["seed"] % (len(now) + 1)})
        if folded and not there and now:
            raise BenchError(
                f"{self.path} was made by another plan: in its cells of seed {folded[0]} those people are tested who "
                f"are in fold 0, and now {len(now) + 1} folds test others in every seed; give another --out"
            )

    def _tidy(self, ids: Iterable[str]) -> None:
        """Remove what is left of done cells whose process was killed before it removed it."""
        for id in ids:
            if self.cell(id).is_dir():
                self._forget_steps(id)
                self.forget_failure(id)

    def _put_away(self, ids: Iterable[str]) -> None:
        """Move replaced cells out of the way.

        One that another process is still at stays where it is.
        """
        for id in ids:
            with contextlib.suppress(Busy), self.hold(id, wait=0):
                if self.cell(id).is_dir():
                    self.replaced(id).parent.mkdir(exist_ok=True)
                    # A run that began before the cell was put away for the first time has made it again.
                    shutil.rmtree(self.replaced(id), ignore_errors=True)
                    files.move(self.cell(id), self.replaced(id))
                self._forget_steps(id)
                self.forget_failure(id)

    def _bring_back(self, ids: Iterable[str]) -> None:
        """Move cells that were replaced and are asked for again back to the done ones."""
        for id in ids:
            if self.replaced(id).is_dir() and not self.cell(id).is_dir():
                self.cell(id).parent.mkdir(exist_ok=True)
                files.move(self.replaced(id), self.cell(id))

    @contextlib.contextmanager
    def hold(self, name: str, wait: float = FOREVER) -> Iterator[None]:
        """Hold the lock that whoever works on ``name`` must hold; a killed process lets go of it.

        Args:
            name: Id of a cell, or ``plan``.
            wait: Seconds to wait for another process; for ever if negative.

        Raises:
            Busy: Another process still holds it.
        """
        name = name if name == _ALL else check_id(name, "lock")
        with held(self.path / "locks" / f"{name}.lock", wait, REMEDY):
            yield

    def is_held(self, id: str) -> bool:
        """Whether a process puts a cell together now."""
        return is_held(self.path / "locks" / f"{check_id(id, 'lock')}.lock")

    def makers(self, id: str) -> dict[str, Any]:
        """Return the versions that a done cell was made with; ``BenchError`` if that is missing or damaged."""
        return read_makers(Sealed(self.cell(id)))

    def keep(self, name: str, content: str) -> None:
        """Write a text file beside the plan, unless it says that already."""
        path = self.path / name
        if not (path.exists() and files.read_text(path, "file", REMEDY) == content):
            files.write(path, content, remedy=REMEDY)

    def cell(self, id: str) -> Path:
        """Return the folder of a done cell."""
        return self._place("cells", id)

    def course(self, id: str, every: int) -> Path:
        """Return the folder of a done cell's course."""
        return self.path / "courses" / folder_of(every) / check_id(id, f"{self.path}: courses")

    def replaced(self, id: str) -> Path:
        """Return the folder of a done cell whose place another took."""
        return self._place("replaced", id)

    def _place(self, kind: str, id: str) -> Path:
        return self.path / kind / check_id(id, f"{self.path}: {kind}")

    def is_done(self, id: str) -> bool:
        """Whether a cell is done, be it among those that were replaced, from where ``create`` brings it back."""
        return self.cell(id).is_dir() or self.replaced(id).is_dir()

    def failure(self, id: str) -> Path:
        """Return the file that says why a cell failed."""
        return self.path / "failures" / f"{check_id(id, 'failure')}.json"

    def _forget_steps(self, id: str) -> None:
        """Remove the steps that an earlier version kept of a cell."""
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


def _joined(
    earlier: Mapping[str, Any], plan: Plan, orders: Sequence[Any], is_done: Callable[[str], bool]
) -> dict[str, Any]:
    """Return what is planned once a plan has joined: the earlier cells and its own, by id.

    Args:
        earlier: The cells that were planned, by id.
        plan: The plan.
        orders: The domains of the stream in every order but its own.
        is_done: Whether a cell is done.
    """
    numbers = [0, *(orders.index(parsing.plain(of["domains"])) + 1 for of in plan.orders)]
    # A plugin that was changed, or a default: the new cell takes the place of the old one of its name, or of what is
    # another name of its strategy now.
    new = {(name, cell.seed, numbers[cell.order]): cell.id for cell in plan.cells for name in cell.names}
    entries = {
        id: entry
        for id, entry in earlier.items()
        if new.get((entry["label"], entry["seed"], entry.get("order", 0)), id) == id
    }
    for cell in plan.cells:
        # An entry of an earlier version says nothing of the steps that are to be computed now.
        if cell.id not in entries or ("steps" not in entries[cell.id] and not is_done(cell.id)):
            entries[cell.id] = _entry(cell, numbers[cell.order])
    return entries


def _entry(cell: Cell, order: int) -> dict[str, Any]:
    return {
        "id": cell.id,
        "strategy": cell.strategy,
        "label": cell.name,
        "hyperparameters": dict(cell.hyperparameters),
        "seed": cell.seed,
        **({"order": order} if order else {}),
        "steps": [step.id for step in cell.path],
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
