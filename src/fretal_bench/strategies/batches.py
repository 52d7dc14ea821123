"""Whole batches from a batch source: their order, their random draws, their transform."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from fretal_bench.strategies import draws
from fretal_bench.strategies.ahead import fetch_batches
from fretal_bench.strategies.draws import generator_for as generator_for  # where plugins import it from


class BatchSource(Protocol):
    """Images and labels of one split of one domain, fetched by the batch."""

    @property
    def targets(self) -> Tensor:
        """Labels, int64 [N]."""
        ...

    def __len__(self) -> int: ...

    def images(self, index: Tensor) -> Tensor:
        """Return images ``index`` (int64 [B]) as uint8 [B, H, W, 3]."""
        ...


class Transform(Protocol):
    """From stored images (uint8 [B, H, W, 3]) to the model's input (float [B, 3, H', W'])."""

    def train(self, images: Tensor, targets: Tensor, generator: torch.Generator) -> Tensor:
        """Augment and normalise; every random draw comes from ``generator`` (on the CPU)."""
        ...

    def eval(self, images: Tensor) -> Tensor:
        """Normalise only."""
        ...


class PlainTransform:
    """No augmentation; pixels to [-1, 1] (mean = std = 0.5)."""

    def train(self, images: Tensor, targets: Tensor, generator: torch.Generator) -> Tensor:
        """Normalise only."""
        return self.eval(images)

    def eval(self, images: Tensor) -> Tensor:
        """Return ``(x / 255 - 0.5) / 0.5``, channels first."""
        return images.permute(0, 3, 1, 2).float().mul_(2 / 255).sub_(1)


class IdentityTransform:
    """For images that are the model's inputs already, as those of a ``DatasetSource`` are."""

    def train(self, images: Tensor, targets: Tensor, generator: torch.Generator) -> Tensor:
        """Return the images as they are."""
        return images

    def eval(self, images: Tensor) -> Tensor:
        """Return the images as they are."""
        return images


class DatasetSource:
    """An Avalanche data set as a batch source; its images are inputs already (``IdentityTransform``).

    Args:
        dataset: Samples (input [3, H, W], label, ...) and ``targets``. Its own transform is applied by itself, and
            draws from torch's global generator if it is random.
    """

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset
        self.targets = torch.as_tensor(list(dataset.targets), dtype=torch.int64)

    def __len__(self) -> int:
        return len(self.targets)

    def images(self, index: Tensor) -> Tensor:
        """Return inputs ``index`` as [B, 3, H, W]."""
        return torch.stack([torch.as_tensor(self._dataset[i][0]) for i in index.tolist()])


def source_of(experience: Any, *, train: bool = False) -> BatchSource:
    """Return the batch source of an experience, or its data set as one (``DatasetSource``).

    Args:
        experience: One of the suite's, or any Avalanche experience.
        train: Of a data set, take the transform for training rather than the one for evaluation.
    """
    if hasattr(experience, "source"):
        source: BatchSource = experience.source
        return source
    dataset = experience.dataset
    return DatasetSource(dataset.train() if train else dataset.eval())


def pixel_range(source: BatchSource, transform: Transform) -> tuple[Tensor, Tensor]:
    """Return what black and white pixels become as inputs of the model, [1, 3, 1, 1] each.

    The transform is asked: it is given an image of zeros and one of 255, of the size that the source's have. So the
    answer holds for any mean and standard deviation, and for any transform.
    """
    image = source.images(torch.tensor([0]))
    black, white = (transform.eval(torch.full_like(image, value)) for value in (0, 255))
    return black.amin(dim=(0, 2, 3), keepdim=True), white.amax(dim=(0, 2, 3), keepdim=True)


class TensorSource:
    """Images in memory as a batch source.

    Args:
        images: uint8 [N, H, W, 3].
        targets: Labels, int64 [N]; all 0 where they are not known.
    """

    def __init__(self, images: Tensor, targets: Tensor | None = None) -> None:
        self._images = images
        self.targets = torch.zeros(len(images), dtype=torch.int64) if targets is None else targets

    def __len__(self) -> int:
        return len(self._images)

    def images(self, index: Tensor) -> Tensor:
        """Return images ``index`` as uint8 [B, H, W, 3]."""
        return self._images[index.to(self._images.device)]


class SubsetSource:
    """Some rows of a batch source as one.

    Args:
        source: Where the images are.
        rows: Which of them, int64 [N], in the order of the subset.
    """

    def __init__(self, source: BatchSource, rows: Tensor) -> None:
        self._source, self._rows = source, rows
        self.targets = source.targets[rows.to(source.targets.device)]

    def __len__(self) -> int:
        return len(self._rows)

    def images(self, index: Tensor) -> Tensor:
        """Return images ``index`` of the subset, as the source gives them."""
        return self._source.images(self._rows[index.to(self._rows.device)])


class ConcatSource:
    """Several batch sources, one after the other, as one."""

    def __init__(self, sources: Sequence[BatchSource]) -> None:
        self._sources = tuple(sources)
        self._starts = torch.tensor(np.cumsum([0] + [len(s) for s in sources]))
        self.targets = torch.cat([source.targets for source in sources])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def images(self, index: Tensor) -> Tensor:
        """Return images ``index`` as uint8 [B, H, W, 3], in the order of ``index``."""
        owner = torch.bucketize(index, self._starts[1:], right=True)
        batch: Tensor | None = None
        for number, source in enumerate(self._sources):
            places = (owner == number).nonzero().squeeze(1)
            if len(places):
                part = source.images(index[places] - self._starts[number])
                if batch is None:
                    batch = part.new_empty((len(index), *part.shape[1:]))
                batch[places.to(part.device)] = part
        if batch is None:
            raise IndexError("no index given")
        return batch


