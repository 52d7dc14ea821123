"""The table ``[source]`` of a stream file: a model that the user brings, which knows the stream's first domains."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal

from fretal_bench import files, names
from fretal_bench.names import Rule
from fretal_bench.records import Invalid, Record, limited, ruled

Channels = tuple[float, float, float]
"""One number for red, green and blue each, as shares of full scale."""
TEXT: Final = Rule(
    "text without control or bidirectional characters",
    lambda text: names.hidden_fault(text) or ("" if text.strip() else "it is empty"),
)


@dataclass(frozen=True)
class SourceTable(Record):
    """Weights of the user's own, and what must be known to use them.

    What is left out is read from the record of the weights (``NAME.json`` beside them, or the metadata of a safetensors
    file); without one pixels and size are those of timm's published weights of the backbone, outputs are counted, and
    the last of two is fake.

    Attributes:
        weights: File of weights, ``.safetensors``, ``.pt`` or ``.pth``; relative to the stream file.
        backbone: A timm model name.
        arguments: More arguments of ``timm.create_model``, or of the function that ``model`` names.
        model: ``FILE.py:FUNCTION`` for an architecture of the user's own: code of the user's, which is run.
        outputs: Outputs of the weights: 2, or 1 for one logit.
        fake: Which of two outputs is fake, from 0; of one logit whether a high one means fake (1) or real (0).
        mean: Mean of the pixels, as shares of full scale: the model sees ``(x / 255 - mean) / std``.
        std: Their standard deviation.
        image_size: Side of the model's input in pixels; 0 = the crops' own.
        stem_stride: Stride of the first convolution; 0 leaves it as it is.
        ignore: Beginnings of names of tensors in the file that are no part of the model.
    """

    weights: str = ruled(TEXT)
    backbone: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    model: str = ""
    outputs: Literal[1, 2] | None = None
    fake: Literal[0, 1] | None = None
    mean: Channels | None = None
    std: Channels | None = None
    image_size: int | None = limited(None, at_least=0, at_most=4096)
    stem_stride: int | None = limited(None, at_least=0, at_most=64)
    ignore: tuple[str, ...] = ruled(TEXT, ())

    def __post_init__(self) -> None:
        """Check keys that belong together; raises ``Invalid``."""
        super().__post_init__()
        if self.backbone and self.model:
            raise Invalid("model", "none where 'backbone' names a timm model", self.model)
        if self.model and not _is_place(self.model):
            raise Invalid("model", "FILE.py:FUNCTION", self.model)
        for key, other, low in (("mean", "std", 0.0), ("std", "mean", 1e-3)):
            value = getattr(self, key)
            if (value is None) != (getattr(self, other) is None):
                raise Invalid(key, f"a value exactly where {other!r} has one", value)
            if value is not None and not all(low <= part <= 1 for part in value):
                raise Invalid(key, f"three numbers in [{low:g}, 1], as shares of full scale", list(value))
        if self.image_size is not None and 0 < self.image_size < 8:
            raise Invalid("image_size", "0, or at least 8", self.image_size)

    def placed(self, folder: Path) -> SourceTable:
        """Return it with absolute paths; relative ones start from ``folder``."""
        weights = str((folder / files.expanded(self.weights)).absolute())
        file, colon, function = self.model.rpartition(":")
        model = f"{(folder / files.expanded(file)).absolute()}{colon}{function}" if self.model else ""
        return replace(self, weights=weights, model=model)


def _is_place(text: str) -> bool:
    file, _, function = text.rpartition(":")
    return file.endswith(".py") and function.isidentifier()
