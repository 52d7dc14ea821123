"""The record beside a detector's weights: ``NAME.json``, what must be known to use ``NAME.safetensors``."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from fretal_bench import files, parsing, records
from fretal_bench.errors import BenchError
from fretal_bench.names import ID, NAME, SHA256, Rule
from fretal_bench.records import Invalid, Record, limited, ruled

FORMAT: Final = 1
"""The record's; raised when an older version would misread what a newer one writes."""
SUFFIX: Final = ".json"
_WHAT: Final = "detector's record"
_CHECKSUM: Final = Rule("a hexadecimal checksum", lambda text: ID.fault(text) if text else "")
_REMEDY: Final = "correct it, or remove it and state what it says as options"
Channels = tuple[float, float, float]
"""One number for red, green and blue each, as shares of full scale."""


@dataclass(frozen=True)
class CropRule(Record):
    """How the faces that a detector expects are cropped.

    Attributes:
        size: Height and width of a crop, pixels.
        margin: Side of the crop over the longer side of the face box.
        detector: What found the faces; empty where that is not known.
    """

    size: int = limited(at_least=1, at_most=8192)
    margin: float = limited(at_least=0, at_most=100)
    detector: str = ""


@dataclass(frozen=True)
class Learned(Record):
    """A domain that a detector was trained on.

    Attributes:
        domain: Its name.
        kinds: What its samples are, each ``DATASET/METHOD/COMPRESSION`` (the manifest's), fakes and reals.
        samples: Training images; 0 where that is not known.
        store: The checksum of the crop store that they are in; empty where that is not known.
    """

    domain: str = ruled(NAME)
    kinds: tuple[str, ...] = ()
    samples: int = limited(0, at_least=0)
    store: str = ruled(_CHECKSUM, "")


@dataclass(frozen=True)
class Measured(Record):
    """What a detector reached on one test set.

    Attributes:
        domain: The test set's name.
        samples: Its images.
        auc: Area under the ROC curve of single images; None where the set has one class alone.
        accuracy: Share of the images that are judged right at ``threshold``.
        threshold: P(fake) from which on an image counts as fake there.
    """

    domain: str = ruled(NAME)
    samples: int = limited(at_least=1)
    auc: float | None = limited(None, at_least=0, at_most=1)
    accuracy: float | None = limited(None, at_least=0, at_most=1)
    threshold: float = limited(0.5, at_least=0, at_most=1)


