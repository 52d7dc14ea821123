"""A tiny world to try the whole suite in: a stream of noise with traces on disk, and a recipe of a second or two."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from fretal_bench import files, records
from fretal_bench.datasets.store.store import CropStoreWriter

TINY_RECIPE: Final[dict[str, Any]] = {
    "backbone": "test_byobnet",
    "epochs": 1,
    "source_epochs": 2,
    "batch_size": 8,
    "lr": 0.01,
    "shift": 1,
    "device": "cpu",
}
"""Changes of a recipe that make a run take a second or two: ``run(..., changes={"recipe": TINY_RECIPE})``."""
_FRAMES: Final = 3


def tiny_stream(folder: Path, domains: int = 3, people: int = 12, size: int = 32) -> Path:
    """Write a crop store of noise and a stream over it: every domain's fakes have stripes of their own spacing.

    Args:
        folder: Where the store (``store``) and the stream file (``tiny.toml``) go.
        domains: Number of domains, ``D0`` and so on.
        people: People in all; two are for validation, two for testing, the rest for training.
        size: Side of the crops, pixels.

    Returns:
        Path of the stream file.
    """
    random = np.random.default_rng(0)
    crops, rows = [], []
    for person in range(people):
        split = "train" if person < people - 4 else "val" if person < people - 2 else "test"
        for method in ["real", *(f"m{number}" for number in range(domains))]:
            for frame in range(_FRAMES):
                image = random.integers(60, 196, (size, size, 3))
                if method != "real":
                    image[:: 2 + int(method[1:])] += 50
                crops.append(image.astype(np.uint8))
                rows.append(
                    {
                        "path": f"{method}/p{person}.mp4",
                        "dataset": "tiny",
                        "method": method,
                        "compression": "none",
                        "split": split,
                        "label": int(method != "real"),
                        "video": f"p{person}",
                        "source": f"p{person}",
                        "target": f"p{person}",
                        "frame": frame,
                    }
                )
    with CropStoreWriter(folder / "store", size=size, name="tiny") as writer:
        writer.add(np.stack(crops), pd.DataFrame(rows))
        writer.finish()
    described = [
        {"name": f"D{number}", "store": "store", "methods": [f"m{number}"]} for number in range(domains)
    ]
    path = folder / "tiny.toml"
    files.write(
        path,
        records.to_toml({"name": "tiny", "description": "noise with traces", "domains": described}),
    )
    return path
