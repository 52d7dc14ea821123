"""A report of 300 cells: its time and memory, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from fretal_bench.benchmark.runner.call import Opened
from fretal_bench.benchmark.runner.plan import Cell
from perf.made_up import call_of, finished, stream_of
from perf.steps import Row

STRATEGIES = 30
SEEDS = 10
_SECONDS = 30
_MEGABYTES = 2000
_LONGEST = 600
# The command in a process of its own, whose peak of memory is then that of the command alone.
_MEASURED = """
import sys
from pathlib import Path
from fretal_bench.cli.main import main
sys.argv = ["bench", "report", sys.argv[1]]
try:
    main()
except SystemExit as stopped:
    assert not stopped.code, stopped.code
# Not ru_maxrss, which begins at what the parent had.
print(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0], file=sys.stderr)
"""


def measure_reports(strategies: int = STRATEGIES, seeds: int = SEEDS) -> list[Row]:
    """Measure ``bench report`` of ``strategies`` x ``seeds`` cells of four domains with 160 test crops each.

    Nothing is trained: the scores are drawn, and written by what a run writes them with.
    """
    with tempfile.TemporaryDirectory() as name:
        results = made_up_results(Path(name), strategies, seeds)
        begun = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", _MEASURED, str(results)],
            cwd=name,
            capture_output=True,
            text=True,
            check=True,
            timeout=_LONGEST,
        )
        seconds = time.perf_counter() - begun
    megabytes = int(done.stderr.split()[-1]) / 1024
    what = f"bench report, {strategies * seeds} cells"
    return [
        Row(f"{what}: {seconds:.1f} s", f"{_SECONDS} s", [seconds / _SECONDS], "at most 1"),
        Row(f"{what}: {megabytes:.0f} MB", f"{_MEGABYTES} MB", [megabytes / _MEGABYTES], "at most 1"),
    ]


def made_up_results(folder: Path, strategies: int, seeds: int) -> Path:
    """Write a result folder of made-up scores: one strategy with as many values of a hyperparameter."""

    def cells(opened: Opened) -> list[Cell]:
        changes = [{"ewc": {"lambda_": str(value)}} for value in range(1, strategies + 1)]
        return [cell for change in changes for cell in opened.cells(["ewc"], range(seeds), change)]

    stream_of(folder)
    return finished(call_of(folder, ["ewc"], range(seeds)), cells).folder.path
