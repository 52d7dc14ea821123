"""Strategies that distil from a frozen older model, and their hyperparameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fretal_bench.records import Record, limited
from fretal_bench.strategies.record import StrategyInfo, fixed, tunable

Teacher = Literal["previous", "source"]
Feature = Literal["scalar", "vector"]


@dataclass(frozen=True)
class LwFHyperparameters(Record):
    """Constants of LwF.

    Args:
        lambda_: Weight of the old outputs (the paper's lambda_o = 1).
        temperature: T of the softened outputs (the paper's 2).
    """

    lambda_: float = tunable(1.0, 0.03, 30, at_least=0)
    temperature: float = tunable(2.0, 1, 20, above=0)


@dataclass(frozen=True)
class KDHyperparameters(Record):
    """Constants of the distillation loss, as in FReTAL's released code.

    Args:
        temperature: T of the softened outputs.
        alpha: a, the share of the divergence against the labels inside the loss.
        teacher: ``previous`` (the model before this domain: a stream is one adaptation after another, and the authors'
            own second step loads the first step's student as its teacher) or ``source`` (the model after the first
            domain, all along). On a stream of two domains they are the same. Not tuned: it tells variants apart.
    """

    temperature: float = tunable(20.0, 1, 40, above=0)
    alpha: float = tunable(0.5, 0.01, 1, at_least=0, at_most=1)
    teacher: Teacher = fixed("previous")  # noqa: RUF009  (a dataclass field)


@dataclass(frozen=True)
class FReTALHyperparameters(KDHyperparameters):
    """Constants of FReTAL; the distillation loss's own, and the teacher, are KD's.

    Args:
        feature: ``scalar``: features averaged over channels and samples of a bin (the released code); ``vector``:
            averaged over the samples only (what the paper's text suggests).
        representation_weight: Weight of the representation loss.
    """

    feature: Feature = "scalar"
    representation_weight: float = tunable(1.0, 0.01, 100, at_least=0)


@dataclass(frozen=True)
class FeatureDistillationHyperparameters(Record):
    """Constants of less-forgetting learning.

    Args:
        lambda_: Weight of the features' distance (the paper's lambda_e). It depends on the scale and number of the
            features; 0.05 is the suite's choice.
        freeze_classifier: Leave the head as it is on every domain but the first, as the paper does.
    """

    lambda_: float = tunable(0.05, 1e-4, 10, at_least=0)
    freeze_classifier: bool = True


@dataclass(frozen=True)
class HDPHyperparameters(Record):
    """Constants of HDP.

    Args:
        feature_weight: Weight of the squared distance to the teacher's features (the released code's 1).
        kl: Weight of the divergence from the teacher's outputs (the released code's 1, "optional" there; 0 leaves it
            out).
        epsilon: Largest change of a pixel by a perturbation, as a share of full scale: 0.15 of the released code's
            [-1, 1].
        step_size: Change of a pixel a step, as a share of ``epsilon``. The suite's choice: with the released code's
            1/1500 a pixel could not reach ``epsilon``.
        success: Share of reals taken for fakes at which a batch is done, and a pass the last (the released code's 0.8).
        steps: Most steps a batch. The released code has no bound and may never end; 10 is a later comparison's number.
        passes: Most passes over the domain's reals (the released code's 5).
    """

    feature_weight: float = tunable(1.0, 0.01, 100, at_least=0)
    kl: float = tunable(1.0, 0.01, 100, at_least=0)
    epsilon: float = tunable(0.075, 0.01, 0.3, above=0, at_most=1)
    step_size: float = limited(0.025, above=0, at_most=1)
    success: float = limited(0.8, above=0, at_most=1)
    steps: int = limited(10, at_least=1, at_most=1_000_000)
    passes: int = limited(5, at_least=1, at_most=1_000_000)


FRETAL = StrategyInfo(
    "fretal",
    f"{__name__}.fretal:FReTAL",
    "distillation and feature representations matched in bins of confidence",
    "Kim, Tariq, Woo, CVPRW 2021; along a stream ACM MM 2021 (CoReD)",
    teacher=True,
    constants=FReTALHyperparameters,
    aliases=("cored",),
    links=("https://arxiv.org/abs/2105.13617", "https://arxiv.org/abs/2107.02408"),
)
KD = StrategyInfo(
    "kd",
    f"{__name__}.kd:KD",
    "knowledge distillation alone: FReTAL without the representation term",
    "Kim, Tariq, Woo, CVPRW 2021",
    teacher=True,
    constants=KDHyperparameters,
    links=("https://arxiv.org/abs/2105.13617",),
)
LWF = StrategyInfo(
    "lwf",
    f"{__name__}.lwf:LwF",
    "learning without forgetting: the old model's softened outputs as targets",
    "Li and Hoiem, ECCV 2016",
    teacher=True,
    constants=LwFHyperparameters,
    links=("https://arxiv.org/abs/1606.09282",),
)
FEATURE_DISTILLATION = StrategyInfo(
    "feature-distillation",
    f"{__name__}.feature_distillation:FeatureDistillation",
    "less-forgetting learning: the features that enter the head held near the old model's",
    "Jung, Ju, Jung, Kim, arXiv 2016",
    teacher=True,
    constants=FeatureDistillationHyperparameters,
    refuses=(("head", "it holds features in place, which then cannot move"),),
    links=("https://arxiv.org/abs/1607.00122",),
)
HDP = StrategyInfo(
    "hdp",
    f"{__name__}.hdp:HDP",
    "today's reals under stored universal perturbations as fakes of the past, and distillation on reals",
    "Sun et al., IJCV 2025",
    teacher=True,
    constants=HDPHyperparameters,
    old_data="the perturbations that stand for old fakes",
    links=("https://arxiv.org/abs/2308.06217",),
)
STRATEGIES = (FRETAL, KD, LWF, FEATURE_DISTILLATION, HDP)
"""In the order in which they are listed."""
