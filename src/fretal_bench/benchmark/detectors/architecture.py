"""The architecture of a model that a user brings: a timm model with arguments, or a function of the user's own."""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import torch
from torch import nn

from fretal_bench import files, guard
from fretal_bench.benchmark.recipes.model import build_model, check_backbone, image_argument, prepared
from fretal_bench.benchmark.recipes.recipe import Recipe
from fretal_bench.errors import BenchError, first_line
from fretal_bench.names import shown
from fretal_bench.strategies.features import head_of

_SET: Final = (
    "model_name",
    "num_classes",
    "pretrained",
    "features_only",
    "scriptable",
    "exportable",
    "no_jit",
)
_LOADING: Final = (
    "pretrained_cfg",
    "pretrained_cfg_overlay",
    "pretrained_strict",
    "checkpoint_path",
    "cache_dir",
)
_TAKEN: Final = frozenset((*_SET, *_LOADING))
"""Arguments of ``timm.create_model`` that are set here, load files, or give no classifier."""
_modules: dict[tuple[str, str], ModuleType] = {}


@dataclass(frozen=True)
class Architecture:
    """What builds a network.

    Attributes:
        backbone: A timm model name; empty for a function of the user's own.
        arguments: More arguments of ``timm.create_model``, or of the function.
        file: The Python file with the function; empty for a timm model.
        function: Its name in the file.
        code: SHA-256 of that file as it was when it was named.
        outputs: Outputs of what the function builds; a timm model is built with two.
        image_size: Side of the input in pixels, for backbones that are built for one size; 0 = any.
    """

    backbone: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    file: str = ""
    function: str = ""
    code: str = ""
    outputs: int = 2
    image_size: int = 0

    @property
    def name(self) -> str:
        """What to call it: the backbone's name, or ``FILE.py:FUNCTION`` without folders."""
        return self.backbone or f"{Path(self.file).name}:{self.function}"

    def content(self) -> dict[str, Any]:
        """Return what identifies it in ids: plain data, without folders."""
        values: dict[str, Any] = {"backbone": self.name}
        if self.arguments:
            values["arguments"] = dict(self.arguments)
        if self.code:
            values["code"] = self.code
        return values

    def checked(self, where: str) -> Architecture:
        """Return it if timm has the backbone, or the function is in the file; ``where`` it is named is for the errors.

        Raises:
            BenchError: There is no such model or function, or an argument is one that is not the user's to give.
        """
        if self.backbone:
            check_backbone(Recipe(backbone=self.backbone), where)
            taken = sorted(_TAKEN & self.arguments.keys())
            if taken:
                raise BenchError(
                    f"{where}: key 'arguments': expected arguments that shape the model, found {taken[0]!r}; leave it out"
                )
        else:
            _function(self, where)
        return self


def own_architecture(place: str, folder: Path, arguments: Mapping[str, Any]) -> Architecture:
    """Return the architecture that ``FILE.py:FUNCTION`` names; the file is read, and not run.

    Args:
        place: What the user named.
        folder: Where relative files start.
        arguments: Of the function.

    Raises:
        BenchError: There is no such file.
    """
    file, _, function = place.rpartition(":")
    path = (folder / files.expanded(file)).absolute()
    content = files.read_bytes(path, "code of a model", "give FILE.py:FUNCTION")
    return Architecture(
        arguments=arguments, file=str(path), function=function, code=hashlib.sha256(content).hexdigest()
    )


def raw_network(architecture: Architecture, outputs: int, where: str) -> nn.Module:
    """Build a network at random weights, with as many outputs as its weights have.

    Args:
        architecture: What builds it.
        outputs: Outputs of a timm model; the user's own function has what it has.
        where: What names it, for the errors.

    Raises:
        BenchError: It cannot be built with its arguments.
    """
    if not architecture.backbone:
        return _own_network(architecture, where)
    import timm

    sizes = image_argument(architecture.backbone, architecture.image_size)
    try:
        network: nn.Module = timm.create_model(
            architecture.backbone,
            pretrained=False,
            num_classes=outputs,
            **{**sizes, **architecture.arguments},
        )
    except Exception as error:  # a model may refuse its arguments in any way
        raise BenchError(
            f"{where}: timm cannot build {architecture.backbone!r} with these arguments: {type(error).__name__}: "
            f"{first_line(error)}; correct them"
        ) from error
    return network


def build_network(
    recipe: Recipe,
    seed: int,
    architecture: Architecture | None = None,
    tensors: Mapping[str, torch.Tensor] | None = None,
) -> nn.Module:
    """Build what a recipe trains, with two outputs (real, fake): its own backbone, or an architecture that was brought.

    Args:
        recipe: The recipe; of an architecture that was brought, what it says of training alone.
        seed: Of the initial weights, and of adapters that the recipe adds.
        architecture: The brought one; None for the recipe's backbone.
        tensors: The brought one's weights; at random without.

    Raises:
        BenchError: It cannot be built.
    """
    if architecture is None:
        return build_model(recipe, seed)
    torch.manual_seed(seed)
    network = raw_network(architecture, 2, "the source model")
    if architecture.file and architecture.outputs == 1:
        widen(network, 1, "the source model")
    if tensors is not None:
        network.load_state_dict(tensors)
    return prepared(network, recipe, seed)


