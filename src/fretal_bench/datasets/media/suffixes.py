"""Extensions of pictures and videos, in lower case."""

from __future__ import annotations

from typing import Final

VIDEO_SUFFIXES: Final = frozenset({".mp4"})
"""Videos that data sets are read from."""
CLIP_SUFFIXES: Final = VIDEO_SUFFIXES | {".avi", ".mov", ".mkv", ".webm", ".m4v", ".flv", ".wmv"}
"""All videos; those that no layout has are named where they lie."""
IMAGE_SUFFIXES: Final = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp", ".pgm", ".ppm", ".tif", ".tiff"})
