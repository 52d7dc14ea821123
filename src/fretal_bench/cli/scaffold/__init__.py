"""The small installable package that ``bench new strategy`` writes: the start of a plugin."""

from __future__ import annotations

import importlib.util
import keyword
import re
from importlib import resources
from pathlib import Path
from typing import Final

from fretal_bench import files
from fretal_bench.errors import BenchError
from fretal_bench.strategies.registry import RESERVED, names

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_LONGEST: Final = 60
"""Characters of a name: file names and tables have room for it."""
FILES = {
    "pyproject.toml": "pyproject.toml",
    "README.md": "README.md",
    "src/@PACKAGE@/__init__.py": "info.py",
    "src/@PACKAGE@/strategy.py": "strategy.py",
    "src/@PACKAGE@/py.typed": "",
    "tests/test_@PACKAGE@.py": "test.py",
}
"""Path in the new package -> its template in ``scaffold/strategy`` (which adds ``.txt``); none for an empty file."""


def write_strategy_package(name: str, into: Path = Path(".")) -> Path:
    """Write a package whose one strategy works, is registered by an entry point, and passes its own tests.

    Args:
        name: The strategy's name: lower-case words joined by ``-``. The package is called so with ``_``.
        into: Where its folder is made.

    Returns:
        The new folder, ``into/name``.

    Raises:
        BenchError: The name is not of that form, too long, taken, or cannot be a package's; or the folder is there or
            cannot be written, and then nothing is left of it.
        RunError: There is no space left; nothing is left of it either.
    """
    package = name.replace("-", "_")
    _check_name(name, package)
    final = into / name
    if final.exists():
        raise BenchError(f"{final} exists; choose another name, another --into, or remove it")
    words = {
        "@NAME@": name,
        "@PACKAGE@": package,
        "@CLASS@": "".join(word.capitalize() for word in name.split("-")),
    }
    with files.folder(final, remedy="give another --into") as part:
        for path, template in FILES.items():
            place = part / _filled(path, words)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(_filled(_template(template), words) if template else "", "utf-8")
    return final


def _check_name(name: str, package: str) -> None:
    """Refuse names that no strategy or no package can have, by ``BenchError``."""
    if not _NAME.fullmatch(name):
        raise BenchError(f"strategy name {name!r}: expected lower-case words joined by '-', e.g. my-method")
    if len(name) > _LONGEST:
        raise BenchError(
            f"strategy name {name[:20]!r}...: {len(name)} characters; give one of at most {_LONGEST}"
        )
    if keyword.iskeyword(package) or keyword.issoftkeyword(package):
        raise BenchError(
            f"strategy name {name!r}: a word of Python's own cannot name a package; choose another"
        )
    if name == RESERVED or name in names(aliases=True):
        raise BenchError(
            f"strategy name {name!r} is taken; choose another (`bench list strategies` shows all)"
        )
    if importlib.util.find_spec(package) is not None:
        raise BenchError(f"strategy name {name!r}: a module {package!r} is installed here; choose another")


def _template(name: str) -> str:
    return (resources.files("fretal_bench.cli.scaffold") / "strategy" / f"{name}.txt").read_text("utf-8")


def _filled(text: str, words: dict[str, str]) -> str:
    for mark, word in words.items():
        text = text.replace(mark, word)
    return text
