"""Low-rank adapters and a head for every domain, chosen by the nearest centroid of frozen features."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

import torch
from scipy.cluster.vq import kmeans2
from torch import Tensor, nn
from torch.nn.utils import parametrize

from fretal_bench.errors import BenchError
from fretal_bench.strategies import draws, prompts
from fretal_bench.strategies.features import at_least_float32, head_inputs_and_logits, head_of
from fretal_bench.strategies.state import BadState, check_tensor
from fretal_bench.strategies.template import ContinualStrategy


class PerDomain(nn.Module):
    """What a frozen weight becomes in domain ``active``; in domain 0 it stays what it is."""

    active = 0

    def in_domain(self, weight: Tensor, domain: int) -> Tensor:
        """Return the weight of a domain (from 1)."""
        raise NotImplementedError

    def forward(self, weight: Tensor) -> Tensor:
        """Return the weight of the active domain."""
        return self.in_domain(weight, self.active) if self.active else weight


class LowRank(PerDomain):
    """``W + alpha / r B_k A_k`` in domain k, A [r, in] drawn and B [out, r] zero at first (LoRA, equation 3)."""

    def __init__(self, rank: int, alpha: float) -> None:
        super().__init__()
        self.rank, self.scale = rank, alpha / rank
        self.down, self.up = nn.ParameterList(), nn.ParameterList()

    def add(self, weight: Tensor, generator: torch.Generator) -> None:
        """Add a domain. A ~ N(0, 1/in): LoRA's paper draws from a Gaussian; its width is the suite's choice."""
        outside, inside = weight.shape
        drawn = torch.randn(self.rank, inside, generator=generator) / inside**0.5
        self.down.append(nn.Parameter(drawn.to(weight)))
        self.up.append(nn.Parameter(weight.new_zeros(outside, self.rank)))

    def in_domain(self, weight: Tensor, domain: int) -> Tensor:
        """Return ``W + alpha / r B A``."""
        change: Tensor = self.up[domain - 1] @ self.down[domain - 1]
        return weight + self.scale * change


class Own(PerDomain):
    """A weight of its own in every domain, the source model's at first."""

    def __init__(self) -> None:
        super().__init__()
        self.values = nn.ParameterList()

    def add(self, weight: Tensor, generator: torch.Generator) -> None:
        """Add a domain."""
        del generator
        self.values.append(nn.Parameter(weight.detach().clone()))

    def in_domain(self, weight: Tensor, domain: int) -> Tensor:
        """Return the domain's own."""
        own: Tensor = self.values[domain - 1]
        return own


def adapted_layers(model: nn.Module) -> tuple[list[nn.Linear], nn.Linear]:
    """Return ``qkv`` and ``proj`` of every attention block of a timm model, in its order, and its head.

    Raises:
        BenchError: The model has no such blocks, or its head is not linear.
    """
    blocks = [module for module in model.modules() if hasattr(module, "qkv") and hasattr(module, "proj")]
    layers = [getattr(block, name) for block in blocks for name in ("qkv", "proj")]
    if not layers or not all(isinstance(layer, nn.Linear) for layer in layers):
        raise BenchError(
            f"domain-lora needs a model with attention blocks, such as timm's vision transformers and their hybrids, "
            f"found {type(model).__name__}; use --recipe mini-vit, or --set recipe.backbone=vit_tiny_patch16_224 "
            "--set recipe.image_size=224"
        )
    head = head_of(model)[0]
    if not isinstance(head, nn.Linear):
        raise BenchError(
            f"domain-lora needs a linear head, {type(model).__name__} has {type(head).__name__}; use --recipe mini-vit"
        )
    return cast(list[nn.Linear], layers), head


def centroids_of(features: Tensor, clusters: int, generator: torch.Generator) -> Tensor:
    """Return the K-means centroids [K, D] of features [N, D]; fewer where there are fewer distinct features."""
    distinct = len(torch.unique(features, dim=0))
    seed = int(torch.randint(2**31, (1,), generator=generator))
    values = features.double().cpu().numpy()
    centres, _ = kmeans2(values, min(clusters, distinct), iter=100, minit="++", seed=seed)
    return torch.from_numpy(centres).to(features)


