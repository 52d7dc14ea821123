"""TIES: task vectors trimmed to their largest entries, a sign elected for every entry, the mean of those that have it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import torch

from fretal_bench.strategies.merging.points import Point


def trimmed(task: Point, keep: float) -> Point:
    """Return a task vector in which all but the largest entries, by absolute value, are 0.

    Args:
        task: Its tensors by name.
        keep: Per cent of all its entries together that are kept, in (0, 100]; at least one is, and all that are as large
            as the smallest of the kept.
    """
    sizes = torch.cat([part.flatten() for part in task.values()]).abs()
    if not len(sizes):
        return dict(task)
    kept = min(len(sizes), max(1, math.ceil(len(sizes) * keep / 100)))
    threshold = sizes.kthvalue(len(sizes) - kept + 1).values
    return {name: torch.where(part.abs() >= threshold, part, 0.0) for name, part in task.items()}


def elected_signs(tasks: Iterable[Point]) -> Point:
    """Return for every entry the sign of the sum of all task vectors, -1 or 1.

    Where the sum is 0 it is the sign of the majority: that of the sum of all elected signs (0 if that is 0 too).
    """
    total: Point = {}
    for task in tasks:
        total = {name: part + total[name] if total else part for name, part in task.items()}
    signs = {name: part.sign() for name, part in total.items()}
    majority = torch.tensor(float(sum(part.sum() for part in signs.values()))).sign()
    return {name: torch.where(part == 0, majority.to(part), part) for name, part in signs.items()}


def disjoint_mean(tasks: Iterable[Point], signs: Point) -> Point:
    """Return for every entry the mean over the task vectors in which it is not 0 and has its elected sign; 0 of none."""
    total = {name: torch.zeros_like(part) for name, part in signs.items()}
    counts = {name: torch.zeros_like(part) for name, part in signs.items()}
    for task in tasks:
        for name, part in task.items():
            agrees = (part != 0) & (part.sign() == signs[name])
            total[name] += torch.where(agrees, part, 0.0)
            counts[name] += agrees
    return {name: part / counts[name].clamp(min=1) for name, part in total.items()}


def ties(tasks: Callable[[], Iterable[Point]], keep: float) -> Point:
    """Return the merged task vector.

    Args:
        tasks: Gives the task vectors, one after the other, and again when it is called again: they are not all held at
            once.
        keep: See ``trimmed``.

    Source: Yadav et al., "TIES-Merging: Resolving Interference When Merging Models", NeurIPS 2023, algorithm 1.
    """
    signs = elected_signs(trimmed(task, keep) for task in tasks())
    return disjoint_mean((trimmed(task, keep) for task in tasks()), signs)
