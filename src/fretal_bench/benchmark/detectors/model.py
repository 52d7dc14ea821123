"""A detector that a user brings: weights, their architecture and pixels, as one model with two outputs, real and fake."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from fretal_bench import files
from fretal_bench.benchmark.detectors.architecture import (
    Architecture,
    build_network,
    heads_of,
    outputs_of,
    own_architecture,
    raw_network,
    swap,
    widen,
)
from fretal_bench.benchmark.detectors.record import Channels, DetectorRecord
from fretal_bench.benchmark.detectors.weights import Weights, fitted, read_weights, without_prefix
from fretal_bench.benchmark.recipes.recipe import Recipe, normalisation_of
from fretal_bench.datasets.streams.source import SourceTable
from fretal_bench.errors import BenchError, first_line
from fretal_bench.strategies.features import head_names

_PROBE: Final = 64
"""Side of the image on which a network of the user's own is tried where its input may have any size."""


@dataclass(frozen=True)
class BroughtModel:
    """A model that a user brought, and what must be known to use it.

    Attributes:
        architecture: What builds its network.
        tensors: The ``state_dict()`` of the network with two outputs, real and fake, in single precision.
        hash: SHA-256 over the names, types, shapes and bytes of these tensors.
        mean: Mean of the pixels, as shares of full scale.
        std: Their standard deviation.
        image_size: Side of the input; 0 = the crops' own.
        stem_stride: Stride of the first convolution; 0 = as it is.
        outputs: Outputs that the weights had.
        fake: Which of two was fake; of one logit what a high one meant.
        taken: Where each of these was taken from, in words.
        weights: The file.
        record: What its record says; None without one.
    """

    architecture: Architecture
    tensors: Mapping[str, Tensor] = field(repr=False)
    hash: str
    mean: Channels
    std: Channels
    image_size: int
    stem_stride: int
    outputs: int
    fake: int
    taken: Mapping[str, str]
    weights: Path
    record: DetectorRecord | None = None

    @property
    def keys(self) -> dict[str, Any]:
        """The keys of a recipe that the model brings with it."""
        return {
            "backbone": self.architecture.name,
            "pretrained": False,
            "stem_stride": self.stem_stride,
            "image_size": self.image_size,
            "mean": self.mean,
            "std": self.std,
        }

    @property
    def sentence(self) -> str:
        """What is taken for granted of the weights, and where each fact is from, in one line."""
        pixels = f"pixels {_channels(self.mean)} and {_channels(self.std)} ({self.taken['mean']})"
        size = f"{self.image_size} px" if self.image_size else "the crops' own size"
        if self.outputs == 2:
            fake = f"output {self.fake} of 2 is fake ({self.taken['fake']})"
        else:
            fake = f"one logit, high for {'fake' if self.fake else 'real'} ({self.taken['fake']})"
        return (
            f"{self.weights}: {self.architecture.name} ({self.taken['backbone']}), {fake}, {pixels}, "
            f"{size} ({self.taken['image_size']})"
        )

    def network(self, recipe: Recipe, seed: int) -> nn.Module:
        """Build the network with these weights, as a recipe trains it; the seed is of adapters that the recipe adds."""
        return build_network(recipe, seed, self.architecture, self.tensors)


def bring(table: SourceTable, folder: Path = Path(), where: str = "") -> BroughtModel:
    """Read weights of the user's own and make the model with two outputs of them, without changing P(fake).

    Args:
        table: What the user states.
        folder: Where relative files start.
        where: Where it is stated, for the errors; by default the file of weights.

    Raises:
        BenchError: The weights cannot be read, are not of the stated architecture, or what must be known is not.
    """
    weights = read_weights(folder / files.expanded(table.weights))
    where = where or str(weights.path)
    facts = _Facts(table, weights)
    architecture = _architecture(facts, folder, where)
    mean, std, size = _pixels(facts, architecture, where)
    architecture = dataclasses.replace(architecture, image_size=size)
    stride = facts.of("stem_stride", 0, "as the backbone has it")
    built = outputs_of(architecture, where) if architecture.file else 0
    outputs, tensors = _tensors(architecture, facts, where, built)
    architecture = dataclasses.replace(architecture, outputs=built or outputs)
    fake = facts.of("fake", 1, "nothing states it")
    network = _network(architecture, outputs, where)
    network.load_state_dict(tensors)
    if outputs == 1:
        widen(network, fake, where)
    elif fake == 0:
        swap(network, where)
    if architecture.file:
        _try_out(network, size or _PROBE, architecture.name, where)
    state = {name: value.detach().clone().contiguous() for name, value in network.state_dict().items()}
    return BroughtModel(
        architecture=architecture,
        tensors=state,
        hash=tensor_hash(state),
        mean=mean,
        std=std,
        image_size=size,
        stem_stride=stride,
        outputs=outputs,
        fake=fake,
        taken=facts.taken,
        weights=weights.path,
        record=weights.record,
    )


class _Facts:
    """What is known of weights, and where each fact was taken from.

    Attributes:
        table: What is stated.
        weights: The weights, with their record.
        taken: By key, where a fact is from, in words.
    """

    def __init__(self, table: SourceTable, weights: Weights) -> None:
        self.table, self.weights = table, weights
        self.taken: dict[str, str] = {}

    @property
    def recorded(self) -> str:
        """Where a fact is from that the record says."""
        place = self.weights.record_place
        return f"as {Path(place).name if place.endswith('.json') else 'its metadata'} says"

    def of(self, key: str, otherwise: Any = None, why: str = "") -> Any:
        """Return what is stated, else what the record says, else ``otherwise``, for the reason ``why``."""
        stated, record = getattr(self.table, key), self.weights.record
        recorded = getattr(record, key) if record is not None else None
        if stated is not None:
            differs = recorded is not None and recorded != stated
            self.taken[key] = f"stated, not {recorded} {self.recorded}" if differs else "stated"
            return stated
        self.taken[key] = self.recorded if recorded is not None else why
        return recorded if recorded is not None else otherwise


