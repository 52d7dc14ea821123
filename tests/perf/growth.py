"""Large inputs: seconds and memory of a check of a manifest with a million rows."""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from perf.steps import Row
from trees import Tree

ROWS = 1_000_000
FILES = 20
_SECONDS = 30
_MEGABYTES = 500
_LONGEST = 600
# The command in a process of its own, whose peak of memory is then that of the command alone.
_MEASURED = """
import sys
from pathlib import Path
from fretal_bench.cli.main import main
sys.argv = ["bench", "data", "check", sys.argv[1], "--json"]
try:
    main()
except SystemExit as stopped:
    assert not stopped.code, stopped.code
# Not ru_maxrss, which begins at what the parent had.
print(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0], file=sys.stderr)
"""


def measure_growth() -> list[Row]:
    """Measure ``bench data check`` of a CSV manifest whose million rows are the frames of 20 clips."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        _write_manifest(root, ROWS, FILES)
        begun, before = time.perf_counter(), _children()
        done = subprocess.run(
            [sys.executable, "-c", _MEASURED, str(root)],
            capture_output=True,
            text=True,
            check=True,
            timeout=_LONGEST,
        )
        seconds, cpu = time.perf_counter() - begun, _children() - before
    megabytes = int(done.stderr.split()[-1]) / 1024
    what = f"bench data check, {ROWS:,} rows of {FILES} clips"
    return [
        Row(f"{what}: {seconds:.1f} s, {cpu:.1f} of CPU", f"{_SECONDS} s", [seconds / _SECONDS], "at most 1"),
        Row(f"{what}: {megabytes:.0f} MB", f"{_MEGABYTES} MB", [megabytes / _MEGABYTES], "at most 1"),
    ]


def _children() -> float:
    """Seconds of CPU that ended child processes took: on a busy machine they say more than the clock."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _write_manifest(root: Path, rows: int, clips: int) -> None:
    tree = Tree(root)
    names = [f"{clip:02d}.mp4" for clip in range(clips)]
    tree.video(*names)
    with (root / "manifest.csv").open("w") as file:
        file.write("path,label,split,target,frame\n")
        for clip, name in enumerate(names):
            person = clip // 2
            split = ("train", "train", "val", "test", "test")[person % 5]
            file.writelines(f"{name},{clip % 2},{split},{person},{frame}\n" for frame in range(rows // clips))
