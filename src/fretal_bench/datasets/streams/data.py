"""The stores at hand that a stream's domains are in, and what is missing, with the command that makes it."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

from fretal_bench.datasets.importers import importer, importers
from fretal_bench.datasets.streams.builtin import builtin_stream_files
from fretal_bench.datasets.streams.data_folder import (
    DATA_FOLDER,
    StoreAtHand,
    data_folder,
    found_stores,
    named_stores,
)
from fretal_bench.datasets.streams.file import BUILTIN_STORE, DomainFile, StreamFile
from fretal_bench.errors import BenchError

PathLike = str | os.PathLike[str]
_CDDB: Final = "cddb-"
_FOLDERS: Final = "image-folders"
_JPEG: Final = "jpeg"
# Where the commands put stores if there is no data folder.
_FOLDER: Final = "stores"
_NAMED: Final = 4


@dataclass(frozen=True)
class Lack:
    """Something that no store at hand holds.

    Attributes:
        what: Data set, methods and compression.
        command: What makes a store of it.
        hint: What the command needs, where the data set has no importer of its own.
    """

    what: str
    command: str
    hint: str = ""


class AmbiguousDataError(BenchError):
    """Several stores fit a domain."""


def locate(
    file: StreamFile, data: Sequence[PathLike] = (), remembered: Mapping[str, Path] | None = None
) -> StreamFile:
    """Find the store of every domain that leaves it open.

    A store that was named goes before one that was remembered, and that before one found in the data folder. Of several
    that fit, the one of the stream's own crop size and frames is meant.

    Args:
        file: A stream.
        data: Folders of stores, or folders that hold stores.
        remembered: Store by domain, of an earlier run; used where it is still there and fits.

    Returns:
        The same stream with every store named by its absolute path.

    Raises:
        BenchError: Nothing at hand fits a domain, several stores do, or ``data`` names what is no store or isn't needed.
    """
    if not file.needs_data:
        if data:
            raise BenchError(f"stream {file.name!r} names its stores itself; leave --data out")
        return file
    tiers = _tiers(data)
    lacks: list[Lack] = []
    domains: list[DomainFile] = []
    for domain in file.domains:
        store = None if domain.store else _find(file, domain, _with_memory(tiers, domain, remembered or {}))
        if store is not None:
            domain = replace(domain, store=str(store.path))
        elif not domain.store:
            lacks.append(_lack(file, domain, [store for tier in tiers for store in tier]))
        domains.append(domain)
    if lacks:
        raise BenchError(_message(file, _merged(lacks), [store for tier in tiers for store in tier]))
    return absolute_stores(replace(file, domains=tuple(domains)))


def absolute_stores(file: StreamFile) -> StreamFile:
    """Name every store by its absolute path, so that the stream can be written to another folder."""
    return replace(file, domains=tuple(_absolute(file, domain) for domain in file.domains))


def list_streams(
    pattern: str = "*", *, hidden: bool = False, data: Sequence[PathLike] = (), grouped: bool = False
) -> list[dict[str, Any]]:
    """List the built-in streams and whether they can run; no crop is read and nothing slow imported.

    Args:
        pattern: A shell pattern that the names must fit, e.g. ``"ffpp*"``.
        hidden: Include the controls.
        data: Stores besides those in the data folder, as for ``open_stream``.
        grouped: List streams that differ in the order of their domains alone as one.

    Returns:
        For each stream its ``name``, ``what`` (one line), ``domains`` (their names, in order), ``source`` (the paper),
        ``image_size``, ``frames`` and ``videos_per_class`` of the protocol (None: not said, all), ``data`` (``yes``, or
        in a few words why not), ``lacks`` (what is missing) and ``commands`` (what to type to get that).
    """
    tiers = _tiers(data)
    rows: list[dict[str, Any]] = []
    groups: set[str] = set()
    for file in builtin_stream_files().values():
        if not fnmatchcase(file.name, pattern) or (file.hidden and not hidden):
            continue
        row = _row(file, tiers)
        if grouped and file.group:
            row.update(name=file.group, what=file.group_description)
            if file.group in groups:
                continue
            groups.add(file.group)
        rows.append(row)
    return rows


def stream_state(file: StreamFile, data: Sequence[PathLike] = ()) -> dict[str, Any]:
    """Say whether one stream can run, and what it lacks: the row that ``list_streams`` would have for it."""
    return _row(file, _tiers(data))


def _row(file: StreamFile, tiers: Sequence[Sequence[StoreAtHand]]) -> dict[str, Any]:
    lacks: list[Lack] = []
    stores = [store for tier in tiers for store in tier]
    state = ""
    try:
        lacks = _merged(
            [
                _lack(file, domain, stores)
                for domain in file.domains
                if not domain.store and _find(file, domain, tiers) is None
            ]
        )
    except AmbiguousDataError:
        state = "several stores fit: name one with --data"
    return {
        "name": file.name,
        "what": file.description,
        "domains": [domain.name for domain in file.domains],
        "source": file.source,
        "image_size": file.image_size or None,
        "frames": file.frames or None,
        "videos_per_class": file.protocol.videos_per_class,
        "data": state or _state(lacks),
        "lacks": [lack.what for lack in lacks],
        "commands": _commands(lacks),
    }


def _state(lacks: Sequence[Lack]) -> str:
    if not lacks:
        return "yes"
    named = ", ".join(lack.what for lack in lacks[:_NAMED])
    more = f" and {len(lacks) - _NAMED} more" if len(lacks) > _NAMED else ""
    return f"lacks {named}{more}"


def _commands(lacks: Sequence[Lack]) -> list[str]:
    return list(dict.fromkeys(lack.command for lack in lacks))


def _tiers(data: Sequence[PathLike]) -> list[list[StoreAtHand]]:
    return [[store for path in data for store in named_stores(path)], found_stores()]


def _with_memory(
    tiers: Sequence[Sequence[StoreAtHand]], domain: DomainFile, remembered: Mapping[str, Path]
) -> list[Sequence[StoreAtHand]]:
    if domain.name not in remembered:
        return list(tiers)
    try:
        memory = named_stores(remembered[domain.name])
    except BenchError:  # moved or deleted since
        memory = []
    return [tiers[0], memory, *tiers[1:]]


def _find(file: StreamFile, domain: DomainFile, tiers: Sequence[Sequence[StoreAtHand]]) -> StoreAtHand | None:
    for tier in tiers:
        # Stores of one checksum are copies of one store: any will do.
        fits = list({store.checksum: store for store in reversed(tier) if _fits(domain, store)}.values())
        fits = [store for store in fits if store.size == file.image_size] or fits
        fits = [store for store in fits if file.frames and store.frames == file.frames] or fits
        if len(fits) > 1:
            found = " and ".join(sorted(f"{store.path} ({store.size} px)" for store in fits))
            raise AmbiguousDataError(
                f"stream {file.name!r}: domain {domain.name!r} fits several stores: {found}; "
                "give the one you mean with --data"
            )
        if fits:
            return fits[0]
    return None


def _fits(domain: DomainFile, store: StoreAtHand) -> bool:
    found = _of_domain(domain, store)
    methods = {method for _, method, _ in found}
    return (
        all((dataset, "real") in {(d, m) for d, m, _ in found} for dataset in domain.datasets)
        and set(domain.compressions) <= {compression for _, _, compression in found}
        and (set(domain.methods) <= methods if domain.methods else bool(methods - {"real"}))
    )


def _of_domain(domain: DomainFile, store: StoreAtHand) -> list[tuple[str, str, str]]:
    return [
        key
        for key in store.contents
        if key[0] in domain.datasets and (not domain.compressions or key[2] in domain.compressions)
    ]


def _lack(file: StreamFile, domain: DomainFile, stores: Sequence[StoreAtHand]) -> Lack:
    coded = [compression for compression in domain.compressions if compression != "none"]
    what = " and ".join(domain.datasets) + (f" at {' and '.join(coded)}" if coded else "")
    near = [found for store in stores if (found := {m for _, m, _ in _of_domain(domain, store)})]
    if near:
        # Its data set is there, but incomplete: say what of it is not.
        has = max(near, key=lambda methods: len(methods & {"real", *domain.methods}))
        absent = [method for method in ("real", *domain.methods) if method not in has]
        absent += ["fakes"] if has == {"real"} and not domain.methods else []
        what += f" ({', '.join(absent)})" if absent else " (all of it in one store)"
    hint = " (image folders or a CSV of that name)" if _family(domain) == _FOLDERS else ""
    return Lack(what, _command(file, domain), hint)


def _command(file: StreamFile, domain: DomainFile) -> str:
    family, compression = _family(domain), next(iter(domain.compressions), "none")
    name = domain.datasets[0] if family == _FOLDERS else family
    coded = "" if compression == "none" else f"-{compression}"
    # Data sets are wanted at several sizes: the names keep them apart.
    name += coded + (f"-{file.image_size}px" if file.image_size else "")
    words = ["bench", "data", "prepare", "ROOT", "--as", family]
    words += ["--out", str((data_folder() or Path(_FOLDER)) / name)]
    if compression.startswith(_JPEG):
        # FaceForensics++ is published at H.264 levels; of these c23 is the papers' high quality.
        words += ["--compression", "c23", "--jpeg", compression.removeprefix(_JPEG)]
    elif compression != "none":
        words += ["--compression", compression]
    if file.frames and importer(family).unit != "images":
        words += ["--frames", str(file.frames)]
        words[words.index("--out") + 1] += f"-{file.frames}f"
    if file.image_size:
        words += ["--size", str(file.image_size)]
    return shlex.join(words)


def _family(domain: DomainFile) -> str:
    """The importer that reads a domain's data set."""
    dataset = domain.datasets[0]
    if dataset.startswith(_CDDB):
        return _CDDB.rstrip("-")
    return dataset if dataset in importers() else _FOLDERS


def _merged(lacks: Sequence[Lack]) -> list[Lack]:
    return list(dict.fromkeys(lacks))


def _message(file: StreamFile, lacks: Sequence[Lack], stores: Sequence[StoreAtHand]) -> str:
    what = ", ".join(lack.what + lack.hint for lack in lacks)
    commands = "; ".join(_commands(lacks))
    names = [store.path.name for store in stores]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    found = f"found {', '.join(names[:_NAMED])}{more}" if names else "found no store"
    folder = data_folder()
    then = "" if folder else f"; then give --data {_FOLDER}, or set {DATA_FOLDER} to it"
    return f"stream {file.name!r} lacks {what}; {found}; type: {commands}{then}"


def folder_of(file: StreamFile, store: str) -> Path:
    """The folder of a store that a stream file names; relative ones start from the file's folder."""
    return file.path.parent / Path(store).expanduser()


def _absolute(file: StreamFile, domain: DomainFile) -> DomainFile:
    if not domain.store or domain.store.startswith(BUILTIN_STORE):
        return domain
    return replace(domain, store=str(folder_of(file, domain.store).resolve()))
