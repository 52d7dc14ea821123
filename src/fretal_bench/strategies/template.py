"""The base of every strategy: Avalanche's supervised template with whole-batch loading, seeds by step and a penalty.

A strategy is a subclass that overrides some of ``before_domain``, ``penalty``, ``after_domain``, ``training_source``
and, where it keeps something from one domain to the next, ``extra_state`` and ``load_extra_state``.
"""

from __future__ import annotations

import contextlib
import copy
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final, Literal

import numpy as np
import torch
from avalanche.evaluation.metrics import accuracy_metrics
from avalanche.training.plugins import EvaluationPlugin
from avalanche.training.templates import SupervisedTemplate
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader

from fretal_bench import records
from fretal_bench.errors import BenchError
from fretal_bench.strategies import draws
from fretal_bench.strategies.batches import (
    BatchLoader,
    BatchSource,
    IdentityTransform,
    PlainTransform,
    Transform,
    batches_of_pass,
    clean_batches,
    source_of,
)
from fretal_bench.strategies.features import at_least_float32
from fretal_bench.strategies.record import NoHyperparameters, StrategyInfo
from fretal_bench.strategies.state import check_weights, numbers_in, tensor_bytes

Precision = Literal["fp32", "bf16", "fp16"]
Effort = Literal["epochs", "updates"]


ACCURACY: Final = "accuracy"
"""The evaluator of a strategy that is given none."""


def _accuracy() -> EvaluationPlugin:
    return EvaluationPlugin(accuracy_metrics(experience=True, stream=True), loggers=[])


