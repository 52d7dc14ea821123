"""The ``bench run`` of a campaign as a process that may be killed, and the processes of Ray that it has."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

from cluster_support import contents, write_mortal
from tests_support import recipe_options

STRATEGIES = "mortal,fretal,joint"
LONG = 600
"""Seconds that no run here takes."""
SOON = 300
"""Seconds after which what was ended is surely gone: two of Ray's agents look for their parent once in a while."""


class World:
    """A folder with a stream, the plugin, and the bytes of a run in one process.

    Attributes:
        head: The head's folder: its working folder too.
        place: The folder of the plugin, its orders and its log.
        out: Where results go: ``one`` of one process, ``many`` of a cluster.
        expected: What every run must give.
    """

    def __init__(self, folder: Path) -> None:
        from fretal_bench.testing import tiny_stream

        self.head, self.place, self.out = folder / "head", folder / "place", folder / "out"
        for path in (self.head, self.place, self.out):
            path.mkdir()
        tiny_stream(self.head)
        self.plugin = write_mortal(self.place)
        self.finish(self.begin("one"))
        self.expected = contents(self.out / "one")

    def begin(self, name: str, *words: str) -> subprocess.Popen[str]:
        """Begin, or go on with, a run."""
        command = [sys.executable, "-m", "fretal_bench.cli.main", "run", "--strategies", STRATEGIES]
        command += ["--stream", "/proc/self/cwd/tiny.toml", "--plugin", str(self.plugin), "--jobs", "1"]
        command += ["--out", str(self.out / name / "r"), *recipe_options(), *words]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(command, cwd=self.head, **pipes)

    def on(self, address: str) -> subprocess.Popen[str]:
        """Begin, or go on with, a run on a cluster."""
        return self.begin("many", "--ray", address, "--jobs", "3")

    def finish(self, process: subprocess.Popen[str]) -> tuple[int, str]:
        """Wait for the end of a run; return its exit code and what it wrote to standard error."""
        try:
            _, errors = process.communicate(timeout=LONG)
        finally:
            process.kill()
        return process.returncode, errors

    def check(self, what: str) -> None:
        """Compare what a cluster has computed, and clear it away."""
        found = contents(self.out / "many")
        if found != self.expected:
            differ = sorted(
                name
                for name in found.keys() | self.expected.keys()
                if found.get(name) != self.expected.get(name)
            )
            raise AssertionError(
                f"{what}: {len(differ)} files differ from those of one process: {differ[:5]}"
            )
        shutil.rmtree(self.out / "many")


def after_the_first_step(process: subprocess.Popen[str]) -> None:
    """Read what a run prints until its first step is done."""
    if not has_done_a_step(process):
        raise AssertionError(f"the run has ended: {process.stderr.read() if process.stderr else ''}")


def has_done_a_step(process: subprocess.Popen[str]) -> bool:
    """Read what a run prints until a step is done; False if it ended before."""
    assert process.stdout is not None
    return any("step done" in line for line in process.stdout)


def tasks() -> list[psutil.Process]:
    """Return the workers of Ray that are at a step: these carry its name."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = " ".join(process.info["cmdline"] or [])
        if words.startswith("ray::") and ", seed " in words:
            found.append(process)
    return found


def all_gone(processes: list[psutil.Process], what: str) -> float:
    """Wait until processes are gone; return the seconds that it took."""
    begun = time.monotonic()
    _, alive = psutil.wait_procs(processes, timeout=SOON)
    if alive:
        raise AssertionError(f"{what}: {len(alive)} processes are left after {SOON} s: {alive}")
    return time.monotonic() - begun


def end(process: subprocess.Popen[str], number: signal.Signals) -> None:
    """Send a signal to a run that may have ended."""
    if process.poll() is None:
        os.kill(process.pid, number)
