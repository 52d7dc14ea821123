"""Small models and experiences that tests share."""

from __future__ import annotations

from types import SimpleNamespace

import torch
from torch import nn


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


TINY = {
    "backbone": "test_byobnet",
    "epochs": 1,
    "source_epochs": 2,
    "batch_size": 8,
    "lr": 0.01,
    "shift": 1,
    "device": "cpu",
}
"""Recipe changes that make a run take a second or two."""


def tiny_stream(folder, domains=3, people=12, size=32):
    """Write a crop store of noise with a trace per domain, and a stream over it; return the stream file's path."""
    import numpy as np
    import pandas as pd

    from fretal_bench.datasets.store.store import CropStoreWriter

    random = np.random.default_rng(0)
    crops, rows = [], []
    for person in range(people):
        split = "train" if person < people - 4 else "val" if person < people - 2 else "test"
        for method in ["real", *(f"m{k}" for k in range(domains))]:
            for frame in range(3):
                image = random.integers(60, 196, (size, size, 3))
                if method != "real":
                    step = 2 + int(method[1:])
                    image[::step] += 50
                crops.append(image.astype(np.uint8))
                rows.append(
                    {
                        "path": f"{method}/p{person}.mp4",
                        "dataset": "tiny",
                        "method": method,
                        "compression": "none",
                        "split": split,
                        "label": int(method != "real"),
                        "video": f"p{person}",
                        "source": f"p{person}",
                        "target": f"p{person}",
                        "frame": frame,
                    }
                )
    with CropStoreWriter(folder / "store", size=size, name="tiny") as writer:
        writer.add(np.stack(crops), pd.DataFrame(rows))
        writer.finish()
    parts = ['name = "tiny"', 'description = "noise with traces"']
    parts += [f'[[domains]]\nname = "D{k}"\nstore = "store"\nmethods = ["m{k}"]' for k in range(domains)]
    path = folder / "tiny.toml"
    path.write_text("\n".join(parts) + "\n")
    return path
