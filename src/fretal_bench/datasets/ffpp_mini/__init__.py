"""FF++-mini: a small FaceForensics++ made from the AT&T / ORL photographs, with nothing to download."""

from __future__ import annotations
