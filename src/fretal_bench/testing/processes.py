"""The suite itself on a tiny stream: one process and two must give the same bytes."""

from __future__ import annotations

import tempfile
from pathlib import Path

from fretal_bench.benchmark.runner.run import run
from fretal_bench.errors import BenchError
from fretal_bench.strategies.registry import find_strategy
from fretal_bench.testing.checks import Finding
from fretal_bench.testing.rig import Rig
from fretal_bench.testing.world import TINY_RECIPE, tiny_stream, tiny_transformer


def gives_the_same_bytes_in_two_processes(rig: Rig) -> Finding | None:
    """Two seeds run by the suite in one process, and in two at once, end with the same scores and checkpoints."""
    info = rig.info
    try:
        registered = find_strategy(info.name)
    except BenchError as error:
        return Finding(str(error), "a strategy that is registered, since processes look it up by name")
    if registered.target != info.target:
        return Finding(
            f"{info.name!r} is registered as {registered.target}", f"{info.target}, which was to be checked"
        )
    backbone = "test_vit" if rig.model is tiny_transformer else "test_byobnet"
    recipe = {**TINY_RECIPE, "source_epochs": 1, "backbone": backbone}
    changes = {"recipe": recipe, info.name: rig.base}
    with tempfile.TemporaryDirectory() as folder:
        stream = tiny_stream(Path(folder), people=9)
        scores = []
        for jobs in (1, 2):
            out = Path(folder) / f"jobs-{jobs}"
            results = run([info.name], str(stream), seeds=(0, 1), changes=changes, jobs=jobs, out=out)
            if results.failures:
                return Finding(results.failures[0].reason, "a run without failures")
            scores.append([cell.scores for cell in results.cells])
    for of_one_process, of_two in zip(*scores, strict=True):
        if not of_one_process.equals(of_two):
            return Finding("other scores with two processes than with one", "the same bytes")
    return None
