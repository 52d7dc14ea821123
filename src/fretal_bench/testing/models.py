"""Tiny models that conformance checks train."""

from __future__ import annotations

import torch
from torch import Tensor, nn

WIDTH = 8
"""Channels of the convolutional model's features."""


class TinyConvNet(nn.Module):
    """Two convolutions, BatchNorm, dropout and a linear head, with the methods of a timm model.

    BatchNorm and dropout are there on purpose: a teacher left in train mode moves the one and feels the other.
    """

    num_features = WIDTH

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 6, 3, stride=2, padding=1),
            nn.BatchNorm2d(6),
            nn.ReLU(),
            nn.Conv2d(6, WIDTH, 3, stride=2, padding=1),
            nn.BatchNorm2d(WIDTH),
            nn.ReLU(),
        )
        self.dropout = nn.Dropout(0.1)
        self.head = nn.Linear(WIDTH, 2)

    def forward_features(self, x: Tensor) -> Tensor:
        """Return feature maps [B, 8, H/4, W/4] of images [B, 3, H, W]."""
        maps: Tensor = self.body(x)
        return maps

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Return logits [B, 2] of feature maps, or the pooled features [B, 8] before the linear layer."""
        pooled: Tensor = self.dropout(x.mean(dim=(2, 3)))
        return pooled if pre_logits else self.head(pooled)

    def get_classifier(self) -> nn.Module:
        """Return the linear layer."""
        return self.head

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [B, 2] of images [B, 3, H, W]."""
        return self.forward_head(self.forward_features(x))


def tiny_convnet() -> nn.Module:
    """Return a new ``TinyConvNet``, its weights from torch's global generator."""
    return TinyConvNet()


def tiny_transformer() -> nn.Module:
    """Return a new tiny vision transformer of timm for 32-pixel images, for strategies that need one."""
    import timm

    model: nn.Module = timm.create_model("test_vit", num_classes=2, img_size=32)
    return model


def seeded(factory: object, seed: int) -> nn.Module:
    """Call a model factory with torch's global generator seeded, and leave that generator as it was."""
    assert callable(factory)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model: nn.Module = factory()
    return model
