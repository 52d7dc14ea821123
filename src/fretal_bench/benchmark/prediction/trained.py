"""The detector that a cell or a step ended with: found, rebuilt, and described by what is known of its training."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from torch import nn

from fretal_bench.benchmark.detectors.architecture import Architecture, build_network
from fretal_bench.benchmark.detectors.record import CropRule, DetectorRecord, Learned
from fretal_bench.benchmark.prediction import history
from fretal_bench.benchmark.prediction.addresses import cell_at
from fretal_bench.benchmark.recipes.augmentation import Augmentation
from fretal_bench.benchmark.recipes.device import resolve_device
from fretal_bench.benchmark.recipes.recipe import Recipe, recorded_recipe
from fretal_bench.benchmark.runner.brought import recorded_architecture
from fretal_bench.benchmark.runner.documents import CellFile, Crop
from fretal_bench.benchmark.runner.environment import commit, packages
from fretal_bench.benchmark.runner.folder import ResultFolder
from fretal_bench.benchmark.runner.graph import SOURCE
from fretal_bench.benchmark.runner.pool import Pool, StepFile
from fretal_bench.benchmark.runner.seals import Sealed, read_about
from fretal_bench.datasets.ffpp_mini.build import DATASET
from fretal_bench.errors import BenchError
from fretal_bench.plugins import is_file, name_and_version
from fretal_bench.strategies import life
from fretal_bench.strategies.record import StrategyInfo
from fretal_bench.strategies.registry import find_strategy

if TYPE_CHECKING:
    from fretal_bench.strategies.template import ContinualStrategy

GIVE: Final = "give results/NAME/cells/ID of a finished `bench run`"
_PLAIN: Final[Mapping[str, Any]] = {
    "trainable": "all",
    "layer_decay": 1.0,
    "lora_rank": 4,
    "lora_alpha": 8.0,
    "pretrained": False,
    "compile": False,
    "channels_last": False,
    "device": "cpu",
}
"""A recipe's keys with which its backbone is built without anything else."""


@dataclass(frozen=True)
class Trained:
    """A detector of this suite's.

    Attributes:
        place: Where its state is.
        state: What the strategy saved.
        info: The strategy.
        hyperparameters: All of them.
        recipe: The recipe that trained it.
        seed: The seed.
        crop: How the faces that it learned from were cropped.
        past: What is known of the domains that it learned.
        step: The id of the step; empty for a cell of an earlier version.
        architecture: What builds the network where the user brought it; None for the recipe's backbone.
    """

    place: Path
    state: bytes = field(repr=False)
    info: StrategyInfo
    hyperparameters: Mapping[str, Any]
    recipe: Recipe
    seed: int
    crop: Crop
    past: history.Past
    step: str = ""
    architecture: Architecture | None = None

    def judge(self, device: str = "auto", **changes: Any) -> ContinualStrategy:
        """Build what judges.

        Args:
            device: ``auto``, ``cpu`` or ``cuda``.
            **changes: Of the recipe's keys.

        Raises:
            BenchError: The state is damaged, or of another strategy or backbone.
        """
        recipe = self.recipe.changed({"device": resolve_device(device), "pretrained": False, **changes})
        with life.naming(self.place, GIVE):
            return life.build_judge(
                self.info,
                build_network(recipe, self.seed, self.architecture),
                life.read_state(io.BytesIO(self.state)),
                values=self.hyperparameters,
                device=recipe.device,
                precision=recipe.precision,
                transform=Augmentation(recipe),
            )

    def network(self) -> nn.Module:
        """Build the network with two outputs, at random weights, without adapters or anything frozen."""
        return build_network(self.recipe.changed(_PLAIN), self.seed, self.architecture)

    def record(self) -> DetectorRecord:
        """Describe it: how it is used, what it learned, what was measured. Reads the scores of the cell.

        Raises:
            BenchError: The scores are damaged.
        """
        mean, std = self.recipe.normalisation
        brought = self.architecture or Architecture(self.recipe.backbone)
        version = packages().get("fretal-bench", "")
        temperature, threshold = self.past.fitted()
        return DetectorRecord(
            backbone=brought.backbone,
            arguments=brought.arguments,
            model="" if brought.backbone else brought.name,
            stem_stride=self.recipe.stem_stride,
            mean=mean,
            std=std,
            image_size=self.recipe.image_size,
            crop=CropRule(self.crop.size, self.crop.margin, self.crop.detector),
            trained_on=self.past.learned,
            measured=self.past.measured(),
            temperature=temperature,
            threshold=threshold,
            strategy=self.info.name,
            step=self.step,
            seed=self.seed,
            recipe={"name": self.recipe.name, **self.recipe.content()},
            licence=_licence(self.past.learned),
            made_by=" ".join(filter(None, ("fretal-bench", version, commit() and f"commit {commit()}"))),
        )