class ContinualStrategy(SupervisedTemplate):  # type: ignore[misc]
    """Base of all strategies: cross-entropy plus a penalty, domain after domain, one head.

    The loss of a mini-batch is ``criterion(model(x), y) + penalty()``; on the first domain there is no penalty.
    An experience that carries a batch source as ``experience.source`` (the suite's streams do) is read in whole
    batches, in an order that depends on (seed, step, epoch) alone; any other Avalanche experience is read by
    Avalanche's own loader.

    Args:
        model: Classifier with two outputs (real, fake).
        optimizer: Optimiser over the model's parameters.
        criterion: Loss of logits and labels.
        train_mb_size: Images a training batch.
        train_epochs: Epochs a domain.
        eval_mb_size: Images a batch where nothing is learned.
        device: Where to compute.
        plugins: Avalanche plugins.
        evaluator: Avalanche's evaluation plugin, or None for none; by default one that gives the accuracy on every
            experience and on the stream as what ``eval`` returns, and prints nothing.
        transform: Augmentation and normalisation of stored images; used with batch sources only.
        seed: Seed of batches and augmentation.
        balance: Draw both classes equally often (batch sources only).
        precision: ``fp32``, or autocast to ``bf16`` or ``fp16``; ``fp16`` on CUDA scales the loss.
        effort: What is equal for all strategies: passes over what each trains on (``epochs``), or ``updates``: an epoch
            has as many as one over the new domain alone, see ``batches_an_epoch``.
        hyperparameters: The record of the strategy's hyperparameters; its defaults if None.
        **values: Hyperparameters that differ from those, by name.

    Raises:
        BenchError: A hyperparameter does not exist or has a value that is not valid.
    """

    info: ClassVar[StrategyInfo | None] = None
    """The strategy's row, which has its hyperparameters' class."""
    Hyperparameters: ClassVar[type] = NoHyperparameters
    """The class of its hyperparameters: that of ``info``, or declared here where a class has no row of its own."""
    judged_by: ClassVar[tuple[str, ...]] = ()
    """The keys of ``extra_state`` that scores depend on: what judging needs besides the model."""
    hyperparameters: Any
    loss: Tensor
    dataloader: Any
    adapted_dataset: Any

    def __init__(
        self,
        *,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        criterion: Any = None,
        train_mb_size: int = 32,
        train_epochs: int = 1,
        eval_mb_size: int = 128,
        device: str | torch.device = "cpu",
        plugins: Sequence[Any] | None = None,
        evaluator: Any = ACCURACY,
        eval_every: int = -1,
        transform: Transform | None = None,
        seed: int = 0,
        balance: bool = False,
        precision: Precision = "fp32",
        effort: Effort = "epochs",
        hyperparameters: Any = None,
        **values: Any,
    ) -> None:
        with warnings.catch_warnings():
            # Without an evaluator there are no loggers, and that is as it should be here.
            warnings.filterwarnings("ignore", "No loggers specified")
            super().__init__(
                model=model,
                optimizer=optimizer,
                criterion=nn.CrossEntropyLoss() if criterion is None else criterion,
                train_mb_size=train_mb_size,
                train_epochs=train_epochs,
                eval_mb_size=eval_mb_size,
                device=device,
                plugins=plugins,
                evaluator=_accuracy() if evaluator == ACCURACY else evaluator,
                eval_every=eval_every,
            )
        record = self.Hyperparameters() if hyperparameters is None else hyperparameters
        self.hyperparameters = records.changed(record, values, type(self).__name__)
        self.transform: Transform = PlainTransform() if transform is None else transform
        self.seed, self.balance, self.precision, self.effort = seed, balance, precision, effort
        self.step = 0
        """Domains learned so far; the number of the domain now being learned."""
        self.past: list[Any] = []
        """The experiences learned before this one, of a strategy with a memory: it appends to them after a domain, and
        what begins it from a file sets them. Empty for all others."""
        self.plain_weights = sum(weight.numel() for weight in model.parameters())
        """Weights of the model as it was given, before a strategy adds to it."""
        self.plain_bytes = tensor_bytes(model.state_dict())
        self.trainable_weights = 0
        """Weights that learned in the domain that was trained last; 0 where none did."""
        self.updates_taken = 0
        """Updates of the domain that was trained last."""
        self.images_seen: int | None = 0
        """Images of these updates, new and replayed, counted each time they pass through the model that learns: what the
        loop and ``ReplayStrategy.logits_of`` send through it. A strategy with passes of its own adds theirs, or sets it
        to None, not known. Passes that update nothing (importance, a teacher, statistics, scores) don't count."""
        self._given_plugins = tuple(plugins or ())
        self._scaler = torch.amp.GradScaler(
            self.device.type, enabled=precision == "fp16" and self.device.type == "cuda"
        )

    @property
    def mb_task_id(self) -> Tensor:
        """Task labels of the batch, int64 [B]; zeros where the data have none, as tensors in an Avalanche script."""
        labels: Tensor = self.mbatch[-1] if len(self.mbatch) > 2 else torch.zeros_like(self.mb_y)
        return labels

    def __init_subclass__(cls, **kwargs: Any) -> None:
        # Avalanche's hook would wrap __init__ in a check that knows no hyperparameters; ours checks them by name.
        del kwargs
        if cls.__dict__.get("info") is not None and "Hyperparameters" not in cls.__dict__:
            cls.Hyperparameters = cls.__dict__["info"].constants

    # What a strategy overrides

    def before_domain(self, experience: Any) -> None:
        """Prepare for a domain other than the first, e.g. freeze the teacher. The model is as the last domain left it."""

    def penalty(self) -> Tensor | None:
        """Return what is added to the loss of this mini-batch (scalar), or None. Not called on the first domain.

        ``self.mb_x``, ``self.mb_y`` and ``self.mb_output`` hold the inputs, the labels and the logits.
        """
        return None

    def after_domain(self, experience: Any) -> None:
        """Keep what later domains need, e.g. Fisher information. Called after every domain, the first included."""

    def training_source(self, experience: Any) -> BatchSource:
        """Return the batch source that this domain is trained on."""
        source: BatchSource = experience.source
        return source

    def extra_state(self) -> dict[str, Any]:
        """Return what must outlive a stop between two domains, besides the model: tensors and plain data only."""
        return {}

    def load_extra_state(self, state: Mapping[str, Any]) -> None:
        """Take back what ``extra_state`` returned."""

    def running_state(self) -> dict[str, Any]:
        """Return what is gathered while a domain is trained, by attribute name.

        A recipe that goes back to an earlier epoch's weights goes back to this as well, so that both belong together.
        """
        return {}

    # What it takes besides time

    def extra_weights(self) -> int:
        """Return how many numbers judging needs beyond the model that the strategy was given.

        What the model has more, and what ``judged_by`` names of ``extra_state``.
        """
        added: int = sum(weight.numel() for weight in self.model.parameters()) - self.plain_weights
        kept = self.extra_state() if self.judged_by else {}
        return added + numbers_in([kept.get(key) for key in self.judged_by])

    def kept_images(self) -> int | None:
        """Return how many training images must be stored for later domains; None where that is not known."""
        return None if self.past else 0

    # State between two domains

    def state_dict(self) -> dict[str, Any]:
        """Return the state after a domain: tensors and plain data, loadable with ``weights_only=True``."""
        return {"step": self.step, "model": self.model.state_dict(), "extra": self.extra_state()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from ``state``, which ``state_dict`` returned after an earlier domain."""
        self.step = int(state["step"])
        check_weights(state["model"], self.model)
        self.model.load_state_dict(state["model"])
        self.model.to(self.device)
        self.load_extra_state(state["extra"])

    def adopt(self, weights: Mapping[str, Tensor], experience: Any) -> None:
        """Take over a model that was trained on the first domain elsewhere, as if it had been trained here.

        Args:
            weights: The model's state dict.
            experience: The first domain.
        """
        check_weights(weights, self.model)
        self.model.load_state_dict(weights)
        self.model.to(self.device)
        self._finish(experience)

    def replace_given_plugins(self, plugins: Sequence[Any]) -> None:
        """Put ``plugins`` in the place of those that the constructor was given; the strategy's own come after them."""
        given = {id(plugin) for plugin in self._given_plugins}
        own = [plugin for plugin in self.plugins if id(plugin) not in given]
        self.plugins[:] = [*plugins, *own]
        self._given_plugins = tuple(plugins)

    # Scores

    @torch.inference_mode()
    def score(self, source: BatchSource) -> NDArray[np.float32]:
        """Return P(fake) of every image of ``source``, float32 [N]; the model in eval mode, without augmentation."""
        was_training = self.model.training
        self.model.eval()
        parts = [
            self.probabilities(inputs)[:, 1].float().cpu()
            for inputs, _ in clean_batches(source, self.eval_mb_size, self.transform, self.device)
        ]
        self.model.train(was_training)
        return torch.cat(parts).numpy() if parts else np.empty(0, np.float32)

    def probabilities(self, inputs: Tensor) -> Tensor:
        """Return class probabilities [B, 2] for inputs [B, 3, H, W]: softmax of the logits unless overridden."""
        with self.autocast():
            logits = self.model(inputs)
        return torch.softmax(logits.float(), dim=1)

    # As a file, without the suite

    def classifier(self) -> nn.Module | None:
        """Return a plain classifier whose softmax is ``probabilities``; None where there is none.

        What judges is then a file of weights (``bench export``): the model, or one of the same architecture into which
        the strategy's rule is folded. It may be ``self.model`` itself and is not to be changed.
        """
        plain = type(self).probabilities is ContinualStrategy.probabilities
        return self.model if plain else None

    def traceable_probabilities(self, inputs: Tensor) -> Tensor:
        """Return ``probabilities`` by operations that are the same whatever ``inputs`` hold: one graph."""
        return self.probabilities(inputs)

    # The machinery

    def autocast(self) -> contextlib.AbstractContextManager[Any]:
        """Return the context in which models are run at the strategy's precision."""
        if self.precision == "fp32":
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16 if self.precision == "bf16" else torch.float16)

    def clean_batches(self, experience: Any) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield all training samples of a domain once, in order, without augmentation: inputs and labels int64 [B]."""
        if hasattr(experience, "source"):
            yield from clean_batches(experience.source, self.eval_mb_size, self.transform, self.device)
            return
        for batch in DataLoader(experience.dataset.eval(), batch_size=self.eval_mb_size):
            yield batch[0].to(self.device), batch[1].to(self.device)

    def further_batches(self, experience: Any) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the batches of one more epoch of a domain, drawn and augmented as in training: inputs and labels."""
        plain = not hasattr(experience, "source")
        loader = BatchLoader(
            source_of(experience, train=True),
            self.train_mb_size,
            IdentityTransform() if plain else self.transform,
            seed=self.seed,
            step=self.step,
            balance=self.balance,
            device=self.device,
        )
        loader.epoch = self.train_epochs
        for inputs, targets, _ in loader:
            yield inputs, targets

    def forward(self) -> Tensor:
        """Return the logits of the mini-batch, float32 [B, 2]."""
        with self.autocast():
            logits: Tensor = self.model(self.mb_x)
        return at_least_float32(logits)

    def make_train_dataloader(self, **kwargs: Any) -> None:
        """Load whole batches from ``experience.source`` if there is one, else as Avalanche does."""
        if not hasattr(self.experience, "source"):
            super().make_train_dataloader(**kwargs)
            return
        self.dataloader = self.training_batches(self.training_source(self.experience), self.transform)

    def training_batches(self, source: BatchSource, transform: Transform) -> BatchLoader:
        """Return the loader of the domain's training, over ``source``."""
        return BatchLoader(
            source,
            self.train_mb_size,
            transform,
            seed=self.seed,
            step=self.step,
            balance=self.balance,
            device=self.device,
            batches=self.batches_an_epoch(),
        )

    def batches_an_epoch(self) -> int | None:
        """Return how many batches an epoch of the domain has; None: those of one pass over what is trained on.

        With ``effort="updates"`` as many as fine-tuning's: one pass over the new domain's own samples.
        """
        if self.effort == "epochs":
            return None
        return batches_of_pass(source_of(self.experience).targets, self.train_mb_size, self.balance)

    def make_eval_dataloader(self, **kwargs: Any) -> None:
        """Load whole batches from ``experience.source`` if there is one, else as Avalanche does."""
        source = getattr(self.experience, "source", None)
        if source is None:
            super().make_eval_dataloader(**kwargs)
            return
        batches = clean_batches(source, self.eval_mb_size, self.transform, self.device)
        self.dataloader = ([inputs, targets, torch.zeros_like(targets)] for inputs, targets in batches)

    def _before_training_exp(self, **kwargs: Any) -> None:
        if self.step > 0:
            self.before_domain(self.experience)
        super()._before_training_exp(**kwargs)
        self._check_effort()

    def _check_effort(self) -> None:
        batches = self.batches_an_epoch()
        if batches is not None and len(self.dataloader) != batches:
            raise BenchError(
                f"effort = 'updates': expected {batches} batches an epoch, as many as fine-tuning has, found "
                f"{len(self.dataloader)}: {type(self).__name__} loads its own; use --set recipe.effort=epochs"
            )

    def _before_training_epoch(self, **kwargs: Any) -> None:
        self.trainable_weights = sum(
            weight.numel()
            for group in self.optimizer.param_groups
            for weight in group["params"]
            if weight.requires_grad
        )
        if isinstance(self.dataloader, BatchLoader):
            # Dropout and the like draw from the global generator: from here on it depends on this epoch alone.
            torch.manual_seed(draws.epoch_number(self.seed, self.step, self.dataloader.epoch))
        super()._before_training_epoch(**kwargs)

    def _after_forward(self, **kwargs: Any) -> None:
        self.count_images(len(self.mb_y))
        super()._after_forward(**kwargs)

    def count_images(self, count: int) -> None:
        """Add to ``images_seen`` images that pass through the model in an update."""
        if self.images_seen is not None:
            self.images_seen += count

    def _before_backward(self, **kwargs: Any) -> None:
        super()._before_backward(**kwargs)
        penalty = self.penalty() if self.step > 0 else None
        if penalty is not None:
            self.loss = self.loss + penalty

    def backward(self) -> None:
        """Run the backward pass, of the scaled loss where the precision needs that."""
        scaled: Any = self._scaler.scale(self.loss)
        scaled.backward(retain_graph=self.retain_graph)

    def optimizer_step(self) -> None:
        """Update the weights, with unscaled gradients."""
        self._scaler.step(self.optimizer)
        self._scaler.update()
        self.updates_taken += 1

    def _after_training_exp(self, **kwargs: Any) -> None:
        super()._after_training_exp(**kwargs)
        self._finish(self.experience)

    def _finish(self, experience: Any) -> None:
        was_training = self.model.training
        self.after_domain(experience)
        self.model.train(was_training)
        self.step += 1


# The same hook has wrapped this class's own __init__ when the class was made.
ContinualStrategy.__init__ = vars(ContinualStrategy)["__init__"].__wrapped__  # type: ignore[method-assign]


def frozen_copy(model: nn.Module) -> nn.Module:
    """Return a copy of ``model`` that nothing moves: eval mode (BatchNorm statistics rest), no gradients."""
    return copy.deepcopy(model).eval().requires_grad_(False)
