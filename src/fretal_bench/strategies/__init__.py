"""The strategies by family, and all that one of your own needs: import it from here.

A family's folder has the rows and the constants of its strategies in ``__init__.py``, which imports no torch, and the
classes in files next to it. A strategy of your own has the same shape: a package of two files, or both halves in one.

    from fretal_bench.strategies import ContinualStrategy, Record, StrategyInfo, tunable

The class of every strategy is here by its own name, and by the strategy's in capitals, for scripts of Avalanche's kind:

    from fretal_bench.strategies import ER, FReTAL, LwF
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from fretal_bench.records import Invalid, Record, limited

if TYPE_CHECKING:
    from fretal_bench.strategies.batches import (
        BatchSource,
        ConcatSource,
        SubsetSource,
        TensorSource,
        Transform,
        clean_batches,
    )
    from fretal_bench.strategies.distillation.teacher import DistillationStrategy, softened_divergence
    from fretal_bench.strategies.features import (
        at_least_float32,
        features_and_logits,
        head_inputs_and_logits,
        head_of,
    )
    from fretal_bench.strategies.frozen.frozen_features import FrozenFeatures
    from fretal_bench.strategies.penalties.anchored import AnchoredStrategy, snapshot, squared_distance
    from fretal_bench.strategies.penalties.per_sample import importance_batches, per_sample_gradients
    from fretal_bench.strategies.record import StrategyInfo, fixed, tunable
    from fretal_bench.strategies.registry import find_strategy, list_strategies
    from fretal_bench.strategies.replay.memory_strategy import (
        MemoryBatch,
        MemoryStrategy,
        RehearsalStrategy,
        ReplayStrategy,
    )
    from fretal_bench.strategies.template import ContinualStrategy, frozen_copy

__all__ = [
    "AnchoredStrategy",
    "BatchSource",
    "ConcatSource",
    "ContinualStrategy",
    "DistillationStrategy",
    "FrozenFeatures",
    "Invalid",
    "MemoryBatch",
    "MemoryStrategy",
    "Record",
    "RehearsalStrategy",
    "ReplayStrategy",
    "StrategyInfo",
    "SubsetSource",
    "TensorSource",
    "Transform",
    "at_least_float32",
    "clean_batches",
    "draws",
    "features_and_logits",
    "find_strategy",
    "fixed",
    "frozen_copy",
    "head_inputs_and_logits",
    "head_of",
    "importance_batches",
    "limited",
    "list_strategies",
    "per_sample_gradients",
    "snapshot",
    "softened_divergence",
    "squared_distance",
    "tunable",
]

_PLACES = {
    "batches": ("BatchSource", "ConcatSource", "SubsetSource", "TensorSource", "Transform", "clean_batches"),
    "distillation.teacher": ("DistillationStrategy", "softened_divergence"),
    "features": ("at_least_float32", "features_and_logits", "head_inputs_and_logits", "head_of"),
    "frozen.frozen_features": ("FrozenFeatures",),
    "penalties.anchored": ("AnchoredStrategy", "snapshot", "squared_distance"),
    "penalties.per_sample": ("importance_batches", "per_sample_gradients"),
    "record": ("StrategyInfo", "fixed", "tunable"),
    "registry": ("find_strategy", "list_strategies"),
    "replay.memory_strategy": ("MemoryBatch", "MemoryStrategy", "RehearsalStrategy", "ReplayStrategy"),
    "template": ("ContinualStrategy", "frozen_copy"),
}
"""Module -> what it has of the names above. Imported when it is asked for: a record must not cost an import of torch."""


def _classes() -> dict[str, str]:
    """Return where the class of every strategy of the suite is, by its name and by the strategy's in capitals."""
    from fretal_bench.strategies.families import BUILT_IN

    targets = {info.target.partition(":")[2]: info.target for info in BUILT_IN}
    return {info.name.replace("-", "_").upper(): info.target for info in BUILT_IN} | targets


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_classes()})


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        for module, names in _PLACES.items():
            if name in names:
                return getattr(importlib.import_module(f"{__name__}.{module}"), name)
        if name == "draws":
            return importlib.import_module(f"{__name__}.draws")
        # Classes begin with a capital; the folders of families, which are asked for here before they are there, don't.
        target = _classes().get(name) if name[:1].isupper() else None
        if target is not None:
            module, _, kind = target.partition(":")
            return getattr(importlib.import_module(module), kind)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
