"""Strategies that distil from a frozen older model, and their hyperparameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fretal_bench.strategies.record import StrategyInfo, fixed, tunable

Teacher = Literal["previous", "source"]
Feature = Literal["scalar", "vector"]


@dataclass(frozen=True)
class LwFHyperparameters:
    """Constants of LwF.

    Args:
        lambda_: Weight of the old outputs (the paper's lambda_o = 1).
        temperature: T of the softened outputs (the paper's 2).
    """

    lambda_: float = tunable(1.0, 0.03, 30)
    temperature: float = tunable(2.0, 1, 20)

    def __post_init__(self) -> None:
        if self.lambda_ < 0 or self.temperature <= 0:
            raise ValueError(
                f"lambda_ must be >= 0 and temperature > 0, found {self.lambda_} and {self.temperature}"
            )


@dataclass(frozen=True)
class KDHyperparameters:
    """Constants of the distillation loss, as in FReTAL's released code.

    Args:
        temperature: T of the softened outputs.
        alpha: a, the share of the divergence against the labels inside the loss.
        teacher: ``source`` (the model after the first domain, FReTAL's) or ``previous`` (the model before this domain,
            CoReD's). On a stream of two domains they are the same.
    """

    temperature: float = tunable(20.0, 1, 40)
    alpha: float = tunable(0.5, 0.01, 1)
    teacher: Teacher = "source"

    def __post_init__(self) -> None:
        if self.temperature <= 0 or not 0 <= self.alpha <= 1:
            raise ValueError(
                f"temperature must be > 0 and alpha in [0, 1], found {self.temperature} and {self.alpha}"
            )
        if self.teacher not in ("previous", "source"):
            raise ValueError(f"teacher must be 'previous' or 'source', found {self.teacher!r}")


@dataclass(frozen=True)
class FReTALHyperparameters(KDHyperparameters):
    """Constants of FReTAL; the distillation loss's own are KD's.

    The teacher is not tuned: it is what tells FReTAL from CoReD.

    Args:
        feature: ``scalar``: features averaged over channels and samples of a bin (the released code); ``vector``:
            averaged over the samples only (what the paper's text suggests).
        representation_weight: Weight of the representation loss.
    """

    teacher: Teacher = fixed("source")  # noqa: RUF009  (a dataclass field)
    feature: Feature = "scalar"
    representation_weight: float = tunable(1.0, 0.01, 100)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.feature not in ("scalar", "vector"):
            raise ValueError(f"feature must be 'scalar' or 'vector', found {self.feature!r}")
        if self.representation_weight < 0:
            raise ValueError(f"representation_weight must be >= 0, found {self.representation_weight}")


@dataclass(frozen=True)
class CoReDHyperparameters(FReTALHyperparameters):
    """FReTAL's constants, with the teacher refreshed at every domain."""

    teacher: Teacher = fixed("previous")  # noqa: RUF009  (a dataclass field)


@dataclass(frozen=True)
class FeatureDistillationHyperparameters:
    """Constants of less-forgetting learning.

    Args:
        lambda_: Weight of the features' distance (the paper's lambda_e). It depends on the scale and number of the
            features; 0.05 is the suite's choice.
        freeze_classifier: Leave the head as it is on every domain but the first, as the paper does.
    """

    lambda_: float = tunable(0.05, 1e-4, 10)
    freeze_classifier: bool = True

    def __post_init__(self) -> None:
        if self.lambda_ < 0:
            raise ValueError(f"lambda_ must be >= 0, found {self.lambda_}")


STRATEGIES = (
    StrategyInfo(
        "fretal",
        f"{__name__}.fretal:FReTAL",
        "distillation and feature representations matched in bins of confidence",
        "Kim, Tariq, Woo, CVPRW 2021",
        teacher=True,
        constants=FReTALHyperparameters,
    ),
    StrategyInfo(
        "cored",
        f"{__name__}.cored:CoReD",
        "FReTAL with the teacher refreshed at every domain",
        "Kim, Tariq, Woo, ACM MM 2021",
        teacher=True,
        constants=CoReDHyperparameters,
    ),
    StrategyInfo(
        "kd",
        f"{__name__}.kd:KD",
        "knowledge distillation alone: FReTAL without the representation term",
        "Kim, Tariq, Woo, CVPRW 2021",
        teacher=True,
        constants=KDHyperparameters,
    ),
    StrategyInfo(
        "lwf",
        f"{__name__}.lwf:LwF",
        "learning without forgetting: the old model's softened outputs as targets",
        "Li and Hoiem, ECCV 2016",
        teacher=True,
        constants=LwFHyperparameters,
    ),
    StrategyInfo(
        "feature-distillation",
        f"{__name__}.feature_distillation:FeatureDistillation",
        "less-forgetting learning: the features that enter the head held near the old model's",
        "Jung, Ju, Jung, Kim, arXiv 2016",
        teacher=True,
        constants=FeatureDistillationHyperparameters,
    ),
)
"""In the order in which they are listed."""
