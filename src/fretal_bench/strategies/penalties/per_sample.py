"""Gradients of single samples, and the choice of samples that a weight's importance is estimated from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from fretal_bench.strategies import draws
from fretal_bench.strategies.batches import (
    BatchSource,
    DatasetSource,
    IdentityTransform,
    SubsetSource,
    clean_batches,
)
from fretal_bench.strategies.template import ContinualStrategy

Weights = dict[str, Tensor]
Batches = Iterable[tuple[Tensor, Tensor]]
SampleFunction = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""From one sample's logits [C] and its label to the scalar that is differentiated and a value that is kept with it."""

CHUNK = 2**26
"""Gradients of single samples take B times the weights' memory: at most so many numbers (about 256 MB) at a time."""


def per_sample_gradients(
    model: nn.Module, batches: Batches, function: SampleFunction
) -> Iterator[tuple[Weights, Tensor]]:
    """Differentiate ``function`` of every single sample by the trainable weights of ``model``.

    The model is in eval mode meanwhile and put back afterwards; its weights, gradients and BatchNorm statistics don't
    change.

    Args:
        model: The model; logits are ``model(inputs)``.
        batches: Inputs [B, 3, H, W] and labels int64 [B].
        function: See ``SampleFunction``. It is called under ``vmap``: no branching on values.

    Yields:
        For some samples b at a time: gradients by weight name, [b, *shape of the weight], and the values kept [b].
    """
    was_training = model.training
    model.eval()
    weights = {name: w.detach() for name, w in model.named_parameters() if w.requires_grad}
    fixed = {name: w.detach() for name, w in model.named_parameters() if not w.requires_grad}
    fixed |= dict(model.named_buffers())

    def of_sample(weights: Weights, inputs: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        return function(functional_call(model, (weights, fixed), (inputs[None],))[0], target)

    single: Callable[..., tuple[Weights, Tensor]] = vmap(grad(of_sample, has_aux=True), in_dims=(None, 0, 0))
    chunk = max(1, CHUNK // max(1, sum(w.numel() for w in weights.values())))
    try:
        for inputs, targets in batches:
            for x, y in zip(torch.split(inputs, chunk), torch.split(targets, chunk), strict=True):
                yield single(weights, x, y)
    finally:
        model.train(was_training)


def importance_batches(
    strategy: ContinualStrategy, experience: Any, count: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the training samples, without augmentation, that importance is estimated from.

    Args:
        strategy: Whose domain it is; the draw depends on its seed and step alone.
        experience: The domain.
        count: How many samples to draw, without repetition; 0 = all.
    """
    if not count:
        yield from strategy.clean_batches(experience)
        return
    plain = not hasattr(experience, "source")
    source: BatchSource = DatasetSource(experience.dataset.eval()) if plain else experience.source
    draw = torch.randperm(len(source), generator=draws.of(strategy.seed, strategy.step, "importance"))
    chosen = SubsetSource(source, draw[:count].sort().values)
    transform = IdentityTransform() if plain else strategy.transform
    yield from clean_batches(chosen, strategy.eval_mb_size, transform, strategy.device)
