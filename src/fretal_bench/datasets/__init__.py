"""Streams, domains, the crop store, importers, face preparation and the embedded FF++-mini."""

from __future__ import annotations
