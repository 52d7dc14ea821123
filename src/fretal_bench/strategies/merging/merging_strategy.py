"""The base of the strategies that merge weights at the end of a domain."""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor, nn

from fretal_bench.strategies.merging import Statistics
from fretal_bench.strategies.merging.points import copied, statistics_of
from fretal_bench.strategies.template import ContinualStrategy, frozen_copy

_BatchNorm = nn.modules.batchnorm._BatchNorm


class MergingStrategy(ContinualStrategy):
    """Base of strategies that train a domain by cross-entropy alone and merge the model with older ones at its end.

    After a domain the strategy's model is the merged one: it judges, and it is what the checkpoint has as model. The
    source model, which the first domain trains, is merged with nothing. While a domain is trained, and where a recipe
    selects an epoch on validation data, the model is the one in training, not yet merged.

    BatchNorm: see ``MergingHyperparameters.batchnorm``. Counters of batches are the newly trained model's.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.start: dict[str, Tensor] = {}
        """The state that the training of this domain begins with, on the CPU."""

    def merged(self) -> dict[str, Tensor]:
        """Return the merged state, all entries of ``self.model.state_dict()``. The model is the newly trained one."""
        raise NotImplementedError

    def statistics_rule(self) -> Statistics:
        """Return where the merged model's BatchNorm statistics come from."""
        rule: Statistics = self.hyperparameters.batchnorm
        return rule

    def before_domain(self, experience: Any) -> None:
        """Remember where the training begins."""
        self.start = copied(self.model.state_dict())

    @torch.no_grad()
    def after_domain(self, experience: Any) -> None:
        """Merge."""
        if self.step == 0:
            return
        rule = self.statistics_rule()
        merged = self.merged()
        if rule == "start":
            merged |= statistics_of(self.start)
        self.model.load_state_dict(merged)
        if rule == "reestimate":
            measure_statistics(self, experience)


@torch.no_grad()
def measure_statistics(strategy: ContinualStrategy, experience: Any) -> None:
    """Set BatchNorm's running statistics to those of a domain's training images.

    One more epoch of the domain, drawn and augmented as in training, is run through the model; every BatchNorm layer
    normalises by the batch, everything else is in eval mode (dropout would widen what it enters). A layer's statistics
    are the mean and the unbiased variance of all that entered it, all batches pooled, in float64. (PyTorch's
    ``swa_utils.update_bn`` averages the batches' variances, which leaves out how the batches differ.)

    Args:
        strategy: Its model is changed, its statistics alone.
        experience: The domain.
    """
    # A copy, on which no hook is left.
    model = frozen_copy(strategy.model)
    layers = {
        name: layer
        for name, layer in model.named_modules()
        if isinstance(layer, _BatchNorm) and layer.running_mean is not None
    }
    sums: dict[str, Tensor] = {}

    def add(name: str, _: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        entered = arguments[0].detach().double().movedim(1, -1).flatten(0, -2)
        counted = torch.stack([torch.ones_like(entered).sum(0), entered.sum(0), (entered**2).sum(0)])
        sums[name] = sums[name] + counted if name in sums else counted

    for name, layer in layers.items():
        layer.train()
        layer.register_forward_pre_hook(functools.partial(add, name))
    for inputs, _ in strategy.further_batches(experience) if layers else ():
        with strategy.autocast():
            model.forward(inputs)
    own = strategy.model.state_dict()
    for name, (count, total, squares) in sums.items():
        mean = total / count
        variance = (squares - count * mean**2).clamp(min=0) / (count - 1).clamp(min=1)
        own[f"{name}.running_mean"].copy_(mean)
        own[f"{name}.running_var"].copy_(variance)
