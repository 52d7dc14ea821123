"""Training on all domains seen so far."""

from __future__ import annotations

from typing import Any

from fretal_bench.strategies import bounds
from fretal_bench.strategies.batches import BatchSource, ConcatSource
from fretal_bench.strategies.template import ContinualStrategy


class Joint(ContinualStrategy):
    """Go on from the last model on the union of all domains seen so far: the upper bound that keeps all data.

    ``L = CE(s, y)`` over every training sample of domains 0..k at step k, for as many epochs as others train on
    domain k alone (so it takes k + 1 times as many updates).
    """

    info = bounds.JOINT

    def training_source(self, experience: Any) -> BatchSource:
        """Return the samples of all domains seen so far."""
        return ConcatSource([past.source for past in [*self.past, experience]])

    def train_dataset_adaptation(self, **kwargs: Any) -> None:
        """Join the data sets of all domains seen so far (experiences without a batch source)."""
        super().train_dataset_adaptation(**kwargs)
        if self.past and not hasattr(self.experience, "source"):
            data = [past.dataset.train() for past in self.past]
            for part in data:
                self.adapted_dataset = self.adapted_dataset.concat(part)

    def after_domain(self, experience: Any) -> None:
        """Remember the domain."""
        self.past.append(experience)

    def kept_images(self) -> int:
        """Return the number of all training samples seen so far."""
        sources = (past.source if hasattr(past, "source") else past.dataset for past in self.past)
        return sum(len(source) for source in sources)