def epoch_order(targets: Tensor, balance: bool, generator: torch.Generator) -> Tensor:
    """Draw the order of one epoch.

    Args:
        targets: Labels, int64 [N].
        balance: Give every class as many places as the largest one, repeating the samples of smaller classes as evenly
            as can be (each is used once more only when all have been used).
        generator: Source of the draws.

    Returns:
        Indices, int64 [N], or [classes x largest class] when balanced.
    """
    if not balance:
        return torch.randperm(len(targets), generator=generator)
    members = [(targets == label).nonzero().squeeze(1) for label in sorted(set(targets.tolist()))]
    largest = max(len(m) for m in members)
    places = []
    for member in members:
        rounds = -(-largest // len(member))
        shuffled = [member[torch.randperm(len(member), generator=generator)] for _ in range(rounds)]
        places.append(torch.cat(shuffled)[:largest])
    order = torch.cat(places)
    return order[torch.randperm(len(order), generator=generator)]


def batches_of_pass(targets: Tensor, batch_size: int, balance: bool) -> int:
    """Return how many batches one pass over a source has: at least 1, without a last, smaller one.

    Args:
        targets: Labels of the source, int64 [N].
        batch_size: Images a batch.
        balance: See ``epoch_order``.
    """
    counts = torch.bincount(targets.cpu())
    places = int(counts.max()) * int((counts > 0).sum()) if balance else len(targets)
    return max(1, places // batch_size)


class BatchLoader:
    """The training batches of one domain; each iteration over it is the next epoch.

    Order and augmentation of an epoch depend on (seed, step, epoch) alone: not on the strategy, on what ran before, or on
    how many processes there are. The last, smaller batch is dropped unless it is the only one, since a batch of one or
    two samples would upset BatchNorm.

    An epoch is one pass over the source, or, where ``batches`` says another number, so many of the batches that passes
    over it one after the other have: the next epoch goes on where the last one ended. The order of such a pass depends
    on (seed, step, pass) alone.

    Args:
        source: Where the images come from.
        batch_size: Images a batch.
        transform: Augmentation and normalisation.
        seed: The cell's seed.
        step: Number of the domain in the stream.
        balance: See ``epoch_order``.
        device: Where the batches go.
        batches: Batches an epoch; those of one pass if None.
    """

    def __init__(
        self,
        source: BatchSource,
        batch_size: int,
        transform: Transform,
        *,
        seed: int = 0,
        step: int = 0,
        balance: bool = False,
        device: torch.device | str = "cpu",
        batches: int | None = None,
    ) -> None:
        self.source, self.batch_size, self.transform = source, batch_size, transform
        self.seed, self.step, self.balance, self.device = seed, step, balance, torch.device(device)
        self.epoch = 0
        self._targets = source.targets.cpu()
        self._of_pass = batches_of_pass(self._targets, batch_size, balance)
        self._batches = self._of_pass if batches is None else batches

    def __len__(self) -> int:
        return self._batches

    def __iter__(self) -> Iterator[list[Tensor]]:
        generator = draws.epoch(self.seed, self.step, self.epoch)
        first = self.epoch * self._batches
        self.epoch += 1
        batches = self._one_pass(generator) if self._batches == self._of_pass else self._passes(first)
        for index, images in fetch_batches(self.source, batches, self.device):
            targets = self._targets[index]
            inputs = self.transform.train(images, targets, generator)
            targets = targets.to(self.device, non_blocking=True)
            yield [inputs, targets, torch.zeros_like(targets)]

    def _one_pass(self, generator: torch.Generator) -> Iterator[Tensor]:
        order = epoch_order(self._targets, self.balance, generator)
        for number in range(self._of_pass):
            yield self._batch(order, number)

    def _passes(self, first: int) -> Iterator[Tensor]:
        """Yield the samples of an epoch's batches, of which the first is number ``first`` of the domain's."""
        order, ordered = torch.empty(0, dtype=torch.int64), -1
        for number in range(first, first + self._batches):
            of_pass, place = divmod(number, self._of_pass)
            if of_pass != ordered:
                generator = draws.of(self.seed, self.step, f"batches: pass {of_pass}")
                order, ordered = epoch_order(self._targets, self.balance, generator), of_pass
            yield self._batch(order, place)

    def _batch(self, order: Tensor, number: int) -> Tensor:
        return order[number * self.batch_size : (number + 1) * self.batch_size]


def clean_batches(
    source: BatchSource, batch_size: int, transform: Transform, device: torch.device | str
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield every sample once, in order and without augmentation: inputs [B, 3, H, W] and labels int64 [B]."""
    targets, device = source.targets.cpu(), torch.device(device)
    starts = range(0, len(source), batch_size)
    batches = (torch.arange(start, min(start + batch_size, len(source))) for start in starts)
    for index, images in fetch_batches(source, batches, device):
        yield transform.eval(images), targets[index].to(device, non_blocking=True)
