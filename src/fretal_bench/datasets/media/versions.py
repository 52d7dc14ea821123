"""Versions of the packages that decode media, as a crop store records them."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Final

DECODERS: Final = ("av", "opencv-python-headless", "pillow")
"""Packages that pictures and videos are decoded by; other versions may give other pixels."""


def package_versions(names: Sequence[str] = DECODERS) -> dict[str, str]:
    """Return the version of each package."""
    return {name: _version(name) for name in names}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:  # OpenCV comes under several names; then its own word counts
        import cv2

        return str(cv2.__version__)
