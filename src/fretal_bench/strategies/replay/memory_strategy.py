"""The bases of the strategies with a memory: filling it, drawing from it, keeping it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from fretal_bench.errors import BenchError
from fretal_bench.strategies import draws
from fretal_bench.strategies.batches import (
    BatchSource,
    ConcatSource,
    IdentityTransform,
    SubsetSource,
    Transform,
    epoch_order,
)
from fretal_bench.strategies.batches import source_of as source_of  # where others import it from
from fretal_bench.strategies.features import at_least_float32
from fretal_bench.strategies.replay.memory import ReplayMemory
from fretal_bench.strategies.template import ContinualStrategy


class MemoryBatch(NamedTuple):
    """Samples drawn from the memory: their places in it, augmented inputs [B, 3, H, W] and labels int64 [B]."""

    places: Tensor
    inputs: Tensor
    targets: Tensor


class MemoryStrategy(ContinualStrategy):
    """Base of the strategies with a memory of ``memory`` samples over all past domains (``ReplayMemory``).

    The memory is filled at the end of each domain, ``fill_memory``: training is offline and takes several epochs, so
    every sample of a domain is offered once. (The papers of the field are online: a sample is offered when it passes.)
    Images are read from the past domains' training data when they are drawn, and only those that the memory names.

    Every draw comes from generators of the memory's own, keyed (seed, step): the new domain's batches and augmentation
    are those of a strategy without a memory.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.memory = ReplayMemory(self.hyperparameters.memory)

    def fill_memory(self, experience: Any) -> None:
        """Offer the samples of a domain just learned to the memory. The model is in eval mode, without gradients."""
        raise NotImplementedError

    def after_domain(self, experience: Any) -> None:
        """Fill the memory, then remember the domain."""
        self.model.eval()
        with torch.no_grad():
            self.fill_memory(experience)
        self.past.append(experience)

    def memory_source(self, *newer: Any, train: bool = True) -> BatchSource:
        """Return the memory as a batch source, sample i of the one being sample i of the other.

        Args:
            *newer: Experiences after the past ones that the memory holds samples of.
            train: See ``source_of``.

        Raises:
            BenchError: It holds samples of a domain that is not at hand.
        """
        sources = [source_of(experience, train=train) for experience in [*self.past, *newer]]
        domains = int(self.memory.domains.max()) + 1 if len(self.memory) else 0
        if domains > len(sources):
            raise BenchError(
                f"the memory holds samples of {domains} domains, the training data of {len(sources)} are at hand; "
                "set strategy.past to the experiences learned so far"
            )
        starts = torch.tensor([0, *(len(source) for source in sources)]).cumsum(0)
        return SubsetSource(ConcatSource(sources), starts[self.memory.domains] + self.memory.rows)

    def transform_of(self, experience: Any) -> Transform:
        """Return what makes inputs of a domain's images: the recipe's transform, or none where they are inputs."""
        return self.transform if hasattr(experience, "source") else IdentityTransform()

    def join(self, batch: MemoryBatch) -> None:
        """Put samples from the memory behind those of the new domain: one mini-batch, one forward pass."""
        tasks = self.mb_task_id.new_zeros(len(batch.targets))
        self.mbatch = [
            torch.cat([self.mb_x, batch.inputs]),
            torch.cat([self.mb_y, batch.targets]),
            torch.cat([self.mb_task_id, tasks]),
        ]

    def kept_images(self) -> int:
        """Return the number of samples in the memory, whose images must be there when they are drawn."""
        return len(self.memory)

    def extra_state(self) -> dict[str, Any]:
        """Keep the memory."""
        return {**super().extra_state(), "memory": self.memory.state_dict()}

    def load_extra_state(self, state: Mapping[str, Any]) -> None:
        """Restore the memory."""
        super().load_extra_state(state)
        self.memory.load_state_dict(state["memory"])


class ReplayStrategy(MemoryStrategy):
    """Base of the strategies that draw a batch from a reservoir at every update: ER, DER, DER++, A-GEM and others.

    With the same seed and budget they keep the same samples and draw the same ones, so that they differ in what they do
    with them alone.

    A reservoir keeps the classes in the shares that the data have. Where the recipe balances, what is drawn from it is
    balanced all the same, by the rule of the new domain's batches (``draw``).
    """

    def before_domain(self, experience: Any) -> None:
        """Open the memory for this domain."""
        super().before_domain(experience)
        self.memory_draws = draws.of(self.seed, self.step, "memory: draw")
        self.opened_memory = self.memory_source()
        self.memory_transform = self.transform_of(experience)

    def fill_memory(self, experience: Any) -> None:
        """Offer every sample of the domain to the reservoir once."""
        labels = source_of(experience).targets
        self.memory.offer_evenly(self.step, labels, draws.of(self.seed, self.step, "memory: fill"))

    def draw(self) -> MemoryBatch:
        """Draw samples from the memory, and augment them like those of the new domain.

        As many as ``memory_batch`` says (0: as many as the new domain's batch has). Uniformly and without repeats, or the
        whole memory if it holds fewer. With ``balance`` they are the first of an epoch over the memory
        (``epoch_order``): real and fake equally often in the mean, those of the rarer class repeated, no more often than
        it takes to be as many as the other class.
        """
        count = self.hyperparameters.memory_batch or len(self.mb_y)
        balance = self.balance and len(self.memory) > 0
        places = epoch_order(self.memory.labels, balance, self.memory_draws)[:count]
        targets = self.memory.labels[places]
        images = self.opened_memory.images(places).to(self.device, non_blocking=True)
        inputs = self.memory_transform.train(images, targets, self.memory_draws)
        return MemoryBatch(places, inputs, targets.to(self.device, non_blocking=True))

    def logits_of(self, inputs: Tensor) -> Tensor:
        """Return the model's logits, at least float32 [B, 2], at the strategy's precision.

        With gradients it is a part of an update, and counts in ``images_seen``.
        """
        if torch.is_grad_enabled():
            self.count_images(len(inputs))
        with self.autocast():
            logits: Tensor = self.model(inputs)
        return at_least_float32(logits)


class RehearsalStrategy(MemoryStrategy):
    """Base of the strategies whose epochs run over the memory as well as, or instead of, the new domain.

    Their batches are drawn from both as one set of training data, by the same loader as everybody's, so they are not
    those of a strategy without a memory (as with Joint).
    """

    def training_source(self, experience: Any) -> BatchSource:
        """Return the new domain's samples and, each once, those in the memory."""
        new = source_of(experience, train=True)
        return ConcatSource([new, self.memory_source()]) if len(self.memory) else new

    def make_train_dataloader(self, **kwargs: Any) -> None:
        """Load whole batches from ``training_source``, for experiences without a batch source as well."""
        source = self.training_source(self.experience)
        self.dataloader = self.training_batches(source, self.transform_of(self.experience))
