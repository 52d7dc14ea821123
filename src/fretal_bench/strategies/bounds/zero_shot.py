"""The source model, never adapted."""

from __future__ import annotations

from typing import Any

from fretal_bench.strategies import bounds
from fretal_bench.strategies.template import ContinualStrategy


class ZeroShot(ContinualStrategy):
    """Train on the first domain only; on later domains the model stays as it is, BatchNorm statistics included."""

    info = bounds.ZERO_SHOT

    def _train_exp(self, experience: Any, eval_streams: Any = None, **kwargs: Any) -> None:
        if self.step == 0:
            super()._train_exp(experience, eval_streams, **kwargs)
