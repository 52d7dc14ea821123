"""Strategies that hold weights in place, and their hyperparameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fretal_bench.records import Record, limited
from fretal_bench.strategies.distillation import Teacher
from fretal_bench.strategies.record import MOST_SAMPLES, StrategyInfo, tunable

Anchor = Literal["previous", "source"]
Fisher = Literal["exact", "empirical"]
Combination = Literal["mean", "max"]


@dataclass(frozen=True)
class EWCHyperparameters(Record):
    """Constants of EWC.

    Args:
        lambda_: Strength of the penalty. The paper gives no value that carries over; 10 did best on FF++-mini's
            validation people among 1, 10, 30, 100, 1000, 10^4 and 10^5 (docs/ffpp-mini.md).
        fisher: ``exact``: labels drawn from the model's own distribution, in expectation; ``empirical``: the data's
            labels. Both are means over samples of squared gradients of single samples.
        fisher_samples: Training samples of a domain that the Fisher information is estimated from; 0 = all.
    """

    lambda_: float = tunable(10.0, 0.1, 1e4, at_least=0)
    fisher: Fisher = "exact"
    fisher_samples: int = limited(0, at_least=0, at_most=MOST_SAMPLES)


@dataclass(frozen=True)
class EWCByClassHyperparameters(EWCHyperparameters):
    """Constants of EWC by class; strength and Fisher information are EWC's, with EWC's defaults.

    Args:
        combination: How the Fisher information of real samples and that of fake ones become one: their ``mean``, or the
            larger of the two (``max``). Both are the suite's choice.
    """

    combination: Combination = "mean"


@dataclass(frozen=True)
class OnlineEWCHyperparameters(EWCHyperparameters):
    """Constants of online EWC; strength and Fisher information are EWC's, with EWC's defaults.

    Args:
        gamma: What is left of the old Fisher information when a domain's is added, in [0, 1]; the paper's is below 1.
            0.95 is the suite's choice.
    """

    gamma: float = tunable(0.95, 0.5, 1, log=False, at_least=0, at_most=1)


@dataclass(frozen=True)
class SIHyperparameters(Record):
    """Constants of SI.

    Args:
        c: Strength of the penalty. The best depends on the task; 0.1 is among the values that the released code tries on
            CIFAR (0.01 to 0.2).
        xi: Damping of the importance of weights that hardly moved, in squared weight (0.001 in the released code on
            CIFAR, 0.1 on permuted MNIST).
    """

    c: float = tunable(0.1, 1e-3, 100, at_least=0)
    xi: float = tunable(1e-3, 1e-4, 1, above=0)


@dataclass(frozen=True)
class MASHyperparameters(Record):
    """Constants of MAS.

    Args:
        lambda_: Strength of the penalty (the paper's 1).
        importance_samples: Training samples of a domain that the importance is estimated from; 0 = all.
    """

    lambda_: float = tunable(1.0, 0.01, 100, at_least=0)
    importance_samples: int = limited(0, at_least=0, at_most=MOST_SAMPLES)


@dataclass(frozen=True)
class L2SPHyperparameters(Record):
    """Constants of L2-SP.

    Args:
        alpha: Strength of the pull towards the starting point (0.1 in the authors' released script).
        beta: Strength of the head's decay towards zero (0.01 there).
        anchor: The starting point: the ``previous`` model (before this domain) or the ``source`` model (after the first).
            On a stream of two domains they are the same.
    """

    alpha: float = tunable(0.1, 1e-3, 10, at_least=0)
    beta: float = tunable(0.01, 1e-4, 1, at_least=0)
    anchor: Anchor = "previous"


@dataclass(frozen=True)
class TGDHyperparameters(Record):
    """Constants of T-GD; its gate has none.

    Args:
        starting_point: Weight of the pull towards the teacher's weights.
        head_decay: Weight of the head's decay towards zero.
        teacher: ``previous`` (the model before this domain) or ``source`` (the model after the first). T-GD transfers
            once, where they are the same; ``previous`` on longer streams is the suite's choice.
    """

    starting_point: float = tunable(1.0, 0.01, 100, at_least=0)
    head_decay: float = tunable(1.0, 0.01, 100, at_least=0)
    teacher: Teacher = "previous"


EWC = StrategyInfo(
    "ewc",
    f"{__name__}.ewc:EWC",
    "elastic weight consolidation: weights held in place by per-sample Fisher information",
    "Kirkpatrick et al., PNAS 2017",
    constants=EWCHyperparameters,
    old_data="the Fisher information of its weights",
    links=("https://arxiv.org/abs/1612.00796",),
)
EWC_BY_CLASS = StrategyInfo(
    "ewc-by-class",
    f"{__name__}.ewc_by_class:EWCByClass",
    "EWC with the Fisher information of reals and of fakes apart, each counting the same",
    "the suite's own, after Kirkpatrick et al., PNAS 2017",
    constants=EWCByClassHyperparameters,
    old_data="the Fisher information of its weights",
    links=("https://arxiv.org/abs/1612.00796",),
)
ONLINE_EWC = StrategyInfo(
    "online-ewc",
    f"{__name__}.online_ewc:OnlineEWC",
    "EWC with one running Fisher information that fades, around the last weights",
    "Schwarz et al., ICML 2018",
    constants=OnlineEWCHyperparameters,
    old_data="the Fisher information of its weights",
    links=("https://arxiv.org/abs/1805.06370",),
)
SI = StrategyInfo(
    "si",
    f"{__name__}.si:SI",
    "synaptic intelligence: weights held by how much they lowered the loss in training",
    "Zenke, Poole, Ganguli, ICML 2017",
    shared_source=False,
    constants=SIHyperparameters,
    old_data="the importance of its weights",
    links=("https://arxiv.org/abs/1703.04200",),
)
MAS = StrategyInfo(
    "mas",
    f"{__name__}.mas:MAS",
    "memory aware synapses: weights held by how much the logits depend on them",
    "Aljundi et al., ECCV 2018",
    constants=MASHyperparameters,
    old_data="the importance of its weights",
    links=("https://arxiv.org/abs/1711.09601",),
)
L2SP = StrategyInfo(
    "l2sp",
    f"{__name__}.l2sp:L2SP",
    "weight decay towards the starting point, the head's towards zero",
    "Li, Grandvalet, Davoine, ICML 2018",
    constants=L2SPHyperparameters,
    links=("https://arxiv.org/abs/1802.01483",),
)
TGD = StrategyInfo(
    "tgd",
    f"{__name__}.tgd:TGD",
    "L2-SP as strong as the teacher's loss on the batch is small",
    "Jeon et al., ICML 2020",
    teacher=True,
    constants=TGDHyperparameters,
    links=("https://arxiv.org/abs/2008.04115",),
)
STRATEGIES = (EWC, EWC_BY_CLASS, ONLINE_EWC, SI, MAS, L2SP, TGD)
"""In the order in which they are listed."""
