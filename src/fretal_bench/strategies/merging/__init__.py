"""Strategies that merge the weights of models of several domains, and their hyperparameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fretal_bench.records import Record
from fretal_bench.strategies.record import StrategyInfo, fixed, tunable

Statistics = Literal["merge", "reestimate", "start"]


@dataclass(frozen=True)
class MergingHyperparameters(Record):
    """What every strategy that merges has.

    Args:
        batchnorm: BatchNorm's running statistics in the merged model: ``merge``: means and second moments by the rule
            of the weights; ``reestimate``: measured anew on the new domain's training images (which is of that domain
            alone); ``start``: as they were where the training began. The papers merge models without BatchNorm; the
            default is the suite's choice, since it needs no data and forgets no domain.
    """

    batchnorm: Statistics = "merge"


@dataclass(frozen=True)
class WeightAveragingHyperparameters(MergingHyperparameters):
    """Constants of the average of old and new weights.

    Args:
        rule: ``interpolation`` between the old and the new weights with ``alpha``, or the running ``mean`` of the
            models of all domains so far.
        alpha: a in [0, 1], the share of the new weights in the interpolation; 0.5 is WiSE-FT's recommendation where
            nothing is tuned.
    """

    rule: Literal["interpolation", "mean"] = fixed("interpolation")
    alpha: float = tunable(0.5, 0.05, 1, log=False, at_least=0, at_most=1)


@dataclass(frozen=True)
class TaskArithmeticHyperparameters(Record):
    """Constants of task arithmetic.

    Args:
        batchnorm: See ``MergingHyperparameters``; ``auto`` is ``merge`` with a sum and ``reestimate`` with TIES. Its
            weights move by a part of the task vectors, and the statistics of the models don't fit them: on FF++-mini
            merged ones leave a model that calls most images fake; chosen on its validation people.
        merge: ``sum`` of the task vectors (task arithmetic), or ``ties``: trimmed, of one sign, averaged (TIES).
        lambda_: Scale of the merged task vector; both papers tune it between 0 and 1. 0.2 is the suite's choice, made on
            FF++-mini's validation people: there a sum of three task vectors is worse from 0.3 on and at chance with 1,
            and TIES is as good with 0.2 as with 0.4.
        keep: K, per cent of a task vector's entries that TIES keeps (the paper's 20).
    """

    batchnorm: Literal["auto", "merge", "reestimate", "start"] = "auto"
    merge: Literal["sum", "ties"] = fixed("sum")
    lambda_: float = tunable(0.2, 0.1, 1, log=False, at_least=0)
    keep: float = tunable(20.0, 5, 100, above=0, at_most=100)


WEIGHT_AVERAGING = StrategyInfo(
    "weight-averaging",
    f"{__name__}.weight_averaging:WeightAveraging",
    "after every domain the average of the old and the new weights, or of all domains' models",
    "after Wortsman et al., CVPR 2022",
    constants=WeightAveragingHyperparameters,
    watchable=False,
    links=("https://arxiv.org/abs/2109.01903",),
)
TASK_ARITHMETIC = StrategyInfo(
    "task-arithmetic",
    f"{__name__}.task_arithmetic:TaskArithmetic",
    "every domain trained from the source model, the differences to it added up (or merged by TIES)",
    "Ilharco et al., ICLR 2023",
    constants=TaskArithmeticHyperparameters,
    watchable=False,
    links=("https://arxiv.org/abs/2212.04089", "https://arxiv.org/abs/2306.01708"),
)
STRATEGIES = (WEIGHT_AVERAGING, TASK_ARITHMETIC)
"""In the order in which they are listed."""
