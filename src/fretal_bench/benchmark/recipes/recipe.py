"""The recipe: everything about training that is the same for every strategy."""

from __future__ import annotations

import dataclasses
import fnmatch
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from fretal_bench.benchmark.tuning.tuned import TABLES, read_hyperparameters, read_tuning
from fretal_bench.errors import BenchError, unknown_name
from fretal_bench.strategies.record import read_value

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

DEVICES = ("auto", "cpu", "cuda")
_CHOICES = {
    "optimizer": ("adamw", "adam", "sgd"),
    "schedule": ("constant", "onecycle", "cosine"),
    "precision": ("fp32", "bf16", "fp16"),
    "batchnorm": ("adapt", "frozen", "released"),
    "select": ("last", "validation", "source-and-target"),
    "device": DEVICES,
}


@dataclass(frozen=True)
class Recipe:
    """Model, optimisation and augmentation of a run; the same for every strategy in it.

    Args:
        name: Name of the recipe; not part of a cell's id.
        description: One line for ``bench list recipes``; not part of a cell's id.
        backbone: Any timm model name.
        pretrained: Start from timm's published weights (downloaded by timm; nothing is downloaded unless this is set).
        stem_stride: Stride of the first convolution; 0 leaves it as it is, 1 keeps the full resolution of small crops.
        image_size: Side of the model's input in pixels; 0 = the crops' own. Other sizes are resized on the device.
        source_epochs: Epochs on the first domain.
        epochs: Epochs on every later domain.
        batch_size: Images a training batch.
        optimizer: ``adamw``, ``adam`` or ``sgd``; made anew for every domain.
        lr: Learning rate (the peak of it for ``onecycle``).
        momentum: Momentum of ``sgd``.
        weight_decay: Weight decay.
        schedule: ``constant``; ``onecycle``: linear warm-up over the first 30 % of a domain's updates, then a cosine to
            0; ``cosine``: from ``lr`` to 0.
        balance: Draw real and fake equally often.
        flip: Probability of a horizontal flip.
        shift: Largest shift in pixels, both ways, edges repeated.
        brightness: Largest change of brightness, as a share of full scale.
        contrast: Largest change of contrast, as a share.
        cutmix: Probability per batch of CutMix between samples of opposite class, labels not mixed (FReTAL's variant).
        cutmix_alpha: Both parameters of the Beta distribution that CutMix's box comes from.
        batchnorm: On later domains BatchNorm's statistics ``adapt`` or stay ``frozen``, for every strategy alike; or as
            in the ``released`` code of FReTAL and CoReD: frozen for these two, adapting for all others.
        select: Weights kept after a domain: of the ``last`` epoch; of the epoch with the best accuracy on that
            domain's ``validation`` split; or, as FReTAL's and CoReD's released code does, of the epoch with the best sum
            of the validation accuracies of that domain and all before it (``source-and-target``: this reads old data).
        precision: ``fp32``, or autocast to ``bf16`` or ``fp16``.
        channels_last: Store images and weights channels last, which convolutions like.
        compile: Compile the model with ``torch.compile``.
        threads: Threads of a cell on a CPU; a key of the recipe because it can change the last bits of a result.
        device: ``auto`` (CUDA where there is some, else CPU), ``cpu`` or ``cuda``.
        hyperparameters: By strategy, values that stand in for its defaults; part of a cell's id as the strategy's
            hyperparameters, not as the recipe.
        tuning: How those were found (`bench tune`); not part of a cell's id.
    """

    name: str = "mini"
    description: str = ""
    backbone: str = "test_resnet"
    pretrained: bool = False
    stem_stride: int = 0
    image_size: int = 0
    source_epochs: int = 10
    epochs: int = 10
    batch_size: int = 32
    optimizer: str = "adamw"
    lr: float = 0.002
    momentum: float = 0.9
    weight_decay: float = 0.01
    schedule: str = "onecycle"
    balance: bool = True
    flip: float = 0.5
    shift: int = 4
    brightness: float = 0.1
    contrast: float = 0.1
    cutmix: float = 0.0
    cutmix_alpha: float = 0.5
    batchnorm: str = "adapt"
    select: str = "last"
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    channels_last: bool = True
    compile: bool = False
    threads: int = 1
    device: str = "auto"
    hyperparameters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    tuning: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for key, choices in _CHOICES.items():
            if getattr(self, key) not in choices:
                raise unknown_name(f"recipe {self.name!r}: {key}", getattr(self, key), choices)
        if self.precision == "fp16" and self.device == "cpu":
            # Half precision needs loss scaling, which torch has for CUDA alone: without it small gradients become 0.
            raise BenchError(
                f"recipe {self.name!r}: precision fp16 needs CUDA; on a CPU set recipe.precision=fp32 (or bf16)"
            )
        for key in ("source_epochs", "epochs", "batch_size", "threads"):
            if getattr(self, key) < 1:
                raise BenchError(
                    f"recipe {self.name!r}: {key} must be at least 1, found {getattr(self, key)}"
                )
        for key in ("flip", "cutmix", "brightness", "contrast"):
            if not 0 <= getattr(self, key) <= 1:
                raise BenchError(f"recipe {self.name!r}: {key} must be in [0, 1], found {getattr(self, key)}")
        for key in ("lr", "cutmix_alpha"):
            if getattr(self, key) <= 0:
                raise BenchError(f"recipe {self.name!r}: {key} must be above 0, found {getattr(self, key)}")
        for key in ("stem_stride", "image_size", "shift", "weight_decay", "momentum"):
            if getattr(self, key) < 0:
                raise BenchError(
                    f"recipe {self.name!r}: {key} must not be negative, found {getattr(self, key)}"
                )

    def content(self) -> dict[str, Any]:
        """Return what determines results: every key but the name, the description and the strategies' own tables."""
        values = dataclasses.asdict(self)
        for key in ("name", "description", *TABLES):
            del values[key]
        return values

    def changed(self, changes: Mapping[str, Any]) -> Recipe:
        """Return this recipe with ``changes`` (texts are read as the key's type).

        Raises:
            BenchError: A key does not exist or a value is not valid.
        """
        keys = {key: value for key, value in dataclasses.asdict(Recipe()).items() if key not in TABLES}
        for key in changes:
            if key not in keys:
                raise unknown_name("recipe key", key, keys)
        values = {key: read_value(f"recipe.{key}", value, keys[key]) for key, value in changes.items()}
        return dataclasses.replace(self, **values)


