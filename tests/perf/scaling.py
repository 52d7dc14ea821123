"""Eight cells on two workers against one after another; what the workers take to start is not counted.

Beside it, what two bare loops of training gain that share nothing but the machine: cores of one host wait for one another
at its memory and its clock, and no engine gains more than they do.
"""

from __future__ import annotations

import itertools
import multiprocessing
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch

from fretal_bench.benchmark.recipes.recipe import open_recipe
from fretal_bench.benchmark.runner.call import Call, prepare
from fretal_bench.benchmark.runner.progress import Progress
from fretal_bench.benchmark.runner.ray_cluster import LOCAL
from fretal_bench.benchmark.runner.results import load_results
from fretal_bench.benchmark.runner.run import train
from perf.steps import Row, bare_seconds
from tests_support import tiny_stream

STRATEGIES = ("finetuning", "l2sp")
"""Two whose steps take the same time: with others, what the last step takes longer than the rest would count."""
SEEDS = 4
EPOCHS = 3
WORKERS = 2
UPDATES = 150
"""Of a bare loop."""
_TARGETS = {"processes": "at least 1.85 on two free cores", "Ray": "at least 1.70 on two free cores"}


class _Clock:
    """When the first task reported something."""

    first: float | None = None

    def __call__(self, _: Progress) -> None:
        if self.first is None:
            self.first = time.perf_counter()


def measure_scaling(rounds: int, people: int = 160, epochs: int = EPOCHS) -> list[Row]:
    """Measure how long eight cells take in this process, over how long they take on two workers.

    Not counted is by how much the first report of two workers is later than that of this process, which has imported
    everything.

    Args:
        rounds: Ratios; one takes some minutes.
        people: Size of the data, 15 crops a person.
        epochs: Epochs a domain.
    """
    ratios: dict[str, list[float]] = {name: [] for name in _TARGETS}
    bare: list[float] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        stream = tiny_stream(folder, domains=4, people=people, size=96)
        changes = {"recipe": {"epochs": epochs, "source_epochs": epochs, "device": "cpu"}}
        call = Call(STRATEGIES, str(stream), seeds=range(SEEDS), changes=changes, jobs=1)
        # Everything is imported, and the data are in the disk's cache.
        short = {"recipe": {**changes["recipe"], "epochs": 1, "source_epochs": 1}}
        _seconds(replace(call, seeds=[0], strategies=STRATEGIES[:1], changes=short), folder / "warm")
        for number in range(rounds):
            one, begun = _seconds(call, folder / f"one-{number}")
            print(f"one after another: {one:.1f} s, the first report after {begun:.1f} s", flush=True)
            for engine in _TARGETS:
                parallel = replace(call, jobs=WORKERS, ray=LOCAL if engine == "Ray" else None)
                bare.append(_bare_gain())
                several, first = _seconds(parallel, folder / f"{engine}-{number}")
                starting = first - begun
                print(f"{engine}: {several:.1f} s, of which {starting:.1f} s to start", flush=True)
                ratios[engine].append(one / (several - starting))
                bare.append(_bare_gain())
    cells = len(STRATEGIES) * SEEDS
    rows = [Row(f"{WORKERS} bare loops at once", "one after another", bare, "what the machine allows")]
    for engine, target in _TARGETS.items():
        what = f"{cells} cells, {WORKERS} {engine}"
        rows.append(Row(what, "one after another", ratios[engine], target))
    return rows


def _bare_gain() -> float:
    """Return how long bare loops of training take one after another, over how long they take at once."""
    with multiprocessing.get_context("spawn").Pool(WORKERS) as pool:
        # Both have imported and allocated what they need.
        pool.map(_bare_loop, [UPDATES // 10] * WORKERS, chunksize=1)
        alone = [pool.apply(_bare_loop, (UPDATES,)) for _ in range(WORKERS)]
        together = pool.map(_bare_loop, [UPDATES] * WORKERS, chunksize=1)
    gain = sum(alone) / max(together)
    print(
        f"bare loops: {statistics.mean(alone):.1f} s alone, {max(together):.1f} s at once: {gain:.2f}",
        flush=True,
    )
    return gain


def _bare_loop(updates: int) -> float:
    """Return the seconds of some updates of the recipe's model on one batch, in one thread."""
    torch.set_num_threads(1)
    recipe = open_recipe("mini").changed({"device": "cpu"})
    side = recipe.image_size or 96
    batch = torch.zeros(recipe.batch_size, 3, side, side), torch.arange(recipe.batch_size) % 2
    return bare_seconds(recipe, itertools.repeat(batch, updates))


def _seconds(call: Call, folder: Path) -> tuple[float, float]:
    """Return the seconds of a run, and those until its first report; its pool is its own."""
    call = replace(call, out=folder / "results")
    ready = prepare(call)
    clock = _Clock()
    begun = time.perf_counter()
    train(ready, clock)
    seconds = time.perf_counter() - begun
    assert len(load_results(folder / "results").cells) == len(ready.plan.cells)
    assert clock.first is not None
    return seconds, clock.first - begun
