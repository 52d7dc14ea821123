"""The callback that long work over a data set reports its progress to."""

from __future__ import annotations

from collections.abc import Callable

ProgressCallback = Callable[[int, int], None]
"""Called with (done, in all)."""
