"""Detectors ready to judge face crops: of a cell or step, of an ONNX file, of weights with a record or of one's own."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from fretal_bench import files
from fretal_bench.benchmark.detectors.graph import CropJudge
from fretal_bench.benchmark.detectors.model import bring
from fretal_bench.benchmark.detectors.onnx_file import read_onnx
from fretal_bench.benchmark.detectors.record import CropRule, DetectorRecord, Learned, record_of
from fretal_bench.benchmark.prediction.inputs import kind_of_detector
from fretal_bench.benchmark.prediction.trained import GIVE, Trained, open_trained
from fretal_bench.benchmark.recipes.device import resolve_device
from fretal_bench.benchmark.recipes.recipe import Recipe
from fretal_bench.datasets.faces.crops import Image
from fretal_bench.datasets.faces.options import PrepareOptions
from fretal_bench.datasets.streams.source import SourceTable
from fretal_bench.errors import BenchError
from fretal_bench.strategies import life
from fretal_bench.strategies.batches import TensorSource

if TYPE_CHECKING:
    from fretal_bench.strategies.template import ContinualStrategy

Scores = NDArray[np.float32]
THRESHOLD: Final = 0.5
"""P(fake) from which on a face counts as fake where no threshold was fitted."""
_BATCH: Final = 64


@dataclass(frozen=True)
class Use:
    """How a detector is used, and what is known of it.

    Attributes:
        name: What it is, in words.
        crop: How it expects faces to be cropped.
        trained_on: The domains that it learned.
        temperature: What logits are divided by; 1 = nothing.
        threshold: P(fake), after that, from which on a face counts as fake; None where none was fitted.
        notes: What is taken for granted of it, one line each.
    """

    name: str
    crop: CropRule
    trained_on: tuple[Learned, ...] = ()
    temperature: float = 1.0
    threshold: float | None = None
    notes: tuple[str, ...] = ()

    @property
    def limit(self) -> float:
        """The threshold that is used."""
        return THRESHOLD if self.threshold is None else self.threshold


class Detector(Protocol):
    """What judges face crops.

    Attributes:
        use: How it is used.
    """

    use: Use

    def score(self, crops: Sequence[Image]) -> Scores:
        """Return P(fake), float32 [N], of crops uint8 [S, S, 3] each, before any temperature."""
        ...


class FakeDetector:
    """The detector that a cell, or a step, ended with.

    Args:
        path: See ``open_trained``.
        device: ``auto``, ``cpu`` or ``cuda``.
        model: See ``open_trained``.

    Raises:
        BenchError: There is no such cell, step or checkpoint, or it is not one of this suite's.
    """

    def __init__(self, path: str | os.PathLike[str], device: str = "auto", model: str = "") -> None:
        trained = open_trained(path, model)
        self.path = trained.place
        self.strategy: ContinualStrategy = trained.judge(device)
        self.use = _use_of_trained(trained)

    def score(self, crops: Sequence[Image]) -> Scores:
        """Return P(fake), float32 [N], of crops uint8 [S, S, 3] each."""
        images = TensorSource(torch.from_numpy(np.stack(crops)))
        try:
            return life.judge(self.strategy, images)
        except life.NoProbability as error:
            raise BenchError(f"{self.path}: {error}; {GIVE}") from error


def _use_of_trained(trained: Trained) -> Use:
    crop = CropRule(trained.crop.size, trained.crop.margin, trained.crop.detector)
    name = f"{trained.info.name}, seed {trained.seed}, recipe {trained.recipe.name}"
    return Use(name, crop, trained.past.learned, *trained.past.fitted())


class WeightsDetector:
    """Weights in a file: of ``bench export``, or of the user's own.

    Args:
        stated: The file, and what the user states of it; what is left out is read from its record.
        crop: The crop rule that the user states, size and margin; what is None is read from the record.
        device: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        BenchError: The weights cannot be read, or what must be known of them is not.
    """

    def __init__(self, stated: SourceTable, crop: StatedCrop, device: str = "auto") -> None:
        brought = bring(stated)
        record = brought.record
        known = record.crop if record is not None else None
        rule, note = crop.rule(known, brought.image_size, str(brought.weights))
        self.device = torch.device(resolve_device(device))
        network = brought.network(Recipe(**brought.keys, channels_last=False), 0)
        judge = CropJudge(network, brought.mean, brought.std, crop=rule.size, image=brought.image_size)
        self.judge = judge.to(self.device)
        # What a record says needs no telling; what is stated, or taken for granted without one, does.
        told = (brought.sentence, *note) if record is None or stated != SourceTable(stated.weights) else note
        self.use = _use_of_record(brought.architecture.name, rule, record, told)

    @torch.inference_mode()
    def score(self, crops: Sequence[Image]) -> Scores:
        """Return P(fake), float32 [N], of crops uint8 [S, S, 3] each."""
        parts = []
        for start in range(0, len(crops), _BATCH):
            images = torch.from_numpy(_images(crops[start : start + _BATCH])).to(self.device)
            parts.append(self.judge(images).cpu().numpy())
        return np.concatenate(parts)


class OnnxDetector:
    """An ONNX file of ``bench export``, with its record beside it.

    Args:
        path: The file.
        crop: The crop rule that the user states; its size is the graph's.

    Raises:
        BenchError: It cannot be read, or no crop rule is known.
    """

    def __init__(self, path: str | os.PathLike[str], crop: StatedCrop) -> None:
        place = files.expanded(path)
        record = record_of(place)
        self._judge = read_onnx(place)
        known = record.crop if record is not None else None
        rule, note = crop.rule(known, self._judge.size, str(place))
        if rule.size != self._judge.size:
            raise BenchError(
                f"{place}: expected crops of {self._judge.size} px, as its graph takes them, found a crop rule of "
                f"{rule.size} px; bring back the record that it was exported with"
            )
        self.use = _use_of_record("an ONNX graph", rule, record, note)

    def score(self, crops: Sequence[Image]) -> Scores:
        """Return P(fake), float32 [N], of crops uint8 [S, S, 3] each."""
        parts = [
            self._judge.score(_images(crops[start : start + _BATCH]))
            for start in range(0, len(crops), _BATCH)
        ]
        return np.concatenate(parts)


@dataclass(frozen=True)
class StatedCrop:
    """What the user states of how faces are cropped; what is None is as the detector's record says."""

    size: int | None = None
    margin: float | None = None

    def rule(self, known: CropRule | None, image: int, where: str) -> tuple[CropRule, tuple[str, ...]]:
        """Return the crop rule, and what is taken for granted of it.

        Args:
            known: What the record says.
            image: Side of the detector's input; 0 = any.
            where: The detector, for the errors.

        Raises:
            BenchError: The size is not known.
        """
        size = self.size or (known.size if known is not None else image)
        if not size:
            raise BenchError(f"{where}: takes crops of any size, and no record says of which; state --size")
        if self.margin is not None:
            return CropRule(size, self.margin, known.detector if known is not None else ""), ()
        if known is not None:
            return CropRule(size, known.margin, known.detector), ()
        usual = PrepareOptions().margin
        note = f"no record says how faces were cropped: {usual:g} times the face box is taken; state --margin"
        return CropRule(size, usual), (note,)


