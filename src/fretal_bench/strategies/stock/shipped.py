"""Avalanche's own strategies as shipped, run in the suite's loop so that the difference can be seen."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, ClassVar

import torch
from avalanche.benchmarks.utils.classification_dataset import TaskAwareSupervisedClassificationDataset
from avalanche.benchmarks.utils.transform_groups import TransformGroups
from avalanche.training.determinism.rng_manager import RNGManager
from avalanche.training.plugins import (
    AGEMPlugin,
    EWCPlugin,
    GDumbPlugin,
    GEMPlugin,
    LwFPlugin,
    MASPlugin,
    ReplayPlugin,
    RWalkPlugin,
    SynapticIntelligencePlugin,
)
from avalanche.training.supervised.der import DER as ShippedDER
from avalanche.training.supervised.der import ClassBalancedBufferWithLogits
from torch import Tensor

from fretal_bench.strategies import draws
from fretal_bench.strategies.stock import PREFIX, STOCK
from fretal_bench.strategies.template import ContinualStrategy

ROWS = {info.name.removeprefix(PREFIX): info for info in STOCK}


class StockStrategy(ContinualStrategy):
    """Cross-entropy and one of Avalanche's plugins, untouched.

    What is Avalanche's: the plugin, and the data loaders, which it may replace. So batches are drawn by Avalanche's
    loaders from the global generators, which are seeded by (seed, domain): they are not the batches that the suite's own
    strategies see, classes are not balanced, and a last, smaller batch is not dropped. What is the suite's: model,
    optimiser, epochs, schedule, precision (not ``channels_last``), and the augmentation, which becomes the dataset's
    ``train`` transform, sample by sample (so CutMix, which needs a partner, does nothing).

    A plugin's state cannot be saved, so such a strategy goes along the whole stream in one piece; what a checkpoint
    holds is enough to judge images, not to go on.
    """

    experience: Any
    plugin: ClassVar[Callable[..., Any] | None] = None
    """Makes the plugin from the hyperparameters; None for one that is a training loop of its own."""

    def __init__(self, *, plugins: Any = None, **kwargs: Any) -> None:
        super().__init__(plugins=plugins, **kwargs)
        # What a plugin sends through the model is its own.
        self.images_seen = None
        # A-GEM takes views of gradients, which weights that lie channels last don't have.
        self.model.to(memory_format=torch.contiguous_format)
        if self.plugin is not None:
            shipped = type(self).plugin(**vars(self.hyperparameters))  # type: ignore[misc]  # checked in the line above
            # After the recipe's plugins: the importance of weights is that of the weights that are kept.
            self.plugins.insert(len(plugins or ()), shipped)

    def _before_training_exp(self, **kwargs: Any) -> None:
        if hasattr(self.experience, "source"):
            RNGManager.set_random_seeds(draws.number(self.seed, self.step, "avalanche: loaders"))
            self.experience = self.loadable(self.experience)
        super()._before_training_exp(**kwargs)

    def loadable(self, experience: Any) -> Any:
        """Return an experience that Avalanche's loaders read: no batch source, the recipe's transform in its dataset."""
        generator = draws.of(self.seed, self.step, "avalanche: augmentation")

        def train(image: Tensor) -> Tensor:
            stored = _stored(image)
            return self.transform.train(stored, torch.zeros(1, dtype=torch.int64), generator)[0]

        def clean(image: Tensor) -> Tensor:
            return self.transform.eval(_stored(image))[0]

        given = copy.copy(experience)
        del given.source
        groups = TransformGroups({"train": train, "eval": clean})
        given._dataset = TaskAwareSupervisedClassificationDataset(
            [experience.dataset], transform_groups=groups
        )
        return given


def _stored(image: Tensor) -> Tensor:
    """Turn a sample of a stream's dataset, float [3, H, W] in -1..1, back into what is stored: uint8 [1, H, W, 3]."""
    return image.add(1).mul(127.5).round().to(torch.uint8).permute(1, 2, 0)[None]


def _around(name: str, plugin: Callable[..., Any] | None, what: str) -> type[StockStrategy]:
    """Make the class that trains with one of Avalanche's plugins.

    Args:
        name: Its name in ``avalanche:NAME``, in capitals.
        plugin: Makes the plugin from the hyperparameters.
        what: The class's docstring.
    """
    members = {"__doc__": what, "__module__": __name__, "info": ROWS[name.lower()], "plugin": plugin}
    return type(name, (StockStrategy,), members)


NAIVE = _around("NAIVE", None, "Avalanche's ``Naive``: no plugin.")
EWC = _around("EWC", EWCPlugin, "Avalanche's ``EWCPlugin``, one penalty a past domain.")
LWF = _around("LWF", LwFPlugin, "Avalanche's ``LwFPlugin``.")
SI = _around("SI", SynapticIntelligencePlugin, "Avalanche's ``SynapticIntelligencePlugin``.")
MAS = _around("MAS", MASPlugin, "Avalanche's ``MASPlugin``.")
RWALK = _around("RWALK", RWalkPlugin, "Avalanche's ``RWalkPlugin``.")
REPLAY = _around(
    "REPLAY",
    ReplayPlugin,
    "Avalanche's ``ReplayPlugin``: half of every batch is the memory's, half the domain's.",
)
AGEM = _around("AGEM", AGEMPlugin, "Avalanche's ``AGEMPlugin``.")
GEM = _around("GEM", GEMPlugin, "Avalanche's ``GEMPlugin``.")
GDUMB = _around(
    "GDUMB",
    GDumbPlugin,
    "Avalanche's ``GDumbPlugin``: a new model for every domain, trained on the memory alone.",
)


class DER(StockStrategy, ShippedDER):  # type: ignore[misc]
    """Avalanche's ``DER``, which is a training loop of its own."""

    info = ROWS["der"]

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        constants = self.hyperparameters
        self.alpha, self.beta, self.mem_size = constants.alpha, constants.beta, constants.mem_size
        self.storage_policy = ClassBalancedBufferWithLogits(self.mem_size, adaptive_size=True)
