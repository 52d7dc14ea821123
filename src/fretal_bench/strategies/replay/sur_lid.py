"""SUR-LID: a sparse, uniform memory, domains and classes kept apart in feature space, and a head a domain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fretal_bench.errors import BenchError
from fretal_bench.strategies import draws, replay
from fretal_bench.strategies.batches import source_of
from fretal_bench.strategies.distillation.teacher import DistillationStrategy
from fretal_bench.strategies.features import head_inputs_and_logits
from fretal_bench.strategies.replay.dfil import contrastive_loss, feature_distance
from fretal_bench.strategies.replay.domain_heads import DomainHeads, linear_head, turn
from fretal_bench.strategies.replay.memory_strategy import MemoryBatch, MemoryStrategy
from fretal_bench.strategies.replay.sparse_uniform import sparse_uniform, tile_order, tile_shuffled
from fretal_bench.strategies.state import check_tensor

_LINEAR: Final = "sur-lid with heads='per-domain'; use --set sur-lid.heads=shared"


def refilled(units: Tensor, partners: Tensor, mix: Tensor, keep: Tensor, centres: Tensor) -> Tensor:
    """Return ``b (a f_i + (1 - a) f_j) + (1 - b) c``: features between those of a few samples and their centre.

    Args:
        units: f, of length 1, [M, D].
        partners: j of each, int64 [M].
        mix: a of each, [M].
        keep: b of each, [M].
        centres: c of each one's domain and class, of length 1, [M, D].
    """
    a, b = mix[:, None], keep[:, None]
    return b * (a * units + (1 - a) * units[partners]) + (1 - b) * centres


class _Groups:
    """Where the samples of each domain and class are in a batch of the memory, the same at every update of a domain.

    Args:
        domains: Domain of every sample in the memory, int64 [N].
        labels: Their labels, int64 [N].
        most: Samples of each group that a batch has; all where there are fewer.
    """

    def __init__(self, domains: Tensor, labels: Tensor, most: int) -> None:
        keys = sorted(set(zip(domains.tolist(), labels.tolist(), strict=True)))
        self.members = [((domains == d) & (labels == y)).nonzero().squeeze(1) for d, y in keys]
        sizes = torch.tensor([min(most, len(members)) for members in self.members])
        self.most = most
        self.domains, self.labels = (
            torch.tensor(part).repeat_interleave(sizes) for part in zip(*keys, strict=True)
        )
        self.sizes = sizes.repeat_interleave(sizes)
        self.starts = (sizes.cumsum(0) - sizes).repeat_interleave(sizes)
        self.places = torch.arange(len(self.starts)) - self.starts

    def draw(self, generator: torch.Generator) -> Tensor:
        """Draw each group's samples, without repeats: places in the memory, int64 [M]."""
        drawn = [
            members[torch.randperm(len(members), generator=generator)][: self.most]
            for members in self.members
        ]
        return torch.cat(drawn)

    def draw_partners(self, generator: torch.Generator) -> Tensor:
        """Draw for each sample another of its group, itself where it is alone: places in the batch, int64 [M]."""
        others = self.sizes - 1
        ahead = (torch.rand(len(others), generator=generator) * others).long() + 1
        return self.starts + (self.places + ahead) % self.sizes


