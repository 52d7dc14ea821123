"""Prompt tokens and a head for every domain, chosen by the nearest centroid of prompt-free features."""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor
from torch.nn import functional as F

from fretal_bench.strategies import prompts
from fretal_bench.strategies.prompts.layers import linear_head
from fretal_bench.strategies.prompts.parts import add_head
from fretal_bench.strategies.prompts.routed import RoutedStrategy
from fretal_bench.strategies.prompts.tokens import prompt_tokens

_P: Final[dict[str, float]] = {"euclidean": 2.0, "cityblock": 1.0}


class SPrompts(RoutedStrategy):
    """Every domain has prompt tokens and a head of its own; a sample is judged by those of the domain it looks like.

    Domain 0 is the source model, without prompts. For domain k > 0 the transformer stays as domain 0 left it, in eval
    mode, and only this domain's L tokens [L, D] and linear head learn, by cross-entropy on this domain alone. The tokens
    stand behind the class token at the first layer, without position embedding (see ``PromptTokens``). A domain is known
    by the K-means centroids of its training samples' keys (both classes together, un-augmented): the features that enter
    the source model's head, computed without prompts, at unit length. At test time each sample is judged by the domain of
    its nearest centroid. No sample is kept.

    A domain with one class only, as in fake-incremental streams, teaches its prompts and head to name that class:
    whatever is routed there is given it.

    The frozen transformer must have learned something to prompt. The paper's begins with published weights and is never
    trained; here the first domain trains the source model, as a recipe says (one that trains the head alone comes
    nearest to the paper). A plain vision transformer that begins at random weights stays at chance on a stream as small
    as FF++-mini, and prompts of it learn nothing: use published weights. Hybrids such as MobileViT (recipe ``mini-vit``)
    have no one sequence of tokens and are refused, and so are transformers with a bias of relative positions.

    Source: Wang, Huang, Hong, "S-Prompts Learning with Pre-trained Transformers", NeurIPS 2022, its image prompts
    (S-iPrompts); those with text (S-liPrompts) need a text encoder. The paper's nearest neighbour is taken as Euclidean;
    the released code (iamwangyabin/S-Prompts) sums absolute differences (``distance=cityblock``). Keys of unit length and
    the tokens' initial values are the code's. Its heads begin at random, here at the source model's, and its keys are of
    augmented images.
    """

    info = prompts.S_PROMPTS
    purpose = "prompts"

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # A model that cannot be prompted is refused before the first domain is trained. The tokens' places are made
        # now: a model is compiled at its first batch, and would be again.
        prompt_tokens(self.model)
        linear_head(self.model, "s-prompts")

    def add_domain(self, generator: torch.Generator) -> None:
        """Add a domain's tokens and its head."""
        head = linear_head(self.model, "s-prompts")
        width = torch.empty(self.model.embed_dim, device=next(self.model.parameters()).device)
        prompt_tokens(self.model).add(width, self.hyperparameters.length, generator)
        add_head(head, generator)

    def keys(self, features: Tensor) -> Tensor:
        """Return the features at unit length."""
        return F.normalize(features, dim=1)

    def norm(self) -> float:
        """Return that of Euclidean distances, or of sums of absolute differences."""
        return _P[self.hyperparameters.distance]

    def _before_training_epoch(self, **kwargs: Any) -> None:
        super()._before_training_epoch(**kwargs)
        if self.step > 0:
            self.model.eval()
