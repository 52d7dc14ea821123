"""Continual-learning benchmark suite for deepfake detection.

import fretal_bench
results = fretal_bench.run(["fretal", "lwf", "ewc"])
results = fretal_bench.load_results("results/ffpp-mini-mini")
results.summary(metric="auc")
stream = fretal_bench.open_stream("ffpp-mini")
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fretal_bench.datasets.streams.stream import open_stream
    from fretal_bench.reporting.notebook import load_results, run

__version__ = "0.1.0"
__all__ = ["__version__", "load_results", "open_stream", "run"]

_PLACES = {
    "load_results": "fretal_bench.reporting.notebook",
    "open_stream": "fretal_bench.datasets.streams.stream",
    "run": "fretal_bench.reporting.notebook",
}


def __getattr__(name: str) -> Any:
    # Loaded when first used: importing the package alone must stay fast, and so must `bench --help`.
    if name in _PLACES:
        return getattr(importlib.import_module(_PLACES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    # What this file imports for itself is nobody's to find.
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
