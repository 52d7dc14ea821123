"""Face preparation: frames of videos, face boxes, crops, and the crop store made of them."""

from __future__ import annotations
