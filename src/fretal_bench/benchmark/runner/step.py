"""Training: the source model, and one step of one cell. Every step begins from what the last one left on disk."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from typing import Any

import torch

from fretal_bench.benchmark.recipes.augmentation import Augmentation
from fretal_bench.benchmark.recipes.loop import (
    ADVICE,
    Diverged,
    FrozenBatchNorm,
    KeepBest,
    LearningRate,
    ReleasedBatchNorm,
    StopWhenDiverged,
)
from fretal_bench.benchmark.recipes.model import build_model, build_optimizer
from fretal_bench.benchmark.recipes.recipe import Recipe
from fretal_bench.benchmark.runner.environment import Phases, measured
from fretal_bench.benchmark.runner.folder import ResultFolder
from fretal_bench.benchmark.runner.joining import finish_cell, save_step
from fretal_bench.benchmark.runner.plan import Cell, SourceModel
from fretal_bench.benchmark.runner.progress import Listener, Progress
from fretal_bench.benchmark.runner.reporter import Reporter
from fretal_bench.benchmark.runner.scoring import StepScores, judges_otherwise
from fretal_bench.benchmark.runner.seals import checked
from fretal_bench.datasets.streams.stream import Stream, open_stream
from fretal_bench.errors import BenchError
from fretal_bench.strategies import life
from fretal_bench.strategies.record import StrategyInfo
from fretal_bench.strategies.registry import find_strategy
from fretal_bench.strategies.template import ContinualStrategy


def advance(work: SourceModel | Cell, folder: ResultFolder, listener: Listener, wait: float = -1.0) -> int:
    """Do the next step of ``work`` that is not done, and return how many are left after it.

    Whoever does a step holds the lock of its work, and goes on from what others left. There is one way to begin a step,
    from the files of the step before, so a run that was killed and one that was not do the same. The listener is told
    of every step that is done here, not of those that others did.

    Args:
        work: A source model, or a cell whose source model is there.
        folder: The result folder.
        listener: Told how training goes.
        wait: Seconds to wait for another process that works on it; for ever if negative.

    Raises:
        Busy: Another process still works on it.
    """
    torch.set_num_threads(work.recipe.threads)
    with folder.hold(work.id, wait), _memory_said(work.recipe):
        if isinstance(work, SourceModel):
            if not folder.source(work.id).is_dir():
                train_source(work, folder, listener)
            return 0
        stream = the_stream(work.stream)
        if not folder.is_done(work.id):
            step = folder.steps_done(work.id)
            if step < len(stream) and not find_strategy(work.strategy).resumable:
                train_in_one_piece(work, folder, listener)
            elif step < len(stream):
                train_step(work, step, folder, listener)
                if step + 1 < len(stream):
                    return len(stream) - step - 1
            finish_cell(work, stream, folder)
        folder.forget_steps(work.id)
        folder.forget_failure(work.id)
        return 0


@contextlib.contextmanager
def _memory_said(recipe: Recipe) -> Iterator[None]:
    """Say in the suite's words that memory was out, which torch tells in a paragraph of its own.

    Raises:
        BenchError: Memory was out inside the block.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        # On a CPU torch has no class of its own for it.
        if not (
            isinstance(error, MemoryError | torch.cuda.OutOfMemoryError)
            or "can't allocate memory" in str(error)
        ):
            raise
        raise BenchError(
            f"out of memory on {recipe.device}; train smaller batches or images (--set recipe.batch_size, now "
            f"{recipe.batch_size}, or recipe.image_size), or take fewer --jobs"
        ) from error


def train_source(work: SourceModel, folder: ResultFolder, listener: Listener) -> None:
    """Train the first domain from random weights; scores of step -1 are of the untrained model."""
    stream, phases = the_stream(work.stream), Phases()
    strategy = build_strategy(life.SOURCE, {}, work, stream, 0, listener)
    scores = StepScores()
    judge(scores, strategy, stream, -1, phases)
    train_domain(strategy, work, 0, phases)
    judge(scores, strategy, stream, 0, phases)
    save_step(folder.source(work.id), strategy, scores, phases, work.recipe.device)
    _tell_done(work, 0, stream, listener)


