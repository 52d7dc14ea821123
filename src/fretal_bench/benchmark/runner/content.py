"""Ids: hashes of what a thing is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any


def content_id(content: Mapping[str, Any]) -> str:
    """Return 16 hexadecimal digits of the SHA-256 of ``content`` written as canonical JSON."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