def open_trained(path: str | os.PathLike[str], model: str = "") -> Trained:
    """Open the detector that a done cell, or a step, ended with.

    Args:
        path: The folder of a done cell, whose last step is in the pool, or its address (``cell_at``); that of a step in a
            pool; or, of an earlier version, a cell's ``checkpoint.pt``.
        model: ``FILE.py:FUNCTION``, where the source model is code of the user's own; it is run only if it is that.

    Raises:
        BenchError: There is no such cell, step or checkpoint, or it is not one of this suite's.
    """
    folder = cell_at(path)
    folder = folder.parent if folder.is_file() or folder.name == "checkpoint.pt" else folder
    if (folder / "step.json").exists():
        return _of_step(folder, model)
    if not (folder / "cell.json").exists():
        raise BenchError(f"{folder}: expected a done cell (cell.json), found none; {GIVE}")
    about = read_about(Sealed(folder, GIVE))
    where = folder / "cell.json"
    if about.imported is not None:
        raise BenchError(
            f"{folder}: its scores were imported from {about.imported.words}: there is no detector here to judge with"
        )
    place, state = _state_of(folder, about)
    recipe = recorded_recipe(about.recipe, f"{where}: recipe")
    return Trained(
        place,
        state,
        _strategy_of(about),
        about.hyperparameters,
        recipe,
        about.seed,
        _crop_of(about, where),
        history.of_cell(folder, about),
        about.steps[-1] if about.steps else "",
        recorded_architecture(about, recipe, str(where), model),
    )


def _of_step(folder: Path, model: str) -> Trained:
    folder = folder.absolute()
    pool = Pool(folder.parent.parent)
    about = pool.record(folder.name)
    where = folder / "step.json"
    recipe = recorded_recipe(about.recipe, f"{where}: recipe")
    return Trained(
        folder / "checkpoint.pt",
        pool.state(folder.name),
        life.SOURCE if about.strategy == SOURCE else _strategy_of(about),
        about.hyperparameters,
        recipe,
        about.seed,
        _crop_of(about, where),
        history.of_step(pool, about),
        about.id,
        recorded_architecture(about, recipe, str(where), model),
    )


def _crop_of(about: CellFile | StepFile, where: Path) -> Crop:
    if about.crop is None:
        raise BenchError(f"{where}: does not say how faces were cropped; run the cell again")
    return about.crop


def _state_of(folder: Path, about: CellFile) -> tuple[Path, bytes]:
    """Read the state that a cell ended with: from the pool, or of an earlier version from the cell.

    Returns:
        Where it is, and the state.
    """
    if not about.steps or (folder / "checkpoint.pt").exists():
        if not (folder / "checkpoint.pt").exists():
            raise BenchError(f"{folder}: expected a checkpoint.pt, found none; {GIVE}")
        return folder / "checkpoint.pt", Sealed(folder, GIVE).read("checkpoint.pt", "checkpoint")
    pool = Pool(ResultFolder(folder.absolute().parent.parent).pool)
    last = about.steps[-1]
    if not pool.has_state(last):
        raise BenchError(
            f"{pool.step(last)}: expected the checkpoint of the cell's last step, found none: the pool is elsewhere, or "
            "the checkpoint was removed; bring the pool back, or run the cell again"
        )
    return pool.step(last) / "checkpoint.pt", pool.state(last)


def _strategy_of(about: CellFile | StepFile) -> StrategyInfo:
    """Look up the strategy of a done cell or step, from what its file says.

    Raises:
        BenchError: The plugin that it comes from is not here, or is another than the one the cell was made with.
    """
    origin = about.origin
    plugin, _ = name_and_version(origin)
    remedy = f"give --plugin {plugin}" if is_file(plugin) else f"install {plugin}"
    try:
        info = find_strategy(about.strategy)
    except BenchError as error:
        if not origin:
            raise
        raise BenchError(
            f"strategy {about.strategy!r} comes from the plugin {origin}, which is not here; {remedy}"
        ) from error
    if info.origin != origin:
        raise BenchError(
            f"strategy {info.name!r} of this cell comes from {origin or 'the suite'}, and is from "
            f"{info.origin or 'the suite'} here, which may judge otherwise; "
            f"{remedy + ' as it was' if origin else 'leave the plugin out'}, or run the cell again"
        )
    return info


def _licence(learned: Sequence[Learned]) -> str:
    """Say what is known of the conditions under which the weights may be used: the suite has none of its own."""
    kinds = {kind.partition("/")[0] for part in learned for kind in part.kinds}
    parts = ["The weights are their owner's, who says how they may be used; the suite adds no condition."]
    if DATASET in kinds:
        parts.append(
            "FF++-mini is made of the Database of Faces, by courtesy of AT&T Laboratories Cambridge, which asks to be "
            "credited; a detector that learned from 40 people is for tests and must not judge anybody."
        )
    if kinds - {DATASET} or not kinds:
        others = ", ".join(sorted(kinds - {DATASET}))
        parts.append(
            f"The licences of the data sets that it learned from hold{f': {others}' if others else ''}."
        )
    return " ".join(parts)
