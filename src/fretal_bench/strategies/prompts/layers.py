"""Layers of timm models that adapters go to: of attention, of feed-forward networks behind it, and the head."""

from __future__ import annotations

from typing import cast

from torch import nn

from fretal_bench.errors import BenchError
from fretal_bench.strategies.features import head_of


def attention_layers(model: nn.Module, who: str) -> list[nn.Linear]:
    """Return ``qkv`` and ``proj`` of every attention block of a timm model, in its order.

    Args:
        model: The model.
        who: The strategy, for the message.

    Raises:
        BenchError: The model has no such blocks.
    """
    blocks = [module for module in model.modules() if hasattr(module, "qkv") and hasattr(module, "proj")]
    layers = [getattr(block, name) for block in blocks for name in ("qkv", "proj")]
    if not layers or not all(isinstance(layer, nn.Linear) for layer in layers):
        raise _without_attention(model, who)
    return cast(list[nn.Linear], layers)


def feed_forward_layers(model: nn.Module, who: str) -> list[nn.Linear]:
    """Return the linear layers of the feed-forward network (``mlp``) of every block with attention, in its order.

    Raises:
        BenchError: The model has no such blocks, or one of them has no linear layers.
    """
    blocks = [module for module in model.modules() if hasattr(module, "attn") and hasattr(module, "mlp")]
    networks = [cast(nn.Module, block.mlp) for block in blocks]
    inside = [[layer for layer in mlp.modules() if isinstance(layer, nn.Linear)] for mlp in networks]
    if not blocks or not all(inside):
        raise _without_attention(model, who)
    return [layer for layers in inside for layer in layers]


def linear_head(model: nn.Module, who: str) -> nn.Linear:
    """Return a model's head; of two, the first.

    Raises:
        BenchError: It is not linear.
    """
    head = head_of(model)[0]
    if not isinstance(head, nn.Linear):
        raise BenchError(
            f"{who} needs a linear head, {type(model).__name__} has {type(head).__name__}; use --recipe mini-vit"
        )
    return head


def _without_attention(model: nn.Module, who: str) -> BenchError:
    return BenchError(
        f"{who} needs a model with attention blocks, such as timm's vision transformers and their hybrids, "
        f"found {type(model).__name__}; use --recipe mini-vit, or --set recipe.backbone=vit_tiny_patch16_224 "
        "--set recipe.image_size=224"
    )
