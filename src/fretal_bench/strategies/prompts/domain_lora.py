"""Low-rank adapters and a head for every domain, chosen by the nearest centroid of frozen features."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from fretal_bench.strategies import prompts
from fretal_bench.strategies.prompts.layers import attention_layers, linear_head
from fretal_bench.strategies.prompts.parts import LowRank, add_head, add_to
from fretal_bench.strategies.prompts.routed import RoutedStrategy


def adapted_layers(model: nn.Module) -> tuple[list[nn.Linear], nn.Linear]:
    """Return ``qkv`` and ``proj`` of every attention block of a timm model, in its order, and its head.

    Raises:
        BenchError: The model has no such blocks, or its head is not linear.
    """
    return attention_layers(model, "domain-lora"), linear_head(model, "domain-lora")


class DomainLoRA(RoutedStrategy):
    """Every domain has adapters and a head of its own; a sample is judged by those of the domain it looks like.

    Domain 0 is the source model. For domain k > 0 the backbone stays as domain 0 left it and only this domain's
    parameters learn, by cross-entropy on this domain alone: ``W + alpha / r B_k A_k`` in place of the weight W of
    ``qkv`` and ``proj`` of every attention block, and a head that begins as the source model's. B_k = 0 at first, so
    training begins at the source model's logits. A domain is known by the K-means centroids of its training samples'
    features (both classes together, un-augmented; the features that enter the source model's head). At test time
    each sample is judged by the domain of its nearest centroid, in Euclidean distance. No sample is kept.

    The frozen backbone must have learned something to adapt; both papers start from published weights. On a stream as
    small as FF++-mini a plain vision transformer that begins at random weights stays at chance, one that begins with
    convolutions learns (recipe ``mini-vit``). BatchNorm's statistics are frozen with the backbone, whatever the recipe
    says: the features that choose a domain must stay what they were.

    Source: the adapters are LoRA (Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", ICLR 2022, equation
    3); the independent parameters a domain and their choice are those of Wang, Huang, Hong, "S-Prompts Learning with
    Pre-trained Transformers", NeurIPS 2022, which learns prompts (``s-prompts``). Its released code clusters and routes
    features of unit length, by city-block distance; here both use the features as they are.
    """

    info = prompts.DOMAIN_LORA
    purpose = "adapters"

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # A model that cannot be adapted is refused before the first domain is trained.
        adapted_layers(self.model)

    def add_domain(self, generator: torch.Generator) -> None:
        """Add a domain's adapters and its head."""
        layers, head = adapted_layers(self.model)
        constants = self.hyperparameters
        for layer in layers:
            add_to(layer, "weight", LowRank(constants.rank, constants.alpha), generator)
        add_head(head, generator)