def list_recipes(pattern: str = "*") -> list[Recipe]:
    """Return the built-in recipes whose name fits a shell ``pattern``, sorted by name."""
    names = sorted(path.name for path in resources.files(__package__).iterdir())
    recipes = [open_recipe(name.removesuffix(".toml")) for name in names if name.endswith(".toml")]
    return [recipe for recipe in recipes if fnmatch.fnmatchcase(recipe.name, pattern)]


def open_recipe(name: str | os.PathLike[str]) -> Recipe:
    """Open a built-in recipe by name, or the user's own from a TOML file (anything that ends in ``.toml``).

    Raises:
        BenchError: There is no such recipe or file, it is no TOML or not UTF-8, a key does not exist, or a value is not
            valid.
    """
    text_name = os.fspath(name)
    if text_name.endswith(".toml"):
        path = Path(text_name)
        try:
            text = path.read_text("utf-8")
        except OSError as error:
            raise BenchError(f"recipe file {text_name}: cannot be read ({error.strerror})") from error
        except UnicodeDecodeError as error:
            raise BenchError(
                f"recipe file {text_name}: not UTF-8 text (byte {error.start}); save it as UTF-8"
            ) from error
        text_name = path.stem
    else:
        folder = resources.files(__package__)
        known = [
            entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml")
        ]
        if text_name not in known:
            raise unknown_name("recipe", text_name, known)
        text = folder.joinpath(f"{text_name}.toml").read_text("utf-8")
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BenchError(f"recipe {os.fspath(name)}: not valid TOML: {error}") from error
    hyperparameters = read_hyperparameters(values.pop("hyperparameters", {}))
    recipe = Recipe(
        name=text_name, hyperparameters=hyperparameters, tuning=read_tuning(values.pop("tuning", {}))
    )
    return recipe.changed(values)
