"""Eight cells on two workers against one after another; what the workers take to start is not counted."""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from pathlib import Path

from fretal_bench.benchmark.runner.call import Call, prepare
from fretal_bench.benchmark.runner.progress import Progress
from fretal_bench.benchmark.runner.ray_cluster import LOCAL
from fretal_bench.benchmark.runner.results import load_results
from fretal_bench.benchmark.runner.run import train
from perf.steps import Row
from tests_support import tiny_stream

STRATEGIES = ("finetuning", "l2sp")
"""Two whose steps take the same time: with others, what the last step takes longer than the rest would count."""
SEEDS = 4
EPOCHS = 3
WORKERS = 2
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
                several, first = _seconds(parallel, folder / f"{engine}-{number}")
                starting = first - begun
                print(f"{engine}: {several:.1f} s, of which {starting:.1f} s to start", flush=True)
                ratios[engine].append(one / (several - starting))
    cells = len(STRATEGIES) * SEEDS
    return [
        Row(f"{cells} cells, {WORKERS} {engine}", "one after another", ratios[engine], target)
        for engine, target in _TARGETS.items()
    ]


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
