"""Training and judging: one step of the graph computed from the state of the step before, nothing written."""

from __future__ import annotations

import contextlib
import dataclasses
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fretal_bench.benchmark.detectors.architecture import Architecture, build_network
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
from fretal_bench.benchmark.recipes.model import build_optimizer
from fretal_bench.benchmark.recipes.recipe import Recipe
from fretal_bench.benchmark.runner.course_table import NewCourse
from fretal_bench.benchmark.runner.environment import Phases, environment, measured
from fretal_bench.benchmark.runner.graph import SOURCE, Step, TestSet
from fretal_bench.benchmark.runner.opened import check_learned, experiences, samples, the_stream
from fretal_bench.benchmark.runner.pool import Computed, NewScores, NewStep
from fretal_bench.benchmark.runner.progress import Listener, Progress
from fretal_bench.benchmark.runner.reporter import Reporter
from fretal_bench.benchmark.runner.task import Task
from fretal_bench.benchmark.runner.watching import Watch
from fretal_bench.errors import BenchError
from fretal_bench.strategies import life
from fretal_bench.strategies.footprint import footprint
from fretal_bench.strategies.record import StrategyInfo
from fretal_bench.strategies.registry import find_strategy
from fretal_bench.strategies.template import ContinualStrategy
from fretal_bench.workers import keep_freed_memory

_SMALLEST_JUDGING_BATCH = 64


def compute(task: Task, state: bytes | None, listener: Listener, keep: Callable[[NewStep], None]) -> Computed:
    """Compute a task; the same bytes wherever and whenever it is done.

    A step is judged as it was saved, never as the object that was trained: what is judged now and what is judged years
    later is the same.

    Args:
        task: The task.
        state: The state of the step that ``task.needs``.
        listener: Told how training goes.
        keep: Given a step as soon as it is made, before it is judged.
    """
    step = task.step
    torch.set_num_threads(step.recipe.threads)
    keep_freed_memory()
    with _memory_said(step.recipe):
        if not task.trains:
            return Computed((), tuple(_judged(step, state, task.sets)))
        check_learned(step)
        if not step.resumable:
            return _in_one_piece(task, listener, keep)
        new = _adopted(step, state) if step.kind == "adopted" else _trained(task, state, listener)
        keep(new)
        # What judges as the source model is judged there.
        sets = () if new.judges_as else task.sets
        return Computed((new,), tuple(_judged(step, new.state, sets)))


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


def _adopted(step: Step, state: bytes | None) -> NewStep:
    """Let a strategy take over the source model."""
    assert state is not None
    assert step.before is not None
    phases: Phases = []
    strategy = build_strategy(step, _silent)
    weights = life.read_state(io.BytesIO(state), strategy.device).get("model", {})
    with measured(phases, "after", step.number, strategy.device.type):
        life.adopt(strategy, weights, _first(step, strategy.device.type))
    same = not judges_otherwise(strategy, weights)
    return _saved(step, strategy, phases, judges_as=step.before.id if same else None)


def _first(step: Step, device: str) -> Any:
    """Return the training experience that a source model learned; of one that was brought, that it is not there."""
    if step.source is not None:
        return NotThere(step.strategy)
    return experiences(step.stream, step.order, device, step.fold)[step.number]


class NotThere:
    """The training experience of a source model that was brought: whoever reads it is told that it is not there."""

    def __init__(self, strategy: str) -> None:
        self._strategy = strategy

    def __getattr__(self, name: str) -> Any:
        raise BenchError(
            f"strategy {self._strategy!r} reads the training data of the source model (its {name!r}), which was brought "
            "without them; leave the strategy out, or say in its row what it needs them for (old_data)"
        )


def _trained(task: Task, state: bytes | None, listener: Listener) -> NewStep:
    """Train one domain from the state of the step before."""
    step, watch = task.step, _watch(task.step, task.watch)
    strategy = build_strategy(step, listener, watch=watch)
    if state is not None:
        all_of_stream = experiences(step.stream, step.order, strategy.device.type, step.fold)
        learned = [experience for number, experience in all_of_stream.items() if number < step.number]
        count = len(learned) + (step.source is not None)
        begun = life.read_state(io.BytesIO(state), strategy.device)
        life.begin(strategy, strategy_of(step), learned, begun, count)
    phases: Phases = []
    train_domain(strategy, step, phases, watch)
    return _saved(step, strategy, phases, course=_course(watch, phases))


