"""Small models and experiences that tests share."""

from __future__ import annotations

from types import SimpleNamespace

import torch
from torch import nn

from fretal_bench.testing import TINY_RECIPE, tiny_stream

__all__ = ["TINY", "TensorSource", "TinyBackbone", "experience_of", "namespace", "tiny_stream"]
TINY = TINY_RECIPE


class TinyBackbone(nn.Module):
    """Two convolutions with BatchNorm and a head, with timm's two-part forward; ``spread`` scales the logits."""

    def __init__(self, spread: float = 1.0) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 6, 3, 2, 1), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 8, 3, padding=1), nn.ReLU()
        )
        self.head = nn.Linear(8, 2)
        nn.init.normal_(self.head.weight, std=spread)

    def get_classifier(self):
        return self.head

    def forward_features(self, x):
        return self.body(x)

    def forward_head(self, x):
        return self.head(x.mean((2, 3)))

    def forward(self, x):
        return self.forward_head(self.forward_features(x))


class TensorSource:
    """A batch source over tensors that are inputs already (see ``IdentityTransform``)."""

    def __init__(self, images, targets):
        self._images, self.targets = images, targets

    def __len__(self):
        return len(self.targets)

    def images(self, index):
        return self._images[index]


def experience_of(x, y, number=0):
    """An Avalanche experience over tensors: float [N, 3, H, W] and labels."""
    from avalanche.benchmarks import benchmark_from_datasets
    from avalanche.benchmarks.utils import AvalancheDataset
    from avalanche.benchmarks.utils.data_attribute import DataAttribute
    from torch.utils.data import TensorDataset

    tasks = torch.zeros(len(y), dtype=torch.int64)
    dataset = AvalancheDataset(
        TensorDataset(x, y, tasks),
        data_attributes=[
            DataAttribute(y.tolist(), "targets"),
            DataAttribute(tasks.tolist(), "targets_task_labels"),
        ],
    )
    experience = benchmark_from_datasets(train=[dataset]).train_stream[0]
    experience.current_experience = number
    return experience


def namespace(**values):
    """Anything with these attributes."""
    return SimpleNamespace(**values)
