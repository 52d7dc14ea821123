"""A training step of each strategy against fine-tuning, fine-tuning against a bare loop, Fisher against an epoch."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F

from fretal_bench.benchmark.augmentation import Augmentation
from fretal_bench.benchmark.cell import build_strategy
from fretal_bench.benchmark.models import build_model, build_optimizer
from fretal_bench.benchmark.plan import make_plan
from fretal_bench.benchmark.recipe import Recipe, open_recipe
from fretal_bench.datasets.stream import Stream, open_stream
from fretal_bench.strategies.batches import BatchLoader
from fretal_bench.strategies.ewc import fisher_diagonal
from fretal_bench.strategies.registry import find_strategy, strategies
from tests_support import tiny_stream

# What a step must cost at least, in forward passes of the model: a fine-tuning step is one forward and a backward
# of two, so one more forward pass, the teacher's, makes it 4/3.
_THEORY = {
    "finetuning": "1.00",
    "lwf": "about 1.33 (a teacher's forward pass)",
    "kd": "about 1.33 (a teacher's forward pass)",
    "fretal": "about 1.33 (a teacher's forward pass)",
    "ewc": "about 1.0 (element-wise work)",
}


@dataclass
class Row:
    """Ratios of one comparison, one a round."""

    what: str
    against: str
    ratios: list[float]
    target: str


class _EpochClock:
    """Seconds between the beginning and the end of an epoch's batches."""

    supports_distributed = True

    def before_training_epoch(self, strategy: Any, **_: Any) -> None:
        self.begun = time.perf_counter()

    def after_training_epoch(self, strategy: Any, **_: Any) -> None:
        self.seconds = time.perf_counter() - self.begun


def measure_steps(recipe_name: str, rounds: int) -> list[Row]:
    """Measure an epoch of 20 batches of every strategy, ``rounds`` times in turn."""
    recipe = open_recipe(recipe_name).changed({"epochs": 1, "source_epochs": 1, "device": "cpu"})
    torch.set_num_threads(recipe.threads)
    size = recipe.image_size or 96
    with tempfile.TemporaryDirectory() as folder:
        people = -(-20 * recipe.batch_size // (2 * 3)) + 4
        path = tiny_stream(Path(folder), domains=2, people=people, size=size)
        stream = open_stream(path)
        train = stream.as_avalanche().train_stream
        names = [name for name, info in strategies().items() if not info.bound]
        runs = {name: _prepared(name, recipe, str(path), stream, train) for name in names}
        seconds: dict[str, list[float]] = {name: [] for name in [*names, "bare", "fisher"]}
        for _ in range(rounds + 1):
            for name, (strategy, clock) in runs.items():
                strategy.step = 1
                strategy.train(train[1], eval_streams=[], num_workers=0)
                seconds[name].append(clock.seconds)
            seconds["bare"].append(_bare_epoch(recipe, train[1].source))
            begun = time.perf_counter()
            model = runs["finetuning"][0].model
            fisher_diagonal(model, runs["finetuning"][0].clean_batches(train[1]))
            seconds["fisher"].append(time.perf_counter() - begun)
    # The first round warms up.
    rest = {name: values[1:] for name, values in seconds.items()}

    def row(what: str, ours: str, theirs: str, target: str) -> Row:
        return Row(what, theirs, [a / b for a, b in zip(rest[ours], rest[theirs], strict=True)], target)

    rows = [row("runner's fine-tuning step", "finetuning", "bare", "at most 1.10")]
    rows += [
        row(f"{name} step", name, "finetuning", _THEORY.get(name, ""))
        for name in names
        if name != "finetuning"
    ]
    rows.append(
        row(
            "Fisher pass over the same samples",
            "fisher",
            "finetuning",
            "about 1 (forward and backward)",
        )
    )
    return rows


def _prepared(name: str, recipe: Recipe, path: str, stream: Stream, train: Any) -> tuple[Any, _EpochClock]:
    (cell,) = make_plan([name], path, {}, recipe, [0]).cells
    strategy = build_strategy(find_strategy(name), cell.hyperparameters, cell, stream, 1, lambda _: None)
    strategy.adopt(strategy.model.state_dict(), train[0])
    clock = _EpochClock()
    strategy.plugins.insert(0, clock)
    return strategy, clock


def _bare_epoch(recipe: Recipe, source: Any) -> float:
    """Train the same model on the same batches in a plain PyTorch loop."""
    model = build_model(recipe, 0).train()
    optimizer = build_optimizer(recipe, model)
    loader = BatchLoader(
        source, recipe.batch_size, Augmentation(recipe), seed=0, step=1, balance=recipe.balance
    )
    begun = time.perf_counter()
    for inputs, targets, _ in loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(inputs), targets)
        loss.backward()
        optimizer.step()
    return time.perf_counter() - begun
