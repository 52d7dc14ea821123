"""A source model that the user brings, in a run: read or found in the pool, kept there as a step, and made of records."""

from __future__ import annotations

import dataclasses
import io
import os
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from fretal_bench.benchmark.recipes.recipe import Recipe, recorded_recipe
from fretal_bench.benchmark.runner.documents import PLAN, BroughtContent, CellFile, read_plan
from fretal_bench.benchmark.runner.environment import environment
from fretal_bench.benchmark.runner.folder import ResultFolder
from fretal_bench.benchmark.runner.graph import Source, Step, brought_id
from fretal_bench.benchmark.runner.pool import NewStep, Pool, StepFile
from fretal_bench.datasets.streams.file import StreamFile
from fretal_bench.datasets.streams.source import SourceTable
from fretal_bench.errors import BenchError, BenchWarning

if TYPE_CHECKING:
    from fretal_bench.benchmark.detectors.architecture import Architecture
    from fretal_bench.benchmark.detectors.model import BroughtModel
    from fretal_bench.datasets.store.store import CropStore

_KEYS: Final = ("backbone", "pretrained", "stem_stride", "image_size", "mean", "std")
"""The keys of a recipe that belong to the weights."""


@dataclass(frozen=True)
class BroughtSource:
    """A source model that was brought.

    Attributes:
        source: What the steps of a run begin with.
        recipe: The recipe that trains it on: its backbone and pixels are the model's.
        path: The file that it was read from.
        sentence: What was taken for granted of it, in one line.
        model: The model; None where the file is gone and the pool has it.
    """

    source: Source
    recipe: Recipe
    path: str
    sentence: str
    model: BroughtModel | None

    @property
    def noted(self) -> dict[str, str]:
        """What the plan notes of it besides what identifies it."""
        return {"brought_from": self.path, "brought_as": self.sentence}


def with_source(file: StreamFile, table: SourceTable) -> StreamFile:
    """Return a stream whose source model is the one that a call names; its paths start from the working folder."""
    return dataclasses.replace(file, source=table.placed(Path.cwd()))


def bring_source(
    file: StreamFile, folder: ResultFolder, pool: Pool, recipe: Recipe, changes: Mapping[str, Any]
) -> BroughtSource:
    """Read the source model that a stream names; where its file is gone, take the one that an earlier run kept.

    Args:
        file: The stream.
        folder: The result folder, which may hold an earlier run.
        pool: Where steps are kept.
        recipe: The recipe.
        changes: What the call sets of it: what belongs to the weights is stated with them.

    Raises:
        BenchError: The weights cannot be used (``detectors.model.bring``), or the call sets a key that belongs to them to
            another value.
    """
    from fretal_bench.benchmark.detectors.model import bring

    table = file.brought
    assert table is not None
    placed = table.placed(file.path.parent)
    if not os.path.lexists(placed.weights):
        kept = _kept(placed, folder, pool, recipe)
        if kept is not None:
            return kept
    model = bring(placed, where=str(file.path) if file.path.name else "")
    for key in _KEYS:
        value = model.keys[key]
        if key in changes and getattr(recipe, key) != value:
            raise BenchError(
                f"--set recipe.{key}={changes[key]}: expected {value!r}, as of the source model {model.weights}; leave "
                "it out, or state it with the weights"
            )
    if recipe.backbone != model.keys["backbone"]:
        warnings.warn(
            f"recipe {recipe.name!r} has backbone {recipe.backbone!r}; the source model's, {model.keys['backbone']!r}, "
            "is trained",
            BenchWarning,
            stacklevel=3,
        )
    trained = dataclasses.replace(recipe, **model.keys)
    # A recipe that cannot train this model says so before anything is written.
    model.network(trained.changed({"compile": False}), 0)
    source = Source(model.architecture, {"weights": model.hash, **model.architecture.content()})
    return BroughtSource(source, trained, str(model.weights), model.sentence, model)


