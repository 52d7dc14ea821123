"""The recipe: everything about training that is the same for every strategy."""

from __future__ import annotations

import dataclasses
import fnmatch
import functools
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal, cast

from fretal_bench import files, parsing, records
from fretal_bench.errors import BenchError, unknown_name
from fretal_bench.names import NAME, shown
from fretal_bench.records import Invalid, Record, limited, ruled
from fretal_bench.strategies.registry import by_own_name, find_strategy, own_name

Channels = tuple[float, float, float]
"""One number for red, green and blue each."""
Device = Literal["auto", "cpu", "cuda"]
Trainable = Literal["all", "head", "norms", "lora"]
TABLES: Final = ("hyperparameters", "tuning")
"""Keys of a recipe that are tables; its others are what training does, the same for every strategy."""
SEEDS: Final = 2**32
"""Seeds are whole numbers from 0 that are below this: two that are equal modulo it would draw the same batches."""
HALF: Final[Channels] = (0.5, 0.5, 0.5)
"""Mean and standard deviation that bring pixels to [-1, 1]: what there was before recipes named any."""
_LORA: Final = ("lora_rank", "lora_alpha")
"""Keys that say something where ``trainable`` is ``lora`` alone."""
_FILE: Final = "give the name of a recipe (`bench list recipes`), or a TOML file"


@dataclass(frozen=True)
class Tuning(Record):
    """How the hyperparameters of a recipe were found: its table ``[tuning]``.

    Attributes:
        stream: The stream's name.
        domains: Those that were learned, in order.
        budget: Trials a strategy.
        seed: Of the draws and of training.
        objective: What a trial was scored by, in words.
        strategies: Those of which something was searched.
    """

    stream: str = ruled(NAME)
    domains: tuple[str, ...] = ruled(NAME)
    budget: int = limited(at_least=1, at_most=1_000_000)
    seed: int = limited(at_least=0, below=SEEDS)
    objective: str = field(kw_only=True)
    strategies: tuple[str, ...] = ruled(NAME)


_OTHER_WORDS: Final = MappingProxyType(
    {
        other: key
        for key, words in {
            "backbone": "model architecture arch network net",
            "batch_size": "batch batchsize bs train_batch_size",
            "batchnorm": "batch_norm bn",
            "device": "gpu cuda",
            "epochs": "epoch n_epochs num_epochs max_epochs",
            "image_size": "image imagesize img_size input_size resolution",
            "lr": "learning_rate learningrate",
            "optimizer": "optim opt",
            "precision": "amp dtype mixed_precision",
            "schedule": "scheduler lr_schedule lr_scheduler",
            "weight_decay": "wd",
        }.items()
        for other in words.split()
    }
)
"""Which key is meant by a word that others have for it."""


