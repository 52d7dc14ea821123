"""Training: the source model, and one step of one cell. Every step begins from what the last one left on disk."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from fretal_bench.benchmark.recipes.augmentation import Augmentation
from fretal_bench.benchmark.recipes.loop import (
    FrozenBatchNorm,
    KeepBest,
    LearningRate,
    ReleasedBatchNorm,
)
from fretal_bench.benchmark.recipes.model import build_model, build_optimizer
from fretal_bench.benchmark.recipes.recipe import Recipe
from fretal_bench.benchmark.runner.environment import environment, measured
from fretal_bench.benchmark.runner.plan import Cell, SourceModel
from fretal_bench.benchmark.runner.progress import Listener, Progress
from fretal_bench.benchmark.runner.reporter import Reporter
from fretal_bench.benchmark.runner.results import ResultFolder, atomic_folder
from fretal_bench.datasets.manifest import video_key
from fretal_bench.datasets.streams.stream import Stream, open_stream
from fretal_bench.errors import BenchError
from fretal_bench.strategies import life
from fretal_bench.strategies.record import StrategyInfo
from fretal_bench.strategies.registry import find_strategy
from fretal_bench.strategies.template import ContinualStrategy

Phases = list[dict[str, Any]]


def advance(work: SourceModel | Cell, folder: ResultFolder, listener: Listener) -> int:
    """Do the next step of ``work`` that is not done, and return how many are left after it.

    Whoever does a step holds the lock of its work; if another process is at it, this one waits and then goes on from
    what that one left. There is one way to begin a step, from the files of the step before, so a run that was killed
    and one that was not do the same.
    """
    torch.set_num_threads(work.recipe.threads)
    with folder.lock(work.id):
        if isinstance(work, SourceModel):
            if not folder.source(work.id).is_dir():
                train_source(work, folder, listener)
            return 0
        stream = the_stream(work.stream)
        if not folder.cell(work.id).is_dir():
            step = folder.steps_done(work.id)
            if step < len(stream) and not find_strategy(work.strategy).resumable:
                train_in_one_piece(work, folder, listener)
            elif step < len(stream):
                train_step(work, step, folder, listener)
                if step + 1 < len(stream):
                    return len(stream) - step - 1
            finish_cell(work, len(stream), folder)
        folder.forget_steps(work.id)
        folder.forget_failure(work.id)
        return 0


def train_source(work: SourceModel, folder: ResultFolder, listener: Listener) -> None:
    """Train the first domain from random weights; scores of step -1 are of the untrained model."""
    stream, phases = the_stream(work.stream), Phases()
    strategy = build_strategy(life.SOURCE, {}, work, stream, 0, listener)
    test, validation = untrained_scores(strategy, stream, phases)
    train_domain(strategy, work, 0, phases)
    test.append(scores(strategy, stream, "test", 0, phases))
    validation.append(scores(strategy, stream, "val", 0, phases))
    save_step(folder.source(work.id), strategy, test, validation, phases)


def train_step(work: Cell, step: int, folder: ResultFolder, listener: Listener) -> None:
    """Train domain ``step`` with the cell's strategy, from the files of the step before."""
    stream, phases = the_stream(work.stream), Phases()
    info = strategy_of(work)
    strategy = build_strategy(info, work.hyperparameters, work, stream, step, listener)
    test: list[pd.DataFrame] = []
    validation: list[pd.DataFrame] = []
    if step == 0 and work.source is not None:
        source = folder.source(work.source.id)
        weights = life.read_state(source / "checkpoint.pt", strategy.device)["model"]
        with measured(phases, "after", 0, strategy.device.type):
            life.adopt(strategy, weights, experiences(work.stream, strategy.device.type)[0])
        if judges_otherwise(strategy, weights):
            # What the source model says is not what it says.
            test.append(scores(strategy, stream, "test", 0, phases))
            validation.append(scores(strategy, stream, "val", 0, phases))
        save_step(folder.step(work.id, 0), strategy, test, validation, phases)
        return
    if step == 0:
        test, validation = untrained_scores(strategy, stream, phases)
    else:
        checkpoint = folder.step(work.id, step - 1) / "checkpoint.pt"
        learned = experiences(work.stream, strategy.device.type)[:step]
        life.begin(strategy, info, learned, life.read_state(checkpoint, strategy.device))
    train_domain(strategy, work, step, phases)
    test.append(scores(strategy, stream, "test", step, phases))
    validation.append(scores(strategy, stream, "val", step, phases))
    save_step(folder.step(work.id, step), strategy, test, validation, phases)


