"""Strategies each of which breaks one rule, and a good one beside them, for tests of the conformance kit."""

import copy
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch

from fretal_bench.strategies import draws
from fretal_bench.strategies.batches import ConcatSource
from fretal_bench.strategies.distillation.lwf import LwF
from fretal_bench.strategies.distillation.teacher import softened_divergence
from fretal_bench.strategies.features import head_of
from fretal_bench.strategies.penalties.ewc import EWC
from fretal_bench.strategies.record import StrategyInfo, tunable
from fretal_bench.strategies.template import ContinualStrategy


@dataclass(frozen=True)
class Strength:
    strength: float = tunable(0.1, 0.001, 10)

    def __post_init__(self):
        if self.strength < 0:
            raise ValueError(f"strength must be >= 0, found {self.strength}")


class Good(ContinualStrategy):
    """L2 to the weights before the domain."""

    Hyperparameters = Strength

    def before_domain(self, experience):
        self.anchor = [w.detach().clone() for w in self.model.parameters()]

    def penalty(self):
        pairs = zip(self.model.parameters(), self.anchor, strict=True)
        return self.hyperparameters.strength * sum(((w - old) ** 2).sum() for w, old in pairs)


class SIWithoutClone(Good):
    """The stock SI's mistake: old and new weights are the same memory, so the penalty is always 0."""

    def before_domain(self, experience):
        self.anchor = [w.detach() for w in self.model.parameters()]


class TeacherInTrainMode(LwF):
    """The stock LwF's mistake: a deep copy as it is, so that BatchNorm moves and dropout is on."""

    def before_domain(self, experience):
        self.teacher = copy.deepcopy(self.model)
        self.teacher.train()


class TeacherWithGradients(LwF):
    """The teacher is in eval mode, but gradients are computed for it."""

    def before_domain(self, experience):
        self.teacher = copy.deepcopy(self.model).eval()

    def penalty(self):
        return softened_divergence(self.mb_output, self.teacher(self.mb_x), 2) * self.hyperparameters.lambda_


class LambdaIgnored(EWC):
    """EWC with a strength written into the code."""

    def penalty(self):
        return super().penalty() / self.hyperparameters.lambda_


@dataclass(frozen=True)
class Budget:
    memory: int = 200

    def __post_init__(self):
        if self.memory < 0:
            raise ValueError(f"memory must be >= 0, found {self.memory}")


class Replay(ContinualStrategy):
    """Train on the new domain and a sample of old rows, drawn anew from the rows themselves at every domain."""

    Hyperparameters = Budget
    over = 0

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.past = []

    def training_source(self, experience):
        if not self.past:
            return experience.source
        old = ConcatSource([past.source for past in self.past])
        drawn = torch.randperm(len(old), generator=draws.of(self.seed, self.step, "old rows"))
        kept = Kept(old, drawn[: self.hyperparameters.memory + self.over])
        return ConcatSource([experience.source, kept])

    def after_domain(self, experience):
        self.past.append(experience)


class Kept:
    """Some rows of a source."""

    def __init__(self, source, index):
        self.source, self.index = source, index
        self.targets = source.targets[index]

    def __len__(self):
        return len(self.index)

    def images(self, index):
        return self.source.images(self.index[index])


class ReplayOverBudget(Replay):
    """One row more than it declares."""

    over = 1


class HoardsImages(Good):
    """Keeps images in its state though it declares no memory."""

    kept = None

    def after_domain(self, experience):
        if hasattr(experience, "source"):
            self.kept = experience.source.images(torch.arange(3))

    def extra_state(self):
        return {} if self.kept is None else {"images": self.kept}


class HoardsFlatImages(Good):
    """Keeps all images of every domain without their shape."""

    kept = torch.empty(0)

    def after_domain(self, experience):
        if hasattr(experience, "source"):
            new = experience.source.images(torch.arange(len(experience.source))).flatten(1)
            self.kept = torch.cat([self.kept, new]) if len(self.kept) else new

    def extra_state(self):
        return {"kept": self.kept}

    def load_extra_state(self, state):
        self.kept = state["kept"]


class HoardsFlatImagesAsNumbers(HoardsFlatImages):
    """The same as a list of numbers."""

    def extra_state(self):
        return {"kept": self.kept.tolist()}

    def load_extra_state(self, state):
        self.kept = torch.tensor(state["kept"])


class ReadsOldDomains(Good):
    """Looks up the first domain through Avalanche's streams, without declaring a memory."""

    def before_domain(self, experience):
        super().before_domain(experience)
        experience.origin_stream[0].dataset[5]


class ReadsTestData(Good):
    """Looks at the test images of its domain."""

    def before_domain(self, experience):
        super().before_domain(experience)
        if hasattr(experience, "source"):
            benchmark = experience.origin_stream.benchmark
            benchmark.test_stream[experience.current_experience].source.images(torch.arange(2))


class ReadsTestDataset(Good):
    """Looks at validation samples through Avalanche's data set."""

    def after_domain(self, experience):
        experience.origin_stream.benchmark.streams["val"][0].dataset[0]


class ReadsAhead(Good):
    """Looks at the domain after this one."""

    def before_domain(self, experience):
        super().before_domain(experience)
        if self.step == 1:
            experience.origin_stream[2].dataset[0]


class NotResumable(Good):
    """Anchors at the source model, and forgets it when it is stopped."""

    def before_domain(self, experience):
        if not hasattr(self, "anchor"):
            super().before_domain(experience)