@dataclass(frozen=True, kw_only=True)
class DetectorRecord(Record):
    """The content of ``NAME.json``.

    Attributes:
        format: Version of the layout.
        backbone: A timm model name; empty for an architecture of the user's own.
        arguments: More arguments of ``timm.create_model``, or of the user's own function.
        model: ``FILE.py:FUNCTION`` that built the model, where it is no timm model. It is read by people alone: code is
            run only where the user names it in the call.
        stem_stride: Stride of the first convolution; 0 leaves it as the backbone has it.
        outputs: Outputs of the weights: 2, or 1 for one logit.
        fake: Which of two outputs is fake, from 0; of one logit whether a high one means fake (1) or real (0).
        mean: Mean of the pixels: the model sees ``(x / 255 - mean) / std``.
        std: Their standard deviation.
        image_size: Side of the model's input in pixels, to which crops are resized; 0 = the crops' own.
        crop: How faces are cropped; None where that is not known.
        trained_on: The domains that it learned, in order.
        measured: What it reached on test sets.
        strategy: The strategy that trained it last; empty where that is not known.
        step: The id of the step that it is; empty for none of this suite's.
        seed: The seed that it was trained with; None where there is none.
        recipe: ``Recipe.content()`` of the recipe that trained it; empty where that is not known.
        temperature: What logits are divided by before they become P(fake), fitted on validation samples; 1 = nothing.
        threshold: P(fake), after that, from which on an image counts as fake, chosen on validation samples; None where
            none was: 0.5 is used then.
        licence: Under which conditions the weights may be used, in words; empty where that is not known.
        made_by: The program that wrote it.
        sha256: Hashes of the files of weights that it goes with, by suffix (``safetensors``, ``onnx``), so that both
            may be renamed together.
    """

    format: int = FORMAT
    backbone: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    model: str = ""
    stem_stride: int = limited(0, at_least=0, at_most=64)
    outputs: Literal[1, 2] = 2
    fake: Literal[0, 1] = 1
    mean: Channels
    std: Channels
    image_size: int = limited(0, at_least=8, at_most=4096)
    crop: CropRule | None = None
    trained_on: tuple[Learned, ...] = ()
    measured: tuple[Measured, ...] = ()
    strategy: str = ""
    step: str = ""
    seed: int | None = limited(None, at_least=0)
    recipe: Mapping[str, Any] = field(default_factory=dict)
    temperature: float = limited(1.0, above=0, at_most=1e4)
    threshold: float | None = limited(None, at_least=0, at_most=1)
    licence: str = ""
    made_by: str = ""
    sha256: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check every key, and those that belong together; raises ``Invalid``."""
        super().__post_init__()
        if bool(self.backbone) == bool(self.model):
            raise Invalid("backbone", "a timm model's name, or an empty one and 'model'", self.backbone)
        check_pixels(self.mean, self.std)
        for suffix, digest in self.sha256.items():
            if fault := SHA256.fault(digest):
                raise Invalid(f"sha256.{suffix}", SHA256.expected, digest, fault)


def check_pixels(mean: Channels, std: Channels) -> None:
    """Check a normalisation of pixels, in shares of full scale.

    Raises:
        Invalid: A mean is outside of [0, 1], or a standard deviation outside of [0.001, 1].
    """
    for key, values, low in (("mean", mean, 0.0), ("std", std, 1e-3)):
        if not all(low <= value <= 1 for value in values):
            raise Invalid(key, f"three numbers in [{low:g}, 1]", list(values))


def record_path(weights: str | os.PathLike[str]) -> Path:
    """Return where the record of a file of weights is: beside it, under the same name."""
    return Path(weights).with_suffix(SUFFIX)


def read_record(path: str | os.PathLike[str]) -> DetectorRecord:
    """Read and check a detector's record.

    Raises:
        BenchError: It is missing or damaged, of another format, or a key or value is not what the record takes.
    """
    return parsed_record(parsing.read_json(path, _WHAT, _REMEDY), os.fspath(path))


def parsed_record(values: Any, where: str) -> DetectorRecord:
    """Check a detector's record that is parsed already; ``where`` it stands is for the errors.

    Raises:
        BenchError: It is of another format, or a key or value is not what the record takes.
    """
    version = values.get("format") if isinstance(values, dict) else None
    if type(version) is not int or version != FORMAT:
        raise BenchError(
            f"{where}: expected a {_WHAT} of format {FORMAT}, found "
            f"{'none' if version is None else repr(version)}; "
            f"{'read it with the version of fretal-bench that wrote it' if type(version) is int else _REMEDY}"
        )
    try:
        return records.read(DetectorRecord, values, f"{where}: {_WHAT}")
    except BenchError as error:
        raise BenchError(f"{error}; {_REMEDY}") from error


def record_of(weights: str | os.PathLike[str]) -> DetectorRecord | None:
    """Return the record beside a file of weights; None if there is none.

    Raises:
        BenchError: There is one that cannot be read, or its hash says that it goes with other weights.
    """
    path = record_path(weights)
    if not os.path.lexists(path):
        return None
    record = read_record(path)
    suffix = Path(weights).suffix.removeprefix(".")
    expected = record.sha256.get(suffix)
    if expected is not None and (found := files.sha256(weights)) != expected:
        raise BenchError(
            f"{os.fspath(weights)}: expected sha256 {expected}, as {path.name} says, found {found}: the record goes with "
            "other weights; bring back the file that it describes, or remove the record and state what it says as options"
        )
    return record


def write_record(path: str | os.PathLike[str], record: DetectorRecord) -> None:
    """Write a detector's record as JSON, whole or not at all.

    Raises:
        RunError, BenchError: See ``files.refusals``.
    """
    files.write(path, parsing.to_json(parsing.plain(dataclasses.asdict(record))))
