"""A published table's TOML file, checked key by key: the suite's own in ``papers/``, or the user's."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any, Final

from fretal_bench.datasets.streams.file import StreamFile, stream_of_table
from fretal_bench.datasets.streams.stream import find_stream
from fretal_bench.errors import BenchError, unknown_name
from fretal_bench.metrics import registry
from fretal_bench.metrics.continual import CONTINUAL_METRICS
from fretal_bench.papers.table import PaperTable, Reading, Setting
from fretal_bench.strategies.registry import find_strategy

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_KEYS: Final = {
    "recipe": str,
    "metric": str,
    "level": str,
    "scale": int,
    "cannot": str,
    "notes": list,
    "notes_data": list,
    "notes_recipe": list,
    "streams": dict,
    "rows": dict,
    "columns": dict,
}
_SETTING: Final = {"stream": str, "strategy": str, "set": dict, "recipe": dict}
_READING: Final = {"domain": str, "after": str, "quantity": str, "sign": int, "mean": list}
_AFTER: Final = ("first", "last")
_FILE_NAME: Final = re.compile(r"\w[\w.+-]*")


def list_papers() -> dict[str, PaperTable]:
    """Return every table that the suite has a file for, by name."""
    folder = resources.files(__package__).joinpath("tables")
    names = sorted(path.name for path in folder.iterdir() if path.name.endswith(".toml"))
    return {name: open_paper(name) for name in (name.removesuffix(".toml") for name in names)}


def open_paper(name: str | os.PathLike[str]) -> PaperTable:
    """Open a table's file: the suite's by name, or the user's own by path (anything that ends in ``.toml``).

    A table that has no file, since only its values are known, is returned as one that cannot be run.

    Raises:
        BenchError: A file cannot be read, or a key, name or value in it is wrong; with the nearest valid name.
    """
    text = os.fspath(name)
    path = Path(text)
    if not text.endswith(".toml"):
        path = Path(str(resources.files(__package__))) / "tables" / f"{text}.toml"
        if not path.is_file():
            return PaperTable(
                text, cannot="no file says which cells it needs; see docs/papers.md for how to write one"
            )
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise BenchError(f"{path}: cannot be read ({error.strerror}); mend the path") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BenchError(
            f"{path} is not valid TOML: {str(error).splitlines()[0]}; mend that place"
        ) from error
    return paper_of_table(path, table, own=text.endswith(".toml"))


def paper_of_table(path: Path, table: Mapping[str, Any], own: bool = True) -> PaperTable:
    """Check a table's file.

    Args:
        path: Gives the name and stands in messages.
        table: The file's content.
        own: Whether it is the user's own: its strategies must be there. The suite's files also name methods that the
            suite has not got yet.

    Raises:
        BenchError: As :func:`open_paper`.
    """
    _check(path, "the file", table, _KEYS)
    metric, level = table.get("metric", "accuracy"), table.get("level", "frame")
    _one_of(path, "metric", metric, registry.names())
    _one_of(path, "level", level, ("frame", "video"))
    if table.get("scale", 100) < 1:
        raise BenchError(
            f"{path}: scale must be 1 or more, found {table['scale']}; give 100 for values in percent, else 1"
        )
    streams = {key: _stream(path, key, entry) for key, entry in table.get("streams", {}).items()}
    _check_streams(path, streams)
    rows = {name: _setting(path, f"row {name!r}", entry, {}) for name, entry in table.get("rows", {}).items()}
    columns = {
        name: (_setting(path, f"column {name!r}", entry, _READING), _reading(path, name, entry))
        for name, entry in table.get("columns", {}).items()
    }
    paper = PaperTable(
        name=path.stem,
        recipe=table.get("recipe", "mini"),
        metric=metric,
        level=level,
        scale=table.get("scale", 100),
        cannot=table.get("cannot", ""),
        notes=_texts(path, "the file", table, "notes"),
        notes_data=_texts(path, "the file", table, "notes_data"),
        notes_recipe=_texts(path, "the file", table, "notes_recipe"),
        streams=streams,
        optional=frozenset(key for key, entry in table.get("streams", {}).items() if _is_optional(entry)),
        rows=rows,
        columns=columns,
    )
    _check_names(path, paper)
    if own:
        _check_strategies(path, paper)
    return paper


def _check_streams(path: Path, streams: Mapping[str, StreamFile]) -> None:
    """Check that streams can be told apart by name, and that the names can be those of files."""
    by_name: dict[str, tuple[str, StreamFile]] = {}
    for key, file in streams.items():
        if not _FILE_NAME.fullmatch(file.name):
            raise BenchError(
                f"{path}: stream {key!r}: the name {file.name!r} cannot be that of a file; "
                "use letters, digits, - and _"
            )
        other, same = by_name.setdefault(file.name, (key, file))
        if same != file:
            raise BenchError(
                f"{path}: streams {other!r} and {key!r} are both called {file.name!r}; rename one"
            )


def _check_strategies(path: Path, paper: PaperTable) -> None:
    """Check that the suite has the strategies of a table, with the hyperparameters that it sets."""
    for method, row in paper.rows.items():
        for column, (_, reading) in paper.columns.items():
            setting = paper.joined(row, column)
            if reading.mean:
                continue
            where = f"row {method!r}, column {column!r}"
            if not setting.strategy:
                raise BenchError(f"{path}: {where}: no strategy is named; add strategy = ... to the row")
            try:
                find_strategy(setting.strategy).hyperparameters(dict(setting.set))
            except BenchError as error:
                raise BenchError(f"{path}: {where}: {error}") from error


def _check_names(path: Path, paper: PaperTable) -> None:
    """Check that what rows and columns name is there."""
    for name, (_, reading) in paper.columns.items():
        for part in reading.mean:
            _one_of(path, f"column {name!r}: mean", part, paper.columns)
            if paper.columns[part][1].mean:
                raise BenchError(
                    f"{path}: column {name!r}: mean of {part!r}, which is a mean itself; name the columns it is of"
                )
        for row in paper.rows.values():
            stream = paper.joined(row, name).stream
            if not reading.mean:
                _one_of(path, f"column {name!r}: stream", stream, paper.streams)
            if reading.domain:
                known = [domain.name for domain in paper.streams[stream].domains]
                _one_of(path, f"column {name!r}: domain", reading.domain, known)


def _stream(path: Path, key: str, entry: Any) -> StreamFile:
    """A built-in stream by name, its domains in another order (``of``, ``order``), or one made here (``domains``)."""
    if isinstance(entry, str):
        return _built_in(path, key, entry)
    where = f"stream {key!r}"
    if not isinstance(entry, dict):
        raise BenchError(f"{path}: {where} must be the name of a stream or a table, not {entry!r}")
    if "of" not in entry:
        content = {name: value for name, value in entry.items() if name != "optional"}
        _check(
            path,
            where,
            {name: value for name, value in entry.items() if name == "optional"},
            {"optional": bool},
        )
        return stream_of_table(path, {"name": f"{path.stem}-{_slug(key)}", **content})
    _check(path, where, entry, {"of": str, "order": list, "optional": bool})
    base = _built_in(path, key, entry["of"])
    domains = {domain.name: domain for domain in base.domains}
    order = _texts(path, where, entry, "order") if "order" in entry else tuple(domains)
    if not order:
        raise BenchError(f"{path}: {where}: order is empty; name its domains, or leave it out for all")
    for name in order:
        _one_of(path, f"{where}: order", name, domains)
        if order.count(name) > 1:
            raise BenchError(f"{path}: {where}: order names {name!r} twice; keep one of them")
    chosen = tuple(domains[name] for name in order)
    return replace(
        base, name=f"{base.name}-{_slug('-'.join(order))}", domains=chosen, group="", group_description=""
    )


def _built_in(path: Path, key: str, name: str) -> StreamFile:
    try:
        return find_stream(name)
    except BenchError as error:
        raise BenchError(f"{path}: stream {key!r}: {error}") from error


def _is_optional(entry: Any) -> bool:
    return isinstance(entry, dict) and bool(entry.get("optional", False))


def _setting(path: Path, where: str, entry: Any, more: Mapping[str, type]) -> Setting:
    _check(path, where, entry, {**_SETTING, **more})
    for key, value in entry.get("recipe", {}).items():
        if not isinstance(value, str | int | float):
            raise BenchError(f"{path}: {where}: recipe.{key} must be a single value, found {value!r}")
    return Setting(
        stream=entry.get("stream", ""),
        strategy=entry.get("strategy", ""),
        set=tuple(entry.get("set", {}).items()),
        recipe=tuple(entry.get("recipe", {}).items()),
    )


def _reading(path: Path, name: str, entry: Mapping[str, Any]) -> Reading:
    reading = Reading(
        domain=entry.get("domain", ""),
        after=entry.get("after", "last"),
        quantity=entry.get("quantity", ""),
        sign=entry.get("sign", 1),
        mean=_texts(path, f"column {name!r}", entry, "mean"),
    )
    if sum(map(bool, (reading.domain, reading.quantity, reading.mean))) != 1:
        raise BenchError(f"{path}: column {name!r}: give exactly one of domain, quantity and mean")
    _one_of(path, f"column {name!r}: after", reading.after, _AFTER)
    for key, needed in (("after", "domain"), ("sign", "quantity")):
        if key in entry and needed not in entry:
            raise BenchError(f"{path}: column {name!r}: {key} goes with {needed} only; leave it out")
    more = [key for key in entry if key != "mean"]
    if reading.mean and more:
        raise BenchError(
            f"{path}: column {name!r}: a mean takes nothing else, found {more[0]}; put it in the columns it is of"
        )
    for part in reading.mean:
        if reading.mean.count(part) > 1:
            raise BenchError(f"{path}: column {name!r}: mean names {part!r} twice; keep one of them")
    if reading.quantity:
        _one_of(path, f"column {name!r}: quantity", reading.quantity, CONTINUAL_METRICS)
    if reading.sign not in (1, -1):
        raise BenchError(f"{path}: column {name!r}: sign must be 1 or -1, found {reading.sign}")
    return reading


def _check(path: Path, where: str, entry: Any, keys: Mapping[str, type]) -> None:
    if not isinstance(entry, Mapping):
        raise BenchError(f"{path}: {where} must be a table, not {entry!r}")
    for key, value in entry.items():
        _one_of(path, f"key of {where}", key, keys)
        if not isinstance(value, keys[key]) or (isinstance(value, bool) and keys[key] is not bool):
            raise BenchError(f"{path}: {where}: {key} must be of type {keys[key].__name__}, found {value!r}")


def _texts(path: Path, where: str, entry: Mapping[str, Any], key: str) -> tuple[str, ...]:
    values = entry.get(key, [])
    if not all(isinstance(value, str) for value in values):
        raise BenchError(f"{path}: {where}: {key} must be a list of texts, found {values!r}")
    return tuple(values)


def _one_of(path: Path, what: str, name: str, known: Iterable[str]) -> None:
    if name not in (names := list(known)):
        raise BenchError(f"{path}: {unknown_name(what, name, names)}")


def _slug(text: str) -> str:
    kept = "".join(sign if sign.isalnum() else "-" for sign in text.lower())
    return "-".join(filter(None, kept.split("-")))
