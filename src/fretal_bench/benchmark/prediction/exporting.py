"""A cell's or step's detector written as a file."""

from __future__ import annotations

import os
from pathlib import Path

from fretal_bench import files
from fretal_bench.benchmark.detectors.export import Exported, Format, export
from fretal_bench.benchmark.prediction.trained import open_trained


def export_trained(
    path: str | os.PathLike[str],
    out: str | os.PathLike[str] | None = None,
    format: Format = "safetensors",
    model: str = "",
) -> Exported:
    """Write the detector that a cell, or a step, ended with.

    Args:
        path: See ``open_trained``.
        out: The file, or the folder where it is to be; by default one named after strategy and seed, in the current
            folder.
        format: What to write.
        model: See ``open_trained``.

    Raises:
        BenchError, RunError: See ``open_trained`` and ``export``.
    """
    trained = open_trained(path, model)
    name = f"{trained.info.name.replace(':', '-')}-seed{trained.seed}"
    place = files.expanded(out) if out is not None else Path(name)
    if out is not None and (place.is_dir() or os.fspath(out).endswith("/")):
        place = place / name
    if place.suffix != f".{format}":
        place = place.with_name(f"{place.name}.{format}")
    strategy = trained.judge("cpu", precision="fp32", compile=False)
    return export(strategy, trained.network(), trained.record(), place, format)
