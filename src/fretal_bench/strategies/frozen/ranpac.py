"""Ridge regression on random non-linear projections of the frozen source model's features."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import torch
from torch import Tensor

from fretal_bench.strategies import draws, frozen
from fretal_bench.strategies.frozen.frozen_features import CLASSES, FrozenFeatures
from fretal_bench.strategies.state import BadState, check_tensor

RIDGES: Final = tuple(10.0**power for power in range(-8, 9))
"""What the strength of the ridge is chosen from."""
_HELD_OUT: Final = 0.2


def solve_ridge(gram: Tensor, moments: Tensor, ridge: float) -> Tensor:
    """Return ``(G + ridge I)^-1 Q``, [M, 2], for G [M, M] and Q [M, 2]."""
    identity = torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
    solution: Tensor = torch.linalg.solve(gram + ridge * identity, moments)
    return solution


def errors_of_sums(gram: Tensor, moments: Tensor, held_out: Tensor, labels: Tensor) -> Tensor:
    """Return the mean squared error of each of ``RIDGES`` on samples that are held out.

    Args:
        gram: G of the samples that are fitted, [M, M].
        moments: Their Q, [M, 2].
        held_out: Projections of the others, [N, M].
        labels: Their labels, one-hot [N, 2].

    Returns:
        [17], in the order of ``RIDGES``.
    """
    # G = V diag(s) V^T, so that (G + ridge I)^-1 Q = V diag(1 / (s + ridge)) V^T Q for all of them at once.
    values, vectors = torch.linalg.eigh(gram)
    return _errors(values, vectors.T @ moments, held_out @ vectors, labels)


def errors_of_samples(fitted: Tensor, fitted_labels: Tensor, held_out: Tensor, labels: Tensor) -> Tensor:
    """Return what ``errors_of_sums`` does, from the samples that are fitted: quicker where they are fewer than M.

    Args:
        fitted: Projections of the samples that are fitted, H [K, M].
        fitted_labels: Their labels, one-hot Y [K, 2].
        held_out: As there.
        labels: As there.
    """
    # (H^T H + ridge I)^-1 H^T Y = H^T (H H^T + ridge I)^-1 Y
    values, vectors = torch.linalg.eigh(fitted @ fitted.T)
    return _errors(values, vectors.T @ fitted_labels, held_out @ fitted.T @ vectors, labels)


def _errors(values: Tensor, turned: Tensor, seen: Tensor, labels: Tensor) -> Tensor:
    values = values.clamp(min=0)
    return torch.stack(
        [((seen @ (turned / (values + ridge)[:, None]) - labels) ** 2).mean() for ridge in RIDGES]
    )


class RanPAC(FrozenFeatures):
    """``score(x) = W_o^T h``, ``h = relu(W^T f(x))``, ``W_o = (G + lambda I)^-1 Q``, summed over all samples seen.

    ``G = sum_n h_n h_n^T`` [M, M], ``Q = sum_n h_n onehot(y_n)^T`` [M, 2], in float64

    f are the features [D] that enter the head of the source model, which is never trained again, W [D, M] is drawn once
    from N(0, 1/D). Both sums go over the samples of all domains: no sample is kept, the order of the domains makes no
    difference but through lambda, and a domain that comes twice counts twice. A class that is missing in a domain adds
    nothing to its column of Q. No intercept, no standardisation.

    lambda (``ridge``): a number, or ``select``: the one of 1e-8, 1e-7, ..., 1e8 with the least mean squared error (of
    one-hot labels) on a fifth of the current domain's samples, drawn at random, when the others are fitted, those of
    this domain alone. So it is released, and so lambda may jump from domain to domain. With ``select-with-past`` the
    sums over the older domains are fitted with them, which is LayUP's rule (Ahrens et al., TMLR 2024). With fewer than
    two samples there is nothing to hold out, and lambda stays as it was (1 at first).
    Where a domain's samples are frames of videos, those held out are of the same videos and people as those fitted, and
    a lambda that is too small for other people looks best: set a number there.

    The scores are near 0 for one class and near 1 for the other. P(fake) is their softmax, so it lies near the middle, in
    the right order and on the right side of one half, but it is not calibrated.

    Source: McDonnell, Gong, Parveneh, Abbasnejad, van den Hengel, "RanPAC: Random Projections and Pre-trained Models for
    Continual Learning", NeurIPS 2023, which begins with published weights and adapts them in the first domain by an
    adapter; here all weights learn the first domain, as for every strategy. It draws W from N(0, 1): dividing by sqrt(D)
    is the suite's choice, so that lambda means the same for every backbone.
    """

    info = frozen.RANPAC
    judged_by = ("projection", "gram", "moments")

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.projection = torch.empty(0)
        """W, float32 [D, M]."""
        self.gram = torch.empty(0)
        self.moments = torch.empty(0)
        self.strength = 1.0
        """lambda of the last domain."""
        self._weights: Tensor | None = None

    def learn(self, batches: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Choose lambda and add the domain to both sums."""
        self._weights = None
        projected: list[Tensor] = []
        labels: list[Tensor] = []
        for features, targets in batches:
            if not len(self.projection):
                self._begin(features)
            projected.append(self.project(features))
            labels.append(torch.nn.functional.one_hot(targets, CLASSES).to(features))
        if not projected:
            return
        h, y = torch.cat(projected), torch.cat(labels)
        rule = self.hyperparameters.ridge
        if isinstance(rule, str):
            self._select(h, y, with_past=rule == "select-with-past")
        else:
            self.strength = rule
        self.gram, self.moments = self.gram + h.T @ h, self.moments + h.T @ y

    def _begin(self, features: Tensor) -> None:
        """Draw the projection and begin both sums at 0."""
        size = self.hyperparameters.projections
        generator = draws.of(self.seed, 0, "projection")
        drawn = torch.randn(features.shape[1], size, generator=generator) / features.shape[1] ** 0.5
        self.projection = drawn.to(features.device)
        self.gram = features.new_zeros(size, size)
        self.moments = features.new_zeros(size, CLASSES)

    def _select(self, h: Tensor, y: Tensor, *, with_past: bool) -> None:
        """Choose lambda on a part of the domain that is held out."""
        held_out = max(1, round(_HELD_OUT * len(h)))
        if held_out == len(h):
            return
        order = torch.randperm(len(h), generator=draws.of(self.seed, self.step, "ridge")).to(h.device)
        fitted, rest = order[held_out:], order[:held_out]
        if not with_past and len(fitted) < h.shape[1]:
            errors = errors_of_samples(h[fitted], y[fitted], h[rest], y[rest])
        else:
            gram, moments = h[fitted].T @ h[fitted], h[fitted].T @ y[fitted]
            if with_past:
                gram, moments = gram + self.gram, moments + self.moments
            errors = errors_of_sums(gram, moments, h[rest], y[rest])
        self.strength = RIDGES[int(errors.argmin())]

    def project(self, features: Tensor) -> Tensor:
        """Return ``relu(W^T f)``, float64 [B, M], for features float64 [B, D]."""
        return torch.relu(features @ self.projection.to(features))

    def decision_rule(self) -> Tensor:
        """Return ``W_o``, float64 [M, 2]."""
        if self._weights is None:
            self._weights = solve_ridge(self.gram, self.moments, self.strength)
        return self._weights

    def class_scores(self, features: Tensor) -> Tensor:
        """Return ``W_o^T h``."""
        return self.project(features) @ self.decision_rule()

    def extra_weights(self) -> int:
        """Return the numbers of the projection and of ``W_o``, which is all that judging needs of the sums."""
        return self.projection.numel() + self.moments.numel()

    def extra_state(self) -> dict[str, Any]:
        """Keep the projection, both sums and lambda."""
        return {
            "projection": self.projection,
            "gram": self.gram,
            "moments": self.moments,
            "strength": self.strength,
        }

    def load_extra_state(self, state: Mapping[str, Any]) -> None:
        """Restore the projection, both sums and lambda."""
        self._weights = None
        projection = check_tensor(
            state["projection"], "projection", lambda value: value.ndim == 2 or not len(value), "[D, M]"
        )
        size = projection.shape[-1]
        gram = check_tensor(
            state["gram"],
            "gram",
            lambda value: value.shape == (size, size) if size else not len(value),
            "[M, M]",
        )
        moments = check_tensor(
            state["moments"],
            "moments",
            lambda value: value.shape == (size, CLASSES) if size else not len(value),
            "[M, 2]",
        )
        strength = state["strength"]
        if not isinstance(strength, float) or not 0 < strength < float("inf"):
            shown = strength if isinstance(strength, float) else type(strength).__name__
            raise BadState(f"strength: expected a finite number above 0, found {shown}")
        self.projection = projection.to(self.device)
        self.gram, self.moments = gram.to(self.device), moments.to(self.device)
        self.strength = strength
