"""Avalanche's own strategies as shipped, ``avalanche:NAME``: what they take, and what is known to be wrong with them.

They are not among the suite's own: nothing trains them unless they are asked for by name. A default that Avalanche has
is Avalanche's; where it has none, the suite's choice is marked below.
"""

from __future__ import annotations

import dataclasses
from typing import Final

from fretal_bench.records import Record, limited
from fretal_bench.strategies.record import MOST_SAMPLES, Memory, StrategyInfo

PREFIX = "avalanche:"
_COUNTS: Final = frozenset(("mem_size", "patterns_per_experience", "sample_size", "delta_t", "temperature"))
"""What is at least 1; every other number is at least 0."""


def _stock(
    name: str,
    summary: str,
    paper: str,
    caution: str = "",
    memory: Memory = "none",
    links: tuple[str, ...] = (),
    **defaults: float,
) -> StrategyInfo:
    """Make the row of one; ``defaults`` are the plain numbers of its signature."""
    fields = [
        (key, type(value), limited(value, at_least=int(key in _COUNTS), at_most=MOST_SAMPLES))
        for key, value in defaults.items()
    ]
    return StrategyInfo(
        PREFIX + name,
        f"{__name__}.shipped:{name.replace('-', '_').upper()}",
        f"{summary}, as Avalanche ships it",
        paper,
        memory=memory,
        shared_source=False,
        constants=dataclasses.make_dataclass(
            f"{name.upper()}Hyperparameters", fields, bases=(Record,), frozen=True
        ),
        resumable=False,
        caution=caution,
        refuses=(("updates", "its batches are those of Avalanche's own loaders"),),
        # 1: the augmentation's draws were those of the seed of Avalanche's loaders, number for number.
        revision=1,
        links=links,
    )


STOCK: tuple[StrategyInfo, ...] = (
    _stock("naive", "fine-tuning", "baseline"),
    _stock(
        "ewc",
        "elastic weight consolidation",
        "Kirkpatrick et al., PNAS 2017",
        "its Fisher information is the squared gradient of a mini-batch's mean loss, not of single samples: the larger "
        "the batch, the weaker the penalty",
        ewc_lambda=1.0,  # Avalanche has no default.
    ),
    _stock(
        "lwf",
        "learning without forgetting",
        "Li and Hoiem, ECCV 2016",
        "its teacher is left in train mode: it normalises by the batch's own statistics and its dropout is on",
        alpha=1,
        temperature=2,
    ),
    _stock(
        "si",
        "synaptic intelligence",
        "Zenke, Poole, Ganguli, ICML 2017",
        "on a CPU old and new weights share memory, so its penalty is exactly 0 and it is fine-tuning",
        si_lambda=1.0,  # Avalanche has no default.
        eps=1e-7,
    ),
    _stock(
        "mas",
        "memory aware synapses",
        "Aljundi et al., ECCV 2018",
        "its pass for the importance moves BatchNorm's statistics, and it stops with an error when a loss is exactly 0",
        lambda_reg=1.0,
        alpha=0.5,
    ),
    _stock(
        "rwalk",
        "Riemannian walk",
        "Chaudhry et al., ECCV 2018",
        "it leaves the model in eval mode from the first domain on: BatchNorm keeps the statistics it began with; and "
        "a domain of fewer updates than delta_t makes its loss NaN",
        links=("https://arxiv.org/abs/1801.10112",),
        ewc_lambda=0.1,
        ewc_alpha=0.9,
        delta_t=10,
    ),
    _stock("replay", "experience replay", "Chaudhry et al., 2019", memory="budget", mem_size=200),
    _stock(
        "agem",
        "averaged gradient episodic memory",
        "Chaudhry et al., ICLR 2019",
        "it reads its memory in one fixed order over and over, where the paper draws a sample at random",
        memory="budget",
        patterns_per_experience=100,  # Avalanche has no default.
        sample_size=64,
    ),
    _stock(
        "gem",
        "gradient episodic memory",
        "Lopez-Paz and Ranzato, NeurIPS 2017",
        memory="budget",
        links=("https://arxiv.org/abs/1706.08840",),
        patterns_per_experience=100,  # Avalanche has no default.
        memory_strength=0.5,
    ),
    _stock("gdumb", "GDumb", "Prabhu, Torr, Dokania, ECCV 2020", memory="budget", mem_size=200),
    _stock(
        "der",
        "dark experience replay (DER++ while beta > 0)",
        "Buzzega et al., NeurIPS 2020",
        "it stores the logits of un-augmented samples after a domain is trained, where the paper stores those of the "
        "augmented samples as they stream by",
        memory="budget",
        mem_size=200,
        alpha=0.1,
        beta=0.5,
    ),
)
"""In the order in which they are listed."""