@dataclass(frozen=True)
class Recipe(Record):
    """Model, optimisation and augmentation of a run; the same for every strategy in it.

    The defaults are those of the built-in recipe ``mini``: that is what a recipe file leaves out.

    Args:
        name: Name of the recipe; not part of a cell's id.
        description: One line for ``bench list recipes``; not part of a cell's id.
        backbone: Any timm model name, with the tag of its published weights where it has several (``NAME.TAG``).
        pretrained: Start from timm's published weights (downloaded by timm; nothing is downloaded unless this is set).
        stem_stride: Stride of the first convolution; 0 leaves it as it is, 1 keeps the full resolution of small crops.
        trainable: Which of the model's weights learn, on every domain, the first included; the others stay as they
            began, BatchNorm's statistics among them (``recipes/trainable.py``). ``all``; the ``head`` alone (linear
            probing); the affine weights of all normalisation layers, and the head (``norms``); low-rank adapters on the
            attention's linear layers, and the head (``lora``). What a strategy adds to a model learns as it says.
        lora_rank: Rank of these adapters; the suite's choice.
        lora_alpha: Their scale is ``lora_alpha / lora_rank``; the suite's choice.
        layer_decay: Layer-wise decay of the learning rate: a layer that is n layers below the head learns at
            ``layer_decay**n`` times the rate, layers as timm groups them; 1 = all at one rate.
        image_size: Side of the model's input in pixels; 0 = the crops' own. Other sizes are resized on the device.
        source_epochs: Epochs on the first domain.
        epochs: Epochs on every later domain.
        effort: What is the same for every strategy: ``epochs`` over what it trains on, so that one whose epochs hold old
            samples too takes more updates; or ``updates``: on every domain as many as fine-tuning takes there, whatever
            a strategy trains on, and the schedule as long.
        batch_size: Images a training batch; 2 at least, since BatchNorm needs two.
        optimizer: ``adamw``, ``adam`` or ``sgd``; made anew for every domain.
        lr: Learning rate (the peak of it for ``onecycle``).
        momentum: Momentum of ``sgd``.
        weight_decay: Weight decay.
        schedule: ``constant``; ``onecycle``: linear warm-up over the first 30 % of a domain's updates, then a cosine to
            0; ``cosine``: from ``lr`` to 0.
        balance: Draw real and fake equally often, of the new domain and where a strategy draws from a memory.
        flip: Probability of a horizontal flip.
        shift: Largest shift in pixels, both ways, edges repeated.
        brightness: Largest change of brightness, as a share of full scale.
        contrast: Largest change of contrast, as a share.
        mean: What is subtracted from pixels, as a share of full scale: one number, or one for red, green and blue each.
            Left out: see ``normalisation``.
        std: What they are divided by then; left out or given together with ``mean``.
        cutmix: Probability per batch of CutMix between samples of opposite class, labels not mixed (FReTAL's variant).
        cutmix_alpha: Both parameters of the Beta distribution that CutMix's box comes from.
        batchnorm: On later domains BatchNorm's statistics ``adapt`` or stay ``frozen``, for every strategy alike; or as
            in the ``released`` code of FReTAL and CoReD: frozen for these two, adapting for all others.
        select: Weights kept after a domain: of the ``last`` epoch; of the epoch with the best accuracy on that
            domain's ``validation`` split; or, as FReTAL's and CoReD's released code does, of the epoch with the best sum
            of the validation accuracies of that domain and all before it (``source-and-target``: this reads old data).
        ties: Of epochs whose accuracy is the same, the one that is kept: that with the best validation AUC; of equal
            AUCs that with the lowest cross-entropy, of these the latest (``auc``); or the ``first``, as in the released
            code, which throws a training away whose accuracy stays at chance, or at 1.
        precision: ``fp32``, or autocast to ``bf16`` or ``fp16``.
        channels_last: Store images and weights channels last, which convolutions like.
        compile: Compile the model with ``torch.compile``.
        threads: Threads of a cell on a CPU; a key of the recipe because it can change the last bits of a result.
        device: ``auto`` (CUDA where there is some, else CPU), ``cpu`` or ``cuda``.
        hyperparameters: By strategy, values that stand in for its defaults; part of a cell's id as the strategy's
            hyperparameters, not as the recipe.
        tuning: How those were found (`bench tune`); not part of a cell's id.
    """

    other_words = _OTHER_WORDS

    name: str = ruled(NAME, "mini")
    description: str = ""
    backbone: str = "test_byobnet"
    pretrained: bool = False
    stem_stride: int = limited(0, at_least=0, at_most=64)
    trainable: Trainable = "all"
    lora_rank: int = limited(4, at_least=1, at_most=4096)
    lora_alpha: float = limited(8.0, above=0, at_most=1e6)
    layer_decay: float = limited(1.0, above=0, at_most=1)
    image_size: int = limited(0, at_least=8, at_most=4096)
    source_epochs: int = limited(8, at_least=1, at_most=1_000_000)
    epochs: int = limited(8, at_least=1, at_most=1_000_000)
    effort: Literal["epochs", "updates"] = "epochs"
    batch_size: int = limited(32, at_least=1, at_most=65_536)
    optimizer: Literal["adamw", "adam", "sgd"] = "adamw"
    lr: float = limited(0.003, above=0, at_most=1000)
    momentum: float = limited(0.9, at_least=0, below=1)
    weight_decay: float = limited(0.05, at_least=0, at_most=1000)
    schedule: Literal["constant", "onecycle", "cosine"] = "onecycle"
    balance: bool = True
    flip: float = limited(0.5, at_least=0, at_most=1)
    shift: int = limited(4, at_least=0, at_most=1024)
    brightness: float = limited(0.075, at_least=0, at_most=1)
    contrast: float = limited(0.15, at_least=0, at_most=1)
    mean: float | Channels | None = None
    std: float | Channels | None = None
    cutmix: float = limited(0.0, at_least=0, at_most=1)
    cutmix_alpha: float = limited(0.5, at_least=0.05, at_most=100)
    batchnorm: Literal["adapt", "frozen", "released"] = "adapt"
    select: Literal["last", "validation", "source-and-target"] = "last"
    ties: Literal["auc", "first"] = "auc"
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    channels_last: bool = True
    compile: bool = False
    threads: int = limited(1, at_least=1, at_most=256)
    device: Device = "auto"
    hyperparameters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    tuning: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check every key, and those that belong together; raises ``Invalid``, or ``ValueError`` in its own words."""
        super().__post_init__()
        if self.hyperparameters:
            object.__setattr__(self, "hyperparameters", _of_own_names(self.hyperparameters))
        for key, other, low in (("mean", "std", 0.0), ("std", "mean", 1e-3)):
            value = getattr(self, key)
            if value is None:
                if getattr(self, other) is not None:
                    raise Invalid(key, f"a value, as {other!r} has one", value)
                continue
            channels = (float(value),) * 3 if isinstance(value, int | float) else value
            if not all(low <= part <= 1 for part in channels):
                raise Invalid(key, f"one or three numbers in [{low:g}, 1]", value)
            object.__setattr__(self, key, channels)
        defaults = {field.name: field.default for field in dataclasses.fields(self)}
        for key in _LORA:
            # What changes nothing must not seem to.
            if self.trainable != "lora" and getattr(self, key) != defaults[key]:
                raise Invalid(key, f"{defaults[key]:g} unless trainable is 'lora'", getattr(self, key))
        if self.trainable == "head" and self.layer_decay != 1:
            raise Invalid("layer_decay", "1 where the head alone learns", self.layer_decay)

    @property
    def normalisation(self) -> tuple[Channels, Channels]:
        """Mean and standard deviation of pixels, as shares of full scale: the model sees ``(x / 255 - mean) / std``.

        Those of the recipe; without, with published weights those that they were trained with (timm's
        ``pretrained_cfg``, which imports timm and downloads nothing), and with weights that begin at random 0.5.
        """
        if self.mean is not None and self.std is not None:
            # Set to three numbers each by __post_init__.
            return cast(Channels, self.mean), cast(Channels, self.std)
        return normalisation_of(self.backbone) if self.pretrained else (HALF, HALF)

    def settled(self) -> Recipe:
        """Return this recipe with its normalisation written out: it stays so whatever is changed, and wherever."""
        mean, std = self.normalisation
        return dataclasses.replace(self, mean=mean, std=std)

    def content(self) -> dict[str, Any]:
        """Return what determines results: every key but the name, the description and the strategies' own tables.

        The normalisation is written out. One of 0.5 is left out: that is what all recipes had before they named any, and
        what is the same has the same id. ``recorded_recipe`` reads it so. So are the keys that say which weights learn,
        and at which rate, where all learn at one; ``effort`` in epochs; and ``ties`` where nothing is selected, or where
        the first epoch is kept, as it was before there was such a key.
        """
        values = dataclasses.asdict(self)
        for key in ("name", "description", "mean", "std", *TABLES):
            del values[key]
        for keys, usual in (
            (("trainable",), self.trainable == "all"),
            (_LORA, self.trainable != "lora"),
            (("layer_decay",), self.layer_decay == 1),
            (("effort",), self.effort == "epochs"),
            (("ties",), self.select == "last" or self.ties == "first"),
        ):
            for key in keys if usual else ():
                del values[key]
        if self.normalisation != (HALF, HALF):
            values["mean"], values["std"] = self.normalisation
        return values

    def changed(self, changes: Mapping[str, Any]) -> Recipe:
        """Return this recipe with ``changes`` (texts are read as the key's type).

        Raises:
            BenchError: A key does not exist or a value is not valid.
        """
        for key in TABLES:
            if key in changes:
                raise BenchError(
                    f"recipe {self.name!r}: key {key!r} is a table; write it in a recipe file, as [{key}]"
                )
        return records.changed(self, changes, f"recipe {self.name!r}")


@functools.cache
def normalisation_of(backbone: str) -> tuple[Channels, Channels]:
    """Return mean and standard deviation of the pixels that a backbone's published weights were trained with.

    Args:
        backbone: A timm model name, its tag included if it has one; 0.5 where timm has no weights for it.
    """
    import timm

    try:
        published = timm.get_pretrained_cfg(backbone)
    except RuntimeError:
        # A tag that timm does not have; that is said where the backbone is checked.
        published = None
    if published is None:
        return HALF, HALF
    mean, std = (tuple(map(float, values)) for values in (published.mean, published.std))
    return cast(Channels, mean), cast(Channels, std)


def recorded_recipe(values: Mapping[str, Any], where: str) -> Recipe:
    """Return the recipe that a done cell or step says it was trained with.

    One that names no normalisation had 0.5, and one without ``ties`` kept the first of equal epochs.

    Args:
        values: Its name and ``Recipe.content()``.
        where: Where they come from, for errors.

    Raises:
        BenchError: It is no recipe.
    """
    # Where nothing is selected the key is not written, and says nothing.
    ties = {"ties": "first"} if values.get("select", "last") != "last" else {}
    return records.read(Recipe, {"mean": HALF, "std": HALF, **ties, **values}, where)


def changes_of(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return in which keys a recorded recipe differs from the suite's own of its name, as ``--set`` would change them.

    The device is left out, which is another on another machine, and the normalisation, which is often a backbone's.

    Args:
        values: See ``recorded_recipe``.

    Returns:
        The recorded values by key; nothing if the suite has no recipe of that name, or if this is none.
    """
    if values.get("name") not in _built_in():
        return {}
    own = open_recipe(values["name"])
    try:
        recorded = recorded_recipe(values, "a recorded recipe")
    except BenchError:
        return {}
    left_out = {"name", "description", "device", "mean", "std", *TABLES}
    left_out |= {"ties"} if recorded.select == "last" else set()
    return {
        field.name: getattr(recorded, field.name)
        for field in dataclasses.fields(own)
        if field.name not in left_out and getattr(recorded, field.name) != getattr(own, field.name)
    }


def list_recipes(pattern: str = "*") -> list[Recipe]:
    """Return the built-in recipes whose name fits a shell ``pattern``, sorted by name."""
    return [open_recipe(name) for name in _built_in() if fnmatch.fnmatchcase(name, pattern)]


def open_recipe(name: str | os.PathLike[str]) -> Recipe:
    """Open a built-in recipe by name, or the user's own from a TOML file (anything that ends in ``.toml``).

    What a file leaves out is as in the recipe ``mini``. The tables ``[hyperparameters.STRATEGY]`` and ``[tuning]`` are
    checked too.

    Raises:
        BenchError: There is no such recipe or file, it is no TOML or not UTF-8, a key does not exist, or a value is not
            valid.
    """
    text_name = os.fspath(name)
    if text_name.endswith(".toml"):
        where, stem = text_name, Path(text_name).stem
        values = parsing.read_toml(text_name, "recipe file")
    else:
        if text_name not in _built_in():
            raise _no_recipe(text_name)
        where, stem = f"recipe {text_name!r}", text_name
        text = resources.files(__package__).joinpath(f"{text_name}.toml").read_text("utf-8")
        values = parsing.parse_toml(text, where)
    recipe = records.read(Recipe, {"name": stem, **values}, where)
    if recipe.tuning:
        tuning = records.read(Tuning, recipe.tuning, f"{where}: [tuning]")
        # One that was written when a strategy had the name that is another of its names now.
        searched = list(dict.fromkeys(map(own_name, tuning.strategies)))
        recipe = dataclasses.replace(recipe, tuning={**recipe.tuning, "strategies": searched})
    return dataclasses.replace(recipe, hyperparameters=_hyperparameters(recipe.hyperparameters, where))


def toml_of_recipe(recipe: Recipe) -> str:
    """Write a recipe as the text of a recipe file that opens as the same recipe, but for its name."""
    # As it is in the recipe: what is left out there is the backbone's, in the file too.
    own = {key: getattr(recipe, key) for key in ("mean", "std", *(() if recipe.ties == "auc" else ("ties",)))}
    given = {key: value for key, value in {**recipe.content(), **own}.items() if value is not None}
    tables = {key: getattr(recipe, key) for key in TABLES if getattr(recipe, key)}
    return parsing.to_toml({"description": recipe.description, **given, **tables})


def _no_recipe(name: str) -> BenchError:
    """Say of what is no recipe's name what it is instead: a path of something else, or a name that does not exist."""
    if "\0" not in name and os.path.exists(name):
        files.check_regular(name, "recipe file", _FILE)
        return BenchError(f"recipe file {name}: expected a name that ends in .toml; {_FILE}")
    if Path(name).name != name:
        return BenchError(f"recipe {shown(name)}: there is no such file; {_FILE}")
    return unknown_name("recipe", name, _built_in())


def _built_in() -> list[str]:
    names = sorted(path.name for path in resources.files(__package__).iterdir())
    return [name.removesuffix(".toml") for name in names if name.endswith(".toml")]


def _of_own_names(tables: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return ``[hyperparameters.NAME]`` tables under the strategies' own names; raises ``ValueError``."""
    try:
        return by_own_name(tables, lambda owner, key: f"{key} in [hyperparameters.{owner}]")
    except BenchError as error:
        raise ValueError(str(error)) from error


def _hyperparameters(tables: Mapping[str, Mapping[str, Any]], where: str) -> dict[str, dict[str, Any]]:
    """Check ``[hyperparameters.NAME]`` tables.

    Returns:
        Values by strategy and key, each of its field's type; only the keys that are given.

    Raises:
        BenchError: A strategy or a key does not exist (the nearest are named), or a value is not valid.
    """
    checked: dict[str, dict[str, Any]] = {}
    for name, values in tables.items():
        try:
            info = find_strategy(name)
            constants = info.hyperparameters(values)
        except BenchError as error:
            raise BenchError(f"{where}: [hyperparameters.{name}]: {error}") from error
        checked[info.name] = {key: getattr(constants, key) for key in values}
    return checked
