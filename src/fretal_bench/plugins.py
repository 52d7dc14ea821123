"""Plugins: what installed packages and files given with ``--plugin`` add to the suite, of four kinds.

Strategies, streams, importers and metrics are found in one way: an entry point in the group ``fretal_bench.KIND``, or a
variable in a file. Whoever owns a kind says what its records must be; see ``register``.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.machinery import SourceFileLoader, all_suffixes
from importlib.metadata import Distribution, EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, TypeVar

from fretal_bench import files, guard
from fretal_bench.errors import BenchError, BenchWarning
from fretal_bench.names import NAME, shown
from fretal_bench.places import place_of

Kind = Literal["strategies", "streams", "importers", "metrics"]
KINDS: Mapping[Kind, tuple[str, str]] = {
    "strategies": ("STRATEGY", "STRATEGIES"),
    "streams": ("STREAM", "STREAMS"),
    "importers": ("IMPORTER", "IMPORTERS"),
    "metrics": ("METRIC", "METRICS"),
}
"""Kind -> the variables of a file that hold one record, or several."""
GROUP = "fretal_bench."
"""The group of a kind's entry points is this and the kind."""

Record = TypeVar("Record")


class PluginWarning(BenchWarning):
    """A plugin is left out, and why; everything else goes on."""


@dataclass(frozen=True)
class Plugin:
    """Something that a plugin adds: one record, or several.

    Attributes:
        name: Its entry point, or the variable in its file.
        origin: ``DISTRIBUTION VERSION`` (of an editable installation with ``sha256:...`` of its modules), or
            ``FILE sha256:...``: another origin, another plugin.
        module: The module it stands in.
        load: Gives what it adds.
        file: Its file, if it was given as one.
    """

    name: str
    origin: str
    module: str
    load: Callable[[], Any]
    file: Path | None = None

    def values(self) -> tuple[Any, ...]:
        """Import the plugin, once a process, and return what it adds.

        Raises:
            Exception: Anything; of what is no ``Exception``, and of a plugin that does not end, a ``guard.Ended``.
        """
        key = (self.origin, self.module, self.name)
        if key not in _loaded:
            try:
                with guard.bounded(f"{self.origin}: plugin {shown(self.name)}"):
                    value = self.load()
            except Exception as error:
                _loaded[key] = error
            else:
                _loaded[key] = tuple(value) if isinstance(value, list | tuple) else (value,)
        values = _loaded[key]
        if isinstance(values, Exception):
            raise values
        return values


_loaded: dict[tuple[str, str, str], tuple[Any, ...] | Exception] = {}
"""What each plugin adds, or why it cannot be imported: one that doesn't end is waited for once."""
_files: dict[Path, tuple[ModuleType, str]] = {}
_left_out: dict[tuple[Kind, str], str] = {}


def use_files(paths: Iterable[Path | str]) -> None:
    """Take plugins from Python files, besides those that are installed, for the rest of this process.

    Raises:
        BenchError: A file is not there, cannot be imported, or defines none of the variables in ``KINDS``.
    """
    for path in (files.expanded(given).absolute() for given in paths):
        if path not in _files:
            _files[path] = _import_file(path)
            _installed.cache_clear()


def plugin_files() -> tuple[Path, ...]:
    """Return the files that were given, for processes that must know them too."""
    return tuple(_files)


def is_of_file(module: str) -> bool:
    """Whether a module is that of a file that was given, by its name."""
    return any(module == of.__name__ for of, _ in _files.values())


def forget() -> None:
    """Forget every plugin that was found or given; they are looked for again."""
    _files.clear()
    _loaded.clear()
    _left_out.clear()
    _installed.cache_clear()


def plugins(kind: Kind) -> tuple[Plugin, ...]:
    """Return what there is of a kind, installed ones first, each in the order of names; nothing is imported."""
    given = [
        Plugin(name, origin, module.__name__, lambda module=module, name=name: getattr(module, name), path)  # type: ignore[misc]
        for path, (module, origin) in _files.items()
        for name in KINDS[kind]
        if hasattr(module, name)
    ]
    return (*_installed(kind), *given)


def register(
    kind: Kind, known: Mapping[str, Record], read: Callable[[Plugin, Any], Iterable[tuple[str, Record]]]
) -> dict[str, Record]:
    """Add what plugins bring of a kind to the suite's own.

    Args:
        kind: The kind.
        known: The suite's own records by name.
        read: Takes a plugin and one value of it, and gives (name, record); raises ``ValueError``, ``TypeError`` or
            ``BenchError`` where the value is not what it should be.

    Returns:
        All records by name. An installed plugin that cannot be imported, is refused by ``read`` or takes a name that is
        taken is left out and named in a ``PluginWarning``, once.

    Raises:
        BenchError: The same of a file, which was asked for.
    """
    records = dict(known)
    for plugin in plugins(kind):
        brought: dict[str, Record] = {}
        try:
            if fault := NAME.fault(plugin.name):
                raise ValueError(f"expected {NAME.expected}: {fault}")
            values = plugin.values()
            with guard.guarded():
                for value in values:
                    for name, record in read(plugin, value):
                        if name in records or name in brought:
                            raise ValueError(f"the name {name!r} is taken")
                        if fault := NAME.fault(name):
                            raise ValueError(f"{shown(name)}: expected {NAME.expected}: {fault}")
                        brought[name] = record
            records.update(brought)
        except Exception as error:  # a plugin may fail in any way, and must not stop the rest
            reason = f"{plugin.origin}: {KINDS[kind][0].lower()} plugin {shown(plugin.name)}: {words(error)}"
            if plugin.file is not None:
                raise BenchError(f"{reason}; fix {plugin.file}") from error
            _leave_out(kind, plugin.name, reason)
    return records


