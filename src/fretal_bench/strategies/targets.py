"""The targets of rows, ``package.module:Class``: how they were written, and whether what is imported has the class."""

from __future__ import annotations

import sys
from pathlib import Path

from fretal_bench import plugins
from fretal_bench.errors import nearest


def written(target: str) -> str:
    """Return a target as its row has it: of a file given with ``--plugin`` without the name that its module goes by."""
    module, _, name = target.rpartition(":")
    return f":{name}" if plugins.is_of_file(module) else target


def missing_class(target: str) -> str:
    """Say that a module that is imported lacks the class of a target.

    Args:
        target: ``package.module:Class``.

    Returns:
        E.g. ``mine.py has no class Pulld; did you mean 'Pulled'? Known: Constants, Pulled``; empty where the class is
        there or its module is not imported.
    """
    module_name, _, name = target.rpartition(":")
    module = sys.modules.get(module_name)
    if module is None or hasattr(module, name):
        return ""
    own = [
        key
        for key, value in vars(module).items()
        if isinstance(value, type) and value.__module__ == module_name
    ]
    file = getattr(module, "__file__", None)
    return f"{Path(file).name if file else module_name} has no class {name}{nearest(name, own)}"
