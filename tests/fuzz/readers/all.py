"""Every reader, of every family."""

from __future__ import annotations

from fuzz.readers import (
    READERS,
    checkpoints,
    labels,
    parquets,
    pictures,
    recipes,
    reports,
    results,
    stores,
)

__all__ = [
    "READERS",
    "checkpoints",
    "labels",
    "parquets",
    "pictures",
    "recipes",
    "reports",
    "results",
    "stores",
]