def open_detector(
    path: str | os.PathLike[str],
    own: Mapping[str, Any] | None = None,
    margin: float | None = None,
    device: str = "auto",
) -> Detector:
    """Open what judges.

    Args:
        path: A cell, a step, an ONNX file, or weights.
        own: What the user states of weights, keys of ``SourceTable``.
        margin: The crop's margin that the user states.
        device: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        BenchError: It cannot be opened, or something is stated that it knows itself.
    """
    kind = kind_of_detector(path)
    stated = {key: value for key, value in (own or {}).items() if value is not None}
    if kind == "weights":
        size = stated.get("image_size")
        table = SourceTable(weights=str(files.expanded(path).absolute()), **stated)
        return WeightsDetector(table, StatedCrop(size or None, margin), device)
    # Of a cell or a step it says which code of the user's own builds its model.
    model = str(stated.pop("model", "")) if kind in ("cell", "step") else ""
    if stated:
        raise BenchError(
            f"{os.fspath(path)}: --{next(iter(stated)).replace('_', '-')} is stated of weights of your own, and this "
            "detector knows it itself; leave it out"
        )
    if kind == "onnx":
        return OnnxDetector(path, StatedCrop(margin=margin))
    if margin is not None:
        raise BenchError(f"{os.fspath(path)}: knows its crop rule itself; leave --margin out")
    return FakeDetector(files.expanded(path), device, model)


def _use_of_record(what: str, rule: CropRule, record: DetectorRecord | None, notes: tuple[str, ...]) -> Use:
    if record is None:
        return Use(what, rule, notes=notes)
    name = ", ".join(filter(None, (record.strategy, what)))
    return Use(name, rule, record.trained_on, record.temperature, record.threshold, notes)


def _images(crops: Sequence[Image]) -> NDArray[np.float32]:
    return np.ascontiguousarray(np.stack(crops).transpose(0, 3, 1, 2), np.float32) / np.float32(255)