class DomainLoRA(ContinualStrategy):
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
    Pre-trained Transformers", NeurIPS 2022, which learns prompts. Its released code clusters features of unit length
    and routes features of any length by city-block distance; here both use the features as they are.
    """

    info = prompts.DOMAIN_LORA

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # A model that cannot be adapted is refused before the first domain is trained.
        adapted_layers(self.model)
        self.centroids: list[Tensor] = []
        """Of every domain learned or being learned, [K, D]."""

    def before_domain(self, experience: Any) -> None:
        """Freeze everything learned so far, add this domain's adapters and head, cluster its features."""
        for weight in self.model.parameters():
            weight.requires_grad_(False)
            weight.grad = None
        self._cluster(experience)
        self._add_domain(draws.of(self.seed, self.step, "adapters"))
        self._activate(self.step)

    def after_domain(self, experience: Any) -> None:
        """Cluster the first domain's features; a later one's are known before it is trained."""
        if self.step == 0:
            self._cluster(experience)

    def make_optimizer(self, **kwargs: Any) -> None:
        """Give the optimiser the parameters that learn, and no others: it would decay frozen weights too."""
        if self.step == 0:
            super().make_optimizer(**kwargs)
            return
        for group in self.optimizer.param_groups:
            group["params"] = []
        self.optimizer.param_groups[0]["params"] = [w for w in self.model.parameters() if w.requires_grad]
        self.optimizer.state.clear()

    def _before_training_epoch(self, **kwargs: Any) -> None:
        super()._before_training_epoch(**kwargs)
        if self.step > 0:
            for module in self.model.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()

    def _parts(self) -> Iterator[PerDomain]:
        return (module for module in self.model.modules() if isinstance(module, PerDomain))

    def _activate(self, domain: int) -> None:
        for part in self._parts():
            part.active = domain

    def _add_domain(self, generator: torch.Generator) -> None:
        layers, head = adapted_layers(self.model)
        for layer in layers:
            constants = self.hyperparameters
            self._add_to(layer, "weight", LowRank(constants.rank, constants.alpha), generator)
        for name in ("weight", "bias"):
            if getattr(head, name) is not None:
                self._add_to(head, name, Own(), generator)

    def _add_to(self, layer: nn.Linear, name: str, new: LowRank | Own, generator: torch.Generator) -> None:
        if not parametrize.is_parametrized(layer, name):
            parametrize.register_parametrization(layer, name, new)
        weights: Any = cast(Any, layer).parametrizations[name]
        weights[0].add(weights.original, generator)

    @torch.no_grad()
    def _cluster(self, experience: Any) -> None:
        """Add the centroids of a domain."""
        was_training = self.model.training
        self.model.eval()
        features = torch.cat([self.frozen_features(inputs) for inputs, _ in self.clean_batches(experience)])
        self.model.train(was_training)
        generator = draws.of(self.seed, self.step, "centroids")
        self.centroids.append(centroids_of(features, self.hyperparameters.clusters, generator))

    def frozen_features(self, inputs: Tensor) -> Tensor:
        """Return the features that enter the source model's head, float32 [B, D]."""
        self._activate(0)
        with self.autocast():
            return head_inputs_and_logits(self.model, inputs)[0].detach()

    def route(self, inputs: Tensor) -> Tensor:
        """Return the domain whose centroid is nearest to each sample, int64 [B]."""
        features = self.frozen_features(inputs)
        nearest = [torch.cdist(features, centroids).amin(1) for centroids in self.centroids]
        return torch.stack(nearest, 1).argmin(1)

    def routed_logits(self, inputs: Tensor) -> Tensor:
        """Return the logits of each sample by the adapters and the head of its domain, float32 [B, 2]."""
        now = max((part.active for part in self._parts()), default=0)
        domains = self.route(inputs)
        logits = torch.empty(len(inputs), 2, device=inputs.device)
        for domain in sorted(set(domains.tolist())):
            self._activate(domain)
            mine = domains == domain
            with self.autocast():
                logits[mine] = at_least_float32(self.model(inputs[mine]))
        self._activate(now)
        return logits

    def probabilities(self, inputs: Tensor) -> Tensor:
        """Return the softmax of the routed logits, or of the model's own before any domain is learned."""
        return (
            torch.softmax(self.routed_logits(inputs), 1) if self.centroids else super().probabilities(inputs)
        )

    def forward(self) -> Tensor:
        """Return the logits of the domain that is being learned; routed ones when Avalanche evaluates."""
        return super().forward() if self.is_training or not self.centroids else self.routed_logits(self.mb_x)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from ``state``: the model gets as many adapters and heads as it holds."""
        centroids = state["extra"]["centroids"]
        if len(centroids) != state["step"]:
            raise BadState(
                f"centroids: expected those of {state['step']} domains, as many as it learned, found {len(centroids)}"
            )
        for place, part in enumerate(centroids):
            check_tensor(part, f"centroids[{place}]", lambda value: value.ndim == 2, "[K, D]")
        for _ in range(len(state["extra"]["centroids"]) - 1):
            self._add_domain(torch.Generator())
        super().load_state_dict(state)

    def extra_state(self) -> dict[str, Any]:
        """Keep the centroids; adapters and heads are the model's."""
        return {"centroids": self.centroids}

    def load_extra_state(self, state: Mapping[str, Any]) -> None:
        """Restore the centroids."""
        self.centroids = [part.to(self.device) for part in state["centroids"]]
