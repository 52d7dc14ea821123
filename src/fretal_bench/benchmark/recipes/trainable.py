"""Which weights of a model learn, as a recipe says, and at which share of the learning rate.

What holds on every domain, the first included: with published weights and ``trainable = "head"`` a strategy is a linear
probe of them along the whole stream. Strategies see it by ``requires_grad``: frozen weights have no importance, no anchor
and no gradient.

A frozen BatchNorm layer normalises by the statistics that it begins with, in training too, and never updates them:
statistics that went on following the data would change what frozen weights compute, unseen. (timm's
``freeze_batch_norm_2d`` puts a layer without statistics of the batch in its place.) Where its affine weights learn
(``norms``) its statistics follow the data, as ``Recipe.batchnorm`` says. Dropout is active as in any training.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final

from torch import nn

from fretal_bench.benchmark.recipes.recipe import Recipe
from fretal_bench.errors import BenchError
from fretal_bench.strategies import draws
from fretal_bench.strategies.features import head_of
from fretal_bench.strategies.prompts.layers import attention_layers
from fretal_bench.strategies.prompts.parts import LowRank, activate, add_to

_NORMS: Final = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)
_TIMMS: Final = tuple(
    f"timm.layers.{name}"
    for name in ("norm", "norm_act", "evo_norm", "filter_response_norm", "grn", "inplace_abn")
)
"""Modules whose classes with weights are all normalisation layers."""


def freeze(model: nn.Module, recipe: Recipe, seed: int) -> None:
    """Freeze, in place, the weights of ``model`` that the recipe does not let learn, and add its adapters.

    Args:
        model: A timm model.
        recipe: Its ``trainable``, and the adapters' constants.
        seed: Of the adapters' initial weights.

    Raises:
        BenchError: The model has no head that can be told apart; no normalisation with weights, for ``norms``; no linear
            layers of attention, for ``lora``; or BatchNorm that cannot be frozen.
    """
    if recipe.trainable == "all":
        return
    heads = head_of(model)
    adapted = attention_layers(model, "trainable = 'lora'") if recipe.trainable == "lora" else []
    learning = {id(weight) for head in heads for weight in head.parameters()}
    if recipe.trainable == "norms":
        learning |= _of_norms(model)
    for weight in model.parameters():
        weight.requires_grad_(id(weight) in learning)
    if recipe.trainable != "norms":
        _rest_statistics(model, {id(head) for head in heads})
    generator = draws.of(seed, 0, "lora")
    for layer in adapted:
        add_to(layer, "weight", LowRank(recipe.lora_rank, recipe.lora_alpha), generator)
    activate(model, 1)


def _of_norms(model: nn.Module) -> set[int]:
    """Return the ids of the affine weights of all normalisation layers, torch's and timm's."""
    norms = (m for m in model.modules() if isinstance(m, _NORMS) or type(m).__module__ in _TIMMS)
    weights = {id(weight) for norm in norms for weight in norm.parameters(recurse=False)}
    if not weights:
        raise BenchError(
            f"key 'trainable': {type(model).__name__} has no normalisation layer with weights, which 'norms' would "
            "train; use another backbone, or trainable = 'head'"
        )
    return weights


def _rest_statistics(module: nn.Module, heads: Collection[int]) -> None:
    """Replace BatchNorm layers outside of the heads by such as never update their statistics."""
    from timm.utils.model import freeze_batch_norm_2d

    for name, child in module.named_children():
        if id(child) in heads:
            continue
        if not isinstance(child, nn.modules.batchnorm._BatchNorm):
            _rest_statistics(child, heads)
        elif (resting := freeze_batch_norm_2d(child)) is not child:
            module.add_module(name, resting)
        else:
            raise BenchError(
                f"key 'trainable': {type(child).__name__} of the backbone cannot be frozen; use another backbone, or "
                "trainable = 'all' or 'norms'"
            )


def layer_groups(model: nn.Module, decay: float) -> Iterator[tuple[float, list[nn.Parameter]]]:
    """Yield the model's weights by their share of the learning rate, ``decay**n`` for n layers below the head.

    Layers are those of timm's ``param_groups_layer_decay``: the stem, the blocks one by one (a norm after the last
    belongs to it), the head. The rule is BEiT's (Bao, Dong, Piao, Wei, ICLR 2022), whose last norm goes with the head.
    Weight decay is left alone: in timm's recipes biases and norms have none, here all weights have the recipe's, as
    without a decay of the rate. The first group has a share of 1: frozen weights, and whatever a strategy puts there.

    Raises:
        BenchError: All weights are in one layer.
    """
    from timm.optim import param_groups_layer_decay

    groups = param_groups_layer_decay(
        model, weight_decay=0.0, weight_decay_exclude_1d=False, layer_decay=decay
    )
    scales = sorted({group["lr_scale"] for group in groups})
    if scales == [1.0]:
        raise BenchError(
            f"key 'layer_decay': timm does not know the layers of {type(model).__name__}; use another backbone, or "
            "layer_decay = 1"
        )
    yield 1.0, [weight for weight in model.parameters() if not weight.requires_grad]
    for group in groups:
        yield group["lr_scale"], group["params"]
