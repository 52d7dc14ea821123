"""HDP: today's reals under stored universal perturbations as fakes of the past, and distillation on both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn import functional as F

from fretal_bench.strategies import distillation, draws
from fretal_bench.strategies.batches import IdentityTransform, SubsetSource, Transform, pixel_range, source_of
from fretal_bench.strategies.distillation.teacher import DistillationStrategy, softened_divergence
from fretal_bench.strategies.features import at_least_float32, head_inputs_and_logits
from fretal_bench.strategies.state import BadState, check_tensor

_START: Final = 0.0005
"""Bound of the noise that a perturbation begins as, a share of full scale: 0.001 of the released code's [-1, 1]."""
_REAL: Final = 0
_FAKE: Final = 1


def perturbed(reals: Tensor, perturbation: Tensor, black: Tensor, white: Tensor) -> Tensor:
    """Return ``clip(R + u (white - black), black, white)``: reals under a perturbation, inside the range of pixels.

    Args:
        reals: R [B, 3, H, W].
        perturbation: u [3, H, W], in shares of full scale.
        black: What a black pixel is as an input, [1, 3, 1, 1].
        white: What a white pixel is as an input, [1, 3, 1, 1].
    """
    return (reals + perturbation * (white - black)).clamp(black, white)


class HDP(DistillationStrategy):
    """``L = CE(B u P) + w (MSE(R) + MSE(P)) + kl (KL(R) + KL(P))``; on the first domain ``CE(B)``.

    B is the new domain's batch, R its reals, P the same reals under the perturbation of an earlier domain, drawn
    uniformly once a batch, with the label fake. CE and MSE are means, MSE over samples and over the features that enter
    the head, KL is ``KL(softmax(t) || softmax(s))``, mean over the samples; t is the model before this domain, in eval
    mode. Fakes of the new domain are not distilled. A batch without reals has its cross-entropy alone, and a domain
    without reals leaves no perturbation.

    After each domain a perturbation u is made of its reals R, augmented as in training, the model in eval mode. From
    noise in [0, 0.0005) on, ``u <- clip(u - step sign(gradient of CE(R + u, fake)), -epsilon, epsilon)``, until a share
    of ``success`` of the batch is taken for fakes, at most ``steps`` times a batch; then the next batch. There are at
    most ``passes`` passes over all reals; one in which ``success`` of them were taken for fakes as each batch was met is
    the last. u never leaves float32, and counts in shares of full scale, so that it means the same under any scaling of
    pixels. ``R + u`` is clipped to the range from black to white, which the transform tells (``pixel_range``); inputs of
    a plain Avalanche experience are taken to range, channel by channel, from the smallest to the largest of its domain.

    What is whose: scheme and constants are read from the released code, the paper's text was not at hand. There the
    output is one logit, here it is the difference of the two. Three things are not taken over: the teacher in train mode,
    which drops features and moves BatchNorm statistics; a divergence normalised over the batch in place of the classes,
    which distils no output; and the unbounded search for u. The features are those that enter the head, without that
    code's further layer of 128. What is kept: 3 H W numbers a domain and no image.

    Source: Sun, Chen, Yao, Sun, Ding, Ji, "Continual Face Forgery Detection via Historical Distribution Preserving", IJCV
    133, 2025 (arXiv 2308.06217), and its released code (skJack/HDP: ``train.py``, ``configs/train_hdp.yaml``).
    """

    info = distillation.HDP

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.perturbations = torch.empty(0, 3, 0, 0)
        """u of each domain that had reals, in shares of full scale, float32 [K, 3, H, W]."""
        self.perturbed_domains = torch.empty(0, dtype=torch.int64)
        """The number of the domain that each is of, int64 [K]."""

    def before_domain(self, experience: Any) -> None:
        """Freeze the teacher; find out the range of pixels."""
        super().before_domain(experience)
        self.perturbation_draws = draws.of(self.seed, self.step, "hdp: which perturbation")
        self.black, self.white = self.range_of(experience)

    def range_of(self, experience: Any) -> tuple[Tensor, Tensor]:
        """Return what black and white are as inputs, [1, 3, 1, 1] each."""
        if hasattr(experience, "source"):
            ends = pixel_range(experience.source, self.transform)
        else:
            batches = [inputs for inputs, _ in self.clean_batches(experience)]
            ends = (
                torch.stack([x.amin(dim=(0, 2, 3)) for x in batches]).amin(dim=0)[None, :, None, None],
                torch.stack([x.amax(dim=(0, 2, 3)) for x in batches]).amax(dim=0)[None, :, None, None],
            )
        return ends[0].to(self.device), ends[1].to(self.device)

    # Training

    def pseudo_fakes(self, reals: Tensor) -> Tensor:
        """Return P: the batch's reals under the perturbation of a domain that is drawn; none while there is none."""
        if not len(self.perturbations):
            return reals[:0]
        drawn = int(torch.randint(len(self.perturbations), (1,), generator=self.perturbation_draws))
        return perturbed(reals, self.perturbations[drawn], self.black, self.white)

    def _before_forward(self, **kwargs: Any) -> None:
        super()._before_forward(**kwargs)
        if self.step == 0:
            return
        self.reals = (self.mb_y == _REAL).nonzero().squeeze(1)
        pseudo = self.pseudo_fakes(self.mb_x[self.reals])
        self.new = len(self.mb_y)
        self.mbatch = [
            torch.cat([self.mb_x, pseudo]),
            torch.cat([self.mb_y, self.mb_y.new_full((len(pseudo),), _FAKE)]),
            torch.cat([self.mb_task_id, self.mb_task_id.new_zeros(len(pseudo))]),
        ]

    def forward(self) -> Tensor:
        """Return the logits of the mini-batch and keep the features that enter the head."""
        with self.autocast():
            self.mb_features, logits = head_inputs_and_logits(self.model, self.mb_x)
        return logits

    def penalty(self) -> Tensor | None:
        """Return the distillation of features and outputs on reals and pseudo-fakes."""
        if not len(self.reals):
            return None
        pseudo = torch.arange(self.new, len(self.mb_y), device=self.reals.device)
        both = torch.cat([self.reals, pseudo])
        with torch.no_grad(), self.autocast():
            features, logits = head_inputs_and_logits(self.teacher, self.mb_x[both])
        constants = self.hyperparameters
        away = F.mse_loss(self.mb_features[both], features).mul(constants.feature_weight)
        diverged = softened_divergence(self.mb_output[both], logits, 1.0).mul(constants.kl)
        # There are as many P as R: the mean over R plus that over P is twice the mean over both.
        return (away + diverged).mul(2 if len(pseudo) else 1)

    # The perturbation of a domain

    def after_domain(self, experience: Any) -> None:
        """Make the domain's perturbation, if it has reals."""
        source = source_of(experience, train=True)
        rows = (source.targets.cpu() == _REAL).nonzero().squeeze(1)
        if not len(rows):
            return
        transform = self.transform if hasattr(experience, "source") else IdentityTransform()
        self.model.eval()
        made = self.make_perturbation(SubsetSource(source, rows), transform, *self.range_of(experience))
        kept = self.perturbations if len(self.perturbations) else made.new_empty(0, *made.shape)
        self.perturbations = torch.cat([kept, made[None]])
        self.perturbed_domains = torch.cat([self.perturbed_domains, torch.tensor([self.step])])

    def make_perturbation(
        self, reals: SubsetSource, transform: Transform, black: Tensor, white: Tensor
    ) -> Tensor:
        """Return u, float32 [3, H, W], in shares of full scale; the model is in eval mode.

        Args:
            reals: The domain's reals.
            transform: What makes inputs of its images.
            black: What a black pixel is as an input, [1, 3, 1, 1].
            white: What a white pixel is as an input, [1, 3, 1, 1].
        """
        constants = self.hyperparameters
        generator = draws.of(self.seed, self.step, "hdp: perturbation")
        shape = transform.eval(reals.images(torch.tensor([0]))).shape[1:]
        u = torch.rand(shape, generator=generator).mul(_START).to(self.device)
        for _ in range(constants.passes):
            fooled = 0.0
            order = torch.randperm(len(reals), generator=generator)
            for index in torch.split(order, self.train_mb_size):
                images = reals.images(index).to(self.device, non_blocking=True)
                inputs = transform.train(images, torch.full((len(index),), _REAL), generator)
                u, share = self.taught(u, inputs, black, white)
                fooled += share * len(index)
            if fooled >= constants.success * len(reals):
                break
        return u

    @torch.enable_grad()
    def taught(self, u: Tensor, reals: Tensor, black: Tensor, white: Tensor) -> tuple[Tensor, float]:
        """Change u until enough of a batch are taken for fakes, or the steps are used up.

        Args:
            u: The perturbation so far.
            reals: The batch [B, 3, H, W].
            black: See ``make_perturbation``.
            white: See ``make_perturbation``.

        Returns:
            The new u, and the share of the batch that was taken for fakes under the old one.
        """
        constants = self.hyperparameters
        met = 0.0
        for step in range(constants.steps):
            moved = u.detach().requires_grad_()
            with self.autocast():
                logits = self.model(perturbed(reals, moved, black, white))
            margin = at_least_float32(logits).diff(dim=1).squeeze(1)
            share = float((margin >= 0).float().mean())
            met = share if step == 0 else met
            if share >= constants.success:
                break
            # The sum for the mean: the sign is the same, and in half precision fewer gradients vanish.
            (gradient,) = torch.autograd.grad(F.softplus(-margin).sum(), moved)
            u = u - gradient.sign().mul(constants.epsilon * constants.step_size)
            u = u.clamp(-constants.epsilon, constants.epsilon)
        return u, met

    # State

    def extra_state(self) -> dict[str, Any]:
        """Keep the perturbations, each with its domain."""
        return {
            **super().extra_state(),
            "perturbations": self.perturbations,
            "perturbed_domains": self.perturbed_domains,
        }

    def load_extra_state(self, state: Mapping[str, Any]) -> None:
        """Restore the perturbations.

        Raises:
            BadState: They are none of at most ``epsilon``, or their domains are not some of those learned, in order.
        """
        super().load_extra_state(state)
        bound = self.hyperparameters.epsilon
        domains = check_tensor(
            state["perturbed_domains"], "perturbed_domains", lambda value: value.ndim == 1, "[K]", torch.int64
        )
        if not set(domains.tolist()) <= set(range(self.step)) or bool((domains.diff() <= 0).any()):
            raise BadState(
                f"perturbed_domains: expected some of the {self.step} domains learned, in order, found {domains.tolist()}"
            )
        made = check_tensor(
            state["perturbations"],
            "perturbations",
            lambda value: (
                value.ndim == 4
                and value.shape[:2] == (len(domains), 3)
                and bool((value.abs() <= bound * (1 + 1e-6)).all())
            ),
            f"[{len(domains)}, 3, H, W] of at most {bound:g}",
            torch.float32,
        )
        self.perturbations, self.perturbed_domains = made.to(self.device), domains.cpu()
