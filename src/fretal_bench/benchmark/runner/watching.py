"""Judging while a domain is trained (``--watch``), without a trace in what is trained."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from avalanche.core import SupervisedPlugin
from torch import nn

from fretal_bench.benchmark.runner import course_table
from fretal_bench.benchmark.runner.course_table import NewCourse
from fretal_bench.benchmark.runner.environment import Meter
from fretal_bench.strategies import life
from fretal_bench.strategies.batches import BatchSource
from fretal_bench.strategies.template import ContinualStrategy


class Watch(SupervisedPlugin):  # type: ignore[misc]
    """Judges validation samples before the first update of a domain and after every so many of them.

    It looks where an update begins: then all that belongs to the one before is done, whatever the strategy does
    after it (an average of weights, a buffer), and the batch of this one is drawn. What it sees is ``strategy.score``,
    the strategy as it would judge at that moment. An update is a training iteration of Avalanche's.

    Args:
        number: The domain being learned.
        every: Updates between two evaluations.
        sets: The validation samples of the domains up to it, in order.
    """

    def __init__(self, number: int, every: int, sets: Sequence[BatchSource]) -> None:
        super().__init__()
        self.number, self.every, self.sets = number, every, sets
        self.updates = 0
        self.rows: list[dict[str, Any]] = []
        self.meter: Meter | None = None
        """Measures the training, of which this is no part."""

    def before_training_iteration(self, strategy: Any, **_: Any) -> None:
        """Judge, if it is time."""
        if self.updates % self.every == 0:
            with self.meter.apart() if self.meter is not None else contextlib.nullcontext():
                self._judge(strategy)

    def after_training_iteration(self, strategy: Any, **_: Any) -> None:
        """Count the update."""
        self.updates += 1

    def _judge(self, strategy: ContinualStrategy) -> None:
        for domain, source in enumerate(self.sets):
            with undisturbed(strategy):
                # A training that diverges is ended by what watches the loss, with or without this.
                scores = life.judge(strategy, source, checked=False)
            point = (self.number, self.updates, False, domain)
            self.rows.append(course_table.row(point, source.targets.cpu().numpy(), scores))

    def course(self, seconds: float) -> NewCourse:
        """Return what was seen, with the seconds that the training took besides."""
        aside = self.meter.seconds_apart if self.meter is not None else 0.0
        return NewCourse(
            self.number, self.every, self.updates, tuple(self.rows), round(aside, 3), round(seconds, 3)
        )


@contextlib.contextmanager
def undisturbed(strategy: ContinualStrategy) -> Iterator[None]:
    """Leave a strategy as it was before the block: modes of all modules, its own attributes, the random generators.

    ``score`` puts the whole model back into training mode where it was there: layers that are in eval mode on purpose, as
    BatchNorm of a recipe that freezes it, would not be any more.
    """
    attributes = dict(vars(strategy))
    modes = {
        module: module.training
        for value in attributes.values()
        if isinstance(value, nn.Module)
        for module in value.modules()
    }
    python, of_numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 (what plugins may draw from)
    devices = [strategy.device] if strategy.device.type == "cuda" else []
    with torch.random.fork_rng(devices):
        try:
            yield
        finally:
            for name in vars(strategy).keys() - attributes.keys():
                delattr(strategy, name)
            for name, value in attributes.items():
                if vars(strategy).get(name) is not value:
                    setattr(strategy, name, value)
            for module, mode in modes.items():
                module.training = mode
            random.setstate(python)
            np.random.set_state(of_numpy)  # noqa: NPY002