class SURLID(MemoryStrategy, DistillationStrategy):
    """``L = isolation L_iso + feature_weight L_dis + detection CE``; on the first domain the cross-entropy alone.

    An update sees the new domain's batch and ``memory_batch`` samples of each class of each past domain, drawn from the
    memory without repeats and augmented anew.

    - ``L_iso``: ``dfil.contrastive_loss`` of the features that enter the head, a group being a class of a domain (see
      ``real_groups``). Those of the memory's samples are ``refilled`` first: each, at length 1, is mixed with another of
      its group and with its group's centre, a ~ U(0, 1), b ~ U(1/2, 1).
    - ``L_dis``: ``|f_S/|f_S| - f_T/|f_T||^2``, mean over the memory's samples; f_T are the features of the model before
      this domain, in eval mode.
    - ``CE``: mean over all samples, each through the head of its domain.

    Heads: every domain has a linear head of its own, the first the source model's, a later one drawn anew. Old heads go
    on learning from the memory. After every update the rows of the newest are turned to those of the one before it by
    ``alignment`` (``turn``). At test time the logits are the mean over the heads, which needs no domain's name. That mean
    is one linear head: it is what the model has after a domain, so a detector that is exported is a plain model; the
    heads themselves are kept beside it for the next domain. With ``heads="shared"`` there is one head and no alignment.

    Memory: of each class of a domain ``sparse_uniform`` samples, by their features at the end of the domain, in eval mode
    and without augmentation. The stability of a sample is the cosine of its feature to that of the image with its four
    quarters in another order, the same for all samples of a domain. A share that shrinks gives up whole segments, such
    that those that stay lie evenly. The centre of a class is the plain mean over its samples.

    What is whose: weights, centre, distance, cosine, the formula of re-filling and gamma are the paper's, as a note on it
    gives them. Read from the released code are the temperature, three samples of a class, unit length before the
    contrast and the distance, and that a refilled feature stands in for its sample. That code weighs otherwise (0.4, 10
    with a mean over features, 1), moves the centre with the samples, refills by one of three rules, aligns all heads from
    the second epoch on, and distils outputs by a divergence whose target is not what its function takes; the last is left
    out. The draws of a and b, the draws from the memory in place of a pointer that goes round, and one budget for all
    past domains are the suite's. The paper's own is 500 samples a domain.

    Source: Cheng et al., "Stacking Brick by Brick: Aligned Feature Isolation for Incremental Face Forgery Detection",
    CVPR 2025 (arXiv 2411.11396), and its released code (beautyremain/SUR-LID).
    """

    info = replay.SUR_LID

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.own_heads = self.hyperparameters.heads == "per-domain"
        if self.own_heads:
            # A model whose head is another is refused before the first domain is trained.
            linear_head(self.model, _LINEAR)
        self.heads = DomainHeads()
        """The heads of the past domains; none where one is shared."""
        self.centres = torch.empty(0, 2, 0)
        """Mean feature of each class of each past domain, 0 where it has none, float32 [T, 2, D]."""
        self._lent: list[Tensor] = []
        """Old heads that the optimiser has been given."""

    # The batch

    def before_domain(self, experience: Any) -> None:
        """Freeze the teacher, open the memory, give the domain a head."""
        super().before_domain(experience)
        constants = self.hyperparameters
        self.memory_draws = draws.of(self.seed, self.step, "sur-lid: memory")
        self.opened_memory = self.memory_source()
        self.memory_transform = self.transform_of(experience)
        self.groups = _Groups(self.memory.domains, self.memory.labels, constants.memory_batch)
        old = self.groups.domains, self.groups.labels
        self.old_domains, self.old_labels = (part.to(self.device) for part in old)
        self.old_centres = F.normalize(self.centres, dim=2)[self.old_domains, self.old_labels]
        if self.own_heads:
            if not self._head.weight.requires_grad:
                raise BenchError(
                    "sur-lid with heads='per-domain' trains a new head at every domain, and the model's head is frozen; "
                    "use --set sur-lid.heads=shared"
                )
            self.heads.begin(self._head, draws.of(self.seed, self.step, "sur-lid: head"))

    def _before_forward(self, **kwargs: Any) -> None:
        super()._before_forward(**kwargs)
        if self.step == 0:
            return
        places = self.groups.draw(self.memory_draws)
        images = self.opened_memory.images(places).to(self.device, non_blocking=True)
        inputs = self.memory_transform.train(images, self.groups.labels, self.memory_draws)
        self.new = len(self.mb_y)
        self.join(MemoryBatch(places, inputs, self.old_labels))

    # The loss

    def forward(self) -> Tensor:
        """Return the logits of the mini-batch, each by its domain's head, and keep the features that enter it."""
        with self.autocast():
            self.mb_features, logits = head_inputs_and_logits(self.model, self.mb_x)
        if not self.heads.learning:
            return logits
        if not self.is_training:
            return F.linear(self.mb_features, *self.heads.mean(self._head))
        old = self.heads.logits(self.mb_features[self.new :], self.old_domains)
        return torch.cat([logits[: self.new], old])

    def criterion(self) -> Tensor:
        """Return the cross-entropy, weighted on all domains but the first."""
        loss: Tensor = super().criterion()
        return loss.mul(self.hyperparameters.detection) if self.step > 0 and self.is_training else loss

    def penalty(self) -> Tensor:
        """Return ``isolation L_iso + feature_weight L_dis``."""
        constants = self.hyperparameters
        with torch.no_grad(), self.autocast():
            taught, _ = head_inputs_and_logits(self.teacher, self.mb_x[self.new :])
        away = feature_distance(self.mb_features[self.new :], taught).mul(taught.shape[1])
        apart = contrastive_loss(self._refilled(), self._group_numbers(), constants.isolation_temperature)
        return apart.mul(constants.isolation) + away.mul(constants.feature_weight)

    def _refilled(self) -> Tensor:
        """Return the features of the mini-batch at length 1, those of the memory's samples re-filled."""
        partners = self.groups.draw_partners(self.memory_draws)
        mix, keep = torch.rand(2, len(partners), generator=self.memory_draws)
        units = F.normalize(self.mb_features, dim=1)
        old = refilled(
            units[self.new :],
            partners.to(self.device, non_blocking=True),
            mix.to(self.device, non_blocking=True),
            keep.add(1).div(2).to(self.device, non_blocking=True),
            self.old_centres,
        )
        return torch.cat([units[: self.new], old])

    def _group_numbers(self) -> Tensor:
        """Return which group of ``L_iso`` each sample of the mini-batch is in, int64 [B + M]."""
        labels: Tensor = self.mb_y
        domains = torch.cat([self.old_domains.new_full((self.new,), self.step), self.old_domains])
        if self.hyperparameters.real_groups == "shared":
            return labels * (1 + domains)
        return 2 * domains + labels

    # The heads

    @property
    def _head(self) -> nn.Linear:
        """The model's own head, where every domain has one."""
        return linear_head(self.model, _LINEAR)

    def make_optimizer(self, **kwargs: Any) -> None:
        """Give the optimiser the old heads, in the group of the newest; called more than once a domain."""
        self._take_back()
        super().make_optimizer(**kwargs)
        if self.heads.learning:
            newest = self._head.weight
            group = next(g for g in self.optimizer.param_groups if any(w is newest for w in g["params"]))
            self._lent = [self.heads.weights, self.heads.biases]
            group["params"] += self._lent

    def _take_back(self) -> None:
        """Take the old heads from the optimiser, as they were given to it."""
        lent = {id(weight) for weight in self._lent}
        for group in self.optimizer.param_groups:
            group["params"] = [weight for weight in group["params"] if id(weight) not in lent]
        self._lent = []

    def optimizer_step(self) -> None:
        """Update the weights, then turn the newest head."""
        super().optimizer_step()
        if self.heads.learning:
            turn(self._head.weight, self.heads.weights[-1], self.hyperparameters.alignment)

    def probabilities(self, inputs: Tensor) -> Tensor:
        """Return the softmax of the mean of the heads' logits, also while a domain is being learned."""
        if not self.heads.learning:
            return super().probabilities(inputs)
        with self.autocast():
            features, _ = head_inputs_and_logits(self.model, inputs)
        return torch.softmax(F.linear(features, *self.heads.mean(self._head)), dim=1)

    def classifier(self) -> nn.Module | None:
        """Return the model, whose head is the mean of all between two domains."""
        return None if self.heads.learning else self.model

    def running_state(self) -> dict[str, Any]:
        """Return the old heads, which learn with the model."""
        return {"heads": self.heads}

    # The memory and the state

    def after_domain(self, experience: Any) -> None:
        """Keep the head, choose the samples, compute the centres."""
        if self.own_heads:
            self._take_back()
            self.heads.end(self._head)
        super().after_domain(experience)

    def fill_memory(self, experience: Any) -> None:
        """Choose the domain's samples and compute the centres of its classes."""
        order = tile_order(draws.of(self.seed, self.step, "sur-lid: tiles"))
        parts, stabilities = [], []
        for inputs, _ in self.clean_batches(experience):
            with self.autocast():
                feature = head_inputs_and_logits(self.model, inputs)[0]
                shuffled = head_inputs_and_logits(self.model, tile_shuffled(inputs, order))[0]
            stabilities.append(F.cosine_similarity(feature, shuffled).cpu())
            parts.append(feature.cpu())
        features, stability = torch.cat(parts), torch.cat(stabilities)
        labels = source_of(experience).targets.cpu()
        centres = features.new_zeros(2, features.shape[1])
        ranked = {}
        for label, count in self.memory.shares(self.step, labels).items():
            rows = (labels == label).nonzero().squeeze(1)
            centres[label] = features[rows].mean(dim=0)
            ranked[label] = rows[sparse_uniform(features[rows], stability[rows], count)]
        self.memory.offer_ranked(self.step, ranked)
        kept = self.centres if len(self.centres) else self.centres.new_empty(0, *centres.shape)
        self.centres = torch.cat([kept.to(self.device), centres[None].to(self.device)])

    def extra_state(self) -> dict[str, Any]:
        """Keep the memory, the centres and the heads."""
        heads = {"head_weights": self.heads.weights, "head_biases": self.heads.biases}
        return {**super().extra_state(), "centres": self.centres, **heads}

    def load_extra_state(self, state: Mapping[str, Any]) -> None:
        """Restore the memory, the centres and the heads.

        Raises:
            BadState: They are not those of as many domains as were learned, or of another model.
        """
        super().load_extra_state(state)
        width = state["centres"].shape[-1] if state["centres"].ndim == 3 else 0
        self.centres = self._restored(state, "centres", (self.step, 2, width))
        heads, inputs = (self.step, self._head.in_features) if self.own_heads else (0, 0)
        self.heads.weights = self._restored(state, "head_weights", (heads, 2, inputs))
        self.heads.biases = self._restored(state, "head_biases", (heads, 2))

    def _restored(self, state: Mapping[str, Any], name: str, shape: tuple[int, ...]) -> Tensor:
        """Return a tensor of the state, on the device."""

        def holds(value: Tensor) -> bool:
            return value.shape == shape and bool(value.isfinite().all())

        value = check_tensor(state[name], name, holds, f"{list(shape)}, finite", torch.float32)
        return value.to(self.device)