class Forgetful(Good):
    """Scores with the output biases of all domains, and saves none of them."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.shifts = []

    def after_domain(self, experience):
        self.shifts.append(self.model.head.bias.detach().clone())

    def probabilities(self, inputs):
        return torch.softmax(self.model(inputs) + sum(self.shifts), 1)


class ForgetsItsScale(Good):
    """Scores at a temperature set at every domain from the weights, lost by whoever only loads it to score."""

    scale = 1.0

    def after_domain(self, experience):
        self.scale = float(head_of(self.model)[0].weight.detach().abs().sum())

    def probabilities(self, inputs):
        return torch.softmax(self.model(inputs) * self.scale, 1)


class PicklesObjects(Good):
    """Puts an object into its state."""

    def extra_state(self):
        return {"constants": self.hyperparameters}


class GlobalGenerator(Good):
    """Draws its strength from NumPy's global generator."""

    def before_domain(self, experience):
        super().before_domain(experience)
        self.factor = float(np.random.rand())  # noqa: NPY002

    def penalty(self):
        return super().penalty() * self.factor


class NoisyScores(Good):
    """Adds noise from torch's global generator to what it scores."""

    def probabilities(self, inputs):
        return super().probabilities(inputs + 0.3 * torch.randn_like(inputs))


class StateInTheClass(Good):
    """Counts updates in the class, so that cells disturb one another."""

    updates = 0

    def penalty(self):
        StateInTheClass.updates += 1
        return super().penalty() * (1 + 0.1 * (StateInTheClass.updates % 7))


class MovedByJudging(Good):
    """What it learns depends on how often it was asked."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.asked = torch.zeros(())

    def probabilities(self, inputs):
        self.asked += 1
        return super().probabilities(inputs)

    def penalty(self):
        return super().penalty() * (1 + 0.1 * float(self.asked % 7))


class MovesFrozenWeights(Good):
    """Freezes the first layer and moves it all the same."""

    def before_domain(self, experience):
        super().before_domain(experience)
        next(self.model.parameters()).requires_grad_(False)

    def optimizer_step(self):
        super().optimizer_step()
        if self.step > 0:
            next(self.model.parameters()).data.mul_(1.001)


class SwappedScores(Good):
    """Gives P(real) as the score."""

    def probabilities(self, inputs):
        return super().probabilities(inputs).flip(1)


class SwappedLater(Good):
    """Gives P(real) as the score from the second domain on."""

    def probabilities(self, inputs):
        given = super().probabilities(inputs)
        return given.flip(1) if self.step > 1 else given


class SwappedLast(Good):
    """Gives P(real) as the score after the third domain."""

    def probabilities(self, inputs):
        given = super().probabilities(inputs)
        return given.flip(1) if self.step > 2 else given


class Logits(Good):
    """Gives logits as scores."""

    def probabilities(self, inputs):
        return self.model(inputs) * 10


class HalfPrecision(Good):
    """Fails where the model's outputs are not float32."""

    def penalty(self):
        if self.precision != "fp32":
            raise RuntimeError("expected scalar type Float but found BFloat16")
        return super().penalty()


class NeedsASource(Good):
    """Works with the suite's experiences only."""

    def before_domain(self, experience):
        super().before_domain(experience)
        len(experience.source)


class NeedsATimmModel(Good):
    """Works with models that have timm's methods only."""

    def before_domain(self, experience):
        super().before_domain(experience)
        self.model.forward_features(torch.zeros(1, 3, 32, 32))


class EvaluatesNothing(Good):
    """Has an evaluator of its own that measures nothing."""

    def __init__(self, **values):
        super().__init__(**{**values, "evaluator": None})


class EvaluatesOtherwise(Good):
    """Judges by turned probabilities, and leaves Avalanche's evaluation to the model."""

    def probabilities(self, inputs):
        given = super().probabilities(inputs)
        return given.flip(1) if self.step > 2 else given


class NeverLearns(Good):
    """Does nothing on later domains."""

    def _train_exp(self, experience, eval_streams=None, **kwargs):
        if self.step == 0:
            super()._train_exp(experience, eval_streams, **kwargs)


class OddHook(Good):
    """Its hook takes no experience."""

    def before_domain(self):
        pass


@dataclass(frozen=True)
class Anything:
    strength: float = tunable(0.1, 0.001, 10)
    kind: Literal["l1", "l2"] = "l2"


class AcceptsNonsense(Good):
    """Takes any value, and gives the same with every kind."""

    Hyperparameters = Anything


@dataclass(frozen=True)
class Unchecked:
    strength: float = 0.1
    temperature: float = 1.0
    shift: float = 0.5


class AcceptsNegativeNumbers(Good):
    """Takes a negative strength and a negative temperature, of which no range is declared; ``shift`` has a sign."""

    Hyperparameters = Unchecked

    def penalty(self):
        return (
            super().penalty() / self.hyperparameters.temperature
            + self.mb_output.mean() * self.hyperparameters.shift
        )


@dataclass(frozen=True)
class Late:
    warmup: int = tunable(1000, 500, 2000)

    def __post_init__(self):
        if self.warmup < 0:
            raise ValueError(f"warmup must be >= 0, found {self.warmup}")


class StartsLate(ContinualStrategy):
    """The penalty begins after ``warmup`` updates; nothing is wrong with it."""

    Hyperparameters = Late

    def before_domain(self, experience):
        self.updates = 0

    def penalty(self):
        self.updates += 1
        late = self.updates > self.hyperparameters.warmup
        return sum((w**2).sum() for w in self.model.parameters()) if late else None


def info_of(kind: type, **changes: Any) -> StrategyInfo:
    """The record of a strategy of this module."""
    name = "".join(f"-{c.lower()}" if c.isupper() else c for c in kind.__name__).strip("-")
    name = "-".join(part for part in name.split("-") if part)
    values = {"summary": "for tests", "paper": "none", "constants": kind.Hyperparameters}
    return StrategyInfo(name, f"broken_strategies:{kind.__name__}", **{**values, **changes})
