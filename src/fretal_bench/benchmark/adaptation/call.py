"""What ``bench adapt`` asks for, turned into a stream and a run: nothing is trained here, and torch is not imported."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fretal_bench import files
from fretal_bench.benchmark.adaptation.chosen import chosen
from fretal_bench.benchmark.adaptation.places import Place, crop_of, domains_of, place_of
from fretal_bench.benchmark.detectors.record import DetectorRecord, record_of
from fretal_bench.benchmark.recipes.recipe import Recipe, open_recipe, recorded_recipe
from fretal_bench.benchmark.runner.plan import Changes, check_strategies
from fretal_bench.datasets.streams.file import Protocol, StreamFile
from fretal_bench.datasets.streams.source import SourceTable
from fretal_bench.errors import BenchError, BenchWarning

if TYPE_CHECKING:
    from fretal_bench.benchmark.runner.call import Call

DRAWS: Final = 10
"""Choices of few videos: seed s trains on choice s mod 10."""
SEEDS: Final = (0,)
SEEDS_OF_FEW: Final = (0, 1, 2, 3, 4)
"""Which videos are drawn matters more than which weights batches begin with: several, by default."""
RECIPE: Final = "xception-299"
"""How weights are trained on whose record names no recipe: as DeepfakeBench trains a detector with published weights."""
SUFFIXES: Final = (".safetensors", ".pt", ".pth")


@dataclass(frozen=True)
class AdaptCall:
    """What ``bench adapt`` asks for.

    Attributes:
        source: The detector.
        new: The new kind of fake: a place (``places.place_of``).
        test: What must still be caught, a place each.
        videos_per_class: Real and fake videos of the new kind to train on; all of them if None.
        strategies: Names; the usual ones if empty, ``all`` for all that can.
        validation: Use validation samples of the old kinds too, to recommend a strategy.
        recipe: Name or path; if None the one that the weights' record names, else ``xception-299``.
        seeds: Seeds; if None 0 to 4 where few videos are drawn, else 0.
        changes: Values by owner (a strategy, or ``recipe``) and key.
        device: Overrides the recipe's device.
        jobs: Processes.
        out: Result folder; default ``results/adapt-NEW``.
        pool: Where steps are kept.
    """

    source: SourceTable
    new: str
    test: Sequence[str]
    videos_per_class: int | None = None
    strategies: Sequence[str] = ()
    validation: bool = False
    recipe: str | None = None
    seeds: Sequence[int] | None = None
    changes: Changes = field(default_factory=dict)
    device: str | None = None
    jobs: int | None = None
    out: str | os.PathLike[str] | None = None
    pool: str | os.PathLike[str] | None = None


@dataclass(frozen=True)
class Adapting:
    """A run that adapts a detector.

    Attributes:
        stream: The old kinds, of which nobody learns anything, and the new one.
        recipe: How it is trained on.
        strategies: Their names.
        seeds: Seeds.
        call: What asks for it.
    """

    stream: StreamFile
    recipe: Recipe
    strategies: tuple[str, ...]
    seeds: tuple[int, ...]
    call: AdaptCall

    def run(self) -> Call:
        """Return the call of the run, as ``bench run`` would make it; imports torch."""
        from fretal_bench.benchmark.runner.call import Call

        call = self.call
        return Call(
            self.strategies,
            self.stream,
            self.recipe,
            self.seeds,
            call.changes,
            device=call.device,
            jobs=call.jobs,
            out=call.out if call.out is not None else Path("results") / self.stream.name,
            pool=call.pool,
            source=call.source,
        )


def adapting(call: AdaptCall) -> Adapting:
    """Check what can be checked of a call by names and places alone, and say what is to be run.

    Raises:
        BenchError: Something in the call is wrong; the message says what to do.
    """
    if not call.test:
        raise BenchError(
            "--test is missing: name a store of what must still be caught (its test samples are used)"
        )
    record = _record(call.source)
    first = place_of(call.test[0], "--test")
    old = [first, *(place_of(text, "--test", first) for text in call.test[1:])]
    new = place_of(call.new, "--new", first)
    _check_apart(new, old)
    _say_other_crops(record, first)
    recipe = _recipe(call, record)
    changed = recipe.changed(call.changes.get("recipe", {}))
    strategies = chosen(call.strategies, changed)
    few = call.videos_per_class is not None
    seeds = tuple(call.seeds if call.seeds is not None else SEEDS_OF_FEW if few else SEEDS)
    of_strategies = {owner: values for owner, values in call.changes.items() if owner != "recipe"}
    check_strategies(strategies, changed, seeds, of_strategies, brought=True)
    domains = domains_of(new, old, call.validation)
    name = f"adapt-{domains[-1].name}" + (f"-{call.videos_per_class}-videos" if few else "")
    protocol = Protocol(call.videos_per_class, draws=DRAWS) if few else Protocol()
    stream = StreamFile(
        name=name.replace("+", "-")[:90],
        description="a detector that was brought, adapted without its training data",
        protocol=protocol,
        domains=domains,
    )
    return Adapting(stream, recipe, strategies, seeds, call)


def _record(source: SourceTable) -> DetectorRecord | None:
    """Look whether there are weights, and return the record beside them; what is in them is read later."""
    path = files.expanded(source.weights)
    files.check_regular(path, "weights", f"give a file that ends in {', '.join(SUFFIXES)}")
    record = record_of(path)
    if record is None and path.suffix != ".safetensors" and not (source.backbone or source.model):
        raise BenchError(
            f"{path}: has no record; state what the weights are of (--backbone NAME, or --model FILE.py:FUNCTION)"
        )
    return record


def _recipe(call: AdaptCall, record: DetectorRecord | None) -> Recipe:
    """Return how the detector is trained on."""
    if call.recipe is not None:
        recipe = open_recipe(call.recipe)
    elif record is not None and record.recipe:
        where = f"{call.source.weights}: record: recipe"
        recipe = recorded_recipe(record.recipe, where).changed({"device": "auto"})
    else:
        recipe = open_recipe(RECIPE)
        if call.source.backbone:
            recipe = replace(recipe, backbone=call.source.backbone)
    return recipe


def _say_other_crops(record: DetectorRecord | None, place: Place) -> None:
    """Warn of samples whose faces were cropped otherwise than the detector's record says."""
    known, info = record.crop if record is not None else None, crop_of(place)
    if known is not None and info is not None and known.margin != info.margin:
        warnings.warn(
            f"{place.option} {place.store}: its faces were cropped with margin {info.margin:g}, those that the detector "
            f"learned from with {known.margin:g}, as its record says: scores are of that difference too",
            BenchWarning,
            stacklevel=3,
        )


def _check_apart(new: Place, old: Sequence[Place]) -> None:
    """Refuse an old kind that is the new one, or named twice."""
    seen: dict[tuple[str, tuple[str, ...]], str] = {(new.store, new.methods): "--new"}
    for place in old:
        option = seen.setdefault((place.store, place.methods), "--test")
        if option == "--new":
            raise BenchError(f"--test {place.store}: is what --new names; name what must still be caught")
    if len(seen) <= len(old):
        raise BenchError("--test: expected every place once, found one twice; name it once")
