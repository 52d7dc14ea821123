"""Stream files: the TOML that names a stream's domains and protocol, checked key by key."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from fretal_bench.errors import BenchError, unknown_name

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

BUILTIN_STORE: Final = "builtin:"
_STREAM_KEYS: Final = (
    "name",
    "description",
    "source",
    "image_size",
    "frames",
    "hidden",
    "first",
    "withhold_test",
    "protocol",
    "domains",
)


@dataclass(frozen=True)
class Protocol:
    """What a learner is given at each domain.

    Attributes:
        videos_per_class: Real and fake videos to train on in every domain after the first; all of them if None.
            Validation and test data are never thinned.
        shared_reals: Whether the domains of one store train on the same real videos. If not, each real training
            video goes to one of them. Validation and test reals are shared always, so that scores compare.
        seed: Of the choice of videos; the choice depends on it and on the videos' names alone.
    """

    videos_per_class: int | None = None
    shared_reals: bool = True
    seed: int = 0


@dataclass(frozen=True)
class DomainFile:
    """One ``[[domains]]`` table.

    Attributes:
        name: The domain's name.
        store: Folder of a crop store, relative to the stream file, or ``builtin:ffpp-mini-c23`` (``-c40``, ``-raw``);
            empty: whichever store at hand holds what the domain names (``--data``).
        methods: The manipulations whose fakes belong to it; all of its data sets if empty.
        datasets: Data sets whose rows belong to it; all in the store if empty.
        compressions: Compressions whose rows belong to it; all in the store if empty.
    """

    name: str
    store: str
    methods: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    compressions: tuple[str, ...] = ()


@dataclass(frozen=True)
class StreamFile:
    """A whole stream file.

    Attributes:
        path: Where it was read.
        name: The stream's name.
        description: One line.
        hidden: Left out of the list of streams (controls).
        protocol: What a learner is given at each domain.
        domains: In the order in which they are learnt.
        source: The paper whose protocol it is.
        image_size: The protocol's crops, pixels; 0 where it names none. Any size runs; tables should say which.
        frames: The protocol's frames of each video; 0 where it names none.
        group: Of built-in streams made from one description, what to list them under together.
        group_description: One line about that group.
        first: Learn the first so many domains and open no other; 0 = all. The others still have their part in sharing
            out reals.
        withhold_test: Leave the test rows of every domain out, so that nothing can read them (tuning).
    """

    path: Path
    name: str
    description: str
    hidden: bool
    protocol: Protocol
    domains: tuple[DomainFile, ...]
    source: str = ""
    image_size: int = 0
    frames: int = 0
    group: str = ""
    group_description: str = ""
    first: int = 0
    withhold_test: bool = False

    @property
    def learnt(self) -> tuple[DomainFile, ...]:
        """The domains that are learnt, in order."""
        return self.domains[: self.first or None]

    @property
    def needs_data(self) -> bool:
        """Whether some domain leaves open which store it is in."""
        return any(not domain.store for domain in self.domains)


def read_stream_file(path: Path) -> StreamFile:
    """Read and check a stream file.

    Raises:
        BenchError: If it cannot be read, or a key is unknown, missing or of another type; with the file, the key and
            the nearest valid name.
    """
    return stream_of_table(path, read_table(path))


def read_table(path: Path) -> dict[str, Any]:
    """Read a TOML file; BenchError if it cannot be read."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BenchError(f"cannot read the stream file {path}: {error.strerror}; mend the path") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BenchError(
            f"{path} is not valid TOML: {str(error).splitlines()[0]}; mend that place"
        ) from error


