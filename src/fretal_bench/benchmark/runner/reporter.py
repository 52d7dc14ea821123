"""The plugin that reports the progress of training."""

from __future__ import annotations

import time
from typing import Any

from avalanche.core import SupervisedPlugin

from fretal_bench.benchmark.runner.progress import Listener, Progress


class Reporter(SupervisedPlugin):  # type: ignore[misc]
    """Tells a listener, a few times a second, how training goes; reads the loss only then (on a GPU that waits)."""

    def __init__(self, listener: Listener, about: Progress, every: float = 0.5) -> None:
        super().__init__()
        self.listener, self.about, self.every = listener, about, every

    def before_training_exp(self, strategy: Any, **_: Any) -> None:
        """Begin counting."""
        self.update = self.since = 0
        self.updates = strategy.train_epochs * len(strategy.dataloader)
        self.last = time.monotonic()

    def after_training_iteration(self, strategy: Any, **_: Any) -> None:
        """Report if it is time."""
        self.update += 1
        self.since += len(strategy.mb_y)
        now = time.monotonic()
        if now - self.last < self.every and self.update < self.updates:
            return
        per_epoch = len(strategy.dataloader)
        self.listener(
            Progress(
                work=self.about.work,
                label=self.about.label,
                phase="train",
                domain=self.about.domain,
                step=self.about.step,
                steps=self.about.steps,
                epoch=(self.update - 1) // per_epoch + 1,
                epochs=strategy.train_epochs,
                share=self.update / self.updates,
                loss=float(strategy.loss.detach()),
                images_per_second=self.since / max(1e-9, now - self.last),
            )
        )
        self.since, self.last = 0, now
