"""Runs on a tiny stream in child processes, one of which kills itself; importable, as their processes need it."""

from __future__ import annotations

import os
import signal

from fretal_bench import files
from fretal_bench.benchmark.runner.run import run
from tests_support import TINY

PRELOADED = [
    "pyarrow.parquet",
    "timm",
    "fretal_bench.benchmark.runner.step",
    "fretal_bench.datasets.store.store",
    "fretal_bench.strategies.bounds.finetuning",
    "fretal_bench.strategies.bounds.joint",
    "fretal_bench.strategies.distillation.fretal",
    "fretal_bench.strategies.penalties.ewc",
    "fretal_bench.testing",
]
"""What the process that these are forked from imports, so that none of them has to.

This module is not among them: the tests' folder is not on that process's path.
"""


def run_quietly(strategies, stream, out):
    run(strategies, stream, changes={"recipe": TINY}, jobs=1, out=out)


def run_until_rename(strategies, stream, out, number, after):
    """Kill this process right before or after it puts its ``number``-th file or folder in place."""
    count = [0]
    real = files.move

    def move(part, final):
        count[0] += 1
        if count[0] == number and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        real(part, final)
        if count[0] == number:
            os.kill(os.getpid(), signal.SIGKILL)

    files.move = move
    run_quietly(strategies, stream, out)
