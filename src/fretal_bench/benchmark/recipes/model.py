"""The model and its optimiser, as a recipe says."""

from __future__ import annotations

import functools
from typing import Any, Final

import torch
from torch import nn

from fretal_bench.benchmark.recipes.recipe import Recipe
from fretal_bench.benchmark.recipes.trainable import freeze, layer_groups
from fretal_bench.errors import BenchError, unknown_name
from fretal_bench.strategies.features import head_of

_COMPILED_FORMS: Final = 64


def check_backbone(recipe: Recipe, where: str | None = None) -> None:
    """Find out whether timm has the recipe's backbone; importing timm takes a second or more.

    Args:
        recipe: The recipe.
        where: What names the backbone, for the error: a file, or ``--set``; by default the recipe.

    Raises:
        BenchError: It has no such model; the nearest are named.
    """
    try:
        _find_backbone(recipe.backbone)
    except BenchError as error:
        raise BenchError(f"{where or f'recipe {recipe.name!r}'}: key 'backbone': {error}") from None


@functools.cache
def _find_backbone(backbone: str) -> None:
    """Find out whether timm has a backbone; sorting its list takes a while, so that what it has is asked for once."""
    import timm

    # A name alone, or with the tag of one of its published weights.
    known = timm.list_pretrained() if "." in backbone else timm.list_models()
    if backbone not in known:
        raise unknown_name("backbone", backbone, known)


def check_trainable(recipe: Recipe, where: str | None = None) -> None:
    """Find out whether the backbone has the weights that the recipe lets learn; it is built for that, at random.

    Args:
        recipe: The recipe; where all weights learn at one rate nothing is built.
        where: What names the backbone, for the error; by default the recipe.

    Raises:
        BenchError: It has no head, no normalisation, no attention, or no layers, or BatchNorm that cannot be frozen.
    """
    if recipe.trainable == "all" and recipe.layer_decay == 1:
        return
    plain = recipe.changed({"pretrained": False, "compile": False})
    try:
        build_optimizer(plain, build_model(plain, 0))
    except BenchError as error:
        raise BenchError(f"{where or f'recipe {recipe.name!r}'}: {error}") from error


def build_model(recipe: Recipe, seed: int) -> nn.Module:
    """Build the recipe's backbone with two outputs (real, fake); its initial weights depend on ``seed`` alone.

    Weights that the recipe does not let learn are frozen.

    Raises:
        BenchError: timm has no such model, its published weights cannot be had, it cannot take the recipe's images, or it
            has no weights of the kind that the recipe lets learn.
    """
    import timm

    check_backbone(recipe)
    torch.manual_seed(seed)
    try:
        model: nn.Module = timm.create_model(
            recipe.backbone,
            pretrained=recipe.pretrained,
            num_classes=2,
            **image_argument(recipe.backbone, recipe.image_size),
        )
    except Exception as error:
        if not recipe.pretrained:
            raise
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BenchError(
            f"backbone {recipe.backbone!r}: its published weights could not be had ({reason}); "
            "connect to the internet once, or set recipe.pretrained=false"
        ) from error
    return prepared(model, recipe, seed)


def prepared(model: nn.Module, recipe: Recipe, seed: int) -> nn.Module:
    """Make a model what the recipe trains: its stem, which weights learn, the layout in memory, compiled or not.

    Args:
        model: The model, changed in place.
        recipe: The recipe.
        seed: Of the weights of adapters that the recipe adds.

    Raises:
        BenchError: The model has no weights of the kind that the recipe lets learn, or no convolution for its stem.
    """
    if recipe.stem_stride:
        first = next((m for m in model.modules() if isinstance(m, nn.Conv2d)), None)
        if first is None:
            raise BenchError(f"backbone {recipe.backbone!r} has no convolution; set recipe.stem_stride=0")
        first.stride = (recipe.stem_stride, recipe.stem_stride)
    freeze(model, recipe, seed)
    if recipe.channels_last:
        model = model.to(memory_format=torch.channels_last)
    if recipe.compile:
        compile_model(model)
    return model


def image_argument(backbone: str, image_size: int) -> dict[str, int]:
    """Return what builds a backbone for images of one size alone, as most vision transformers are, for another size.

    Args:
        backbone: A timm model name.
        image_size: Side of the images; 0 = the backbone's own.
    """
    import timm

    published = timm.get_pretrained_cfg(backbone)
    if published is None or not published.fixed_input_size or not image_size:
        return {}
    return {} if published.input_size[-1] == image_size else {"img_size": image_size}


def compile_model(model: nn.Module) -> None:
    """Compile a model but for its head with ``torch.compile``, so that every way of calling it uses what is compiled.

    Of a timm model, ``forward_features``: what computes features calls that, and what computes logits does so in turn;
    ``model.compile()``, which compiles ``forward`` alone, would leave out the former. Of another model, its parts. The
    head stays as it is, because its inputs are read by a hook. A copy of a timm model, such as a teacher, is compiled as
    well; of another, it is not.

    Args:
        model: Changed in place: a timm model becomes one of a subclass of the same name.
    """
    # How often one function is compiled before torch goes on without: once for every module, mode and shape that it is
    # called with. The default, 8, is fewer than the parts of most models.
    settings: Any = torch._dynamo.config
    settings.cache_size_limit = max(_COMPILED_FORMS, settings.cache_size_limit)
    # What is compiled for one model is used for others of its class: those with hooks are told from those without.
    settings.skip_nnmodule_hook_guards = False
    kind: Any = type(model)
    if hasattr(kind, "forward_features"):
        model.__class__ = compiled_kind(kind)
        return
    heads = {id(head) for head in head_of(model)}
    for child in model.children():
        # A list of modules is not called itself.
        for part in child if isinstance(child, nn.ModuleList) else (child,):
            if not any(id(module) in heads for module in part.modules()):
                part.compile()


@functools.cache
def compiled_kind(kind: Any) -> type[nn.Module]:
    """Return a subclass whose ``forward_features`` is compiled; one, so that all models of a process share its code."""
    compiled = {"__module__": kind.__module__, "forward_features": torch.compile(kind.forward_features)}
    subclass: type[nn.Module] = type(kind.__name__, (kind,), compiled)
    return subclass


def build_optimizer(recipe: Recipe, model: nn.Module) -> torch.optim.Optimizer:
    """Build the recipe's optimiser over all weights of ``model``; those that are frozen have no gradient.

    Raises:
        BenchError: The recipe's rate decays by layer, and timm does not know the layers of the model.
    """
    common: dict[str, Any] = {"lr": recipe.lr, "weight_decay": recipe.weight_decay}
    weights: Any = model.parameters()
    if recipe.layer_decay != 1:
        weights = [
            {"params": group, "lr": recipe.lr * scale, "lr_scale": scale}
            for scale, group in layer_groups(model, recipe.layer_decay)
        ]
    # Fused, torch takes one operation for all weights. On CUDA it also knows what to do with a scaled loss (fp16) without
    # asking the device, for which it would wait, whether a gradient overflowed.
    if recipe.optimizer == "sgd":
        fused = True if recipe.device == "cuda" else None
        return torch.optim.SGD(weights, momentum=recipe.momentum, fused=fused, **common)
    kind = torch.optim.AdamW if recipe.optimizer == "adamw" else torch.optim.Adam
    return kind(weights, fused=True, **common)
