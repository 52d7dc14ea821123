"""The first place where two plans differ, in words."""

from __future__ import annotations

from typing import Any, Final

_ABSENT: Final = object()
_LONGEST: Final = 60
_BEFORE: Final = 20
"""Characters that are shown of what is there and what is asked for, and of what both have before they differ."""


def first_difference(there: Any, now: Any, at: str) -> str:
    """Say where two pieces of plain data first differ, and in what; nothing if they are equal.

    E.g. ``stream.domains[2]: there none, now 'NeuralTextures'`` or ``recipe.epochs: there 1, now 2``.

    Args:
        there: What was written down.
        now: What is asked for.
        at: What both are called.
    """
    if isinstance(there, dict) and isinstance(now, dict):
        keys = [*there, *(key for key in now if key not in there)]
        pairs = [(f"{at}.{key}", there.get(key, _ABSENT), now.get(key, _ABSENT)) for key in keys]
    elif isinstance(there, list) and isinstance(now, list):
        pairs = [
            (
                f"{at}[{place}]",
                there[place] if place < len(there) else _ABSENT,
                now[place] if place < len(now) else _ABSENT,
            )
            for place in range(max(len(there), len(now)))
        ]
    elif there is not _ABSENT and now is not _ABSENT and there == now:
        return ""
    else:
        old, new = _words(there), _words(now)
        # Long texts are cut to the part in which they differ.
        same = next((at for at, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), 0)
        return f"{at}: there {_cut(old, same)}, now {_cut(new, same)}"
    return next((text for name, a, b in pairs if (text := first_difference(a, b, name))), "")


def _words(value: Any) -> str:
    if value is _ABSENT:
        return "none"
    return repr(value["name"] if isinstance(value, dict) and "name" in value else value)


def _cut(text: str, same: int) -> str:
    start = max(0, min(same - _BEFORE, len(text) - _LONGEST))
    end = start + _LONGEST
    return f"{'...' if start else ''}{text[start:end]}{'...' if end < len(text) else ''}"
