"""Media files: limits before decoding, pictures read in one stated way, facts of clips, why a file is not read."""

from __future__ import annotations
