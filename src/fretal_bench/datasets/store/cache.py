"""The folder of what can be made again: built-in stores, contents of stores."""

from __future__ import annotations

import os
from pathlib import Path

from fretal_bench import files


def cache_folder() -> Path:
    """Name the folder for what can be made again: ``$FRETAL_BENCH_CACHE``, or the user's cache folder.

    In this order: ``$FRETAL_BENCH_CACHE``, ``$XDG_CACHE_HOME/fretal-bench``, ``~/.cache/fretal-bench``. It is
    not made here.
    """
    folder = os.environ.get("FRETAL_BENCH_CACHE")
    if folder:
        return files.expanded(folder).absolute()
    shared = os.environ.get("XDG_CACHE_HOME")
    # The XDG specification: a relative path there is invalid and to be ignored.
    base = Path(shared) if shared and Path(shared).is_absolute() else Path.home() / ".cache"
    return base / "fretal-bench"
