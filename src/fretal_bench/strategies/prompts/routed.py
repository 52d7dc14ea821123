"""The base of strategies that judge each sample by the parts of the domain whose centroid is nearest to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from scipy.cluster.vq import kmeans2
from torch import Tensor

from fretal_bench.strategies import draws
from fretal_bench.strategies.features import at_least_float32, head_inputs_and_logits
from fretal_bench.strategies.prompts import parts
from fretal_bench.strategies.prompts.frozen_backbone import FrozenBackbone
from fretal_bench.strategies.state import BadState, check_tensor


def centroids_of(features: Tensor, clusters: int, generator: torch.Generator) -> Tensor:
    """Return the K-means centroids [K, D] of features [N, D]; fewer where there are fewer distinct features."""
    distinct = len(torch.unique(features, dim=0))
    seed = int(torch.randint(2**31, (1,), generator=generator))
    values = features.double().cpu().numpy()
    centres, _ = kmeans2(values, min(clusters, distinct), iter=100, minit="++", seed=seed)
    return torch.from_numpy(centres).to(features)


class RoutedStrategy(FrozenBackbone):
    """Base of strategies with parts and a head a domain, chosen for each sample by the nearest K-means centroid.

    A domain is known by the centroids of its training samples' keys (both classes together, un-augmented): the features
    that enter the source model's head, or what ``keys`` makes of them. Domain 0 is the source model.
    """

    judged_by = ("centroids",)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.centroids: list[Tensor] = []
        """Of every domain learned or being learned, [K, D]."""

    def keys(self, features: Tensor) -> Tensor:
        """Return what is clustered and compared, [N, D], of the source model's features [N, D]."""
        return features

    def norm(self) -> float:
        """Return p, of which the distances of keys to centroids are the p-norms; Euclidean unless overridden."""
        return 2.0

    def distances(self, keys: Tensor, centroids: Tensor) -> Tensor:
        """Return the distances of keys [N, D] to centroids [K, D], [N, K]."""
        return torch.cdist(keys, centroids, p=self.norm())

    def before_domain(self, experience: Any) -> None:
        """Cluster the domain's features, then freeze, and add this domain's parts."""
        self._cluster(experience)
        super().before_domain(experience)

    def after_domain(self, experience: Any) -> None:
        """Cluster the first domain's features; a later one's are known before it is trained."""
        if self.step == 0:
            self._cluster(experience)

    @torch.no_grad()
    def _cluster(self, experience: Any) -> None:
        """Add the centroids of a domain."""
        was_training = self.model.training
        self.model.eval()
        features = torch.cat([self.frozen_features(inputs) for inputs, _ in self.clean_batches(experience)])
        self.model.train(was_training)
        generator = draws.of(self.seed, self.step, "centroids")
        self.centroids.append(centroids_of(self.keys(features), self.hyperparameters.clusters, generator))

    def frozen_features(self, inputs: Tensor) -> Tensor:
        """Return the features that enter the source model's head, float32 [B, D]."""
        parts.activate(self.model, 0)
        with self.autocast():
            return head_inputs_and_logits(self.model, inputs)[0].detach()

    def route(self, inputs: Tensor) -> Tensor:
        """Return the domain whose centroid is nearest to each sample, int64 [B]."""
        keys = self.keys(self.frozen_features(inputs))
        nearest = [self.distances(keys, centroids).amin(1) for centroids in self.centroids]
        return torch.stack(nearest, 1).argmin(1)

    def routed_logits(self, inputs: Tensor) -> Tensor:
        """Return the logits of each sample by the parts and the head of its domain, float32 [B, 2]."""
        now = parts.active_domain(self.model)
        domains = self.route(inputs)
        logits = torch.empty(len(inputs), 2, device=inputs.device)
        for domain in sorted(set(domains.tolist())):
            parts.activate(self.model, domain)
            mine = domains == domain
            with self.autocast():
                logits[mine] = at_least_float32(self.model(inputs[mine]))
        parts.activate(self.model, now)
        return logits

    def probabilities(self, inputs: Tensor) -> Tensor:
        """Return the softmax of the routed logits, or of the model's own before any domain is learned."""
        return (
            torch.softmax(self.routed_logits(inputs), 1) if self.centroids else super().probabilities(inputs)
        )

    def traceable_probabilities(self, inputs: Tensor) -> Tensor:
        """Return ``probabilities`` by judging every sample by all domains and taking that of its own."""
        if not self.centroids:
            return super().probabilities(inputs)
        now = parts.active_domain(self.model)
        keys = self.keys(self.frozen_features(inputs))
        # torch.cdist has no counterpart in ONNX; the order of distances is that of their p-th powers.
        apart = [
            (keys[:, None] - centroids).abs().pow(self.norm()).sum(2).amin(1) for centroids in self.centroids
        ]
        domains = torch.stack(apart, 1).argmin(1)
        by_domain = []
        for domain in range(len(self.centroids)):
            parts.activate(self.model, domain)
            with self.autocast():
                by_domain.append(at_least_float32(self.model(inputs)))
        parts.activate(self.model, now)
        chosen = domains[:, None, None].expand(-1, 1, 2)
        return torch.softmax(torch.stack(by_domain, 1).gather(1, chosen)[:, 0], 1)

    def forward(self) -> Tensor:
        """Return the logits of the domain that is being learned; routed ones when Avalanche evaluates."""
        return super().forward() if self.is_training or not self.centroids else self.routed_logits(self.mb_x)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from ``state``, which has the centroids of every domain."""
        centroids = state["extra"]["centroids"]
        if len(centroids) != state["step"]:
            raise BadState(
                f"centroids: expected those of {state['step']} domains, as many as it learned, found {len(centroids)}"
            )
        for place, part in enumerate(centroids):
            check_tensor(part, f"centroids[{place}]", lambda value: value.ndim == 2, "[K, D]")
        super().load_state_dict(state)

    def extra_state(self) -> dict[str, Any]:
        """Keep the centroids; parts and heads are the model's."""
        return {"centroids": self.centroids}

    def load_extra_state(self, state: Mapping[str, Any]) -> None:
        """Restore the centroids."""
        self.centroids = [part.to(self.device) for part in state["centroids"]]