def _in_one_piece(task: Task, listener: Listener, keep: Callable[[NewStep], None]) -> Computed:
    """Train all domains with one strategy object, whose state cannot be gone on from."""
    steps = (*task.within, task.step)
    watch = _watch(steps[0], task.watch)
    strategy = build_strategy(steps[0], listener, task.step.id, watch)
    made: list[NewStep] = []
    scores: list[NewScores] = []
    for step in steps:
        if step.number > 0:
            watch = _watch(step, task.watch)
            plugins = recipe_plugins(step, listener, task.step.id, watch)
            life.go_on(strategy, plugins, epochs(step))
        phases: Phases = []
        train_domain(strategy, step, phases, watch)
        made.append(_saved(step, strategy, phases, course=_course(watch, phases)))
        keep(made[-1])
    for new in made:
        scores.extend(_judged(new.step, new.state, task.sets))
    return Computed(tuple(made), tuple(scores))


def _saved(
    step: Step,
    strategy: ContinualStrategy,
    phases: Phases,
    judges_as: str | None = None,
    course: NewCourse | None = None,
) -> NewStep:
    buffer = io.BytesIO()
    life.save(strategy, buffer)
    store = the_stream(step.stream, step.order, step.fold)[0].store
    image = 3 * store.size**2
    taken = footprint(strategy, image, trained=step.kind == "trained", resumable=step.resumable)
    samples = strategy.kept_images() if step.resumable else None
    known = {**dataclasses.asdict(taken), "samples": samples}
    phases[-1].update({key: value for key, value in known.items() if value is not None})
    return NewStep(
        step,
        buffer.getvalue(),
        judges_as,
        phases,
        environment(step.recipe.device),
        {"size": store.size, "margin": store.info.margin, "detector": store.info.detector},
        course,
    )


def judges_otherwise(strategy: ContinualStrategy, weights: Mapping[str, torch.Tensor]) -> bool:
    """Whether a strategy has a rule of its own for probabilities, or changed the weights that it adopted."""
    if type(strategy).probabilities is not ContinualStrategy.probabilities:
        return True
    now = strategy.model.state_dict()
    return now.keys() != weights.keys() or any(not torch.equal(now[name], w) for name, w in weights.items())


def _judged(step: Step, state: bytes | None, sets: Sequence[TestSet]) -> Iterator[NewScores]:
    """Judge a step on test sets; nothing where there is none.

    Raises:
        Diverged: What the strategy says is no probability.
    """
    if not sets:
        return
    judge = _judge(step, state)
    device = judge.device.type
    scores: dict[str, NDArray[np.float32]] = {}
    rows: dict[str, NDArray[np.int64]] = {}
    costs: dict[str, dict[str, Any]] = {}
    for of in sets:
        source = samples(of)
        phases: Phases = []
        with measured(phases, "evaluate", step.number, device):
            try:
                scores[of.id] = life.judge(judge, source)
            except life.NoProbability as error:
                when = f"after {_place(step)}" if step.number >= 0 else "before any training"
                raise Diverged(f"{when}: {error}; {ADVICE}") from error
        rows[of.id] = source.rows
        costs[of.id] = {key: value for key, value in phases[0].items() if key not in ("phase", "step")}
    yield NewScores(step.id, scores, rows, costs, environment(step.recipe.device))


def _judge(step: Step, state: bytes | None) -> ContinualStrategy:
    """Build what judges as a step does: from its state, or untrained."""
    recipe = step.recipe
    if state is None:
        strategy = build_strategy(step, _silent)
        strategy.model.eval()
        return strategy
    # Published weights would be replaced at once.
    model = build_network(recipe.changed({"pretrained": False}), step.seed, _architecture(step))
    return life.build_judge(
        strategy_of(step),
        model,
        life.read_state(io.BytesIO(state)),
        values=step.hyperparameters,
        device=recipe.device,
        precision=recipe.precision,
        judging_batch_size=max(_SMALLEST_JUDGING_BATCH, recipe.batch_size),
        transform=Augmentation(recipe),
    )


def _silent(progress: Progress) -> None:
    """Hear nothing."""