def _pixels(facts: _Facts, architecture: Architecture, where: str) -> tuple[Channels, Channels, int]:
    """Return mean and standard deviation of the pixels, and the side of the input."""
    mean, std, size = facts.of("mean"), facts.of("std"), facts.of("image_size")
    if architecture.file and (mean is None or size is None):
        key, what = ("image_size", "the side of its input in pixels, or 0 for the crops' own size")
        if mean is None:
            key, what = "mean", "mean and std of its pixels, as shares of full scale"
        raise BenchError(
            f"{where}: key {key!r}: expected it stated, as {architecture.name} is an architecture of your own, found "
            f"none; state {what}"
        )
    published = "of timm's published weights"
    if mean is None:
        mean, std = normalisation_of(architecture.backbone)
        facts.taken["mean"] = facts.taken["std"] = published
    if size is None:
        size = _published_size(architecture)
        facts.taken["image_size"] = published if size else "timm names none"
    return mean, std, size


def tensor_hash(tensors: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 over names, types, shapes and bytes of tensors, in the order of names."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        value = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {value.dtype} {list(value.shape)}\n".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _architecture(facts: _Facts, folder: Path, where: str) -> Architecture:
    table, record, place = facts.table, facts.weights.record, facts.weights.record_place
    if table.model:
        facts.taken["backbone"] = "code of your own"
        return own_architecture(table.model, folder, table.arguments).checked(where)
    if table.backbone:
        same = record is not None and record.backbone == table.backbone
        other = "" if record is None or same else f", not {record.backbone or record.model} {facts.recorded}"
        facts.taken["backbone"] = f"stated{other}"
        known = record.arguments if record is not None and same else {}
        return Architecture(table.backbone, {**known, **table.arguments}).checked(where)
    if record is not None and record.backbone:
        facts.taken["backbone"] = facts.recorded
        return Architecture(record.backbone, {**record.arguments, **table.arguments}).checked(place)
    if record is not None:
        raise BenchError(
            f"{where}: key 'model': expected FILE.py:FUNCTION, found none, and {place} says that {record.model!r} built "
            "the model: code runs only where you name it; state it"
        )
    raise BenchError(
        f"{where}: key 'backbone': expected a timm model's name, or 'model' with FILE.py:FUNCTION, found none, and "
        f"{facts.weights.path} has no record; state what the weights are of"
    )


def _network(architecture: Architecture, outputs: int, where: str) -> nn.Module:
    """Build a network with as many outputs as its weights have.

    A user's own function may build one logit, and its weights have two outputs: this suite wrote them so (``widen``).
    """
    network = raw_network(architecture, outputs, where)
    if architecture.file and architecture.outputs == 1 and outputs == 2:
        widen(network, 1, where)
    return network


def _tensors(
    architecture: Architecture, facts: _Facts, where: str, built: int
) -> tuple[int, dict[str, Tensor]]:
    """Count the outputs of the weights where nothing states them, and return them under the network's names.

    ``built`` are the outputs of what the user's own function builds; 0 of a timm model.
    """
    network = raw_network(architecture, 2, where)
    outputs = facts.of("outputs", 0, "counted")
    if not outputs:
        outputs = built or _counted(network, facts)
    if architecture.file:
        network = _network(dataclasses.replace(architecture, outputs=built), outputs, where)
        heads_of(network, outputs, where)
    elif outputs == 1:
        network = raw_network(architecture, 1, where)
    who = f"{architecture.name} with {outputs} output{'s' * (outputs > 1)}"
    head = frozenset() if architecture.file else head_names(network)
    return outputs, fitted(facts.weights, network.state_dict(), who, head, facts.table.ignore)


def _counted(network: nn.Module, facts: _Facts) -> int:
    """Count the outputs of weights of a timm model: 1 where every tensor of the head has one row, else 2."""
    tensors = without_prefix(facts.weights.tensors, network.state_dict(), facts.table.ignore)
    rows = [tensors[name].shape[:1] for name in head_names(network) if name in tensors]
    return 1 if rows and all(row == (1,) for row in rows) else 2


def _published_size(architecture: Architecture) -> int:
    """Return the side of the images that timm's published weights of a backbone take; 0 where it names none."""
    import timm

    if "img_size" in architecture.arguments:
        return int(architecture.arguments["img_size"])
    published = timm.get_pretrained_cfg(architecture.backbone)
    return int(published.input_size[-1]) if published is not None else 0


def _channels(values: Channels) -> str:
    return "/".join(f"{value:g}" for value in values) if len(set(values)) > 1 else f"{values[0]:g}"


@torch.inference_mode()
def _try_out(network: nn.Module, size: int, name: str, where: str) -> None:
    """Run a network of the user's own once, on black images; ``BenchError`` if it gives no two logits an image."""
    training = network.training
    try:
        logits = network.eval()(torch.zeros(2, 3, size, size))
    except Exception as error:  # code of the user's may fail in any way
        raise BenchError(
            f"{where}: {name}, code of your own, failed on images of {size} px: {type(error).__name__}: "
            f"{first_line(error)}; fix it, or correct 'image_size'"
        ) from error
    finally:
        network.train(training)
    if not isinstance(logits, Tensor) or logits.shape != (2, 2):
        found = f"shape {list(logits.shape)}" if isinstance(logits, Tensor) else type(logits).__name__
        raise BenchError(
            f"{where}: expected {name} to give a tensor of one row of logits an image, found {found}; fix it"
        )
