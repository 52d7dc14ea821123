"""Models as points that are merged linearly: weights, and BatchNorm's statistics as moments.

A point has every floating-point entry of a state dict in float64, on the CPU. The mean and the variance of a mixture of
distributions are not both means of theirs: ``E[x] = sum_i c_i m_i`` and ``E[x^2] = sum_i c_i (v_i + m_i^2)``, and the
variance is ``E[x^2] - E[x]^2``. Second moments may be taken about any centre m0 where the coefficients c_i add up to 1;
about a mean of the models' own nothing cancels:

    variance = sum_i c_i v_i + sum_i c_i d_i^2 - (sum_i c_i d_i)^2,    d_i = m_i - m0

so a point has ``d^2`` as well, one entry a layer, and ``state_of`` puts the variance together. Integer entries, such as
BatchNorm's counters, are in no point.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

State = Mapping[str, Tensor]
"""Weights and buffers of a model by name, as ``state_dict`` gives them."""
Point = dict[str, Tensor]
_MEAN, _VARIANCE, _SHIFT = "running_mean", "running_var", "squared_shift"


def layers_with_statistics(state: State) -> Iterator[str]:
    """Yield the names, up to the last dot, of the layers that keep a running mean and variance."""
    for name in state:
        layer = name.removesuffix(_MEAN)
        if layer != name and layer + _VARIANCE in state:
            yield layer


def statistics_of(state: State) -> dict[str, Tensor]:
    """Return the entries of a state that are running means and variances."""
    return {
        layer + part: state[layer + part]
        for layer in layers_with_statistics(state)
        for part in (_MEAN, _VARIANCE)
    }


def copied(state: State) -> dict[str, Tensor]:
    """Return a state's tensors as copies on the CPU: later updates of the model don't move them."""
    return {name: value.detach().to("cpu", copy=True) for name, value in state.items()}


def point_of(state: State, centre: State) -> Point:
    """Return the point of a model.

    Args:
        state: The model's.
        centre: The state whose running means are m0.
    """
    point = {name: _double(value) for name, value in state.items() if value.is_floating_point()}
    for layer in layers_with_statistics(state):
        point[layer + _SHIFT] = (point[layer + _MEAN] - _double(centre[layer + _MEAN])) ** 2
    return point


def state_of(point: Point, centre: State, newest: State, least: float | None = None) -> dict[str, Tensor]:
    """Return the model that a merged point is.

    Args:
        point: Coefficients of the models in it add up to 1.
        centre: As the models' points were made with.
        newest: Gives the entries' types, and those that no point has.
        least: No variance is below this share of the centre's. For coefficients outside of [0, 1], of which one may be
            negative; with the others a variance is never below the smallest of the models' own.

    Returns:
        A state dict, on the CPU.
    """
    merged = dict(point)
    for layer in layers_with_statistics(newest):
        shift = point[layer + _MEAN] - _double(centre[layer + _MEAN])
        variance = point[layer + _VARIANCE] + (point[layer + _SHIFT] - shift**2)
        if least is not None:
            variance = torch.maximum(variance, least * _double(centre[layer + _VARIANCE]))
        merged[layer + _VARIANCE] = variance
    return {
        name: merged[name].to(value.dtype) if name in merged else value.detach().to("cpu", copy=True)
        for name, value in newest.items()
    }


def interpolated(old: Point, new: Point, alpha: float) -> Point:
    """Return ``(1 - alpha) old + alpha new``; entries that agree stay as they are, bit for bit."""
    return {
        name: torch.where(old[name] == value, value, (1 - alpha) * old[name] + alpha * value)
        for name, value in new.items()
    }


def difference(new: Point, old: Point) -> Point:
    """Return ``new - old``, of the entries that both have."""
    return {name: value - old[name] for name, value in new.items() if name in old}


def moved(old: Point, by: Point, scale: float) -> Point:
    """Return ``old + scale by``."""
    return {name: value + scale * by[name] for name, value in old.items()}


def _double(value: Tensor) -> Tensor:
    return value.detach().to("cpu", torch.float64)