def judges_otherwise(strategy: ContinualStrategy, weights: Mapping[str, torch.Tensor]) -> bool:
    """Whether a strategy has a rule of its own for probabilities, or changed the weights that it adopted."""
    if type(strategy).probabilities is not ContinualStrategy.probabilities:
        return True
    now = strategy.model.state_dict()
    return now.keys() != weights.keys() or any(not torch.equal(now[name], w) for name, w in weights.items())


def train_in_one_piece(work: Cell, folder: ResultFolder, listener: Listener) -> None:
    """Train all domains with one strategy object, whose state cannot be saved; steps of an earlier try are dropped."""
    stream = the_stream(work.stream)
    folder.forget_steps(work.id)
    info = strategy_of(work)
    strategy = build_strategy(info, work.hyperparameters, work, stream, 0, listener)
    for step in range(len(stream)):
        phases = Phases()
        test, validation = untrained_scores(strategy, stream, phases) if step == 0 else ([], [])
        if step > 0:
            life.go_on(strategy, recipe_plugins(work, stream, step, listener), epochs(work.recipe, step))
        train_domain(strategy, work, step, phases)
        test.append(scores(strategy, stream, "test", step, phases))
        validation.append(scores(strategy, stream, "val", step, phases))
        save_step(folder.step(work.id, step), strategy, test, validation, phases)
        if step + 1 < len(stream):
            listener(Progress(work.id, work.label, "done"))


def strategy_of(work: Cell) -> StrategyInfo:
    """Look up a cell's strategy.

    Raises:
        BenchError: It comes from a plugin that has changed since the run was planned.
    """
    info = find_strategy(work.strategy)
    if info.origin != work.origin:
        raise BenchError(
            f"strategy {info.name!r} was planned from {work.origin or 'the suite'} and is {info.origin or 'its own'} "
            "now; run the same command again"
        )
    return info


def build_strategy(
    info: StrategyInfo,
    hyperparameters: Any,
    work: SourceModel | Cell,
    stream: Stream,
    step: int,
    listener: Listener,
) -> ContinualStrategy:
    """Build a strategy as the recipe says, with initial weights that depend on the seed alone."""
    recipe = work.recipe
    model = build_model(recipe, work.seed)
    return life.build(
        info,
        model,
        build_optimizer(recipe, model),
        values=hyperparameters,
        device=recipe.device,
        precision=recipe.precision,
        batch_size=recipe.batch_size,
        epochs=epochs(recipe, step),
        transform=Augmentation(recipe),
        plugins=recipe_plugins(work, stream, step, listener),
        seed=work.seed,
        balance=recipe.balance,
    )


def recipe_plugins(work: SourceModel | Cell, stream: Stream, step: int, listener: Listener) -> list[Any]:
    """Build what the recipe adds to the training of domain ``step``."""
    recipe = work.recipe
    plugins: list[Any] = []
    if recipe.schedule != "constant":
        plugins.append(LearningRate(recipe))
    if recipe.batchnorm == "frozen":
        plugins.append(FrozenBatchNorm())
    elif recipe.batchnorm == "released":
        plugins.append(ReleasedBatchNorm())
    if recipe.select != "last":
        first = 0 if recipe.select == "source-and-target" else step
        plugins.append(KeepBest(*(stream[at].batches("val") for at in range(first, step + 1))))
    about = Progress(work.id, work.label, "train", stream[step].name, step, len(stream))
    plugins.append(Reporter(listener, about))
    return plugins


def epochs(recipe: Recipe, step: int) -> int:
    """Return the epochs of domain ``step``."""
    return recipe.source_epochs if step == 0 else recipe.epochs


def train_domain(strategy: ContinualStrategy, work: SourceModel | Cell, step: int, phases: Phases) -> None:
    """Train one domain, the optimiser new."""
    experience = experiences(work.stream, strategy.device.type)[step]
    with measured(phases, "train", step, strategy.device.type):
        life.train(strategy, experience)


