"""Two runs that share a folder against one that does all the work alone."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from fretal_bench.benchmark.runner.results import load_results
from perf.steps import Row
from tests_support import tiny_stream

STRATEGIES = "fretal,ewc,lwf,finetuning"
SEEDS = "0,1"
EPOCHS = 2
_LONGEST = 3600


def measure_sharing(rounds: int, people: int = 160) -> list[Row]:
    """Measure how long a plan takes one ``bench run --jobs 1``, over how long it takes two on one folder.

    Each is a whole command with its start-up and its report, some 20 seconds that two commands do not share. The plan
    is of four strategies and two seeds, two epochs a domain; both ways give the same cells.

    Args:
        rounds: Ratios; one takes some minutes.
        people: Size of the data, 12 crops a person.
    """
    ratios = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        stream = tiny_stream(folder, domains=3, people=people, size=96)
        for number in range(rounds):
            # Each with a pool of its own: the second would find all steps done.
            alone, shared = (folder / f"{name}{number}" / "results" for name in ("alone", "shared"))
            ratios.append(_seconds(folder, stream, alone, 1) / _seconds(folder, stream, shared, 2))
            for out in (alone, shared):
                results = load_results(out)
                assert len(results.cells) == 8, results.failures
    return [Row("one bench run", "two on one folder", ratios, "at least 1.70 on two free cores")]


def _seconds(folder: Path, stream: Path, out: Path, commands: int) -> float:
    words = [
        sys.executable,
        "-m",
        "fretal_bench.cli.main",
        "run",
        "--strategies",
        STRATEGIES,
        "--seeds",
        SEEDS,
    ]
    words += ["--stream", str(stream), "--jobs", "1", "--device", "cpu", "--out", str(out)]
    for key in ("epochs", "source_epochs"):
        words += ["--set", f"recipe.{key}={EPOCHS}"]
    begun = time.perf_counter()
    running = []
    for number in range(commands):
        # Reports go to the working folder: one for each command.
        home = folder / f"{out.parent.name}-{number}"
        home.mkdir()
        running.append(subprocess.Popen(words, cwd=home, stdout=subprocess.DEVNULL))
    for process in running:
        assert process.wait(_LONGEST) == 0
    return time.perf_counter() - begun
