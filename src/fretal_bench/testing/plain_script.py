"""An Avalanche user's script in the tiny world: tensors without task labels, a plain model, ``train`` and ``eval``."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fretal_bench.strategies.loading import load
from fretal_bench.testing.rig import BATCH, JUDGING_BATCH, RATE, Rig, TrainingFailed, told
from fretal_bench.testing.world import DOMAINS, SIDE, seeded, tiny_convnet

_EPOCHS, _COUNT = 2, 24
"""Epochs an experience, and samples of each of its splits."""


@dataclass(frozen=True)
class Scripted:
    """What a script saw.

    Attributes:
        accuracies: What the last ``eval`` returned as accuracies, by Avalanche's names.
        scores: P(fake) of the test samples of each experience.
        labels: Their labels.
    """

    accuracies: Mapping[str, float]
    scores: tuple[NDArray[np.float32], ...]
    labels: tuple[NDArray[np.int64], ...]

    @property
    def of_stream(self) -> float:
        """The accuracy that ``eval`` returned of the whole stream."""
        (value,) = (value for name, value in self.accuracies.items() if "Stream" in name)
        return value

    @property
    def counted(self) -> float:
        """The share of the test samples that ``scores`` judge rightly at 0.5."""
        fakes, labels = np.concatenate(self.scores) >= 0.5, np.concatenate(self.labels)
        return float(np.mean(fakes == (labels == 1)))


def plain_convnet() -> nn.Module:
    """Return a new model that is no more than a ``Module`` with a last linear layer: images [B, 3, H, W], two outputs."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(32, 16),
        nn.ReLU(),
        nn.Linear(16, 2),
    )


def run_script(rig: Rig) -> Scripted:
    """Train a strategy along an Avalanche benchmark of tensors, and evaluate it, as such a script does.

    The model is ``plain_convnet``, or the rig's own where that is not the kit's.

    Raises:
        TrainingFailed: The strategy raised.
    """
    at = "when it was made"
    try:
        # A script draws from torch's global generator; those of other checks are left as they were.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            benchmark = _benchmark()
            model = seeded(plain_convnet if rig.model is tiny_convnet else rig.model, 1)
            strategy = load(rig.info)(
                model=model,
                optimizer=torch.optim.SGD(model.parameters(), RATE, momentum=0.9),
                train_mb_size=BATCH,
                train_epochs=_EPOCHS,
                eval_mb_size=JUDGING_BATCH,
                device=rig.device,
                **rig.base,
            )
            for number, experience in enumerate(benchmark.train_stream):
                at = f"on experience {number}"
                strategy.train(experience)
            at = "in eval()"
            metrics = strategy.eval(benchmark.test_stream)
            at = "in probabilities()"
            strategy.model.eval()
            tests = [_tensors(domain, "test") for domain in range(DOMAINS)]
            with torch.no_grad():
                scores = tuple(
                    strategy.probabilities(x.to(rig.device))[:, 1].float().cpu().numpy() for x, _ in tests
                )
    except Exception as error:
        raise TrainingFailed(told(error, at)) from error
    accuracies = {str(name): value for name, value in (metrics or {}).items() if "Top1_Acc" in str(name)}
    return Scripted(accuracies, scores, tuple(y.numpy() for _, y in tests))


def _benchmark() -> Any:
    """Make the benchmark: an experience a domain, of (float32 [3, 32, 32], label)."""
    from avalanche.benchmarks import benchmark_from_datasets
    from avalanche.benchmarks.utils import as_classification_dataset
    from torch.utils.data import TensorDataset

    def dataset(domain: int, split: str) -> Any:
        x, y = _tensors(domain, split)
        tensors: Any = TensorDataset(x, y)
        tensors.targets = y.tolist()
        return as_classification_dataset(tensors)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return benchmark_from_datasets(
            **{split: [dataset(domain, split) for domain in range(DOMAINS)] for split in ("train", "test")}
        )


def _tensors(domain: int, split: str) -> tuple[Tensor, Tensor]:
    """Draw a split: noise, the fakes brighter by two standard deviations, so that two epochs suffice to learn it."""
    generator = torch.Generator().manual_seed(2 * domain + (split == "test"))
    labels = torch.arange(_COUNT) % 2
    noise = torch.randn(_COUNT, 3, SIDE, SIDE, generator=generator)
    return noise + 2.0 * labels[:, None, None, None], labels
