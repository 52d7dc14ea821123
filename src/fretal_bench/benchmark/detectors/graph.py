"""A detector as one computation from the pixels of face crops to P(fake), its operations the same for all crops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

from fretal_bench.benchmark.detectors.record import Channels
from fretal_bench.strategies.template import ContinualStrategy


class CropJudge(nn.Module):
    """``P(fake) = p((resize(x) - mean) / std)`` of crops x, float32 [B, 3, S, S], RGB in [0, 1]; gives float32 [B].

    S is the side of the crop rule. The resizing is that of the recipes (bilinear, antialiased) written as two products
    with matrices that depend on both sizes alone, ``R x R^T``: the same in every runtime.

    Args:
        network: What is called and holds the weights.
        probabilities: Gives probabilities [B, 2] of normalised inputs by means of ``network``; its softmax if left out.
        mean: Mean of the pixels, as shares of full scale.
        std: Their standard deviation.
        crop: S.
        image: Side of the network's input; 0 = the crops' own.
    """

    mean: Tensor
    std: Tensor
    resize: Tensor

    def __init__(
        self,
        network: nn.Module,
        mean: Channels,
        std: Channels,
        *,
        crop: int,
        image: int = 0,
        probabilities: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.network, self._probabilities, self.crop = network, probabilities, crop
        for name, values in (("mean", mean), ("std", std)):
            self.register_buffer(name, torch.tensor(values)[:, None, None])
        self.resized = bool(image) and image != crop
        self.register_buffer("resize", resize_matrix(crop, image) if self.resized else torch.empty(0))
        self.eval().requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        """Return P(fake), float32 [B], of images float32 [B, 3, S, S], RGB in [0, 1]."""
        if self.resized:
            images = self.resize @ images @ self.resize.mT
        inputs = (images - self.mean) / self.std
        if self._probabilities is not None:
            return self._probabilities(inputs)[:, 1].float()
        return torch.softmax(self.network(inputs).float(), 1)[:, 1]


def resize_matrix(crop: int, image: int) -> Tensor:
    """Return R [image, crop]: bilinear, antialiased resizing of one side of a picture, as ``Augmentation`` does it."""
    rows = torch.eye(crop)[None, None]
    return F.interpolate(rows, (image, crop), mode="bilinear", antialias=True, align_corners=False)[0, 0]


def of_strategy(
    strategy: ContinualStrategy, mean: Channels, std: Channels, *, crop: int, image: int
) -> CropJudge:
    """Return what a strategy judges by, whatever its rule is.

    Args:
        strategy: As ``life.build_judge`` gives it, on the CPU, in fp32.
        mean: As ``CropJudge``'s.
        std: As ``CropJudge``'s.
        crop: As ``CropJudge``'s.
        image: As ``CropJudge``'s.
    """
    return CropJudge(
        strategy.model, mean, std, crop=crop, image=image, probabilities=strategy.traceable_probabilities
    )


def merged_tensors(network: nn.Module) -> dict[str, Tensor]:
    """Return a network's ``state_dict()`` with the adapters in use added to the weights that they adapt, and gone.

    A weight that is computed of others (``torch.nn.utils.parametrize``) stands under its own name, as it is now.
    """
    tensors = network.state_dict()
    for place, module in network.named_modules():
        if not parametrize.is_parametrized(module):
            continue
        prefix = f"{place}." if place else ""
        for name in cast(Any, module).parametrizations:
            inside = f"{prefix}parametrizations.{name}."
            tensors = {key: value for key, value in tensors.items() if not key.startswith(inside)}
            tensors[prefix + name] = getattr(module, name)
    return {key: value.detach().clone().contiguous() for key, value in tensors.items()}
