"""What a result was made with: versions, machine, commit; and seconds and memory of each phase."""

from __future__ import annotations

import contextlib
import functools
import math
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from fretal_bench.plugins import plugin_versions

_TRAINS = tuple(
    f"src/fretal_bench/{folder}"
    for folder in ("strategies", "benchmark/recipes", "benchmark/runner", "datasets")
)
"""The code that makes a cell's numbers."""
Phases = list[dict[str, Any]]
"""What ``measured`` measured, and what else is known of the same phase."""

_PACKAGES = (
    "fretal-bench",
    "torch",
    "torchvision",
    "avalanche-lib",
    "timm",
    "numpy",
    "opencv-python-headless",
    "av",
)


def environment(device: str) -> dict[str, Any]:
    """Return versions of Python and packages, the processor, the device and the suite's git commit, as plain data."""
    import torch

    versions = {"python": platform.python_version(), **packages(), **plugin_versions()}
    return {
        "versions": versions,
        "system": platform.system(),
        "machine": platform.machine(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "commit": commit(),
    }


def packages() -> dict[str, str]:
    """Return the versions of the packages that results depend on, the suite among them."""
    return dict(_versions())


@functools.cache
def _versions() -> Mapping[str, str]:
    """Look the versions up, once a process: what is imported stays as it is, and reading metadata takes a while."""
    versions = {}
    for package in _PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[package] = metadata.version(package)
    return versions


def joined_environments(by_step: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the last step's environment; where not all are equal, with ``environments``: each, and the steps it made.

    Args:
        by_step: What ``environment`` gave, by what it made (``source``, ``step 0``, ...), in order.
    """
    distinct: list[dict[str, Any]] = []
    for step, environment in by_step.items():
        same = next(
            (entry for entry in distinct if {**entry, "steps": None} == {**environment, "steps": None}), None
        )
        if same is None:
            distinct.append(same := {"steps": [], **environment})
        same["steps"].append(step)
    last = dict(list(by_step.values())[-1]) if by_step else {}
    return {**last, "environments": distinct} if len(distinct) > 1 else last


def made_by_other_code(environment: Mapping[str, Any]) -> str:
    """Say which version of the suite made something, if what trains has changed since; else nothing.

    Args:
        environment: What the function ``environment`` gave then.
    """
    version, then, now = (
        environment.get("versions", {}).get("fretal-bench"),
        environment.get("commit"),
        commit(),
    )
    if version not in (None, installed_version() or version):
        return f"version {version}"
    return f"commit {then}" if then and now and _code_differs(then.rstrip("+"), now.rstrip("+")) else ""


@functools.cache
def installed_version() -> str | None:
    """Return the version of the suite that is installed; None where it is not."""
    with contextlib.suppress(metadata.PackageNotFoundError):
        return metadata.version("fretal-bench")
    return None


@functools.cache
def _code_differs(then: str, now: str) -> bool:
    """Whether two commits of the suite's checkout differ in what trains; so do commits that it does not have."""
    if then == now:
        return False
    top = _checkout()
    try:
        answer = subprocess.run(
            ["git", "-C", str(top), "diff", "--quiet", then, now, "--", *_TRAINS],
            capture_output=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return True
    return answer.returncode != 0


def _checkout() -> Path:
    return Path(__file__).resolve().parents[4]


@functools.cache
def commit() -> str | None:
    """Return the git commit of the suite's own checkout, with ``+`` if it has changes; None when it is installed."""
    top = _checkout()
    if not (top / ".git").exists():
        return None
    try:
        description = subprocess.run(
            ["git", "-C", str(top), "describe", "--always", "--abbrev=12", "--dirty=+"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return description.stdout.strip() or None


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"


class Meter:
    """What a block takes, without what is done apart from it.

    Attributes:
        seconds_apart: What was done apart took so long, on the wall's clock.
    """

    def __init__(self, device: str) -> None:
        self.device = device
        self.seconds_apart = 0.0
        self._cpu_apart = 0.0
        self._peak = 0.0
        self._reset()
        self._begun = time.perf_counter(), time.process_time()

    @contextlib.contextmanager
    def apart(self) -> Iterator[None]:
        """Leave what the block takes out of the measurement: its time, and its memory where the peak can be reset."""
        self._peak = max(self._peak, self._memory())
        wall, cpu = time.perf_counter(), time.process_time()
        try:
            yield
        finally:
            self._memory()
            self.seconds_apart += time.perf_counter() - wall
            self._cpu_apart += time.process_time() - cpu
            self._reset()

    def read(self) -> dict[str, Any]:
        """Return seconds, on a CPU cpu_seconds, and peak_memory_mb."""
        memory = max(self._peak, self._memory())
        wall, cpu = self._begun
        taken = {"seconds": round(time.perf_counter() - wall - self.seconds_apart, 3)}
        if self.device == "cpu":
            taken["cpu_seconds"] = round(time.process_time() - cpu - self._cpu_apart, 3)
        return {**taken, "peak_memory_mb": round(memory, 1) if math.isfinite(memory) else None}

    def _reset(self) -> None:
        if self.device == "cuda":
            import torch

            torch.cuda.reset_peak_memory_stats()
        else:
            _reset_peak()

    def _memory(self) -> float:
        """Return the peak since it was reset, in MB, once all that was begun is done."""
        if self.device != "cuda":
            return _peak_mb()
        import torch

        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated() / 2**20


@contextlib.contextmanager
def measured(phases: list[dict[str, Any]], phase: str, step: int, device: str) -> Iterator[Meter]:
    """Add what the block takes to ``phases``: {phase, step, seconds, peak_memory_mb}, and on a CPU cpu_seconds.

    ``seconds`` pass on the wall's clock; ``cpu_seconds`` are the process's own, which hardly depend on what else the
    machine is doing.

    Memory is the peak of the process's resident memory during the block (on CUDA: of allocated device memory). Where
    the system cannot reset the peak (anything but Linux) it is the peak since the process began; None where the system
    does not know it.
    """
    meter = Meter(device)
    yield meter
    phases.append({"phase": phase, "step": step, **meter.read()})


def _reset_peak() -> None:
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _peak_mb() -> float:
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1024
    try:
        import resource
    except ImportError:  # not on POSIX
        return math.nan
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 1024
