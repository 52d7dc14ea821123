"""Strategies that keep a budget of old samples, and their hyperparameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fretal_bench.records import Record, limited
from fretal_bench.strategies.record import MOST_SAMPLES, StrategyInfo, fixed, tunable


@dataclass(frozen=True)
class MemoryHyperparameters(Record):
    """What every strategy with a memory has.

    Args:
        memory: Samples in all, over all past domains together; at least 2. The suite's 500 is the smaller budget of
            Buzzega et al. 2020 and that of Pan et al. 2023. A budget, so it is not tuned.
    """

    memory: int = limited(500, at_least=2, at_most=MOST_SAMPLES)


@dataclass(frozen=True)
class ReplayHyperparameters(MemoryHyperparameters):
    """Constants of experience replay.

    Args:
        memory_batch: Samples drawn from the memory an update; 0 = as many as the new domain's batch has, as in both
            papers.
    """

    memory_batch: int = limited(0, at_least=0, at_most=MOST_SAMPLES)


@dataclass(frozen=True)
class AGEMHyperparameters(ReplayHyperparameters):
    """Constants of A-GEM.

    Args:
        project: What is projected where it opposes the memory: the ``gradient``, as in the paper, which holds what it
            promises under plain SGD alone; or the optimiser's ``update``, so that it holds for every optimiser.
    """

    project: Literal["gradient", "update"] = fixed("gradient")


@dataclass(frozen=True)
class DERHyperparameters(ReplayHyperparameters):
    """Constants of DER.

    Args:
        alpha: Weight of the stored logits. The authors' value for Sequential CIFAR-10 with 500 samples (mammoth,
            ``best_args``).
    """

    alpha: float = tunable(0.3, 0.01, 3, at_least=0)


@dataclass(frozen=True)
class DERppHyperparameters(DERHyperparameters):
    """Constants of DER++: the authors' values for Sequential CIFAR-10 with 500 samples (mammoth, ``best_args``).

    Args:
        alpha: Weight of the stored logits.
        beta: Weight of the stored labels.
    """

    alpha: float = tunable(0.2, 0.01, 3, at_least=0)
    beta: float = tunable(0.5, 0.01, 3, at_least=0)


@dataclass(frozen=True)
class ICaRLHyperparameters(MemoryHyperparameters):
    """Constants of iCaRL.

    Args:
        lambda_: Weight of the old model's outputs. The paper adds them unweighted.
    """

    lambda_: float = tunable(1.0, 0.03, 30, at_least=0)


@dataclass(frozen=True)
class DFILHyperparameters(MemoryHyperparameters):
    """Constants of DFIL, those of the released code (``TaskN_KD.py``).

    Args:
        contrast: Weight of the supervised contrastive loss.
        contrast_temperature: Its temperature T, in the loss as its paper has it. The released code multiplies that loss
            by T (``scale_by_temperature``): at the default the same, elsewhere ``contrast`` is T times as large there.
        temperature: T of the softened outputs.
        alpha: a, the share of the divergence against the labels inside the distillation loss.
        feature_weight: Weight of the distance to the teacher's features.
    """

    contrast: float = tunable(0.1, 0.003, 3, at_least=0)
    contrast_temperature: float = tunable(1.0, 0.05, 2, above=0)
    temperature: float = tunable(20.0, 1, 40, above=0)
    alpha: float = tunable(0.3, 0.01, 1, at_least=0, at_most=1)
    feature_weight: float = tunable(0.01, 0.001, 100, at_least=0)


@dataclass(frozen=True)
class AveragedReplayHyperparameters(ReplayHyperparameters):
    """Constants of the strategies with slow copies of the model (CLS-ER, ESMER).

    Args:
        consistency: Weight of the distance to the slow copies' logits on the memory: the default of both repositories.
        stable: Half-life of the stable copy in domains: after so many times a domain's updates half of what the copy
            was is left. Both repositories have a decay an update, 0.999 with probability 0.7: a half-life of 990
            updates. 1 is the suite's choice, since the number of updates is the recipe's. 0: the copy is the model.
        judge: Which model judges: the ``stable`` copy, as in both papers, or the ``working`` one, which is trained.
    """

    consistency: float = tunable(0.1, 0.01, 3, at_least=0)
    stable: float = tunable(1.0, 0.1, 10, at_least=0)
    judge: Literal["stable", "working"] = fixed("stable")


@dataclass(frozen=True)
class CLSERHyperparameters(AveragedReplayHyperparameters):
    """Constants of CLS-ER.

    Args:
        plastic: Half-life of the plastic copy in domains; a quarter of the stable one's is the suite's choice. (In the
            repository's defaults the two differ in their probabilities alone, 0.7 and 0.9.)
    """

    plastic: float = tunable(0.25, 0.02, 4, at_least=0)


@dataclass(frozen=True)
class ESMERHyperparameters(AveragedReplayHyperparameters):
    """Constants of ESMER: the repository's defaults where they are no numbers of updates.

    Args:
        beta: A sample is an error if its loss is above ``beta`` times the running loss.
        loss_half_life: Half-life of the running loss in domains. The repository's decay is 0.99 an update, 69 updates;
            0.25 is the suite's choice, about as many on FF++-mini. 0: the running loss is the last batch's.
        std_margin: A batch's losses above its mean and so many standard deviations don't count in the running loss.
        warmup: Share of a domain's updates at its beginning during which the running loss rests. The repository has one
            epoch, of 50 on S-CIFAR-10.
    """

    beta: float = tunable(1.0, 0.5, 2, above=0)
    loss_half_life: float = tunable(0.25, 0.02, 2, at_least=0)
    std_margin: float = tunable(1.0, 0.25, 4, at_least=0)
    warmup: float = tunable(0.02, 0, 0.5, log=False, at_least=0, at_most=1)


@dataclass(frozen=True)
class SURLIDHyperparameters(MemoryHyperparameters):
    """Constants of SUR-LID: the paper's weights; the temperature and the samples an update are the released code's.

    Args:
        memory_batch: Samples of each class of each past domain an update. One alone has no partner in ``isolation``.
        isolation: Weight of the supervised contrastive loss between domains and classes.
        isolation_temperature: Its temperature.
        feature_weight: Weight of the squared distance to the teacher's features, on the memory's samples (mu_1).
        detection: Weight of the cross-entropy (mu_2). A small network that begins at random may need more: on FF++-mini,
            5 epochs, seed 0, the last domain's AUC is 0.73 with 0.1 and 0.90 with 1, and the older ones' are the same.
        heads: ``per-domain``: a linear head a domain, their mean at test time (the paper); ``shared``: one for all.
        alignment: Share by which the newest head turns to the one before it at every update (gamma); of
            ``heads="per-domain"`` alone.
        real_groups: Reals of each domain are a group of their own in ``isolation`` (``per-domain``, the paper's streams
            of data sets), or all reals are one (``shared``, its stream of manipulations of the same real videos).
    """

    memory_batch: int = limited(3, at_least=1, at_most=MOST_SAMPLES)
    isolation: float = tunable(1.0, 0.03, 10, at_least=0)
    isolation_temperature: float = tunable(0.1, 0.03, 2, above=0)
    feature_weight: float = tunable(1.0, 0.01, 100, at_least=0)
    detection: float = tunable(0.1, 0.01, 10, at_least=0)
    heads: Literal["per-domain", "shared"] = fixed("per-domain")
    alignment: float = tunable(0.001, 0.0001, 0.1, at_least=0, at_most=1)
    real_groups: Literal["per-domain", "shared"] = fixed("per-domain")


ER = StrategyInfo(
    "er",
    f"{__name__}.er:ExperienceReplay",
    "experience replay: every update on new samples and as many from a reservoir",
    "Chaudhry et al., 2019",
    memory="budget",
    constants=ReplayHyperparameters,
    revision=1,
    links=("https://arxiv.org/abs/1902.10486",),
)
DER = StrategyInfo(
    "der",
    f"{__name__}.der:DER",
    "dark experience replay: the memory's samples keep the logits they had",
    "Buzzega et al., NeurIPS 2020",
    memory="budget",
    constants=DERHyperparameters,
    revision=1,
    links=("https://arxiv.org/abs/2004.07211",),
)
DERPP = StrategyInfo(
    "derpp",
    f"{__name__}.derpp:DERpp",
    "DER++: the memory's samples keep their logits and their labels",
    "Buzzega et al., NeurIPS 2020",
    memory="budget",
    constants=DERppHyperparameters,
    revision=1,
    links=("https://arxiv.org/abs/2004.07211",),
)
AGEM = StrategyInfo(
    "agem",
    f"{__name__}.agem:AGEM",
    "averaged gradient episodic memory: no gradient against the memory's (so no update under plain SGD)",
    "Chaudhry et al., ICLR 2019",
    memory="budget",
    constants=AGEMHyperparameters,
    revision=1,  # The memory's batches are balanced where the recipe's are: that is 1 here and below.
    links=("https://arxiv.org/abs/1812.00420",),
)
GDUMB = StrategyInfo(
    "gdumb",
    f"{__name__}.gdumb:GDumb",
    "a balanced memory, and a new model trained on nothing else",
    "Prabhu, Torr, Dokania, ECCV 2020",
    memory="budget",
    shared_source=False,
    constants=MemoryHyperparameters,
    watchable=False,
    links=("https://doi.org/10.1007/978-3-030-58536-5_31",),
)
ICARL = StrategyInfo(
    "icarl",
    f"{__name__}.icarl:ICaRL",
    "exemplars chosen by herding, distillation, nearest mean of exemplars",
    "Rebuffi et al., CVPR 2017",
    teacher=True,
    memory="budget",
    constants=ICaRLHyperparameters,
    watchable=False,
    uncalibrated=True,
    links=("https://arxiv.org/abs/1611.07725",),
)
DFIL = StrategyInfo(
    "dfil",
    f"{__name__}.dfil:DFIL",
    "contrastive learning, distillation of outputs and features, hard and central samples",
    "Pan et al., ACM MM 2023",
    teacher=True,
    memory="budget",
    constants=DFILHyperparameters,
    links=("https://arxiv.org/abs/2309.09526",),
)
CLS_ER = StrategyInfo(
    "cls-er",
    f"{__name__}.cls_er:CLSER",
    "replay with a fast and a slow running average of the model; the slow one judges",
    "Arani, Sarfraz, Zonooz, ICLR 2022",
    memory="budget",
    constants=CLSERHyperparameters,
    revision=1,
    links=("https://arxiv.org/abs/2201.12604",),
)
ESMER = StrategyInfo(
    "esmer",
    f"{__name__}.esmer:ESMER",
    "replay in which samples with a large loss count less; a slow running average judges",
    "Sarfraz, Arani, Zonooz, ICLR 2023",
    memory="budget",
    constants=ESMERHyperparameters,
    revision=1,
    links=("https://arxiv.org/abs/2302.11344",),
)
SUR_LID = StrategyInfo(
    "sur-lid",
    f"{__name__}.sur_lid:SURLID",
    "a sparse, uniform memory; domains and classes kept apart in feature space; a head a domain, aligned",
    "Cheng et al., CVPR 2025",
    teacher=True,
    memory="budget",
    constants=SURLIDHyperparameters,
    links=("https://arxiv.org/abs/2411.11396",),
)
STRATEGIES = (ER, DER, DERPP, AGEM, GDUMB, ICARL, DFIL, CLS_ER, ESMER, SUR_LID)
"""In the order in which they are listed."""
