"""The suite itself on a tiny stream: one process and two must give the same bytes."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from fretal_bench.benchmark.runner.run import run
from fretal_bench.datasets.store.store import CropStoreWriter
from fretal_bench.errors import BenchError
from fretal_bench.strategies.registry import find_strategy
from fretal_bench.testing.checks import Finding
from fretal_bench.testing.data import DOMAINS, SIDE, SIZES, images_of
from fretal_bench.testing.models import tiny_transformer
from fretal_bench.testing.rig import Rig

_RECIPE = {
    "epochs": 1,
    "source_epochs": 1,
    "batch_size": 8,
    "lr": 0.01,
    "shift": 1,
    "device": "cpu",
}


def gives_the_same_bytes_in_two_processes(rig: Rig) -> Finding | None:
    """Two seeds run by the suite in one process, and in two at once, end with the same scores and checkpoints."""
    info = rig.info
    try:
        registered = find_strategy(info.name)
    except BenchError as error:
        return Finding(str(error), "a strategy that is registered, since processes look it up by name")
    if registered.target != info.target:
        return Finding(
            f"{info.name!r} is registered as {registered.target}", f"{info.target}, which was to be checked"
        )
    backbone = "test_vit" if rig.model is tiny_transformer else "test_byobnet"
    changes = {"recipe": {**_RECIPE, "backbone": backbone}, info.name: rig.base}
    with tempfile.TemporaryDirectory() as folder:
        stream = write_stream(Path(folder))
        found = []
        for jobs in (1, 2):
            out = Path(folder) / f"jobs-{jobs}"
            results = run([info.name], str(stream), seeds=(0, 1), changes=changes, jobs=jobs, out=out)
            if results.failures:
                return Finding(results.failures[0].reason, "a run without failures")
            found.append([cell.scores for cell in results.cells])
    for one, other in zip(*found, strict=True):
        if not one.equals(other):
            return Finding("other scores with two processes than with one", "the same bytes")
    return None


def write_stream(folder: Path) -> Path:
    """Write the tiny stream as a crop store and a stream file, and return the file's path."""
    crops, rows = [], []
    for domain in range(DOMAINS):
        for split in SIZES:
            images, labels = images_of(domain, split)
            crops.append(images.numpy())
            for number, label in enumerate(labels.tolist()):
                person = f"{split}{domain}-{number}"
                rows.append(
                    {
                        "path": f"{person}.png",
                        "dataset": f"tiny{domain}",
                        "method": "fake" if label else "real",
                        "compression": "none",
                        "split": split,
                        "label": label,
                        "video": person,
                        "source": person,
                        "target": person,
                        "frame": 0,
                    }
                )
    with CropStoreWriter(folder / "store", size=SIDE, name="tiny") as writer:
        writer.add(np.concatenate(crops), pd.DataFrame(rows))
        writer.finish()
    text = 'name = "tiny"\n'
    for domain in range(DOMAINS):
        text += f'[[domains]]\nname = "D{domain}"\nstore = "store"\ndatasets = ["tiny{domain}"]\n'
    path = folder / "tiny.toml"
    path.write_text(text, "utf-8")
    return path
