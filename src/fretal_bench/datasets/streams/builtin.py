"""The streams that have names: one TOML file each, or many from one description of domains, qualities and orders."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from itertools import cycle
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

from fretal_bench import parsing, records
from fretal_bench.datasets.streams.file import StreamFile, stream_of_table
from fretal_bench.errors import BenchError, unknown_name
from fretal_bench.plugins import Plugin, register
from fretal_bench.records import Record

T = TypeVar("T")


@dataclass(frozen=True)
class _Quality(Record):
    """A quality of a description: its name in texts, and the compressions that the domains take in turn."""

    title: str
    compressions: tuple[str, ...]


@dataclass(frozen=True)
class _Streams(Record):
    """One ``[[streams]]`` table of a description: a stream of every quality and order it names."""

    name: str
    description: str
    qualities: tuple[str, ...]
    orders: tuple[str, ...]
    group: str = ""
    group_description: str = ""


@dataclass(frozen=True)
class _Description(Record):
    """What a description holds besides the keys that all its streams share."""

    domains: Mapping[str, Mapping[str, Any]]
    qualities: Mapping[str, _Quality]
    streams: tuple[_Streams, ...]


def builtin_stream_files() -> dict[str, StreamFile]:
    """Read every stream that has a name; in the order of the names with numbers as numbers.

    Beside the suite's own they are those of plugins: paths of TOML files in the entry-point group
    ``fretal_bench.streams`` (``importlib.resources.files(__package__) / "mine.toml"``), or as ``STREAM`` or ``STREAMS``
    in a file given with ``--plugin``; see ``plugins.register`` for one that is wrong.

    Raises:
        BenchError: Two of the suite's own have one name.
    """
    return dict(sorted(register("streams", _own(), _read).items(), key=lambda item: _order(item[0])))


@functools.cache
def _own() -> Mapping[str, StreamFile]:
    """Read the suite's own streams, once a process: a listing of tables looks them up many times."""
    folder = Path(str(resources.files("fretal_bench.datasets.streams"))) / "protocols"
    files: dict[str, StreamFile] = {}
    for path in folder.glob("*.toml"):
        for file in _streams_in(path):
            if file.name in files:
                raise BenchError(
                    f"{path}: there is a stream {file.name!r} in {files[file.name].path}; rename one"
                )
            files[file.name] = file
    return files


def _streams_in(path: Path) -> Iterable[StreamFile]:
    table = parsing.read_toml(path, "stream file")
    return _family(path, table) if "streams" in table else [stream_of_table(path, table)]


def _read(plugin: Plugin, value: object) -> Iterator[tuple[str, StreamFile]]:
    if not isinstance(value, str | PathLike):
        raise TypeError(f"expected the path of a TOML file, found {type(value).__name__}")
    # A path in a file given with `--plugin` is relative to that file.
    path = Path(value) if plugin.file is None else plugin.file.parent / Path(value)
    for file in _streams_in(path):
        yield file.name, file


def _order(name: str) -> list[tuple[bool, int, str]]:
    return [(part.isdigit(), int(part) if part.isdigit() else 0, part) for part in re.split(r"(\d+)", name)]


def _family(path: Path, table: Mapping[str, Any]) -> Iterator[StreamFile]:
    """Make the streams of a description.

    Besides the keys that all its streams share it has ``domains`` (tables by short name), ``qualities`` (by name: a
    ``title`` and ``compressions``, which the domains take in turn) and ``streams``. Each of ``[[streams]]`` stands for
    one stream of every quality and order it names; an order is short names of domains. In its texts ``{quality}``,
    ``{title}``, ``{order}`` (short names joined by ``-``), ``{domains}`` and ``{count}`` (of its orders) are filled in;
    a ``group`` is a name under which they are listed as one, with its ``group_description``.
    """
    keys = ("domains", "qualities", "streams")
    shared = {key: value for key, value in table.items() if key not in keys}
    family = records.read(_Description, {key: table[key] for key in keys if key in table}, str(path))
    for entry in family.streams:
        for quality in entry.qualities:
            kind = _named(path, "quality", quality, family.qualities)
            for order in entry.orders:
                chosen = [_named(path, "domain", short, family.domains) for short in order.split()]
                words = {
                    "quality": quality,
                    "title": kind.title,
                    "order": "-".join(order.split()),
                    "domains": ", ".join(str(domain.get("name")) for domain in chosen),
                    "count": len(entry.orders),
                }
                content = {
                    **shared,
                    "name": entry.name.format(**words),
                    "description": entry.description.format(**words),
                    "domains": [
                        {**domain, "compressions": [compression]}
                        for domain, compression in zip(chosen, cycle(kind.compressions), strict=False)
                    ],
                }
                group = entry.group.format(**words), entry.group_description.format(**words)
                yield stream_of_table(path, content, group)


def _named(path: Path, kind: str, name: str, known: Mapping[str, T]) -> T:
    if name not in known:
        raise BenchError(f"{path}: {unknown_name(kind, name, known)}")
    return known[name]
