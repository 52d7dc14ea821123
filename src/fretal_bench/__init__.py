"""Continual-learning benchmark suite for deepfake detection.

import fretal_bench
results = fretal_bench.run(["fretal", "lwf", "ewc"])
results = fretal_bench.load_results("results/ffpp-mini-mini")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fretal_bench.benchmark.runner.results import load_results
    from fretal_bench.benchmark.runner.run import run

__version__ = "0.1.0"
__all__ = ["__version__", "load_results", "run"]


def __getattr__(name: str) -> Any:
    # Loaded when first used: importing the package alone must stay fast, and so must `bench --help`.
    if name == "run":
        from fretal_bench.benchmark.runner.run import run

        return run
    if name == "load_results":
        from fretal_bench.benchmark.runner.results import load_results

        return load_results
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
