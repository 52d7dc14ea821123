"""Experience replay."""

from __future__ import annotations

from typing import Any

from fretal_bench.strategies import replay
from fretal_bench.strategies.replay.memory_strategy import ReplayStrategy


class ExperienceReplay(ReplayStrategy):
    """``L = CE`` averaged over the union of the new domain's batch and one drawn from the memory, in one forward pass.

    The memory is a reservoir over all samples of the past domains. The paper is online and single-pass; here a domain
    is learned in several epochs and offered to the reservoir once, at its end.

    Source: Chaudhry et al., "On Tiny Episodic Memories in Continual Learning", 2019 (arXiv 1902.10486), algorithm 1,
    with reservoir sampling.
    """

    info = replay.ER

    def _before_forward(self, **kwargs: Any) -> None:
        super()._before_forward(**kwargs)
        if self.step > 0:
            self.join(self.draw())