def untrained_scores(
    strategy: ContinualStrategy, stream: Stream, phases: Phases
) -> tuple[list[pd.DataFrame], list[pd.DataFrame]]:
    """Return test and validation scores of the model as it was initialised, as step -1."""
    test = scores(strategy, stream, "test", -1, phases)
    return [test], [scores(strategy, stream, "val", -1, phases)]


def scores(
    strategy: ContinualStrategy, stream: Stream, split: str, step: int, phases: Phases
) -> pd.DataFrame:
    """Score every sample of ``split`` of every domain: step, domain, row, label, video, score."""
    parts = []
    with measured(phases, f"evaluate {split}", step, strategy.device.type):
        for domain in stream:
            source = domain.batches(split)
            rows = domain.store.index.iloc[source.rows]
            part = pd.DataFrame(
                {
                    "step": pd.Series([step] * len(rows), dtype="int16"),
                    "domain": pd.Series([domain.name] * len(rows), dtype="str"),
                    "row": pd.Series(source.rows, dtype="int64"),
                    "label": rows["label"].astype("int8").to_numpy(),
                    "video": video_key(rows).to_numpy(),
                    "score": life.judge(strategy, source),
                }
            )
            parts.append(part)
    return pd.concat(parts, ignore_index=True)


def save_step(
    final: Path,
    strategy: ContinualStrategy,
    test: list[pd.DataFrame],
    validation: list[pd.DataFrame],
    phases: Phases,
) -> None:
    """Write a step's state, scores and measurements, all or nothing."""
    with atomic_folder(final) as part:
        life.save(strategy, part / "checkpoint.pt")
        for name, frames in (("scores", test), ("validation", validation)):
            if frames:
                pd.concat(frames, ignore_index=True).to_parquet(part / f"{name}.parquet", index=False)
        (part / "phases.json").write_text(json.dumps(phases), "utf-8")


def finish_cell(work: Cell, steps: int, folder: ResultFolder) -> None:
    """Put the steps of a cell together as the done cell."""
    parts = [folder.step(work.id, step) for step in range(steps)]
    if work.source is not None:
        parts.insert(0, folder.source(work.source.id))
    store = the_stream(work.stream)[0].store
    phases = [phase for part in parts for phase in json.loads((part / "phases.json").read_text("utf-8"))]
    about = {
        "id": work.id,
        # Its name: what opens it may be a path, which means nothing on another machine.
        "stream": the_stream(work.stream).name,
        "strategy": work.strategy,
        "origin": work.origin,
        "hyperparameters": dict(work.hyperparameters),
        "recipe": {"name": work.recipe.name, **work.recipe.content()},
        "seed": work.seed,
        "source": work.source.id if work.source else None,
        "crop": {"size": store.size, "margin": store.info["margin"]},
    }
    with atomic_folder(folder.cell(work.id)) as part:
        for name in ("scores.parquet", "validation.parquet"):
            frames = [pd.read_parquet(path / name) for path in parts if (path / name).exists()]
            if work.source is not None and (folder.step(work.id, 0) / name).exists():
                # The cell scored step 0 itself: of the source model's scores only those before training are its own.
                frames[0] = frames[0][frames[0]["step"] < 0]
            pd.concat(frames, ignore_index=True).to_parquet(part / name, index=False)
        (part / "checkpoint.pt").write_bytes((parts[-1] / "checkpoint.pt").read_bytes())
        made_with = {**environment(work.recipe.device), "seed": work.seed, "phases": phases}
        (part / "environment.json").write_text(json.dumps(made_with, indent=1) + "\n", "utf-8")
        (part / "cell.json").write_text(json.dumps(about, indent=1) + "\n", "utf-8")


@functools.lru_cache(maxsize=1)
def the_stream(name: str) -> Stream:
    """Open a stream once a process; its checksums were compared when the run was prepared."""
    return open_stream(name, verify=False)


@functools.lru_cache(maxsize=1)
def experiences(name: str, device: str) -> tuple[Any, ...]:
    """Return a stream's training experiences, their images on ``device`` where they fit."""
    train = tuple(the_stream(name).as_avalanche().train_stream)
    for experience in train:
        experience.source = experience.source.to(device)
    return train
