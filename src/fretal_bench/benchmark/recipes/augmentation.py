"""Augmentation and normalisation of whole batches, on the device, every draw from one CPU generator."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from fretal_bench.benchmark.recipes.recipe import HALF, Recipe


class Augmentation:
    """Flip, shift, brightness, contrast and CutMix as the recipe says; pixels to ``(x / 255 - mean) / std``.

    Mean and standard deviation are the recipe's ``normalisation``. What changes brightness and contrast sees pixels in
    [-1, 1], around mid-grey, whatever these are, so that one recipe augments alike for every backbone.

    Every batch takes the same number of draws from the generator whatever happens with them, so that one switched-off
    augmentation does not move the draws of the others.
    """

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        mean, std = (torch.tensor(values, dtype=torch.float64) for values in recipe.normalisation)
        # From [-1, 1], where a pixel x / 255 is 2 x / 255 - 1.
        self._factor, self._offset = (
            values.float()[:, None, None] for values in (0.5 / std, (0.5 - mean) / std)
        )
        self._half = recipe.normalisation == (HALF, HALF)

    def train(self, images: Tensor, targets: Tensor, generator: torch.Generator) -> Tensor:
        """Augment a batch.

        Args:
            images: uint8 [B, H, W, 3].
            targets: Labels, int64 [B], on the CPU.
            generator: CPU generator of all draws.

        Returns:
            Float [B, 3, H', W'].
        """
        recipe, size = self.recipe, len(images)
        draws = torch.rand(5, size, generator=generator)
        cut = torch.rand(4, generator=generator)
        if recipe.flip or recipe.shift:
            images = self._move(images, draws[0] < recipe.flip, draws[1], draws[2])
        batch = self._pixels(images)
        if recipe.brightness or recipe.contrast:
            device = batch.device
            contrast = _sent(1 + recipe.contrast * (2 * draws[3] - 1), device)
            # Full scale is 2 wide here, from -1 to 1.
            brightness = _sent(2 * recipe.brightness * (2 * draws[4] - 1), device)
            batch = batch.mul_(contrast[:, None, None, None]).add_(brightness[:, None, None, None])
        if cut[0] < recipe.cutmix:
            batch = self._cutmix(batch, targets, cut, generator)
        return self._normalised(batch)

    def eval(self, images: Tensor) -> Tensor:
        """Resize if the recipe asks for another size, normalise: uint8 [B, H, W, 3] -> float [B, 3, H', W']."""
        return self._normalised(self._pixels(images))

    def _pixels(self, images: Tensor) -> Tensor:
        """Bring pixels to [-1, 1] and to the recipe's size."""
        # The permuted view of [B, H, W, 3] is channels-last memory already.
        batch = images.permute(0, 3, 1, 2).float().mul_(2 / 255).sub_(1)
        size = self.recipe.image_size
        if size and batch.shape[-1] != size:
            batch = F.interpolate(batch, (size, size), mode="bilinear", antialias=True, align_corners=False)
        return batch if self.recipe.channels_last else batch.contiguous()

    def _normalised(self, batch: Tensor) -> Tensor:
        """Bring pixels from [-1, 1] to the recipe's mean and standard deviation, in place."""
        if self._half:
            return batch
        return batch.mul_(_sent(self._factor, batch.device)).add_(_sent(self._offset, batch.device))

    def _move(self, images: Tensor, flip: Tensor, down: Tensor, right: Tensor) -> Tensor:
        """Flip and shift by one gather on the bytes; rows and columns beyond the edge repeat it."""
        size, height, width, _ = images.shape
        device, shift = images.device, self.recipe.shift
        down, right = (
            _sent((draw * (2 * shift + 1)).long() - shift, device)[:, None] for draw in (down, right)
        )
        rows = torch.arange(height, device=device) + down
        columns = torch.arange(width, device=device)
        columns = torch.where(_sent(flip, device)[:, None], columns.flip(0), columns) + right
        rows, columns = rows.clamp_(0, height - 1), columns.clamp_(0, width - 1)
        flat = (rows[:, :, None] * width + columns[:, None, :]).view(size, -1, 1).expand(-1, -1, 3)
        return images.reshape(size, -1, 3).gather(1, flat).view(images.shape)

    def _cutmix(self, batch: Tensor, targets: Tensor, cut: Tensor, generator: torch.Generator) -> Tensor:
        """Paste one box, the same for the batch, from a partner of the opposite class into each sample.

        The box covers a share ``1 - lambda`` of the image, lambda ~ Beta(alpha, alpha). The labels stay: that is the
        variant of FReTAL's released code.
        """
        alpha = float(self.recipe.cutmix_alpha)
        keep = float(_beta(alpha, generator))
        height, width = batch.shape[-2:]
        side = (1 - keep) ** 0.5
        centre_y, centre_x = float(cut[1]) * height, float(cut[2]) * width
        top, bottom = _span(centre_y, side * height, height)
        left, right = _span(centre_x, side * width, width)
        real, fake = (targets == 0).nonzero().squeeze(1), (targets == 1).nonzero().squeeze(1)
        if len(real) == 0 or len(fake) == 0:
            return batch
        partner = torch.empty(len(targets), dtype=torch.int64)
        partner[real] = fake[torch.randint(len(fake), (len(real),), generator=generator)]
        partner[fake] = real[torch.randint(len(real), (len(fake),), generator=generator)]
        mixed = batch.clone(memory_format=torch.preserve_format)
        box = (slice(None), slice(None), slice(top, bottom), slice(left, right))
        mixed[box] = batch[_sent(partner, batch.device)][box]
        return mixed


def _sent(values: Tensor, device: torch.device) -> Tensor:
    """Copy a few numbers to the device without waiting for what it is computing."""
    return values.to(device, non_blocking=True)


def _beta(alpha: float, generator: torch.Generator) -> float:
    """Draw from Beta(alpha, alpha) as a ratio of two Gamma draws."""
    pair = torch._standard_gamma(torch.full((2,), alpha, dtype=torch.float64), generator=generator)
    return float(pair[0] / pair.sum())


def _span(centre: float, length: float, limit: int) -> tuple[int, int]:
    return max(0, round(centre - length / 2)), min(limit, round(centre + length / 2))