def why_left_out(kind: Kind, name: str) -> str | None:
    """Say why the plugin called ``name`` was left out; None if it wasn't."""
    return _left_out.get((kind, name))


def plugin_versions() -> dict[str, str]:
    """Return what results may depend on besides the suite: plugins' distributions and files with their versions.

    Files of one name in different folders have one entry, with the versions of all.
    """
    origins = {plugin.origin for kind in KINDS for plugin in plugins(kind)}
    versions: dict[str, str] = {}
    for origin in sorted(origins):
        name, version = name_and_version(origin)
        if version:
            versions[name] = f"{versions[name]} and {version}" if name in versions else version
    return versions


def name_and_version(origin: str) -> tuple[str, str]:
    """Split the origin of a plugin: distribution and version, or the file's name (which may have blanks) and its hash."""
    file, _, sha = origin.rpartition(" ")
    if is_file(file) and sha.startswith("sha256:"):
        return file, sha
    name, _, version = origin.partition(" ")
    return name, version


def is_file(name: str) -> bool:
    """Whether what a plugin comes from is a file, not a distribution, by its name."""
    return name.endswith(tuple(all_suffixes()))


@cache
def _installed(kind: Kind) -> tuple[Plugin, ...]:
    points = sorted(entry_points(group=GROUP + kind), key=lambda point: (point.name, point.value))
    return tuple(Plugin(point.name, _origin(point), point.module, point.load) for point in points)


def _origin(point: EntryPoint) -> str:
    if point.dist is None:
        return point.value
    origin = f"{point.dist.name} {point.dist.version}"
    # The version of an editable installation stays while its code changes.
    return (
        f"{origin} {_sha((path.name, path.read_bytes()) for path in _modules(point.module))}"
        if _editable(point.dist)
        else origin
    )


def _editable(distribution: Distribution) -> bool:
    try:
        about = json.loads(distribution.read_text("direct_url.json") or "{}")
        return bool(about.get("dir_info", {}).get("editable"))
    except (ValueError, AttributeError, RecursionError):
        # Damaged: that its code is looked at is right either way.
        return True


def _modules(module: str) -> list[Path]:
    """Return the Python files of the package that ``module`` is part of."""
    try:
        spec = importlib.util.find_spec(module.partition(".")[0])
    except (ImportError, ValueError):
        return []
    if spec is None:
        return []
    if spec.submodule_search_locations:
        return sorted(path for top in spec.submodule_search_locations for path in Path(top).rglob("*.py"))
    return [Path(spec.origin)] if spec.origin else []


def _sha(contents: Iterable[tuple[str, bytes]]) -> str:
    digest = hashlib.sha256()
    for name, content in contents:
        digest.update(f"{name} {len(content)} ".encode() + content)
    return f"sha256:{digest.hexdigest()[:16]}"


def _import_file(path: Path) -> tuple[ModuleType, str]:
    content = files.read_bytes(path, "--plugin", "give a Python file")
    sha = _sha([(path.name, content)])
    name = f"plugin_{re.sub(r'[^A-Za-z0-9]', '_', path.stem)}_{sha[-8:]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise BenchError(f"--plugin {path}: not a Python file; give one that ends in .py")
    module = importlib.util.module_from_spec(spec)
    # Known by its name before it runs: dataclasses look their module up, and so does a target like __name__ + ":Class".
    sys.modules[name] = module
    try:
        with guard.bounded(f"--plugin {path}"):
            if isinstance(spec.loader, SourceFileLoader):
                # The bytes that were hashed. The loader would take the compiled file of an earlier edit if size and
                # second of change are the same, and training would be that of the old code.
                exec(spec.loader.source_to_code(content, str(path)), vars(module))
            else:
                spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        place = place_of(error.__cause__ if isinstance(error, guard.Ended) and error.__cause__ else error)
        where = f" ({place})" if place else ""
        raise BenchError(
            f"--plugin {path}: cannot be imported: {words(error).rstrip()}{where}; fix it"
        ) from error
    variables = [variable for pair in KINDS.values() for variable in pair]
    if not any(hasattr(module, variable) for variable in variables):
        raise BenchError(
            f"--plugin {path}: expected one of {', '.join(variables)} in it, found none; add one"
        )
    return module, f"{path.name} {sha}"


def _leave_out(kind: Kind, name: str, reason: str) -> None:
    if (kind, name) not in _left_out:
        _left_out[kind, name] = reason
        warnings.warn(f"{reason}; it is left out; fix or uninstall it", PluginWarning, stacklevel=3)


def words(error: Exception) -> str:
    """Say in a few words what a plugin raised: its own sentence where it is one, else the kind of error before it."""
    first = (str(error).splitlines() or [""])[0]
    plain = isinstance(error, BenchError | ValueError | TypeError | guard.Ended)
    return first if plain and first else guard.named(error)
