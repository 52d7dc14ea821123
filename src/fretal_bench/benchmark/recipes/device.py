"""The device that a recipe names, resolved, and whether the recipe trains on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

from fretal_bench.benchmark.recipes.recipe import Device, Recipe
from fretal_bench.errors import BenchError
from fretal_bench.records import Invalid


def resolve_device(device: str, *, elsewhere: bool = False) -> Literal["cpu", "cuda"]:
    """Return ``cpu`` or ``cuda`` for a recipe's ``device``.

    Args:
        device: ``auto``, ``cpu`` or ``cuda``.
        elsewhere: Other machines train, which may have the CUDA that this one lacks.

    Raises:
        BenchError: It is none of ``auto``, ``cpu`` and ``cuda``, or it is ``cuda`` and there is none.
    """
    if device not in get_args(Device):
        raise BenchError(f"--device: expected one of {', '.join(get_args(Device))}, found {device!r}")
    if device == "cpu":
        return "cpu"
    # Half a gigabyte and seconds, which a run on a CPU with nothing left to train does without.
    import torch

    if torch.cuda.is_available() or (elsewhere and device == "cuda"):
        return "cuda"
    if device == "cuda":
        raise BenchError(
            "device cuda: torch sees no CUDA device here; use --device cpu, or see `bench doctor` for what is missing"
        )
    return "cpu"


def check_trains(recipe: Recipe, where: Callable[[str], str]) -> None:
    """Find out whether a recipe trains on its device, once that is resolved; what only judges need not.

    Half precision needs loss scaling, which torch has for CUDA alone: without it small gradients become 0. BatchNorm has
    no statistics of one image.

    Args:
        recipe: The recipe.
        where: Says where the recipe has the value of a key from, for errors.

    Raises:
        BenchError: The device is a CPU and the precision fp16, or a batch is one image.
    """
    if recipe.precision == "fp16" and recipe.device == "cpu":
        expected = "fp32 or bf16 on a CPU, since fp16 needs CUDA to train (--set recipe.precision=fp32)"
        raise BenchError(f"{where('precision')}: {Invalid('precision', expected, recipe.precision)}")
    if recipe.batch_size < 2:
        expected = "a whole number of at least 2, since BatchNorm needs two images"
        raise BenchError(f"{where('batch_size')}: {Invalid('batch_size', expected, recipe.batch_size)}")
