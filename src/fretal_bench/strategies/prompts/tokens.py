"""Prompt tokens of every domain, put into the token sequence of a timm vision transformer."""

from __future__ import annotations

from typing import Any, cast

import torch
from timm.models.eva import Eva
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from fretal_bench.errors import BenchError
from fretal_bench.strategies.prompts.parts import ByDomain

_NAME = "domain_prompts"


class PromptTokens(ByDomain):
    """Learned tokens [L, D] of every domain, which stand in the sequence between its first block and its last.

    ``[class, patches] -> [class, prompts, patches] -> blocks -> [class, patches]``: the tokens of the active domain
    enter behind the class token (in front of everything where there is none), without position embedding, before the
    norm in front of the blocks (CLIP's; most models have none). They leave behind the last block, before the final norm,
    so that what pools the tokens (the class token, a mean, attention) reads those that it has always read.
    In domain 0 the sequence stays what it is.

    Args:
        model: What they are put into.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.values = nn.ParameterList()
        self.place = 0 if getattr(model, "cls_token", None) is None else 1
        # Rotary positions are those of the tokens behind these.
        self._in_front = [(part, part.num_prefix_tokens) for part in _rotating(model)]

    def add(self, like: Tensor, length: int, generator: torch.Generator) -> None:
        """Add a domain's tokens, uniform in +-1/sqrt(D), as the layer that holds them in the released code begins.

        Args:
            like: A tensor [..., D] whose type and device they get.
            length: L.
            generator: What draws them.
        """
        width = like.shape[-1]
        drawn = (2 * torch.rand(length, width, generator=generator) - 1) / width**0.5
        self.values.append(nn.Parameter(drawn.to(like)))

    def activate(self, domain: int) -> None:
        """Put a domain's tokens in use; they have no rotary position."""
        super().activate(domain)
        length = len(self.values[domain - 1]) if domain else 0
        for part, count in self._in_front:
            part.num_prefix_tokens = count + length

    def enter(self, _: nn.Module, arguments: tuple[Tensor, ...]) -> tuple[Tensor, ...] | None:
        """Put the active domain's tokens into a sequence [B, N, D]; a pre-hook of the norm before the blocks."""
        if not self.active:
            return None
        tokens, *rest = arguments
        own = self.values[self.active - 1].to(tokens.dtype).expand(tokens.shape[0], -1, -1)
        return (torch.cat([tokens[:, : self.place], own, tokens[:, self.place :]], 1), *rest)

    def leave(self, _: nn.Module, arguments: tuple[Tensor, ...]) -> tuple[Tensor, ...] | None:
        """Take them out of the sequence again; a pre-hook of the norm behind the blocks."""
        if not self.active:
            return None
        tokens, *rest = arguments
        behind = self.place + len(self.values[self.active - 1])
        return (torch.cat([tokens[:, : self.place], tokens[:, behind:]], 1), *rest)


def prompt_tokens(model: nn.Module) -> PromptTokens:
    """Return the prompt tokens of a model; the first time they are put into it, with no domain but 0.

    Raises:
        BenchError: It is no vision transformer of timm's whose blocks take sequences of any length.
    """
    known: Any = getattr(model, _NAME, None)
    if isinstance(known, PromptTokens):
        return known
    _check(model)
    tokens = PromptTokens(model)
    model.add_module(_NAME, tokens)
    transformer = cast(Any, model)
    transformer.norm_pre.register_forward_pre_hook(tokens.enter)
    transformer.norm.register_forward_pre_hook(tokens.leave)
    return tokens


def _rotating(model: nn.Module) -> list[Any]:
    """Return the attentions that rotate all tokens but the first few."""
    blocks: Any = model.blocks
    return [part for part in blocks.modules() if hasattr(part, "num_prefix_tokens")]


def _check(model: nn.Module) -> None:
    if not isinstance(model, VisionTransformer | Eva):
        raise BenchError(
            "s-prompts needs one sequence of tokens that prompts can join, as in timm's VisionTransformer and Eva (ViT, "
            f"DeiT, CLIP, DINOv2, DINOv3), found {type(model).__name__}; use --set recipe.backbone=vit_tiny_patch16_224 "
            "--set recipe.image_size=224"
        )
