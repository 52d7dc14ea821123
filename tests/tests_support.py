"""Small models and experiences that tests share."""

from __future__ import annotations

import hashlib
from types import SimpleNamespace

import torch

from fretal_bench.testing import TINY_RECIPE, TinyConvNet, tiny_stream

__all__ = [
    "NEEDING_ATTENTION",
    "TINY",
    "experience_of",
    "fingerprint_of",
    "hash_of",
    "namespace",
    "recipe_options",
    "tiny_backbone",
    "tiny_stream",
]
TINY = TINY_RECIPE
NEEDING_ATTENTION = {"domain-lora", "s-prompts", "orthogonal-lora"}
"""Strategies that refuse a model without attention blocks."""


def recipe_options(**changes):
    """Give the ``--set`` options of a tiny recipe, with changes to it."""
    return [word for key, value in {**TINY, **changes}.items() for word in ("--set", f"recipe.{key}={value}")]


def tiny_backbone(spread=1.0):
    """The tiny model without dropout, so that a formula can be computed once more; ``spread`` scales its logits."""
    return TinyConvNet(dropout=0.0, spread=spread)


def hash_of(*words):
    """A SHA-256 of some words, as stores and rows have them."""
    return hashlib.sha256("/".join(map(str, words)).encode()).hexdigest()


def fingerprint_of(*names, **changes):
    """What a stream says of itself: domains of these names, each in a store and with rows of its own.

    ``changes`` are of single domains: ``fingerprint_of("a", "b", b={"test": hash_of("other")})``.
    """
    domains = []
    for name in names:
        content = {key: hash_of(name, key) for key in ("store", "train", "val", "test")} | changes.get(
            name, {}
        )
        rows = {split: content[split] for split in ("train", "val", "test")}
        domains.append({"name": content.get("name", name), "store": content["store"], "rows": rows})
    protocol = {"videos_per_class": None, "shared_reals": True, "seed": 0}
    return {"name": "s", "protocol": protocol, "domains": domains}


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
