"""The strategies' hyperparameters: plain records, so that a run can be planned without importing torch or Avalanche."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Teacher = Literal["previous", "source"]
Feature = Literal["scalar", "vector"]
Fisher = Literal["exact", "empirical"]


@dataclass(frozen=True)
class NoHyperparameters:
    """A strategy without hyperparameters."""


@dataclass(frozen=True)
class LwFHyperparameters:
    """Constants of LwF.

    Args:
        lambda_: Weight of the old outputs (the paper's lambda_o = 1).
        temperature: T of the softened outputs (the paper's 2).
    """

    lambda_: float = 1.0
    temperature: float = 2.0

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
        teacher: ``previous`` (the model before this domain, as CoReD does) or ``source`` (after the first domain).
    """

    temperature: float = 20.0
    alpha: float = 0.5
    teacher: Teacher = "previous"

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

    Args:
        feature: ``scalar``: features averaged over channels and samples of a bin (the released code); ``vector``:
            averaged over the samples only (what the paper's text suggests).
        representation_weight: Weight of the representation loss.
    """

    feature: Feature = "scalar"
    representation_weight: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.feature not in ("scalar", "vector"):
            raise ValueError(f"feature must be 'scalar' or 'vector', found {self.feature!r}")
        if self.representation_weight < 0:
            raise ValueError(f"representation_weight must be >= 0, found {self.representation_weight}")


@dataclass(frozen=True)
class EWCHyperparameters:
    """Constants of EWC.

    Args:
        lambda_: Strength of the penalty. The paper gives no value that carries over; 10 did best on FF++-mini's
            validation people among 1, 10, 30, 100, 1000, 10^4 and 10^5 (docs/ffpp-mini.md).
        fisher: ``exact``: labels drawn from the model's own distribution, in expectation; ``empirical``: the data's
            labels. Both are means over samples of squared gradients of single samples.
        fisher_samples: Training samples of a domain that the Fisher information is estimated from; 0 = all.
    """

    lambda_: float = 10.0
    fisher: Fisher = "exact"
    fisher_samples: int = 0

    def __post_init__(self) -> None:
        if self.lambda_ < 0 or self.fisher_samples < 0:
            raise ValueError(
                f"lambda_ and fisher_samples must be >= 0, found {self.lambda_} and {self.fisher_samples}"
            )
        if self.fisher not in ("exact", "empirical"):
            raise ValueError(f"fisher must be 'exact' or 'empirical', found {self.fisher!r}")