def _kept(table: SourceTable, folder: ResultFolder, pool: Pool, recipe: Recipe) -> BroughtSource | None:
    """Return the source model that an earlier run in the folder read from a file that is gone; None if there is none."""
    if not (folder.path / PLAN).exists():
        return None
    values, plan = read_plan(folder.path)
    brought = plan.stream.brought
    if brought is None or plan.stream.brought_from != table.weights:
        return None
    earlier = recorded_recipe(values["recipe"], f"{folder.path / PLAN}: recipe")
    recipe = dataclasses.replace(recipe, **{key: getattr(earlier, key) for key in _KEYS})
    content = brought.content()
    if not pool.has_state(brought_id(recipe.content(), content)):
        return None
    architecture = _architecture(brought, recipe, table.model)
    return BroughtSource(Source(architecture, content), recipe, table.weights, plan.stream.brought_as, None)


def _architecture(brought: BroughtContent, recipe: Recipe, model: str) -> Architecture:
    """Make an architecture of what a record says; one of the user's own code only where the user names it.

    Args:
        brought: What the record says.
        recipe: The recipe that trains it.
        model: ``FILE.py:FUNCTION``, as the user names it; empty if the user names none.
    """
    from fretal_bench.benchmark.detectors.architecture import Architecture, outputs_of, own_architecture

    if not brought.code:
        if model:
            raise BenchError(
                f"--model {model}: the model is timm's {brought.backbone}, and no code of yours; leave it out"
            )
        return Architecture(brought.backbone, brought.arguments, image_size=recipe.image_size)
    if not model:
        raise BenchError(
            f"its model is code of your own ({brought.backbone}), which is run only where you name it: --model "
            "FILE.py:FUNCTION"
        )
    own = own_architecture(model, Path(), brought.arguments)
    if own.code != brought.code or own.name != brought.backbone:
        raise BenchError(
            f"--model {model}: expected {brought.backbone} with sha256 {brought.code[:12]}..., with which the source "
            f"model was brought, found {own.name} with {own.code[:12]}...; bring that back"
        )
    return dataclasses.replace(own, outputs=outputs_of(own, f"--model {model}"), image_size=recipe.image_size)


def recorded_architecture(
    about: CellFile | StepFile, recipe: Recipe, where: str, model: str = ""
) -> Architecture | None:
    """Return the architecture of the source model that a done cell, or a step, began with; None if none was brought.

    Args:
        about: Its record.
        recipe: Its recipe.
        where: Its place, for the error.
        model: ``FILE.py:FUNCTION`` of the user's own, which is run only if the record has its hash.

    Raises:
        BenchError: It is code of the user's own, and another one is named, or none; or one is named where there is none.
    """
    try:
        if about.brought is not None:
            return _architecture(about.brought, recipe, model)
        if model:
            raise BenchError(f"--model {model}: no source model was brought; leave it out")
    except BenchError as error:
        raise BenchError(f"{where}: {error}") from error
    return None


def recorded_source(about: CellFile, recipe: Recipe, model: str = "") -> Source | None:
    """Return the source model that a done cell began with; None if none was brought. Arguments and errors as above."""
    architecture = recorded_architecture(about, recipe, f"cell {about.id}", model)
    if architecture is None or about.brought is None:
        return None
    return Source(architecture, about.brought.content())


def keep_source(pool: Pool, brought: BroughtSource, roots: Iterable[Step], store: CropStore) -> None:
    """Keep a source model in the pool as the first step of the cells that begin with it, unless it is there.

    Args:
        pool: The pool.
        brought: The source model.
        roots: The first steps of cells.
        store: Of the stream's first domain: how its faces were cropped is noted.

    Raises:
        RunError: The pool cannot be written.
    """
    for step in {step.id: step for step in roots}.values():
        with pool.hold(step.id):
            if not pool.has_state(step.id) and brought.model is not None:
                crop = {"size": store.size, "margin": store.info.margin, "detector": store.info.detector}
                made_with = environment(step.recipe.device)
                pool.keep_step(NewStep(step, _state(brought.model, step.recipe), None, [], made_with, crop))


def _state(model: BroughtModel, recipe: Recipe) -> bytes:
    """Return the state of a source model that learned nothing here, on the CPU."""
    from fretal_bench.benchmark.recipes.model import build_optimizer
    from fretal_bench.strategies import life

    recipe = recipe.changed({"device": "cpu", "compile": False})
    network = model.network(recipe, 0)
    strategy = life.build(life.SOURCE, network, build_optimizer(recipe, network))
    buffer = io.BytesIO()
    life.save(strategy, buffer)
    return buffer.getvalue()
