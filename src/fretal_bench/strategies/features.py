"""The features of a model, read in one pass with its logits, and its head, the layer between them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from fretal_bench.errors import BenchError


def head_of(model: nn.Module) -> tuple[nn.Module, ...]:
    """Return the layers that ``model.get_classifier()`` names: one, or two where a timm model has two heads.

    Of a model without that method the head is its last linear layer, as ``model.modules()`` lists them.

    Raises:
        BenchError: The head has no weights, or there is no linear layer.
    """
    get_classifier: Any = getattr(model, "get_classifier", None)
    if callable(get_classifier):
        classifier = get_classifier()
    else:
        classifier = next((m for m in reversed(list(model.modules())) if isinstance(m, nn.Linear)), None)
    heads = classifier if isinstance(classifier, tuple) else (classifier,)
    if not all(isinstance(head, nn.Module) and any(True for _ in head.parameters()) for head in heads):
        raise BenchError(
            f"{type(model).__name__} has no head that can be told apart: get_classifier() should return its last "
            f"layer, found {classifier!r}; use a timm model with classes, end with a linear layer, or add the method"
        )
    return heads


def head_names(model: nn.Module) -> frozenset[str]:
    """Return the names that the head's weights have among ``model.named_parameters()``.

    Raises:
        BenchError: See ``head_of``.
    """
    inside = {id(weight) for head in head_of(model) for weight in head.parameters()}
    return frozenset(name for name, weight in model.named_parameters() if id(weight) in inside)


def head_inputs_and_logits(model: nn.Module, inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Run ``model`` once and return what enters its head and its logits.

    For a timm model the former is ``forward_head(forward_features(inputs), pre_logits=True)``: features after the
    model's own pooling (most often the mean over space) and, where there is one, the norm before the head. They are read
    where they enter, since running the head twice would move the statistics of a BatchNorm inside it twice.

    Args:
        model: See ``head_of``; of two heads, the first is read.
        inputs: [B, 3, H, W].

    Returns:
        Features [B, D] and logits [B, 2], both at least float32.

    Raises:
        BenchError: See ``head_of``.
    """
    entered: list[Tensor] = []

    def keep(_: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        entered.append(arguments[0])

    handle = head_of(model)[0].register_forward_pre_hook(keep)
    try:
        # Not model(inputs): a compiled model would not see the hook.
        logits: Tensor = model.forward(inputs)
    finally:
        handle.remove()
    return at_least_float32(entered[-1].flatten(1)), at_least_float32(logits)


def at_least_float32(values: Tensor) -> Tensor:
    """Return ``values`` in float32, or as they are if they are more precise: losses are not computed in half."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def features_and_logits(model: nn.Module, inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Run ``model`` once and return its pooled features and its logits.

    Args:
        model: Any timm model: ``forward_features`` then ``forward_head``. Of a model without these two the features are
            what enters its head (``head_inputs_and_logits``): they are pooled already.
        inputs: [B, 3, H, W].

    Returns:
        Features: the output of ``forward_features``, maximum over space ([B, C, H, W] -> [B, C], or [B, H, W, C] for
        models whose ``output_fmt`` is NHWC) or over tokens ([B, tokens, C] -> [B, C]); and logits [B, 2]. Both at least
        float32.

    Raises:
        BenchError: The model has no head, or its features are not one tensor.
    """
    if not (hasattr(model, "forward_features") and hasattr(model, "forward_head")):
        return head_inputs_and_logits(model, inputs)
    timm_model: Any = model
    maps = timm_model.forward_features(inputs)
    if not isinstance(maps, Tensor):
        raise BenchError(
            f"{type(model).__name__}: forward_features gives a {type(maps).__name__}, matching features needs one "
            "tensor; use another backbone"
        )
    logits: Tensor = timm_model.forward_head(maps)
    # timm's Swin and its like put the channels last.
    space = (1, 2) if str(getattr(model, "output_fmt", "NCHW")) == "NHWC" else (2, 3)
    pooled = maps.amax(dim=space) if maps.ndim == 4 else maps.amax(dim=1) if maps.ndim == 3 else maps
    return at_least_float32(pooled), at_least_float32(logits)
