"""Plain fine-tuning."""

from __future__ import annotations

from fretal_bench.strategies import bounds
from fretal_bench.strategies.template import ContinualStrategy


class FineTuning(ContinualStrategy):
    """Train on each domain in turn with ``L = CE(s, y)``; nothing is done against forgetting."""

    info = bounds.FINETUNING
