"""Online Elastic Weight Consolidation: one running Fisher information, one anchor."""

from __future__ import annotations

from typing import Any

from fretal_bench.strategies import penalties
from fretal_bench.strategies.penalties.anchored import AnchoredStrategy
from fretal_bench.strategies.penalties.ewc import fisher_diagonal
from fretal_bench.strategies.penalties.per_sample import importance_batches


class OnlineEWC(AnchoredStrategy):
    """``L = CE(s, y) + lambda_/2 sum_k F~[k] (w[k] - w*[k])^2``, w* being the weights before this domain.

    ``F~`` is a running sum that forgets: after every domain ``F~ <- gamma F~ + F``, F being the diagonal of the domain's
    Fisher information (``fisher_diagonal``). EWC (``ewc.py``) holds the weights near where every past domain left them;
    this holds them near where the last one did. The paper's penalty carries ``gamma`` once more; being constant, it is
    part of ``lambda_`` here.

    Source: Schwarz et al., "Progress & Compress: A scalable framework for continual learning", ICML 2018, section on
    online EWC; here without its two columns.
    """

    info = penalties.ONLINE_EWC

    def strength(self) -> float:
        """Return ``lambda_ / 2``."""
        strength: float = self.hyperparameters.lambda_
        return strength / 2

    def after_domain(self, experience: Any) -> None:
        """Let the running Fisher information fade and add this domain's."""
        constants = self.hyperparameters
        batches = importance_batches(self, experience, constants.fisher_samples)
        for name, new in fisher_diagonal(self.model, batches, constants.fisher).items():
            old = self.importance.get(name)
            self.importance[name] = new if old is None else old * constants.gamma + new