def heads_of(network: nn.Module, outputs: int, where: str) -> list[nn.Linear | nn.Conv2d]:
    """Return the last layers of a network: linear, or convolutions of one pixel, with ``outputs`` outputs each.

    ``get_classifier()`` names them; of a network of the user's own that has no such method, the last linear layer is it.

    Raises:
        BenchError: There is none, or it is another layer.
    """
    try:
        heads: tuple[nn.Module, ...] = head_of(network)
    except BenchError:
        linear = [module for module in network.modules() if isinstance(module, nn.Linear)]
        heads = tuple(linear[-1:])
    fitting = [
        head for head in heads if isinstance(head, nn.Linear | nn.Conv2d) and len(head.weight) == outputs
    ]
    if not heads or len(fitting) < len(heads):
        kinds = ", ".join(f"{type(head).__name__} of {_outputs(head)}" for head in heads) or "none"
        raise BenchError(
            f"{where}: expected a last layer with {outputs} output{'s' * (outputs > 1)}, found {kinds}; state 'outputs', "
            "or let get_classifier() of the model return its last layer"
        )
    return fitting


def outputs_of(architecture: Architecture, where: str) -> int:
    """Count the outputs of what a user's own function builds, which is run: 1 where its last layer has one, else 2."""
    network = raw_network(architecture, 2, where)
    try:
        heads_of(network, 1, where)
    except BenchError:
        return 2
    return 1


def _outputs(head: nn.Module) -> str:
    weight = getattr(head, "weight", None)
    return f"{len(weight)} outputs" if isinstance(weight, torch.Tensor) and weight.ndim else "no outputs"


@torch.no_grad()
def widen(network: nn.Module, fake: int, where: str) -> None:
    """Turn a head of one logit z into two, in place: (0, z), so that softmax gives P(fake) = sigmoid(z).

    Args:
        network: The network.
        fake: 1 where a high logit means fake; 0 where it means real: then the logits are (z, 0).
        where: What names it, for the errors.
    """
    for head in heads_of(network, 1, where):
        for name in ("weight", "bias"):
            one = getattr(head, name)
            if one is not None:
                rows = [one, torch.zeros_like(one)]
                two = nn.Parameter(
                    torch.cat(rows if fake == 0 else rows[::-1]), requires_grad=one.requires_grad
                )
                setattr(head, name, two)
        if isinstance(head, nn.Linear):
            head.out_features = 2
        else:
            head.out_channels = 2


@torch.no_grad()
def swap(network: nn.Module, where: str) -> None:
    """Exchange the two outputs of a network in its head's weights, in place."""
    for head in heads_of(network, 2, where):
        for weight in (head.weight, head.bias):
            if weight is not None:
                weight.copy_(weight.flip(0).clone())


def _own_network(architecture: Architecture, where: str) -> nn.Module:
    function = _function(architecture, where)
    try:
        with guard.bounded(f"{where}: {architecture.name}"):
            network = function(**architecture.arguments)
    except Exception as error:  # code of the user's may fail in any way
        raise BenchError(
            f"{where}: {architecture.name}, code of your own, failed: {type(error).__name__}: {first_line(error)}; fix it"
        ) from error
    if not isinstance(network, nn.Module):
        raise BenchError(
            f"{where}: expected {architecture.name} to return a torch.nn.Module, found {type(network).__name__}; fix it"
        )
    return network


def _function(architecture: Architecture, where: str) -> Callable[..., Any]:
    """Run the user's file, once a process, and return the function that was named.

    Raises:
        BenchError: The file has changed since it was named, cannot be run, or has no such function.
    """
    content = files.read_bytes(architecture.file, f"{where}: code of a model", "give FILE.py:FUNCTION")
    if hashlib.sha256(content).hexdigest() != architecture.code:
        raise BenchError(
            f"{where}: {architecture.file} has changed since it was named; run the same command again"
        )
    key = architecture.file, architecture.code
    if key not in _modules:
        stem = re.sub(r"[^A-Za-z0-9]", "_", Path(architecture.file).stem)
        module = ModuleType(f"model_{stem}_{architecture.code[:8]}")
        module.__file__ = architecture.file
        # Known by its name before it runs: dataclasses look their module up.
        sys.modules[module.__name__] = module
        try:
            with guard.bounded(f"{where}: {architecture.file}"):
                exec(compile(content, architecture.file, "exec"), vars(module))
        except Exception as error:
            del sys.modules[module.__name__]
            raise BenchError(
                f"{where}: {architecture.file}, code of your own, cannot be run: {type(error).__name__}: "
                f"{first_line(error)}; fix it"
            ) from error
        _modules[key] = module
    function = getattr(_modules[key], architecture.function, None)
    if not callable(function):
        raise BenchError(
            f"{where}: expected a function {shown(architecture.function)} in {architecture.file}, found none; correct "
            "its name"
        )
    return function  # type: ignore[no-any-return]
