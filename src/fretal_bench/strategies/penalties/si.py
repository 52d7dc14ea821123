"""Synaptic Intelligence."""

from __future__ import annotations

from typing import Any

import torch

from fretal_bench.errors import BenchError
from fretal_bench.strategies import penalties
from fretal_bench.strategies.penalties.anchored import AnchoredStrategy, snapshot
from fretal_bench.strategies.penalties.per_sample import Weights


class SI(AnchoredStrategy):
    """``L = CE(s, y) + c sum_k Omega[k] (w[k] - w*[k])^2``, w* being the weights before this domain.

    While a domain is trained every update adds ``-g (w_after - w_before)`` to the path integral ``omega``: how much of
    the fall of the loss that weight brought about. At the domain's end
    ``Omega <- max(0, Omega + omega / ((w_end - w_start)^2 + xi))``. The paper has no maximum with 0; its released code
    takes it, since a negative Omega (momentum can cause one) would drive a weight away without bound.

    g is the gradient of the loss WITHOUT the penalty: the penalty's own, ``2 c Omega (w - w*)``, is taken off what the
    backward pass left. The moves are those that the optimiser made, so momentum, adaptive rates and weight decay are in
    them.

    SI must watch the first domain being trained, so it trains its own source model. With the same seed and recipe that
    is the same as everyone's, since there is no penalty yet.

    Source: Zenke, Poole, Ganguli, "Continual Learning Through Synaptic Intelligence", ICML 2017, equations 3 to 5.
    """

    info = penalties.SI

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.start: Weights = {}
        """The weights at the start of the domain."""
        self.path: Weights = {}
        """The path integral of this domain so far."""
        self.task_gradients: Weights = {}
        """The last update's gradients, without the penalty's."""

    def strength(self) -> float:
        """Return ``c``."""
        strength: float = self.hyperparameters.c
        return strength

    def _before_training_exp(self, **kwargs: Any) -> None:
        super()._before_training_exp(**kwargs)
        self.start = snapshot(self.model)
        self.path = {name: torch.zeros_like(w) for name, w in self.start.items()}

    @torch.no_grad()
    def backward(self) -> None:
        """Run the backward pass and keep the gradient of the loss without the penalty."""
        with torch.enable_grad():
            super().backward()
        scale = self._scaler.get_scale()
        self.task_gradients = {}
        for name, weight in self.model.named_parameters():
            if name in self.path and weight.grad is not None:
                gradient = weight.grad / scale
                if self.step > 0 and name in self.importance:
                    gradient -= 2 * self.strength() * self.importance[name] * (weight - self.anchor[name])
                self.task_gradients[name] = gradient

    @torch.no_grad()
    def optimizer_step(self) -> None:
        """Update the weights and the path integral."""
        before = {name: w.clone() for name, w in self.model.named_parameters() if name in self.task_gradients}
        super().optimizer_step()
        for name, weight in self.model.named_parameters():
            if name in before:
                moved = weight - before[name]
                # An update that half precision skipped has infinite gradients and no move: that adds nothing.
                self.path[name] -= torch.where(moved != 0, self.task_gradients[name] * moved, 0.0)

    def running_state(self) -> dict[str, Any]:
        """Return the path integral: it must end where the weights do."""
        return {"path": self.path}

    def after_domain(self, experience: Any) -> None:
        """Turn the path integral into importance.

        Raises:
            BenchError: The domain was not trained here (``adopt``).
        """
        if not self.path:
            raise BenchError(
                "SI cannot adopt a model: it must watch the first domain being trained; train it here"
            )
        for name, weight in snapshot(self.model).items():
            new = self.path[name] / ((weight - self.start[name]) ** 2 + self.hyperparameters.xi)
            self.importance[name] = (self.importance.get(name, torch.zeros_like(new)) + new).clamp(min=0)
        self.start, self.path, self.task_gradients = {}, {}, {}