def stream_of_table(path: Path, table: dict[str, Any]) -> StreamFile:
    """Check a stream file's content; BenchError as ``read_stream_file``. ``path`` is for messages and relative stores."""
    _known(path, "stream file", table, _STREAM_KEYS)
    protocol = _take(path, "the file", table, "protocol", dict, {})
    _known(path, "[protocol]", protocol, ("videos_per_class", "shared_reals", "seed"))
    videos = _take(path, "[protocol]", protocol, "videos_per_class", int, 0)
    if "videos_per_class" in protocol and videos < 1:
        raise BenchError(f"{path}: videos_per_class is {videos}; give 1 or more, or leave it out for all")
    domains = tuple(_domain(path, entry) for entry in _take(path, "the file", table, "domains", list))
    names = [domain.name for domain in domains]
    if not names:
        raise BenchError(f"{path}: the stream has no domain; add a [[domains]] table")
    for name in names:
        if names.count(name) > 1:
            raise BenchError(f"{path}: two domains are called {name!r}; rename one")
    first = _positive(path, table, "first")
    if first > len(domains):
        raise BenchError(
            f"{path}: first is {first}, but there are {len(domains)} domains; give no more than that"
        )
    return StreamFile(
        path=path,
        name=_take(path, "the file", table, "name", str),
        description=_take(path, "the file", table, "description", str, ""),
        hidden=_take(path, "the file", table, "hidden", bool, False),
        protocol=Protocol(
            videos_per_class=videos or None,
            shared_reals=_take(path, "[protocol]", protocol, "shared_reals", bool, True),
            seed=_take(path, "[protocol]", protocol, "seed", int, 0),
        ),
        domains=domains,
        source=_take(path, "the file", table, "source", str, ""),
        image_size=_positive(path, table, "image_size"),
        frames=_positive(path, table, "frames"),
        first=first,
        withhold_test=_take(path, "the file", table, "withhold_test", bool, False),
    )


def toml_of_stream(file: StreamFile) -> str:
    """Write a stream as the text of a stream file that reads back as the same stream."""
    lines = [f"{key} = {_toml(getattr(file, key))}" for key in ("name", "description", "source", "hidden")]
    lines += [
        f"{key} = {getattr(file, key)}" for key in ("image_size", "frames", "first") if getattr(file, key)
    ]
    lines += ["withhold_test = true"] if file.withhold_test else []
    lines += ["", "[protocol]"]
    lines += [f"{key} = {_toml(value)}" for key, value in asdict(file.protocol).items() if value is not None]
    for domain in file.domains:
        lines += ["", "[[domains]]"]
        lines += [f"{key} = {_toml(value)}" for key, value in asdict(domain).items() if value]
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    # TOML's texts, lists of texts, whole numbers and booleans are written as JSON's, but for the character DEL.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _domain(path: Path, entry: Any) -> DomainFile:
    if not isinstance(entry, dict):
        raise BenchError(f"{path}: domains must be [[domains]] tables, not {entry!r}")
    where = f"domain {entry.get('name', '?')!r}"
    _known(path, where, entry, ("name", "store", "methods", "datasets", "compressions"))
    lists = {key: _texts(path, where, entry, key) for key in ("methods", "datasets", "compressions")}
    if "real" in lists["methods"] or not (lists["methods"] or lists["datasets"]):
        raise BenchError(
            f"{path}: {where}: methods must name manipulations ('real' is always included), "
            "or be left out beside datasets, to take all of theirs"
        )
    store = _take(path, where, entry, "store", str, "")
    if not store and (not lists["datasets"] or "store" in entry):
        raise BenchError(
            f"{path}: {where} lacks the key 'store'; add it, or name datasets to have a store found (--data)"
        )
    return DomainFile(name=_take(path, where, entry, "name", str), store=store, **lists)


def _positive(path: Path, table: dict[str, Any], key: str) -> int:
    value: int = _take(path, "the file", table, key, int, 0)
    if key in table and value < 1:
        raise BenchError(f"{path}: {key} is {value}; give 1 or more, or leave it out")
    return value


def _texts(path: Path, where: str, table: dict[str, Any], key: str) -> tuple[str, ...]:
    values = _take(path, where, table, key, list, [])
    if not all(isinstance(value, str) for value in values):
        raise BenchError(f"{path}: {where}: {key} must be a list of texts, not {values!r}")
    return tuple(values)


def _known(path: Path, where: str, table: dict[str, Any], keys: Iterable[str]) -> None:
    for key in table:
        if key not in keys:
            raise BenchError(f"{path}: {unknown_name(f'key of {where}', key, keys)}")


def _take(path: Path, where: str, table: dict[str, Any], key: str, kind: type, default: Any = None) -> Any:
    value = table.get(key, default)
    if value is None:
        raise BenchError(f"{path}: {where} lacks the key {key!r}; add it")
    # bool is a subclass of int: `seed = true` is a mistake all the same.
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        names = {str: "text", int: "a whole number", bool: "true or false", list: "a list", dict: "a table"}
        raise BenchError(f"{path}: {where}: {key} must be {names[kind]}, not {value!r}")
    return value
