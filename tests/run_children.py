"""Runs on a tiny stream in child processes, one of which kills itself; importable, as their processes need it."""

from __future__ import annotations

import multiprocessing
import os
import signal
from typing import Any

import pytest

from fretal_bench import files
from fretal_bench.benchmark.runner.run import run
from tests_support import TINY

LONG = 300
"""Seconds that no run here takes."""
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


def started(target: Any, *arguments: Any) -> Any:
    """Run in a process that is forked from one with everything imported and no threads, so that it starts at once."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    process = context.Process(target=target, args=arguments)
    process.start()
    return process


def ended(process: Any) -> int:
    """Wait for a process and return its exit code, negative for a signal."""
    process.join(LONG)
    if process.exitcode is None:
        process.kill()
        pytest.fail(f"still running after {LONG} s")
    code: int = process.exitcode
    return code


def run_quietly(strategies, stream, out, pool=None):
    run(strategies, stream, changes={"recipe": TINY}, jobs=1, out=out, pool=pool)


def run_and_count(strategies, stream, out, pool, pipe):
    """Send the ids of the steps that were trained here, and the word ``end``."""
    trained = []

    def listen(report):
        # Of what others trained, no training is reported.
        if report.phase == "train" and report.share == 1:
            trained.append(report.work)

    run(strategies, stream, changes={"recipe": TINY}, jobs=1, out=out, pool=pool, listener=listen)
    pipe.send(trained)


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


def bench_until_sigterm(words, folder, to_all):
    """Call ``bench``, and send SIGTERM while the second domain is trained: to this process, or to its workers too.

    Standard error goes to ``folder/err``; ``folder/workers`` says which processes the workers were.
    """
    import sys

    from fretal_bench.benchmark.runner import run as module
    from fretal_bench.cli.main import main

    os.setsid()
    for descriptor, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT), descriptor)
    real = module.train

    def train(prepared, listener):
        def listen(report):
            listener(report)
            if report.phase == "train" and report.step == 1:
                workers = [process.pid for process in multiprocessing.active_children()]
                (folder / "workers").write_text(" ".join(map(str, workers)))
                (os.killpg if to_all else os.kill)(os.getpid(), signal.SIGTERM)

        real(prepared, listen)

    module.train = train
    sys.argv = ["bench", *map(str, words)]
    main()