def _place(step: Step) -> str:
    return f"domain {step.domain!r} ({step.number + 1} of {len(step.order)})"


def strategy_of(step: Step) -> StrategyInfo:
    """Look up a step's strategy.

    Raises:
        BenchError: It comes from a plugin that has changed since the run was planned.
    """
    if step.strategy == SOURCE:
        return life.SOURCE
    info = find_strategy(step.strategy)
    if info.origin != step.origin:
        raise BenchError(
            f"strategy {info.name!r} was planned from {step.origin or 'the suite'} and is {info.origin or 'its own'} "
            "now; run the same command again"
        )
    return info


def build_strategy(
    step: Step, listener: Listener, work: str = "", watch: Watch | None = None
) -> ContinualStrategy:
    """Build a strategy as the recipe says, with initial weights that depend on the seed alone.

    Args:
        step: The step that is to be made.
        listener: Told how its training goes.
        work: What that is told of; the step if it is empty.
        watch: Judges while it is trained.
    """
    recipe = step.recipe
    model = build_network(recipe, step.seed, _architecture(step))
    return life.build(
        strategy_of(step),
        model,
        build_optimizer(recipe, model),
        values=step.hyperparameters,
        device=recipe.device,
        precision=recipe.precision,
        batch_size=recipe.batch_size,
        epochs=epochs(step),
        transform=Augmentation(recipe),
        plugins=recipe_plugins(step, listener, work, watch) if step.kind == "trained" else (),
        seed=step.seed,
        balance=recipe.balance,
        effort=recipe.effort,
    )


def _architecture(step: Step) -> Architecture | None:
    return step.source.architecture if step.source is not None else None


def recipe_plugins(step: Step, listener: Listener, work: str = "", watch: Watch | None = None) -> list[Any]:
    """Build what the recipe adds to the training of a step's domain; arguments as ``build_strategy``."""
    recipe, stream = step.recipe, the_stream(step.stream, step.order, step.fold)
    scaled = recipe.precision == "fp16" and recipe.device == "cuda"
    # First, so that nothing is chosen or reported of weights that are no numbers.
    plugins: list[Any] = [StopWhenDiverged(_place(step), scaled)]
    if watch is not None:
        plugins.append(watch)
    if recipe.schedule != "constant":
        plugins.append(LearningRate(recipe))
    if recipe.batchnorm == "frozen":
        plugins.append(FrozenBatchNorm())
    elif recipe.batchnorm == "released":
        plugins.append(ReleasedBatchNorm())
    if recipe.select != "last":
        first = 0 if recipe.select == "source-and-target" else step.number
        judged = (stream[at].batches("val") for at in range(first, step.number + 1))
        # A domain that nobody learns may be without validation rows.
        plugins.append(KeepBest(*(source for source in judged if len(source)), first=recipe.ties == "first"))
    about = Progress(work or step.id, step.label, "train", step.domain, step.number, len(step.order))
    plugins.append(Reporter(listener, about))
    return plugins


def epochs(step: Step) -> int:
    """Return the epochs of a step's domain: the first of all has its own, unless the source model was brought."""
    return step.recipe.source_epochs if step.number <= 0 and step.source is None else step.recipe.epochs


def train_domain(strategy: ContinualStrategy, step: Step, phases: Phases, watch: Watch | None = None) -> None:
    """Train one domain, the optimiser new; what a watch takes is no part of the phase."""
    experience = experiences(step.stream, step.order, strategy.device.type, step.fold)[step.number]
    with measured(phases, "train", step.number, strategy.device.type) as meter:
        if watch is not None:
            watch.meter = meter
        life.train(strategy, experience)
    effort = {"updates": strategy.updates_taken, "images": strategy.images_seen}
    phases[-1].update({key: value for key, value in effort.items() if value is not None})


def _watch(step: Step, every: int) -> Watch | None:
    """Build what judges the validation samples of the domains up to a step while it is trained; None if nothing does."""
    if not every:
        return None
    stream = the_stream(step.stream, step.order, step.fold)
    return Watch(step.number, every, [stream[at].batches("val") for at in range(step.number + 1)])


def _course(watch: Watch | None, phases: Phases) -> NewCourse | None:
    return None if watch is None else watch.course(phases[-1]["seconds"])
