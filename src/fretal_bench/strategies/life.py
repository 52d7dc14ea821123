"""The life of a strategy object: built, begun from files, trained, saved, judging; the same for runner, kit and predict.

The one place where a strategy's class is called. A step begins with a new object (``build``) that is brought to where the
step before ended (``begin``), takes over the source model (``adopt``) or is trained (``train``), and is saved
(``save``). A strategy whose state cannot be saved goes on as one object (``go_on``). What only judges is built by
``build_judge``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import IO, Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fretal_bench.errors import BenchError
from fretal_bench.strategies.batches import BatchSource, Transform
from fretal_bench.strategies.loading import load
from fretal_bench.strategies.record import StrategyInfo
from fretal_bench.strategies.state import BadState as BadState
from fretal_bench.strategies.state import check_outline, check_restored
from fretal_bench.strategies.state import naming as naming
from fretal_bench.strategies.state import read_state as read_state
from fretal_bench.strategies.template import ContinualStrategy, Effort, Precision

SOURCE: Final = StrategyInfo(
    "source", "fretal_bench.strategies.bounds.finetuning:FineTuning", "the source model", "baseline"
)
"""What trains the model that the strategies of one seed start from."""
_SMALLEST_JUDGING_BATCH: Final = 64


class NoProbability(BenchError):
    """A strategy says of some images what is no probability."""


def build(
    info: StrategyInfo,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    *,
    values: Mapping[str, Any] | None = None,
    device: str | torch.device = "cpu",
    precision: Precision = "fp32",
    batch_size: int = 32,
    judging_batch_size: int | None = None,
    epochs: int = 1,
    transform: Transform | None = None,
    plugins: Sequence[Any] = (),
    seed: int = 0,
    balance: bool = False,
    effort: Effort = "epochs",
) -> ContinualStrategy:
    """Build a strategy that is ready for its first domain, its model on the device.

    Args:
        info: Which strategy.
        model: Classifier with two outputs (real, fake).
        optimizer: Optimiser over the model's parameters.
        values: Hyperparameters that differ from the defaults.
        device: Where to compute.
        precision: ``fp32``, ``bf16`` or ``fp16``.
        batch_size: Images a training batch.
        judging_batch_size: Images a batch where nothing is learned; by default as in training, at least 64.
        epochs: Epochs of the domain.
        transform: Augmentation and normalisation of stored images.
        plugins: Avalanche plugins that take part in the training; see ``go_on``.
        seed: Seed of batches, augmentation and the strategy's own draws.
        balance: Draw both classes equally often.
        effort: See ``ContinualStrategy``.

    Raises:
        BenchError: The class cannot be loaded, or a hyperparameter does not exist or has a value that is not valid.
    """
    strategy = load(info)(
        model=model,
        optimizer=optimizer,
        train_mb_size=batch_size,
        train_epochs=epochs,
        eval_mb_size=judging_batch_size or max(_SMALLEST_JUDGING_BATCH, batch_size),
        device=device,
        plugins=list(plugins),
        # Scores are kept instead.
        evaluator=None,
        transform=transform,
        seed=seed,
        balance=balance,
        precision=precision,
        effort=effort,
        hyperparameters=info.hyperparameters(values),
    )
    strategy.model.to(strategy.device)
    return strategy


def build_judge(
    info: StrategyInfo,
    model: nn.Module,
    state: Mapping[str, Any],
    *,
    values: Mapping[str, Any] | None = None,
    device: str | torch.device = "cpu",
    precision: Precision = "fp32",
    judging_batch_size: int | None = None,
    transform: Transform | None = None,
) -> ContinualStrategy:
    """Build a strategy from a saved state for ``judge`` alone: it is never trained, and has no training data.

    Args:
        info: Which strategy.
        model: A new model of the same shape.
        state: What ``save`` wrote.
        values: Hyperparameters that differ from the defaults.
        device: Where to compute.
        precision: That of the training, where the device has it: ``fp16`` on a CPU is computed in ``fp32``.
        judging_batch_size: Images a batch.
        transform: Normalisation of stored images.

    Raises:
        BenchError: See ``build``.
    """
    if precision == "fp16" and torch.device(device).type == "cpu":
        precision = "fp32"
    # Avalanche asks for an optimiser; this one never takes a step.
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    strategy = build(
        info,
        model,
        optimizer,
        values=values,
        device=device,
        precision=precision,
        judging_batch_size=judging_batch_size,
        transform=transform,
    )
    begin(strategy, info, (), state)
    strategy.model.eval()
    return strategy


def begin(
    strategy: ContinualStrategy,
    info: StrategyInfo,
    learned: Sequence[Any],
    state: Mapping[str, Any] | None = None,
    count: int | None = None,
) -> None:
    """Bring a newly built strategy to where the step before ended.

    Args:
        strategy: As ``build`` gave it.
        info: Its record: only a strategy with a memory is given the experiences of the past.
        learned: The training experiences of the domains that are learned already, in order.
        state: What ``save`` wrote after the last of them; None before the first domain.
        count: Domains that are learned, where the data of some are not there; default those of ``learned``.

    Raises:
        BadState: The state is another strategy's, of another backbone, damaged, or of a training that diverged.
    """
    if info.memory != "none":
        strategy.past = list(learned)
    if state is None:
        return
    who = f"strategy {info.name!r}"
    own = info.target.startswith(f"{__package__}.")
    check_outline(state, strategy.state_dict(), who, own=own)
    expected = len(learned) if count is None else count
    if expected and state.get("step") != expected:
        raise BadState(
            f"step: expected a state after {expected} domains, found one after {state.get('step')!r}"
        )
    try:
        strategy.load_state_dict(state)
        restored = strategy.state_dict()
    except BadState:
        raise
    except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
        kind = type(error).__name__
        raise BadState(f"expected a state of {who}, found one that it cannot take ({kind})") from error
    if own:
        # A plugin may keep what it does not take back.
        check_restored(state, restored, who)


def go_on(strategy: ContinualStrategy, plugins: Sequence[Any], epochs: int) -> None:
    """Give a strategy that goes on as one object what belongs to its next domain.

    Args:
        strategy: The strategy.
        plugins: Replace those that ``build``, or the last ``go_on``, was given. The strategy's own keep their order,
            after them.
        epochs: Epochs of the domain.
    """
    strategy.replace_given_plugins(plugins)
    strategy.train_epochs = epochs


def adopt(strategy: ContinualStrategy, weights: Mapping[str, Tensor], first: Any) -> None:
    """Take over the source model in place of training the first domain.

    Args:
        strategy: A strategy with ``shared_source``, begun without a state.
        weights: The source model's state dict.
        first: The training experience of the first domain.
    """
    strategy.adopt(weights, first)


def train(strategy: ContinualStrategy, experience: Any) -> None:
    """Train one domain, the optimiser new."""
    strategy.trainable_weights = 0
    strategy.updates_taken = 0
    strategy.images_seen = None if strategy.images_seen is None else 0
    strategy.train(experience, eval_streams=[], num_workers=0, reset_optimizer_state=True)


def judge(strategy: ContinualStrategy, source: BatchSource, *, checked: bool = True) -> NDArray[np.float32]:
    """Return P(fake) of every image of ``source``, float32 [N], in order.

    Args:
        strategy: What judges.
        source: The images.
        checked: Refuse what is no probability; the conformance kit looks at that itself.

    Raises:
        NoProbability: Some are NaN, or lie outside of [0, 1].
    """
    scores = strategy.score(source)
    if not checked:
        return scores
    # NaN is not above 0 either.
    wrong = ~((scores >= 0) & (scores <= 1))
    if wrong.any():
        first = scores[wrong][0]
        reason = "probabilities() must return probabilities" if np.isfinite(first) else "training diverged"
        raise NoProbability(
            f"P(fake) of {int(wrong.sum())} of {len(scores)} images is no number in [0, 1] (the first is {first}): "
            f"{reason}"
        )
    return scores


def save(strategy: ContinualStrategy, file: str | os.PathLike[str] | IO[bytes]) -> None:
    """Write the state after a domain: tensors and plain data that ``read_state`` reads."""
    torch.save(strategy.state_dict(), file)
