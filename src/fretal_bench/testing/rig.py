"""The training of a strategy along the tiny stream, as the runner does it: each step a new object, from saved files."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from fretal_bench.benchmark.runner.watching import Watch
from fretal_bench.errors import first_line
from fretal_bench.places import place_of
from fretal_bench.strategies import life
from fretal_bench.strategies.record import StrategyInfo
from fretal_bench.strategies.template import ContinualStrategy, Precision
from fretal_bench.testing.ledger import Ledger, Reads
from fretal_bench.testing.watcher import Watcher
from fretal_bench.testing.world import DOMAINS, TinyAugmentation, seeded, tiny_benchmark

ModelFactory = Callable[[], nn.Module]
SOURCE_EPOCHS, EPOCHS, BATCH, JUDGING_BATCH, RATE = 8, 2, 8, 16, 0.02
BUDGET = 8
"""Samples that a strategy with a memory may keep in the checks: fewer than a domain has."""


class TrainingFailed(Exception):
    """A strategy raised while it was trained."""


def told(error: Exception, when: str) -> str:
    """Say what a strategy raised, when, and in which line of its file."""
    first, place = (str(error).splitlines() or [""])[0], place_of(error)
    return f"{type(error).__name__} {when}: {first}{f' ({place})' if place else ''}"


@dataclass(frozen=True)
class Trained:
    """What a cell left.

    Attributes:
        digest: Hash of the result: weights and scores after every domain.
        results: Hash of all scores after each domain.
        scores: ``[step][domain]``, P(fake) of the test samples.
        labels: ``[domain]``, labels of the test samples.
        reads: What was read while each domain was trained, by step.
        faults: What the watcher saw, by its kind: see ``Watcher``.
        read: Reads the state after a domain back from its file.
    """

    digest: str
    results: tuple[str, ...]
    scores: tuple[tuple[NDArray[np.float32], ...], ...]
    labels: tuple[NDArray[np.int64], ...]
    reads: tuple[Reads, ...]
    faults: Mapping[str, tuple[str, ...]]
    read: Callable[[int], Mapping[str, Any]]

    @functools.cached_property
    def saved(self) -> tuple[Mapping[str, Any], ...]:
        """``state_dict`` after each domain, as read back from its file; most checks compare results alone.

        Raises:
            TrainingFailed: A state cannot be read back without executing anything.
        """
        return tuple(self.read(number) for number in range(DOMAINS))

    @functools.cached_property
    def states(self) -> tuple[str, ...]:
        """Hash of everything that ``state_dict`` gave, after each domain."""
        return tuple(digest(state) for state in self.saved)


class Walk:
    """One cell on its way along the stream.

    Args:
        rig: Whose strategy it trains.
        changes: Hyperparameters besides the rig's own.
        seed: The cell's seed.
        precision: The cell's precision.
        stopping: Begin every step with a new object from the files of the step before, as the runner does; if not, one
            object goes all the way.
        disturbed: Disturb the global generators before each domain is trained and before each is scored.
        watched: Judge validation samples before every update, as ``bench run --watch 1`` does.
    """

    def __init__(
        self,
        rig: Rig,
        changes: Mapping[str, Any] | None = None,
        *,
        seed: int = 1,
        precision: Precision = "fp32",
        stopping: bool = True,
        disturbed: bool = False,
        watched: bool = False,
    ) -> None:
        self.rig, self.changes, self.seed, self.precision = rig, dict(changes or {}), seed, precision
        self.stopping = stopping and rig.info.resumable
        self.disturbed, self.watched = disturbed, watched
        self.ledger = Ledger()
        benchmark = tiny_benchmark(self.ledger)
        self.train, self.test = list(benchmark.train_stream), list(benchmark.test_stream)
        self.validation = list(benchmark.val_stream)
        self.test_sources = [experience.source for experience in self.test]
        for experience in [*self.train, *self.test, *self.validation]:
            if rig.device != "cpu":
                experience.source = experience.source.to(rig.device)
        self.strategy: ContinualStrategy | None = None
        self.files: list[bytes] = []
        self.scores: list[tuple[NDArray[np.float32], ...]] = []
        self.reads: list[Reads] = []
        self.faults: dict[str, list[str]] = {}
        self._hash = hashlib.sha256()

    def step(self) -> None:
        """Train the next domain and score all of them.

        Raises:
            TrainingFailed: The strategy raised.
        """
        number = len(self.files)
        try:
            if self.disturbed:
                disturb_generators()
            with self._begun(number) as (strategy, watcher), self.ledger.opened() as reads:
                if number == 0 and self.rig.info.shared_source:
                    weights = source_weights(self.rig.model, self.seed, self.precision, self.rig.device)
                    life.adopt(strategy, weights, self.train[0])
                else:
                    life.train(strategy, self.train[number])
                file = io.BytesIO()
                life.save(strategy, file)
            self.files.append(file.getvalue())
            self.reads.append(reads)
            for kind, what in watcher.faults:
                self.faults.setdefault(kind, []).append(f"{what} (domain {number})")
            self.scores.append(self._scored(strategy))
            self._hash.update(digest({"w": strategy.model.state_dict(), "s": self.scores[-1]}).encode())
        except Exception as error:
            raise TrainingFailed(told(error, f"on domain {number}")) from error

    def finish(self) -> Trained:
        """Train what is left and return what the cell came to.

        Raises:
            TrainingFailed: The strategy raised.
        """
        while len(self.files) < DOMAINS:
            self.step()
        return Trained(
            self._hash.hexdigest(),
            tuple(digest(scores) for scores in self.scores),
            tuple(self.scores),
            tuple(source.targets.numpy() for source in self.test_sources),
            tuple(self.reads),
            {kind: tuple(what) for kind, what in self.faults.items()},
            self._read,
        )

    def scored_by_a_new_object(self, number: int) -> tuple[NDArray[np.float32], ...]:
        """Return what a new object gives that has read the state after domain ``number`` and no training data.

        The global generators are disturbed before it scores.

        Raises:
            TrainingFailed: The strategy raised.
        """
        try:
            strategy = life.build_judge(
                self.rig.info,
                seeded(self.rig.model, self.seed),
                self._read(number),
                values={**self.rig.base, **self.changes},
                device=self.rig.device,
                precision=self.precision,
                judging_batch_size=JUDGING_BATCH,
                transform=TinyAugmentation(),
            )
            disturb_generators()
            return self._scored(strategy)
        except TrainingFailed:
            raise
        except Exception as error:
            raise TrainingFailed(told(error, f"in a new object that scores after domain {number}")) from error

    def _scored(self, strategy: ContinualStrategy) -> tuple[NDArray[np.float32], ...]:
        if self.disturbed:
            disturb_generators()
        return tuple(life.judge(strategy, source, checked=False) for source in self.test_sources)

    @contextlib.contextmanager
    def _begun(self, number: int) -> Iterator[tuple[ContinualStrategy, Watcher]]:
        watcher = Watcher()
        plugins: list[Any] = [watcher]
        if self.watched:
            plugins.append(Watch(number, 1, [of.source for of in self.validation[: number + 1]]))
        epochs = SOURCE_EPOCHS if number == 0 else EPOCHS
        if self.strategy is None or self.stopping:
            self.strategy = self._build(epochs, plugins)
            learned = self.train[:number]
            life.begin(self.strategy, self.rig.info, learned, self._read(number - 1) if number > 0 else None)
        else:
            life.go_on(self.strategy, plugins, epochs)
        yield self.strategy, watcher

    def _build(self, epochs: int, plugins: Sequence[Any]) -> ContinualStrategy:
        model = seeded(self.rig.model, self.seed)
        return life.build(
            self.rig.info,
            model,
            torch.optim.SGD(model.parameters(), RATE, momentum=0.9),
            values={**self.rig.base, **self.changes},
            device=self.rig.device,
            precision=self.precision,
            batch_size=BATCH,
            judging_batch_size=JUDGING_BATCH,
            epochs=epochs,
            transform=TinyAugmentation(),
            plugins=plugins,
            seed=self.seed,
            balance=True,
        )

    def _read(self, number: int) -> Mapping[str, Any]:
        try:
            state = life.read_state(io.BytesIO(self.files[number]), self.rig.device)
        except Exception as error:
            raise TrainingFailed(f"its state {first_line(error)}") from error
        return state


class Rig:
    """Trains one strategy again and again.

    Args:
        info: The strategy.
        model: Makes the model; its initial weights come from torch's global generator.
        device: ``cpu`` or ``cuda``.
        settings: Hyperparameters to train with where the defaults don't suit a tiny stream.
    """

    def __init__(
        self,
        info: StrategyInfo,
        model: ModelFactory,
        device: str = "cpu",
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        self.info, self.model, self.device = info, model, device
        self.base: dict[str, Any] = {}
        if info.memory == "budget" and hasattr(info.hyperparameters(), "memory"):
            self.base["memory"] = BUDGET
        self.base.update(settings or {})

    @functools.cached_property
    def walk(self) -> Walk:
        """The cell that others are compared with, trained once."""
        walk = Walk(self)
        walk.finish()
        return walk

    @functools.cached_property
    def trained(self) -> Trained:
        """What that cell came to."""
        return self.walk.finish()

    def train(self, changes: Mapping[str, Any] | None = None, **kind: Any) -> Trained:
        """Train a cell; arguments as ``Walk``."""
        return Walk(self, changes, **kind).finish()


def digest(value: Any) -> str:
    """Return the SHA-256 of nested tensors, arrays and plain data; dictionaries in the order of their keys."""
    content = hashlib.sha256()

    def walk(value: Any) -> None:
        if isinstance(value, Mapping):
            for key in sorted(value, key=repr):
                content.update(repr(key).encode())
                walk(value[key])
        elif isinstance(value, list | tuple):
            content.update(b"[")
            for item in value:
                walk(item)
        elif isinstance(value, torch.Tensor | np.ndarray):
            tensor = torch.as_tensor(value).detach().cpu().contiguous()
            content.update(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
            content.update(tensor.flatten().view(torch.uint8).numpy().tobytes() if tensor.numel() else b"")
        else:
            content.update(repr(value).encode())

    walk(value)
    return content.hexdigest()


def disturb_generators() -> None:
    """Put the global generators of torch, NumPy and Python in a state that nobody expects."""
    torch.seed()
    random.seed()
    np.random.seed(random.getrandbits(32))  # noqa: NPY002  # the global generator is meant


@functools.lru_cache(maxsize=16)
def source_weights(
    factory: ModelFactory, seed: int, precision: Precision, device: str
) -> Mapping[str, torch.Tensor]:
    """Train the first domain with plain cross-entropy: the model that all strategies of one seed start from."""
    model = seeded(factory, seed)
    strategy = life.build(
        life.SOURCE,
        model,
        torch.optim.SGD(model.parameters(), RATE, momentum=0.9),
        device=device,
        precision=precision,
        batch_size=BATCH,
        epochs=SOURCE_EPOCHS,
        transform=TinyAugmentation(),
        seed=seed,
        balance=True,
    )
    life.train(strategy, next(iter(tiny_benchmark(Ledger()).train_stream)))
    return {name: value.detach().clone() for name, value in model.state_dict().items()}
