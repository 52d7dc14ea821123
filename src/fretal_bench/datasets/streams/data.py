"""The stores at hand that a stream's domains are in, and the list of streams with what each lacks."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from fretal_bench.datasets.streams.builtin import builtin_stream_files
from fretal_bench.datasets.streams.chronology import in_order_of_dates
from fretal_bench.datasets.streams.data_folder import StoreAtHand, found_stores, named_stores
from fretal_bench.datasets.streams.file import BUILTIN_STORE, DomainFile, StreamFile
from fretal_bench.datasets.streams.lacks import (
    Lack,
    commands_of,
    contents_of,
    lack_of,
    merged,
    sentence,
    state_of,
)
from fretal_bench.errors import BenchError, BenchWarning

PathLike = str | os.PathLike[str]


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
        The same stream with every store named by its absolute path, and its domains in their order.

    Raises:
        BenchError: Nothing at hand fits a domain, several stores do, or ``data`` names what is no store or isn't needed;
            or the domains are to be in the order of dates that are not known.
    """
    if not file.needs_data:
        if data:
            raise BenchError(f"stream {file.name!r} names its stores itself; leave --data out")
        return in_order_of_dates(file)
    notes: list[str] = []
    tiers = _tiers(data, notes)
    lacks: list[Lack] = []
    domains: list[DomainFile] = []
    for domain in file.domains:
        store = None if domain.store else _find(file, domain, _with_memory(tiers, domain, remembered or {}))
        if store is not None:
            domain = replace(domain, store=str(store.path))
        elif not domain.store:
            lacks.append(lack_of(file, domain, [store for tier in tiers for store in tier]))
        domains.append(domain)
    if lacks:
        stores = [store for tier in tiers for store in tier]
        # What is damaged may be what is lacking: one line says both.
        raise BenchError("; ".join([sentence(file, merged(lacks), stores), *notes]))
    for note in notes:
        warnings.warn(note, BenchWarning, stacklevel=2)
    return in_order_of_dates(absolute_stores(replace(file, domains=tuple(domains))))


def absolute_stores(file: StreamFile) -> StreamFile:
    """Name every store, and a source model, by its absolute path, so that the stream can be written to another folder."""
    domains = tuple(_absolute(file, domain) for domain in file.domains)
    brought = file.brought
    source = file.source if brought is None else brought.placed(file.path.parent)
    return replace(file, domains=domains, source=source)


def list_streams(
    pattern: str = "*", *, hidden: bool = False, data: Sequence[PathLike] = (), grouped: bool = False
) -> list[dict[str, Any]]:
    """List the built-in streams and whether they can run; no crop is read and nothing slow imported.

    Args:
        pattern: A shell pattern that the names must fit, e.g. ``"ffpp*"``.
        hidden: Include the controls.
        data: Stores in addition to those in the data folder, as for ``open_stream``.
        grouped: List streams that differ in the order of their domains alone as one.

    Returns:
        For each stream its ``name``, ``what`` (one line), ``domains`` (their names, in order), ``source`` (the paper),
        ``image_size``, ``frames`` and ``videos_per_class`` of the protocol (None: not given, all), ``folds``,
        ``data`` (``yes``, or in a few words why not), ``lacks`` (what is missing) and ``commands`` (what to type to get
        that).
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
        lacks = merged(
            [
                lack_of(file, domain, stores)
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
        "source": file.paper,
        "image_size": file.image_size or None,
        "frames": file.frames or None,
        "videos_per_class": file.protocol.videos_per_class,
        "folds": max(1, file.folds),
        "data": state or state_of(lacks),
        "lacks": [lack.what for lack in lacks],
        "commands": commands_of(lacks),
    }


def _tiers(data: Sequence[PathLike], notes: list[str] | None = None) -> list[list[StoreAtHand]]:
    return [[store for path in data for store in named_stores(path, notes)], found_stores(notes)]


def _with_memory(
    tiers: Sequence[Sequence[StoreAtHand]], domain: DomainFile, remembered: Mapping[str, Path]
) -> list[Sequence[StoreAtHand]]:
    if domain.name not in remembered:
        return list(tiers)
    try:
        memory = named_stores(remembered[domain.name], notes=[])
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
            choices = " and ".join(sorted(f"{store.path} ({store.size} px)" for store in fits))
            raise AmbiguousDataError(
                f"stream {file.name!r}: domain {domain.name!r} fits several stores: {choices}; "
                "give the one you mean with --data"
            )
        if fits:
            return fits[0]
    return None


def _fits(domain: DomainFile, store: StoreAtHand) -> bool:
    contents = contents_of(domain, store)
    methods = {method for _, method, _ in contents}
    return (
        all((dataset, "real") in {(d, m) for d, m, _ in contents} for dataset in domain.datasets)
        and set(domain.compressions) <= {compression for _, _, compression in contents}
        and (set(domain.methods) <= methods if domain.methods else bool(methods - {"real"}))
    )


def _absolute(file: StreamFile, domain: DomainFile) -> DomainFile:
    if not domain.store or domain.store.startswith(BUILTIN_STORE):
        return domain
    return replace(domain, store=str(file.folder_of(domain.store).resolve()))
