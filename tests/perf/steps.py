"""A training step of each strategy against fine-tuning, fine-tuning against a bare loop, Fisher against an epoch."""

from __future__ import annotations

import contextlib
import copy
import math
import statistics
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F

from fretal_bench.benchmark.recipes.augmentation import Augmentation
from fretal_bench.benchmark.recipes.model import build_model, build_optimizer
from fretal_bench.benchmark.recipes.recipe import Recipe, open_recipe
from fretal_bench.benchmark.runner.plan import make_plan
from fretal_bench.benchmark.runner.step import build_strategy
from fretal_bench.datasets.streams.stream import Stream, open_stream
from fretal_bench.errors import BenchError
from fretal_bench.strategies import life
from fretal_bench.strategies.batches import BatchLoader
from fretal_bench.strategies.penalties.ewc import fisher_diagonal
from fretal_bench.strategies.registry import find_strategy, list_strategies
from perf.theory import LEAST
from tests_support import tiny_stream


@dataclass
class Row:
    """Ratios of one comparison, one a round; printed as soon as it is there."""

    what: str
    against: str
    ratios: list[float]
    target: str

    def __post_init__(self) -> None:
        print(f"{self.what}, against {self.against}: {statistics.median(self.ratios):.2f}", flush=True)


class _EpochClock:
    """Seconds an update takes, batch and all: those of the last epoch over its number of updates."""

    supports_distributed = True
    seconds = float("nan")

    def before_training_epoch(self, strategy: Any, **_: Any) -> None:
        self.begun = time.perf_counter()

    def after_training_epoch(self, strategy: Any, **_: Any) -> None:
        self.seconds = (time.perf_counter() - self.begun) / len(strategy.dataloader)


class _Run:
    """A strategy that has learned domain 0 and learns domain 1 again and again, a new object from the same state."""

    def __init__(self, name: str, recipe: Recipe, path: str, stream: Stream, train: Any) -> None:
        (cell,) = make_plan([name], path, stream.fingerprint(), recipe, [0]).cells
        self.step = cell.path[-1]
        self.info, self.train = find_strategy(cell.strategy), train
        self.strategy = self._built()
        if not cell.adopts:
            life.train(self.strategy, train[0])
        else:
            life.adopt(self.strategy, self.strategy.model.state_dict(), train[0])
        self.state = copy.deepcopy(self.strategy.state_dict())

    def _built(self) -> Any:
        return build_strategy(self.step, lambda _: None)

    def update(self) -> float:
        """Return the seconds of an update, or of the whole domain over fine-tuning's updates where there are none."""
        self.strategy, clock = self._built(), _EpochClock()
        life.begin(self.strategy, self.info, self.train[:1], copy.deepcopy(self.state))
        self.strategy.plugins.insert(0, clock)
        begun = time.perf_counter()
        life.train(self.strategy, self.train[1])
        whole = time.perf_counter() - begun
        return whole / UPDATES if math.isnan(clock.seconds) else clock.seconds


UPDATES = 20
"""Updates of an epoch."""


def measure_steps(
    recipe_name: str, rounds: int, only: tuple[str, ...] = (), changes: Mapping[str, Any] | None = None
) -> list[Row]:
    """Measure an epoch of 20 updates of every strategy, ``rounds`` times in turn.

    A strategy that refuses the recipe's backbone is left out.

    Args:
        recipe_name: The recipe; one epoch of it is measured.
        rounds: Ratios of each comparison.
        only: Strategies beside fine-tuning; all if empty.
        changes: Of the recipe.
    """
    changes = {**(changes or {}), "epochs": 1, "source_epochs": 1, "device": "cpu"}
    recipe = open_recipe(recipe_name).changed(changes)
    torch.set_num_threads(recipe.threads)
    with tempfile.TemporaryDirectory() as folder:
        people = -(-UPDATES * recipe.batch_size // (2 * 3)) + 4
        path = tiny_stream(Path(folder), domains=2, people=people, size=recipe.image_size or 96)
        stream = open_stream(path)
        train = stream.as_avalanche().train_stream
        runs: dict[str, _Run] = {}
        for name in (info.name for info in list_strategies() if not info.bound):
            if only and name not in ("finetuning", *only):
                continue
            with contextlib.suppress(BenchError):
                runs[name] = _Run(name, recipe, str(path), stream, train)
        seconds: dict[str, list[float]] = {name: [] for name in [*runs, "bare", "fisher"]}
        for _ in range(rounds + 1):
            for name, run in runs.items():
                seconds[name].append(run.update())
            seconds["bare"].append(_bare_epoch(recipe, train[1].source) / UPDATES)
            if only:
                continue
            begun = time.perf_counter()
            plain = runs["finetuning"].strategy
            fisher_diagonal(plain.model, plain.clean_batches(train[1]))
            seconds["fisher"].append((time.perf_counter() - begun) / UPDATES)
    # The first round warms up.
    rest = {name: values[1:] for name, values in seconds.items()}

    def row(what: str, ours: str, theirs: str, target: str) -> Row:
        return Row(what, theirs, [a / b for a, b in zip(rest[ours], rest[theirs], strict=True)], target)

    rows = [row("runner's fine-tuning step", "finetuning", "bare", "at most 1.10")]
    for name in runs:
        if name != "finetuning":
            least, why = LEAST.get(name, (float("nan"), "not known"))
            rows.append(row(f"{name} step", name, "finetuning", f"about {least:.2f} in theory: {why}"))
    if not only:
        target = "about 1 (forward and backward)"
        rows.append(row("Fisher pass over the same samples", "fisher", "finetuning", target))
    return rows


def _bare_epoch(recipe: Recipe, source: Any) -> float:
    """Train the same model on the same batches in a plain PyTorch loop; the seconds."""
    augment = Augmentation(recipe)
    return bare_seconds(
        recipe, BatchLoader(source, recipe.batch_size, augment, seed=0, step=1, balance=recipe.balance)
    )


def bare_seconds(recipe: Recipe, batches: Iterable[tuple[Any, ...]]) -> float:
    """Return the seconds of an update a batch (inputs, targets, whatever else) in a plain PyTorch loop."""
    model = build_model(recipe, 0).train()
    optimizer = build_optimizer(recipe, model)
    begun = time.perf_counter()
    for inputs, targets, *_ in batches:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(inputs), targets)
        loss.backward()
        optimizer.step()
    return time.perf_counter() - begun