def train_step(work: Cell, step: int, folder: ResultFolder, listener: Listener) -> None:
    """Train domain ``step`` with the cell's strategy, from the files of the step before."""
    stream, phases = the_stream(work.stream), Phases()
    info = strategy_of(work)
    strategy = build_strategy(info, work.hyperparameters, work, stream, step, listener)
    scores = StepScores()
    if step == 0 and work.source is not None:
        source = checked(folder.source(work.source.id), "checkpoint.pt")
        with life.naming(source, f"delete {source.parent} and run again"):
            weights = life.read_state(source, strategy.device).get("model", {})
            with measured(phases, "after", 0, strategy.device.type):
                life.adopt(strategy, weights, experiences(work.stream, strategy.device.type)[0])
        if judges_otherwise(strategy, weights):
            # What the source model says is not what it says.
            judge(scores, strategy, stream, 0, phases)
    else:
        if step == 0:
            judge(scores, strategy, stream, -1, phases)
        else:
            checkpoint = checked(folder.step(work.id, step - 1), "checkpoint.pt")
            learned = experiences(work.stream, strategy.device.type)[:step]
            with life.naming(checkpoint, f"delete {checkpoint.parent.parent} and run again"):
                life.begin(strategy, info, learned, life.read_state(checkpoint, strategy.device))
        train_domain(strategy, work, step, phases)
        judge(scores, strategy, stream, step, phases)
    save_step(folder.step(work.id, step), strategy, scores, phases, work.recipe.device)
    _tell_done(work, step, stream, listener)


def train_in_one_piece(work: Cell, folder: ResultFolder, listener: Listener) -> None:
    """Train all domains with one strategy object, whose state cannot be saved; steps of an earlier try are dropped."""
    stream = the_stream(work.stream)
    folder.forget_steps(work.id)
    info = strategy_of(work)
    strategy = build_strategy(info, work.hyperparameters, work, stream, 0, listener)
    for step in range(len(stream)):
        phases, scores = Phases(), StepScores()
        if step == 0:
            judge(scores, strategy, stream, -1, phases)
        else:
            life.go_on(strategy, recipe_plugins(work, stream, step, listener), epochs(work.recipe, step))
        train_domain(strategy, work, step, phases)
        judge(scores, strategy, stream, step, phases)
        save_step(folder.step(work.id, step), strategy, scores, phases, work.recipe.device)
        _tell_done(work, step, stream, listener)


def judge(scores: StepScores, strategy: ContinualStrategy, stream: Stream, step: int, phases: Phases) -> None:
    """Judge every sample as after ``step`` (``StepScores.add``).

    Raises:
        Diverged: What the strategy says is no probability.
    """
    try:
        scores.add(strategy, stream, step, phases)
    except life.NoProbability as error:
        when = f"after {_place(stream, step)}" if step >= 0 else "before any training"
        raise Diverged(f"{when}: {error}; {ADVICE}") from error


def _place(stream: Stream, step: int) -> str:
    return f"domain {stream[step].name!r} ({step + 1} of {len(stream)})"


def _tell_done(work: SourceModel | Cell, step: int, stream: Stream, listener: Listener) -> None:
    listener(Progress(work.id, work.label, "done", stream[step].name, step, len(stream)))


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
    scaled = recipe.precision == "fp16" and recipe.device == "cuda"
    # First, so that nothing is chosen or reported of weights that are no numbers.
    plugins: list[Any] = [StopWhenDiverged(_place(stream, step), scaled)]
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


_streams: dict[str, Stream] = {}


def use_stream(reference: str, stream: Stream) -> None:
    """Let ``reference`` stand for an open stream in this process, in place of what it stood for before."""
    _streams.clear()
    _streams[reference] = stream
    experiences.cache_clear()


def the_stream(reference: str) -> Stream:
    """Return the stream that ``reference`` opens; one is kept open in a process.

    Its checksums were compared when the run was prepared.
    """
    if reference not in _streams:
        use_stream(reference, open_stream(reference, verify=False))
    return _streams[reference]


@functools.lru_cache(maxsize=1)
def experiences(reference: str, device: str) -> tuple[Any, ...]:
    """Return a stream's training experiences, their images on ``device`` where they fit."""
    train = tuple(the_stream(reference).as_avalanche().train_stream)
    for experience in train:
        experience.source = experience.source.to(device)
    return train
