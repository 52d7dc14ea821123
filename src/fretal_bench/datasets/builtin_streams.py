"""The built-in streams: one TOML file each, or many from one description of domains, qualities and orders."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from importlib import resources
from itertools import cycle
from pathlib import Path
from typing import Any

from fretal_bench.datasets.stream_file import StreamFile, read_table, stream_of_table
from fretal_bench.errors import BenchError


def builtin_stream_files() -> dict[str, StreamFile]:
    """Read every built-in stream; by name, in the order of the names with numbers as numbers.

    Raises:
        BenchError: Two of them have one name.
    """
    folder = Path(str(resources.files("fretal_bench.datasets"))) / "streams"
    files: dict[str, StreamFile] = {}
    for path in folder.glob("*.toml"):
        table = read_table(path)
        made = _family(path, table) if "streams" in table else [stream_of_table(path, table)]
        for file in made:
            if file.name in files:
                raise BenchError(
                    f"{path}: there is a stream {file.name!r} in {files[file.name].path}; rename one"
                )
            files[file.name] = file
    return dict(sorted(files.items(), key=lambda item: _order(item[0])))


def _order(name: str) -> list[tuple[bool, int, str]]:
    return [(part.isdigit(), int(part) if part.isdigit() else 0, part) for part in re.split(r"(\d+)", name)]


def _family(path: Path, family: dict[str, Any]) -> Iterator[StreamFile]:
    """Make the streams of a description.

    Besides the keys that all its streams share it has ``domains`` (tables by short name), ``qualities`` (by name: a
    ``title`` and ``compressions``, which the domains take in turn) and ``streams``. Each of ``[[streams]]`` stands for
    one stream of every quality and order it names; an order is short names of domains. In its texts ``{quality}``,
    ``{title}``, ``{order}`` (short names joined by ``-``), ``{domains}`` and ``{count}`` (of its orders) are filled in;
    a ``group`` is a name under which they are listed as one, with its ``group_description``.
    """
    shared = {key: value for key, value in family.items() if key not in ("domains", "qualities", "streams")}
    for entry in family["streams"]:
        for quality in entry["qualities"]:
            kind = family["qualities"][quality]
            for order in entry["orders"]:
                chosen = [family["domains"][short] for short in order.split()]
                words = {
                    "quality": quality,
                    "title": kind["title"],
                    "order": "-".join(order.split()),
                    "domains": ", ".join(domain["name"] for domain in chosen),
                    "count": len(entry["orders"]),
                }
                table = {
                    **shared,
                    "name": entry["name"].format(**words),
                    "description": entry["description"].format(**words),
                    "domains": [
                        {**domain, "compressions": [compression]}
                        for domain, compression in zip(chosen, cycle(kind["compressions"]), strict=False)
                    ],
                }
                group, about = (entry.get(key, "").format(**words) for key in ("group", "group_description"))
                yield replace(stream_of_table(path, table), group=group, group_description=about)
