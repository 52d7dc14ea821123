"""One tiny world to train in: models of a few hundred weights, a stream in memory, and one on disk.

For the conformance kit, the suite's own tests, and plugin authors' tests.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from fretal_bench import files, parsing
from fretal_bench.datasets.store.store import CropStoreWriter
from fretal_bench.datasets.streams import avalanche
from fretal_bench.testing.ledger import Ledger, WatchedSource

DOMAINS = 3
"""Domains of the stream: a teacher that stays and one that is refreshed differ from the third on."""
SIDE = 32
"""Pixels of a side."""
SIZES = {"train": (12, 18), "val": (4, 4), "test": (10, 10)}
"""Reals and fakes of each split of each domain; uneven in training, so that drawing them evenly matters."""
TINY_RECIPE: Final[dict[str, Any]] = {
    "backbone": "test_byobnet",
    "epochs": 1,
    "source_epochs": 2,
    "batch_size": 8,
    "lr": 0.01,
    "shift": 1,
    "device": "cpu",
}
"""Changes of a recipe that make a run take a second or two: ``run(..., changes={"recipe": TINY_RECIPE})``."""
_FRAMES: Final = 3
WIDTH = 8
"""Channels of the convolutional model's features."""


class TinyConvNet(nn.Module):
    """Two convolutions, BatchNorm, dropout and a linear head, with the methods of a timm model.

    BatchNorm and dropout are there on purpose: a teacher left in train mode moves the one and feels the other.

    Args:
        dropout: Share of the pooled features that is dropped.
        spread: Standard deviation of the head's weights; torch's own initialisation if None.
    """

    num_features = WIDTH

    def __init__(self, dropout: float = 0.1, spread: float | None = None) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 6, 3, stride=2, padding=1),
            nn.BatchNorm2d(6),
            nn.ReLU(),
            nn.Conv2d(6, WIDTH, 3, stride=2, padding=1),
            nn.BatchNorm2d(WIDTH),
            nn.ReLU(),
        )
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(WIDTH, 2)
        if spread is not None:
            nn.init.normal_(self.head.weight, std=spread)

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


def seeded(factory: Callable[[], nn.Module], seed: int) -> nn.Module:
    """Make a model by a factory with torch's global generator seeded, and leave that generator as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return factory()


class WatchedDomain:
    """What ``avalanche.benchmark`` needs of a domain."""

    def __init__(self, ledger: Ledger, number: int) -> None:
        self.name = f"D{number}"
        self._sources = {
            split: WatchedSource(ledger, number, split, *images_of(number, split)) for split in SIZES
        }
        self.rows = {split: source.rows for split, source in self._sources.items()}

    def batches(self, split: str) -> WatchedSource:
        """Return the source of a split."""
        return self._sources[split]


def images_of(domain: int, split: str) -> tuple[Tensor, Tensor]:
    """Draw a split: noise, the fakes with faint stripes whose spacing and channel belong to the domain.

    Returns:
        Images uint8 [N, 32, 32, 3] and labels int64 [N], reals first.
    """
    reals, fakes = SIZES[split]
    random = np.random.default_rng([domain, list(SIZES).index(split)])
    images = random.integers(40, 180, (reals + fakes, SIDE, SIDE, 3))
    images[reals:, :: domain + 2, :, domain % 3] += 45
    labels = torch.tensor([0] * reals + [1] * fakes)
    return torch.from_numpy(images.astype(np.uint8)), labels


def tiny_benchmark(ledger: Ledger | None = None) -> Any:
    """Make a tiny stream in memory as an Avalanche benchmark, as the suite makes its own: see ``streams.avalanche``.

    Beside that, each experience leads to the whole benchmark (``experience.origin_stream.benchmark``), as those of some
    Avalanche benchmarks do: a strategy that looks there for test data finds them, and is seen.
    """
    ledger = Ledger() if ledger is None else ledger
    domains: Any = [WatchedDomain(ledger, number) for number in range(DOMAINS)]
    benchmark = avalanche.benchmark(domains)
    for stream in benchmark.streams.values():
        for experience in stream:
            experience.origin_stream.benchmark = benchmark
    return benchmark


class TinyAugmentation:
    """Flips and shifts the brightness, drawn from the generator it is given; pixels to [-1, 1]."""

    def train(self, images: Tensor, targets: Tensor, generator: torch.Generator) -> Tensor:
        """Augment and normalise uint8 [B, H, W, 3] to float [B, 3, H, W]."""
        inputs = self.eval(images)
        flip = torch.rand(len(inputs), generator=generator).to(inputs.device) < 0.5
        shift = torch.rand(len(inputs), generator=generator).to(inputs.device) * 0.1
        inputs = torch.where(flip[:, None, None, None], inputs.flip(3), inputs)
        return inputs + shift[:, None, None, None]

    def eval(self, images: Tensor) -> Tensor:
        """Normalise only."""
        return images.permute(0, 3, 1, 2).float() * (2 / 255) - 1


def tiny_stream(folder: Path, domains: int = 3, people: int = 12, size: int = 32) -> Path:
    """Write a crop store of noise and a stream over it: every domain's fakes have stripes of their own spacing.

    Args:
        folder: Where the store (``store``) and the stream file (``tiny.toml``) go.
        domains: Number of domains, ``D0`` and so on.
        people: People in all; two are for validation, two for testing, the rest for training.
        size: Side of the crops, pixels.

    Returns:
        Path of the stream file.
    """
    random = np.random.default_rng(0)
    crops, rows = [], []
    for person in range(people):
        split = "train" if person < people - 4 else "val" if person < people - 2 else "test"
        for method in ["real", *(f"m{number}" for number in range(domains))]:
            for frame in range(_FRAMES):
                image = random.integers(60, 196, (size, size, 3))
                if method != "real":
                    image[:: 2 + int(method[1:])] += 50
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
    described = [
        {"name": f"D{number}", "store": "store", "methods": [f"m{number}"]} for number in range(domains)
    ]
    path = folder / "tiny.toml"
    files.write(
        path,
        parsing.to_toml({"name": "tiny", "description": "noise with traces", "domains": described}),
    )
    return path
